"""What the order service does with inventory's answers, whatever arrives, by its status: the saga's first table."""

from collections.abc import Callable, Mapping
from enum import StrEnum

from schemas.contracts import (
    StockAllocated,
    StockRejected,
    StockReleased,
    StockReservationExpired,
    StockReserved,
    StockShortfall,
)
from services.order.domain.history import When
from services.order.domain.lines import Held, Shortage
from services.order.domain.orders import ConfirmTerms, Order, Told
from services.order.domain.statuses import CancelReason, OrderStatus, PendingOperation, ReservationStatus

StockAnswer = StockReserved | StockRejected | StockReservationExpired | StockAllocated | StockShortfall | StockReleased


class Reaction(StrEnum):
    """A cell of the table."""

    RESERVED = "reserved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    ALLOCATED = "allocated"
    SHORTFALL = "shortfall"
    STUCK = "stuck"
    RELEASED = "released"
    NOTHING = "nothing"


_S = OrderStatus


_R = Reaction


def _row(
    pending: Reaction = _R.NOTHING,
    confirmed: Reaction = _R.NOTHING,
    later: Reaction = _R.NOTHING,
    ended: Reaction = _R.NOTHING,
) -> Mapping[OrderStatus, Reaction]:
    return {
        _S.PENDING: pending,
        _S.CONFIRMED: confirmed,
        _S.PROCESSING: later,
        _S.SHIPPED: later,
        _S.DELIVERED: later,
        _S.CANCELLED: ended,
        _S.REFUNDED: ended,
    }


# A reservation that comes after the end is released by the OrderCancelled behind OrderPlaced on the same key.
REACTIONS: Mapping[type[StockAnswer], Mapping[OrderStatus, Reaction]] = {
    StockReserved: _row(pending=_R.RESERVED),
    StockRejected: _row(pending=_R.REJECTED),
    StockReservationExpired: _row(pending=_R.EXPIRED),
    StockAllocated: _row(confirmed=_R.ALLOCATED),
    StockShortfall: _row(confirmed=_R.SHORTFALL, later=_R.STUCK),
    StockReleased: _row(ended=_R.RELEASED),
}


def react(answer: StockAnswer, order: Order, terms: ConfirmTerms, when: When) -> Told:
    """Take an answer of inventory; the order is changed in place.

    Returns:
        What others have to be told, None for nothing.

    """
    return _DO[REACTIONS[type(answer)][order.status]](answer, order, terms, when)


def _reserved(answer: StockReserved, order: Order, terms: ConfirmTerms, when: When) -> Told:
    if order.pending_operation is not PendingOperation.RESERVING:
        return None
    order.reservation_status = ReservationStatus.RESERVED
    order.held = tuple(Held(line.sku, line.location, line.quantity) for line in answer.lines)
    order.pending_operation = order.deadline_at = None
    order.reserved_until = answer.expires_at
    order.note_change(order.status, "stock_reserved", when, public=False)
    if terms.auto_confirm or order.confirm_when_reserved or order.is_paid:
        return order.confirm(when, terms.allocation_timeout_seconds)
    return None


def _rejected(answer: StockRejected, order: Order, _terms: ConfirmTerms, when: When) -> Told:
    order.reservation_status = ReservationStatus.REJECTED
    order.shortages = tuple(Shortage(s.sku, s.requested, s.available, s.expected_at) for s in answer.shortages)
    return order.cancel(CancelReason.INSUFFICIENT_STOCK, when)


def _expired(_answer: StockReservationExpired, order: Order, _terms: ConfirmTerms, when: When) -> Told:
    order.reservation_status = ReservationStatus.EXPIRED
    order.held = ()
    return order.cancel(CancelReason.EXPIRED, when)


def _allocated(answer: StockAllocated, order: Order, _terms: ConfirmTerms, when: When) -> Told:
    if order.pending_operation is not PendingOperation.ALLOCATING:
        return None
    order.reservation_status = ReservationStatus.ALLOCATED
    order.held = tuple(Held(line.sku, line.location, line.quantity) for line in answer.lines)
    order.pending_operation = order.deadline_at = order.reserved_until = order.stuck_reason = None
    order.note_change(order.status, "stock_allocated", when, public=False)
    return None


def _shortfall(answer: StockShortfall, order: Order, _terms: ConfirmTerms, when: When) -> Told:
    order.reservation_status = ReservationStatus.EXPIRED
    order.held = ()
    order.shortages = tuple(Shortage(s.sku, s.requested, s.available, s.expected_at) for s in answer.shortages)
    return order.cancel(CancelReason.STOCK_SHORTFALL, when)


def _stuck(_answer: StockShortfall, order: Order, _terms: ConfirmTerms, when: When) -> Told:
    order.stuck_reason = "stock_shortfall"
    order.note_change(order.status, "stock_shortfall", when, public=False)
    return None


def _released(_answer: StockReleased, order: Order, _terms: ConfirmTerms, when: When) -> Told:
    if order.reservation_status is ReservationStatus.RELEASED:
        return None
    order.reservation_status = ReservationStatus.RELEASED
    order.held = ()
    order.note_change(order.status, "stock_released", when, public=False)
    return None


def _nothing(_answer: StockAnswer, _order: Order, _terms: ConfirmTerms, _when: When) -> Told:
    return None


_DO: Mapping[Reaction, Callable[..., Told]] = {
    Reaction.RESERVED: _reserved,
    Reaction.REJECTED: _rejected,
    Reaction.EXPIRED: _expired,
    Reaction.ALLOCATED: _allocated,
    Reaction.SHORTFALL: _shortfall,
    Reaction.STUCK: _stuck,
    Reaction.RELEASED: _released,
    Reaction.NOTHING: _nothing,
}
