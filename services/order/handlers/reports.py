"""What storefronts report of orders that were placed: payments and cancellations.

The outcome is that of the same command by REST, but that money which was captured is recorded whatever it comes to:
who reports it awaits no answer by which to try again. Foreign input: whatever it says, its refusal is an event, under
the order's key where there is such an order. What is taken is told where it changes the order's status or is too much;
a payment that failed, or pays a part, shows in the order alone.
"""

from collections.abc import Sequence
from datetime import timedelta

from schemas.contracts import (
    OrderCancellationRequested,
    OrderRequestRejected,
    OrderRequestRejectedRequestType,
    PaymentReported,
    PaymentReportedOutcome,
)
from services.chassis.events import Received
from services.order.domain.history import When
from services.order.domain.orders import CancelOrder, Order
from services.order.domain.payments import Payment, note_failed
from services.order.domain.refusals import Fault
from services.order.domain.requests import answer_id_of, errors_of, order_id_of, payment_of, refused
from services.order.domain.statuses import CancelReason
from services.order.handlers.orders import end_order
from services.order.handlers.payments import take_payment
from services.order.handlers.requests import STOREFRONT
from services.order.unit_of_work import OrderUnitOfWork

_RETRY_SECONDS = 1.0
_TYPES = {
    PaymentReported: OrderRequestRejectedRequestType.PAYMENT,
    OrderCancellationRequested: OrderRequestRejectedRequestType.CANCELLATION,
}
Report = PaymentReported | OrderCancellationRequested


def take_reported_payments(reported: Sequence[Received[PaymentReported]], uow: OrderUnitOfWork) -> None:
    """Reacts to: storefront.PaymentReported.  Emits: OrderConfirmed, RefundRequested, OrderRequestRejected."""
    for received in reported:
        payment = payment_of(received.event)
        order = _order_of(received, payment if isinstance(payment, list) else [], uow)
        if order is not None and isinstance(payment, Payment):
            _take(order, payment, received, uow)


def cancel_as_requested(requested: Sequence[Received[OrderCancellationRequested]], uow: OrderUnitOfWork) -> None:
    """Reacts to: storefront.OrderCancellationRequested.  Emits: as cancelling by REST, or OrderRequestRejected."""
    for received in requested:
        order, event = _order_of(received, [], uow), received.event
        if order is None:
            continue
        command = CancelOrder(
            order_id=order.id,
            reason=CancelReason(event.reason.value),
            actor=STOREFRONT,
            restock=event.restock,
            refund=event.refund,
            notify_customer=event.notify_customer,
        )
        refusal = end_order(order, command, _when(received, uow), received.cause, uow)
        if refusal is not None:
            _reject(received, order, refusal.code.value, refused(refusal), uow)


def _take(order: Order, payment: Payment, received: Received[PaymentReported], uow: OrderUnitOfWork) -> None:
    outcome, when = received.event.outcome, _when(received, uow)
    if outcome is PaymentReportedOutcome.CAPTURED:
        refusal = take_payment(order, payment, when, received.cause, uow, captured=True)
        if refusal is not None:
            _reject(received, order, refusal.code.value, refused(refusal), uow)
    elif outcome is PaymentReportedOutcome.FAILED:
        # What was captured under this reference is not undone by an older report that comes late.
        if uow.payments.holder(payment) is None:
            note_failed(order, when)
    else:
        fault = Fault("/outcome", "unknown_outcome", "outcome is none of captured, failed")
        _reject(received, order, "unknown_outcome", [fault], uow)


def _order_of(received: Received[Report], faults: Sequence[Fault], uow: OrderUnitOfWork) -> Order | None:
    """Return the order that a report is about, None where the report was answered, or waits for the order.

    An id is told to nobody before its order stands; but a report may come while a database is being restored, so an
    unknown order is waited for as long as an unknown SKU is, its key alone.
    """
    order_id = order_id_of(received.event.order_id)
    order = uow.order(order_id) if order_id is not None else None
    if faults:
        _reject(received, order, "invalid_request", faults, uow)
        return None
    if order is None and order_id is not None and _may_become_known(received, uow):
        uow.tx.defer(received, "order_not_found", _RETRY_SECONDS)
    elif order is None:
        fault = Fault("/order_id", "order_not_found", "no order has this id")
        _reject(received, None, "order_not_found", [fault], uow)
    return order


def _may_become_known(received: Received[Report], uow: OrderUnitOfWork) -> bool:
    grace = timedelta(seconds=uow.settings.catalog_grace_seconds)
    return uow.tx.now - (received.waiting_since or uow.tx.now) < grace


def _when(received: Received[Report], uow: OrderUnitOfWork) -> When:
    return When(now=uow.now, actor=STOREFRONT, event_id=received.event_id)


def _reject(
    received: Received[Report], order: Order | None, code: str, faults: Sequence[Fault], uow: OrderUnitOfWork
) -> None:
    rejected = OrderRequestRejected(
        request_id=order.id if order is not None else answer_id_of(received.event, received.key),
        request_type=_TYPES[type(received.event)],
        order_id=order.id if order is not None else None,
        code=code,
        errors=errors_of(faults, received.event),
        rejected_at=uow.now,
    )
    if order is not None:
        uow.tell(order, rejected, received.cause)
    else:
        uow.tell_request(rejected.request_id, rejected, received.cause)
