"""What inventory does for an order, whatever arrives, by its reservation: the saga's second table.

One `Reservation` an order carries the state. Invariants: an order is reserved if and only if every line fits;
what is held is held once; a second OrderPlaced for a known order changes and tells nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from schemas.contracts import (
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderShipped,
    StockAllocated,
    StockAllocatedLine,
    StockRejected,
    StockRejectedShortage,
    StockReleased,
    StockReleasedLine,
    StockReservationExpired,
    StockReservationExpiredLine,
    StockReserved,
    StockReservedLine,
    StockShipped,
    StockShippedLine,
    StockShortfall,
    StockShortfallShortage,
)
from services.inventory.domain.stock import DEFAULT_LOCATION, Because, MovementKind, Stock, added_up

OrderEvent = OrderPlaced | OrderConfirmed | OrderCancelled | OrderShipped
StockEvent = (
    StockReserved
    | StockRejected
    | StockAllocated
    | StockReleased
    | StockReservationExpired
    | StockShipped
    | StockShortfall
)
_MICROS = 1_000_000


class ReservationStatus(StrEnum):
    """What the stock of an order is doing."""

    RESERVED = "reserved"
    REJECTED = "rejected"
    ALLOCATED = "allocated"
    EXPIRED = "expired"
    RELEASED = "released"
    SHIPPED = "shipped"
    CANCELLED_FIRST = "cancelled_first"


class Line(NamedTuple):
    """Units of a SKU held at a location."""

    sku: str
    location: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Revising:
    """A revision that was answered with StockReserved and has no end yet: what is held covers both.

    Args:
        before: what was held before it, and is again should it be rejected.
        after: what is held once the order is revised.

    """

    before: tuple[Line, ...]
    after: tuple[Line, ...]


@dataclass(slots=True, kw_only=True)
class Reservation:
    """The stock of one order.

    Args:
        order_id: the order.
        status: see `ReservationStatus`.
        lines: what is held; what was, once expired; what went back on the shelf, once released. Shipped units are
            taken off.
        shipments: ids of the shipments that were taken out of stock: each is once, under whatever event id it comes.
        receipts: ids of the receipts of returns that were put back on hand: each is once, too.
        expires_at: microseconds since the epoch; None where it does not expire.
        events: how many events of this order inventory has told.
        revision: the newest revision of the order that was decided on, 0 for none.
        revising: that revision, while its end is awaited.

    """

    order_id: str
    status: ReservationStatus
    lines: tuple[Line, ...] = ()
    shipments: tuple[str, ...] = ()
    receipts: tuple[str, ...] = ()
    expires_at: int | None = None
    events: int = 0
    revision: int = 0
    revising: Revising | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a decision needs beside its event.

    Args:
        now: microseconds since the epoch.
        ttl_seconds: how long stock is held for an order that says nothing about it.
        because: what its movements refer to.

    """

    now: int
    ttl_seconds: int
    because: Because


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an event: the reservation as it is now, and what there is to tell.

    `parked` names what is missing where the event cannot be taken yet; then nothing has changed.
    """

    reservation: Reservation | None
    told: tuple[StockEvent, ...] = ()
    parked: str | None = None


class Reaction(StrEnum):
    """A cell of the table."""

    RESERVE = "reserve"
    ALLOCATE = "allocate"
    RESERVE_AND_ALLOCATE = "reserve_and_allocate"
    RELEASE = "release"
    SHIP = "ship"
    TAKE_OUT = "take_out"
    REMEMBER = "remember"
    PARK = "park"
    NOTHING = "nothing"


_S = ReservationStatus
_R = Reaction
# None: no reservation is known for the order.
REACTIONS: Mapping[type[OrderEvent], Mapping[ReservationStatus | None, Reaction]] = {
    OrderPlaced: {
        None: _R.RESERVE,
        _S.RESERVED: _R.NOTHING,
        _S.ALLOCATED: _R.NOTHING,
        _S.EXPIRED: _R.NOTHING,
        _S.REJECTED: _R.NOTHING,
        _S.RELEASED: _R.NOTHING,
        _S.SHIPPED: _R.NOTHING,
        _S.CANCELLED_FIRST: _R.NOTHING,
    },
    OrderConfirmed: {
        None: _R.PARK,
        _S.RESERVED: _R.ALLOCATE,
        _S.ALLOCATED: _R.NOTHING,
        _S.EXPIRED: _R.RESERVE_AND_ALLOCATE,
        _S.REJECTED: _R.NOTHING,
        _S.RELEASED: _R.NOTHING,
        _S.SHIPPED: _R.NOTHING,
        _S.CANCELLED_FIRST: _R.NOTHING,
    },
    OrderCancelled: {
        None: _R.REMEMBER,
        _S.RESERVED: _R.RELEASE,
        _S.ALLOCATED: _R.RELEASE,
        _S.EXPIRED: _R.NOTHING,
        _S.REJECTED: _R.NOTHING,
        _S.RELEASED: _R.NOTHING,
        _S.SHIPPED: _R.NOTHING,
        _S.CANCELLED_FIRST: _R.NOTHING,
    },
    OrderShipped: {
        None: _R.PARK,
        _S.RESERVED: _R.PARK,
        _S.ALLOCATED: _R.SHIP,
        _S.EXPIRED: _R.PARK,
        _S.REJECTED: _R.PARK,
        _S.RELEASED: _R.PARK,
        _S.SHIPPED: _R.NOTHING,
        _S.CANCELLED_FIRST: _R.PARK,
    },
}

# An OrderShipped that is `unexpected`: goods of a cancelled order that left all the same, so they are out of stock.
UNEXPECTED: Mapping[ReservationStatus | None, Reaction] = {
    None: _R.PARK,
    _S.RESERVED: _R.PARK,
    _S.ALLOCATED: _R.SHIP,
    _S.EXPIRED: _R.TAKE_OUT,
    _S.REJECTED: _R.TAKE_OUT,
    _S.RELEASED: _R.TAKE_OUT,
    _S.SHIPPED: _R.NOTHING,
    _S.CANCELLED_FIRST: _R.TAKE_OUT,
}
# Why an unexpected shipment is parked: what it took is held for others by now, so the shelf has less than the books.
UNITS_HELD = "unexpected_shipment_of_held_units"


def react(event: OrderEvent, reservation: Reservation | None, stock: Stock, terms: Terms) -> Outcome:
    """Decide what an order's event does to its stock.

    Args:
        event: what happened to the order.
        reservation: what is known of the order, None for nothing; changed in place.
        stock: the levels of every SKU that is touched; changed in place.
        terms: time, hold, and what the movements refer to.

    Raises:
        ValueError: the event contradicts what is held, for example ships more than was allocated.

    """
    status = reservation.status if reservation else None
    reaction = REACTIONS[type(event)][status]
    if isinstance(event, OrderShipped):
        if event.unexpected:
            reaction = UNEXPECTED[status]
        if reservation is not None and event.shipment_id in reservation.shipments:
            reaction = Reaction.NOTHING
    return _DO[reaction](event, reservation, stock, terms)


def expire(reservation: Reservation, stock: Stock, terms: Terms) -> StockReservationExpired:
    """Let go of a reservation whose time has passed."""
    _let_go(reservation, stock, terms, MovementKind.RESERVATION_EXPIRED)
    reservation.status, reservation.expires_at = _S.EXPIRED, None
    lines = tuple(
        StockReservationExpiredLine(sku=line.sku, quantity=line.quantity, location=line.location)
        for line in reservation.lines
    )
    return StockReservationExpired(order_id=reservation.order_id, lines=lines, expired_at=terms.now)


def _reserve(event: OrderPlaced, _none: Reservation | None, stock: Stock, terms: Terms) -> Outcome:
    wanted = added_up((line.sku, line.quantity) for line in event.lines)
    short = shortages_of(wanted, stock)
    if short:
        rejected = Reservation(order_id=event.order_id, status=_S.REJECTED)
        shortages = tuple(StockRejectedShortage(sku=s, requested=n, available=a) for s, n, a in short)
        told = StockRejected(order_id=event.order_id, shortages=shortages, rejected_at=terms.now)
        return Outcome(rejected, (told,))
    lines = hold(wanted, stock, terms)
    seconds = terms.ttl_seconds if event.hold_seconds is None else event.hold_seconds
    expires_at = terms.now + seconds * _MICROS
    reservation = Reservation(order_id=event.order_id, status=_S.RESERVED, lines=lines, expires_at=expires_at)
    held = tuple(StockReservedLine(sku=line.sku, quantity=line.quantity, location=line.location) for line in lines)
    return Outcome(
        reservation,
        (StockReserved(order_id=event.order_id, lines=held, expires_at=expires_at, reserved_at=terms.now),),
    )


def _allocate(event: OrderConfirmed, reservation: Reservation, stock: Stock, terms: Terms) -> Outcome:
    for line in reservation.lines:
        stock.move(
            (line.sku, line.location),
            MovementKind.ALLOCATED,
            terms.because,
            reserved=-line.quantity,
            allocated=line.quantity,
        )
    reservation.status, reservation.expires_at = _S.ALLOCATED, None
    lines = tuple(
        StockAllocatedLine(sku=line.sku, quantity=line.quantity, location=line.location) for line in reservation.lines
    )
    return Outcome(reservation, (StockAllocated(order_id=event.order_id, lines=lines, allocated_at=terms.now),))


def _reserve_and_allocate(event: OrderConfirmed, reservation: Reservation, stock: Stock, terms: Terms) -> Outcome:
    wanted = added_up((line.sku, line.quantity) for line in reservation.lines)
    short = shortages_of(wanted, stock)
    if short:
        shortages = tuple(StockShortfallShortage(sku=s, requested=n, available=a) for s, n, a in short)
        return Outcome(reservation, (StockShortfall(order_id=event.order_id, shortages=shortages, found_at=terms.now),))
    reservation.lines = hold(wanted, stock, terms)
    return _allocate(event, reservation, stock, terms)


def _release(event: OrderCancelled, reservation: Reservation, stock: Stock, terms: Terms) -> Outcome:
    # What was only reserved never left its shelf; allocated units may be lost.
    restocked = event.restock or reservation.status is _S.RESERVED
    _let_go(reservation, stock, terms, MovementKind.RELEASED)
    if not restocked:
        for line in reservation.lines:
            place = (line.sku, line.location)
            stock.move(place, MovementKind.WRITTEN_OFF, terms.because, on_hand=-line.quantity)
    reservation.status, reservation.expires_at, reservation.revising = _S.RELEASED, None, None
    lines = tuple(
        StockReleasedLine(sku=line.sku, quantity=line.quantity, location=line.location) for line in reservation.lines
    )
    told = StockReleased(order_id=event.order_id, lines=lines, restocked=restocked, released_at=terms.now)
    if not restocked:
        reservation.lines = ()
    return Outcome(reservation, (told,))


def _ship(event: OrderShipped, reservation: Reservation, stock: Stock, terms: Terms) -> Outcome:
    if reservation.revising is not None:
        return Outcome(reservation, parked="OrderShipped_while_revision_open")
    left = {(line.sku, line.location): line.quantity for line in reservation.lines}
    shipped = added_up((line.sku, line.quantity) for line in event.lines)
    for sku, quantity in shipped.items():
        place = (sku, event.location)
        if left.get(place, 0) < quantity:
            raise ValueError(f"{quantity} of {sku} left {event.location}, {left.get(place, 0)} were allocated there")
        left[place] -= quantity
    for sku, quantity in shipped.items():
        place = (sku, event.location)
        stock.move(place, MovementKind.SHIPPED, terms.because, on_hand=-quantity, allocated=-quantity)
    reservation.lines = tuple(Line(sku, location, n) for (sku, location), n in left.items() if n)
    if not reservation.lines:
        reservation.status = _S.SHIPPED
    return Outcome(reservation, (_shipped(event, reservation, shipped, terms),))


def _take_out(event: OrderShipped, reservation: Reservation, stock: Stock, terms: Terms) -> Outcome:
    shipped = added_up((line.sku, line.quantity) for line in event.lines)
    # What was written off when the order was cancelled is out of stock already.
    written_off = reservation.status is _S.RELEASED and not reservation.lines
    for sku, quantity in () if written_off else shipped.items():
        level = stock.level(sku, event.location)
        if level.on_hand - quantity < level.reserved + level.allocated:
            return Outcome(reservation, parked=UNITS_HELD)
    for sku, quantity in () if written_off else shipped.items():
        stock.move((sku, event.location), MovementKind.SHIPPED, terms.because, on_hand=-quantity)
    return Outcome(reservation, (_shipped(event, reservation, shipped, terms),))


def _shipped(event: OrderShipped, reservation: Reservation, shipped: Mapping[str, int], terms: Terms) -> StockShipped:
    reservation.shipments = (*reservation.shipments, event.shipment_id)
    return StockShipped(
        order_id=event.order_id,
        shipment_id=event.shipment_id,
        location=event.location,
        lines=tuple(StockShippedLine(sku=sku, quantity=n) for sku, n in shipped.items()),
        shipped_at=terms.now,
    )


def _remember(event: OrderCancelled, _none: Reservation | None, _stock: Stock, _terms: Terms) -> Outcome:
    return Outcome(Reservation(order_id=event.order_id, status=_S.CANCELLED_FIRST))


def _park(event: OrderEvent, reservation: Reservation | None, _stock: Stock, _terms: Terms) -> Outcome:
    known = reservation.status if reservation else "missing"
    return Outcome(reservation, parked=f"{type(event).__name__}_while_reservation_{known}")


def _nothing(_event: OrderEvent, reservation: Reservation | None, _stock: Stock, _terms: Terms) -> Outcome:
    return Outcome(reservation)


_DO: Mapping[Reaction, Callable[..., Outcome]] = {
    Reaction.RESERVE: _reserve,
    Reaction.ALLOCATE: _allocate,
    Reaction.RESERVE_AND_ALLOCATE: _reserve_and_allocate,
    Reaction.RELEASE: _release,
    Reaction.SHIP: _ship,
    Reaction.TAKE_OUT: _take_out,
    Reaction.REMEMBER: _remember,
    Reaction.PARK: _park,
    Reaction.NOTHING: _nothing,
}


def shortages_of(wanted: Mapping[str, int], stock: Stock) -> Sequence[tuple[str, int, int]]:
    """Return (sku, requested, available) of every SKU that does not fit."""
    levels = {sku: max(0, stock.level(sku).available) for sku in wanted}
    return [(sku, quantity, levels[sku]) for sku, quantity in wanted.items() if levels[sku] < quantity]


def hold(wanted: Mapping[str, int], stock: Stock, terms: Terms) -> tuple[Line, ...]:
    """Reserve units by SKU, which must fit, and return where they are held."""
    for sku, quantity in wanted.items():
        stock.move((sku, DEFAULT_LOCATION), MovementKind.RESERVED, terms.because, reserved=quantity)
    return tuple(Line(sku, DEFAULT_LOCATION, quantity) for sku, quantity in wanted.items())


def _let_go(reservation: Reservation, stock: Stock, terms: Terms, kind: MovementKind) -> None:
    allocated = reservation.status is _S.ALLOCATED
    for line in reservation.lines:
        place, n = (line.sku, line.location), line.quantity
        stock.move(place, kind, terms.because, reserved=0 if allocated else -n, allocated=-n if allocated else 0)
