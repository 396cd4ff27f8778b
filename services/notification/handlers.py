"""What notification does with events: remember whom they concern, and write down one mail an event and recipient.

Nothing is sent here: the mailer takes what is written down.
"""

from collections.abc import Sequence
from typing import Any

from schemas.contracts import (
    LowStockReached,
    OrderCancelled,
    OrderConfirmed,
    OrderDelivered,
    OrderPlaced,
    OrderProcessingStarted,
    OrderShipped,
    OutOfStock,
    RefundIssued,
    ReturnApproved,
    ReturnDeclined,
    ReturnReceived,
)
from services.chassis.commands import Submitted
from services.chassis.events import Received
from services.notification.domain.erasure import EraseOrders
from services.notification.domain.notifications import (
    OrderEvent,
    StockAlert,
    mail_to_customer,
    mail_to_operator,
    placed_order,
    unknown_order,
    variant,
)
from services.notification.unit_of_work import NotificationUnitOfWork


def acknowledge_order(placed: Sequence[Received[OrderPlaced]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.OrderPlaced.  Queues: order_placed, and whatever came before it and waits for it."""
    for received in placed:
        known = uow.subject(received.event.order_id)
        if known is None or not known.known:
            subject, snapshot = placed_order(received.event)
            uow.add(subject, snapshot)
            uow.write_down(mail_to_customer(received.event, subject), received)


def tell_of_confirmation(confirmed: Sequence[Received[OrderConfirmed]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.OrderConfirmed.  Queues: order_confirmed."""
    _tell_customers(confirmed, uow)


def tell_of_processing(started: Sequence[Received[OrderProcessingStarted]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.OrderProcessingStarted.  Queues: order_processing."""
    _tell_customers(started, uow)


def tell_of_shipment(shipped: Sequence[Received[OrderShipped]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.OrderShipped.  Queues: order_shipped."""
    _tell_customers(shipped, uow)


def tell_of_delivery(delivered: Sequence[Received[OrderDelivered]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.OrderDelivered.  Queues: order_delivered."""
    _tell_customers(delivered, uow)


def tell_of_cancellation(cancelled: Sequence[Received[OrderCancelled]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.OrderCancelled.  Queues: order_cancelled, where the customer is to be told."""
    _tell_customers(cancelled, uow)


def tell_of_approval(approved: Sequence[Received[ReturnApproved]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.ReturnApproved.  Queues: return_approved, where the customer asked for the return."""
    _tell_customers(approved, uow)


def tell_of_refusal(declined: Sequence[Received[ReturnDeclined]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.ReturnDeclined.  Queues: return_declined."""
    _tell_customers(declined, uow)


def tell_of_arrival(returned: Sequence[Received[ReturnReceived]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.ReturnReceived.  Queues: return_received."""
    _tell_customers(returned, uow)


def tell_of_refund(issued: Sequence[Received[RefundIssued]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: order.RefundIssued.  Queues: refund_issued."""
    _tell_customers(issued, uow)


def warn_of_low_stock(reached: Sequence[Received[LowStockReached]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: inventory.LowStockReached.  Queues: low_stock."""
    _tell_operator(reached, uow)


def warn_of_empty_stock(emptied: Sequence[Received[OutOfStock]], uow: NotificationUnitOfWork) -> None:
    """Reacts to: inventory.OutOfStock.  Queues: out_of_stock."""
    _tell_operator(emptied, uow)


def erase_orders(submitted: Submitted[EraseOrders], uow: NotificationUnitOfWork) -> tuple[int, int]:
    """Erase whom mails about orders went to; return how many, and how many have still to be sent."""
    return uow.erase(submitted.command.order_ids)


def _tell_customers(events: Sequence[Received[OrderEvent]], uow: NotificationUnitOfWork) -> None:
    for received in events:
        subject = uow.subject(received.event.order_id)
        if subject is None:
            subject = unknown_order(received.event.order_id)
            uow.add(subject, None)
        uow.write_down(mail_to_customer(received.event, subject), received)


def _tell_operator(alerts: Sequence[Received[StockAlert]], uow: NotificationUnitOfWork) -> None:
    for received in alerts:
        mail = mail_to_operator(received.event, uow.settings.operator_email)
        if mail is not None and uow.subject(received.event.sku) is None:
            uow.add(*variant(received.event.sku))
        uow.write_down(mail, received)


HANDLERS: dict[type[Any], Any] = {
    OrderPlaced: acknowledge_order,
    OrderConfirmed: tell_of_confirmation,
    OrderProcessingStarted: tell_of_processing,
    OrderShipped: tell_of_shipment,
    OrderDelivered: tell_of_delivery,
    OrderCancelled: tell_of_cancellation,
    ReturnApproved: tell_of_approval,
    ReturnDeclined: tell_of_refusal,
    ReturnReceived: tell_of_arrival,
    RefundIssued: tell_of_refund,
    LowStockReached: warn_of_low_stock,
    OutOfStock: warn_of_empty_stock,
}
COMMANDS: dict[type[Any], Any] = {EraseOrders: erase_orders}
