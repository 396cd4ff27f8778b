"""What inventory does for a revision of an order's lines, whatever arrives: a table of its own, as data.

Only the difference is reserved, while what was held stays held; the surplus goes once the order says that it is
revised. Invariants: until then what is held covers the order as it was and as it is to be; a revision is decided on
once, and an older one changes nothing any more.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from schemas.contracts import (
    OrderRevised,
    OrderRevisionRejected,
    OrderRevisionRequested,
    StockRejected,
    StockRejectedShortage,
    StockReserved,
    StockReservedLine,
)
from services.inventory.domain.reservations import (
    Line,
    Outcome,
    Reservation,
    ReservationStatus,
    Revising,
    Terms,
    hold,
    shortages_of,
)
from services.inventory.domain.stock import MovementKind, Stock, added_up

RevisionEvent = OrderRevisionRequested | OrderRevised | OrderRevisionRejected


class Turn(StrEnum):
    """How an event's revision stands to the newest one that the reservation knows."""

    NEWER = "newer"
    OPEN = "open"
    OVER = "over"


class Reaction(StrEnum):
    """A cell of the table."""

    REVISE = "revise"
    SETTLE = "settle"
    WITHDRAW = "withdraw"
    REMEMBER = "remember"
    PARK = "park"
    NOTHING = "nothing"


_S = ReservationStatus
_R = Reaction
_ENDED = (_S.REJECTED, _S.RELEASED, _S.SHIPPED, _S.CANCELLED_FIRST)


def _row(
    held: tuple[Reaction, Reaction], expired: tuple[Reaction, Reaction]
) -> Mapping[tuple[ReservationStatus | None, Turn], Reaction]:
    """Return a row from its cells for a newer and for the open revision; what is over changes nothing anywhere."""
    cells: dict[tuple[ReservationStatus | None, Turn], Reaction] = {(None, Turn.NEWER): _R.PARK}
    for status in _S:
        newer, still_open = expired if status is _S.EXPIRED else (_R.NOTHING, _R.NOTHING) if status in _ENDED else held
        cells |= {(status, Turn.NEWER): newer, (status, Turn.OPEN): still_open, (status, Turn.OVER): _R.NOTHING}
    return cells


# None: no reservation is known for the order, and its OrderPlaced has to come first.
# An order whose reservation has expired is told so already, and ends by that: a new revision of it is not answered.
REACTIONS: Mapping[type[RevisionEvent], Mapping[tuple[ReservationStatus | None, Turn], Reaction]] = {
    OrderRevisionRequested: _row(held=(_R.REVISE, _R.NOTHING), expired=(_R.NOTHING, _R.NOTHING)),
    OrderRevised: _row(held=(_R.PARK, _R.SETTLE), expired=(_R.PARK, _R.SETTLE)),
    OrderRevisionRejected: _row(held=(_R.REMEMBER, _R.WITHDRAW), expired=(_R.REMEMBER, _R.WITHDRAW)),
}


def react(event: RevisionEvent, reservation: Reservation | None, stock: Stock, terms: Terms) -> Outcome:
    """Decide what a revision does to an order's stock; arguments as of `reservations.react`."""
    status = reservation.status if reservation else None
    return _DO[REACTIONS[type(event)][status, _turn(event, reservation)]](event, reservation, stock, terms)


def _turn(event: RevisionEvent, reservation: Reservation | None) -> Turn:
    if reservation is None or event.revision > reservation.revision:
        return Turn.NEWER
    is_open = event.revision == reservation.revision and reservation.revising is not None
    return Turn.OPEN if is_open else Turn.OVER


def _revise(event: OrderRevisionRequested, reservation: Reservation, stock: Stock, terms: Terms) -> Outcome:
    # One that is open still has lost its end on the way: what is held for both of its sides stays held.
    before = reservation.lines
    wanted = added_up((line.sku, line.quantity) for line in event.lines)
    held = _by_sku(before)
    more = {sku: n - held.get(sku, 0) for sku, n in wanted.items() if n > held.get(sku, 0)}
    short = shortages_of(more, stock)
    reservation.revision, reservation.revising = event.revision, None
    if short:
        # What is held already could be promised too, for it is.
        shortages = tuple(
            StockRejectedShortage(sku=sku, requested=wanted[sku], available=available + held.get(sku, 0))
            for sku, _, available in short
        )
        told = StockRejected(
            order_id=event.order_id, revision=event.revision, shortages=shortages, rejected_at=terms.now
        )
        return Outcome(reservation, (told,))
    added = hold(more, stock, terms)
    if reservation.status is _S.ALLOCATED:
        _allocate(added, stock, terms)
    after = _together([*_kept(before, wanted), *added])
    reservation.lines, reservation.revising = _together([*before, *added]), Revising(before, after)
    return Outcome(reservation, (_reserved(event, after, reservation.expires_at, terms),))


def _reserved(
    event: OrderRevisionRequested, lines: Sequence[Line], expires_at: int | None, terms: Terms
) -> StockReserved:
    return StockReserved(
        order_id=event.order_id,
        revision=event.revision,
        lines=tuple(StockReservedLine(sku=line.sku, quantity=line.quantity, location=line.location) for line in lines),
        expires_at=expires_at,
        reserved_at=terms.now,
    )


def _settle(_event: OrderRevised, reservation: Reservation, stock: Stock, terms: Terms) -> Outcome:
    assert reservation.revising is not None  # noqa: S101  # the revision is open
    return _keep(reservation.revising.after, reservation, stock, terms)


def _withdraw(_event: OrderRevisionRejected, reservation: Reservation, stock: Stock, terms: Terms) -> Outcome:
    assert reservation.revising is not None  # noqa: S101  # the revision is open
    return _keep(reservation.revising.before, reservation, stock, terms)


def _keep(lines: tuple[Line, ...], reservation: Reservation, stock: Stock, terms: Terms) -> Outcome:
    """Release whatever is held beside these lines; of what has expired, nothing is."""
    kept = _by_place(lines)
    held = reservation.status is not _S.EXPIRED
    allocated = reservation.status is _S.ALLOCATED
    for place, quantity in _by_place(reservation.lines).items() if held else ():
        n = quantity - kept.get(place, 0)
        if n:
            bucket = {"allocated": -n} if allocated else {"reserved": -n}
            stock.move(place, MovementKind.RELEASED, terms.because, **bucket)
    reservation.lines, reservation.revising = lines, None
    return Outcome(reservation)


def _remember(event: OrderRevisionRejected, reservation: Reservation, _stock: Stock, _terms: Terms) -> Outcome:
    """Take no request of this revision any more: it comes late."""
    # One that is open is older, and its end is still to come: it has to be known for that.
    if reservation.revising is None:
        reservation.revision = event.revision
    return Outcome(reservation)


def _park(event: RevisionEvent, reservation: Reservation | None, _stock: Stock, _terms: Terms) -> Outcome:
    known = "request_missing" if reservation else "reservation_missing"
    return Outcome(reservation, parked=f"{type(event).__name__}_while_{known}")


def _nothing(_event: RevisionEvent, reservation: Reservation | None, _stock: Stock, _terms: Terms) -> Outcome:
    return Outcome(reservation)


_DO: Mapping[Reaction, Callable[..., Outcome]] = {
    Reaction.REVISE: _revise,
    Reaction.SETTLE: _settle,
    Reaction.WITHDRAW: _withdraw,
    Reaction.REMEMBER: _remember,
    Reaction.PARK: _park,
    Reaction.NOTHING: _nothing,
}


def _allocate(lines: Sequence[Line], stock: Stock, terms: Terms) -> None:
    for line in lines:
        n = line.quantity
        stock.move((line.sku, line.location), MovementKind.ALLOCATED, terms.because, reserved=-n, allocated=n)


def _kept(lines: Sequence[Line], wanted: Mapping[str, int]) -> list[Line]:
    """Return what of these lines goes on being needed, where it is."""
    left, kept = dict(wanted), []
    for line in lines:
        n = min(line.quantity, left.get(line.sku, 0))
        if n:
            kept.append(Line(line.sku, line.location, n))
            left[line.sku] -= n
    return kept


def _by_sku(lines: Sequence[Line]) -> dict[str, int]:
    return dict(added_up((line.sku, line.quantity) for line in lines))


def _by_place(lines: Sequence[Line]) -> dict[tuple[str, str], int]:
    places: dict[tuple[str, str], int] = {}
    for line in lines:
        places[line.sku, line.location] = places.get((line.sku, line.location), 0) + line.quantity
    return places


def _together(lines: Sequence[Line]) -> tuple[Line, ...]:
    return tuple(Line(sku, location, n) for (sku, location), n in _by_place(lines).items())
