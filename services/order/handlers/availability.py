"""What inventory's alerts say of variants, kept for quotes."""

from collections.abc import Sequence

from schemas.contracts import BackInStock, LowStockReached, OutOfStock
from services.chassis.events import Received
from services.order.domain.availability import StockAlert, told_by
from services.order.unit_of_work import OrderUnitOfWork


def note_low_stock(alerts: Sequence[Received[LowStockReached]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.LowStockReached.  Emits: nothing."""
    _note(alerts, uow)


def note_out_of_stock(alerts: Sequence[Received[OutOfStock]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.OutOfStock.  Emits: nothing."""
    _note(alerts, uow)


def note_back_in_stock(alerts: Sequence[Received[BackInStock]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.BackInStock.  Emits: nothing."""
    _note(alerts, uow)


def _note(alerts: Sequence[Received[StockAlert]], uow: OrderUnitOfWork) -> None:
    uow.availability.note([told_by(received.event) for received in alerts])
