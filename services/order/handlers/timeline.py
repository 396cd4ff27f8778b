"""The timeline of an order, and the events of others that it shows without being changed by them."""

from collections.abc import Sequence

from schemas.contracts import NotificationFailed, NotificationSent, OrderPlaced, StockShipped
from services.chassis.events import Received
from services.order.domain.orders import Order
from services.order.domain.timeline import Entry, timeline
from services.order.unit_of_work import OrderUnitOfWork


def note_sent(sent: Sequence[Received[NotificationSent]], uow: OrderUnitOfWork) -> None:
    """Reacts to: notification.NotificationSent.  Emits: nothing."""
    uow.timeline.note([(each, each.event.template) for each in sent if each.event.order_id is not None])


def note_failed(failed: Sequence[Received[NotificationFailed]], uow: OrderUnitOfWork) -> None:
    """Reacts to: notification.NotificationFailed.  Emits: nothing."""
    told = [(each, f"{each.event.template}: {each.event.code}") for each in failed if each.event.order_id is not None]
    uow.timeline.note(told)


def note_shipped(shipped: Sequence[Received[StockShipped]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.StockShipped.  Emits: nothing."""
    uow.timeline.note([(each, None) for each in shipped])


def view_timeline(uow: OrderUnitOfWork, order: Order) -> list[Entry]:
    """Return every event of an order's saga, in causal order."""
    history, notes = uow.timeline.of(order.id)
    return timeline(history, notes, OrderPlaced.TOPIC)
