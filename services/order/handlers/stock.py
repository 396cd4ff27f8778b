"""Inventory's answers, and the deadlines that stand in for missing ones."""

from collections.abc import Sequence

from schemas.contracts import (
    OrderCancelled,
    StockAllocated,
    StockRejected,
    StockReleased,
    StockReservationExpired,
    StockReserved,
    StockShortfall,
)
from services.chassis.events import Cause, Received, new_id
from services.chassis.unit_of_work import Due
from services.order.domain.history import SYSTEM, Actor, When
from services.order.domain.reactions import StockAnswer, react
from services.order.domain.statuses import CancelReason, PendingOperation
from services.order.handlers.refunds import request_due_refunds
from services.order.handlers.revisions import close_revision, settle_revision, time_out_revision
from services.order.unit_of_work import OrderUnitOfWork

_INVENTORY = Actor(type="system", id="inventory")


def note_reserved(reserved: Sequence[Received[StockReserved]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.StockReserved.  Emits: OrderConfirmed, where nothing else is needed | OrderRevised."""
    for received in reserved:
        _react(received, uow)


def cancel_rejected(rejected: Sequence[Received[StockRejected]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.StockRejected.  Emits: OrderCancelled, RefundRequested | OrderRevisionRejected."""
    for received in rejected:
        _react(received, uow)


def cancel_expired(expired: Sequence[Received[StockReservationExpired]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.StockReservationExpired.  Emits: OrderCancelled, RefundRequested."""
    for received in expired:
        _react(received, uow)


def note_allocated(allocated: Sequence[Received[StockAllocated]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.StockAllocated.  Emits: nothing."""
    for received in allocated:
        _react(received, uow)


def cancel_short(short: Sequence[Received[StockShortfall]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.StockShortfall.  Emits: OrderCancelled, RefundRequested, unless the order has moved on."""
    for received in short:
        _react(received, uow)


def note_released(released: Sequence[Received[StockReleased]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.StockReleased.  Emits: nothing."""
    for received in released:
        _react(received, uow)


def _react(received: Received[StockAnswer], uow: OrderUnitOfWork) -> None:
    order = uow.order(received.event.order_id)
    if order is None:
        uow.tx.defer(received, "order_missing")
        return
    when = When(now=uow.now, actor=_INVENTORY, event_id=received.event_id)
    answer = received.event
    if isinstance(answer, StockReserved | StockRejected) and answer.revision is not None:
        settle_revision(answer, order, when, received.cause, uow)
        return
    told = react(received.event, order, uow.settings.confirm_terms, when)
    uow.tell(order, told, received.cause)
    # Only where this answer ended the order has something become due: what failed is tried again by people.
    if isinstance(told, OrderCancelled):
        close_revision(order, when, uow)
        request_due_refunds(order, "cancelled", when, received.cause, uow)


def end_overdue(uow: OrderUnitOfWork, due: Due) -> int:
    """Reacts to: an order's deadline.  Emits: OrderCancelled, RefundRequested | OrderRevisionRejected."""
    overdue = uow.lock_overdue(due)
    for order in overdue:
        deadline_id = new_id()
        when = When(now=uow.now, actor=SYSTEM, event_id=deadline_id)
        cause = Cause(correlation_id=order.id, causation_id=deadline_id)
        if order.pending_operation is PendingOperation.RESERVING:
            uow.tell(order, order.cancel(CancelReason.TIMEOUT, when), cause)
            request_due_refunds(order, "cancelled", when, cause, uow)
        elif order.pending_operation is PendingOperation.REVISING:
            time_out_revision(order, when, cause, uow)
        else:
            order.wait_no_longer("allocation_timeout", when)
    return len(overdue)
