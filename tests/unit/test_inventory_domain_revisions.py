"""What inventory does for a revision of an order's lines, whatever arrives, and that nothing it holds is lost."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import contracts
from services.inventory.domain import reservations
from services.inventory.domain.reservations import (
    Line,
    Outcome,
    Reservation,
    ReservationStatus,
    Revising,
    expire,
)
from services.inventory.domain.revisions import REACTIONS, react
from services.inventory.domain.stock import MovementKind, Stock, StockLevel
from tests.support.saga_builders import (
    NOW,
    ORDER_ID,
    OTHER_SKU,
    SECOND,
    SKU,
    a_reservation,
    levels,
    moves,
    stock_of,
    stock_terms,
    unhurried,
)
from tests.support.saga_events import order_event
from tests.support.saga_tables import REVISION_CELLS

K, S = MovementKind, ReservationStatus
# An order of three of SKU that is to have five; with the edit open, five are held.
OPEN = Revising(before=(Line(SKU, "main", 3),), after=(Line(SKU, "main", 5),))
_HOLDING = ("reserved", "allocated", "expired")


def cells(*words: str) -> list[tuple[str, str, str]]:
    return [cell for cell, word in REVISION_CELLS.items() if word in words]


def known(turn: str, column: str) -> Reservation | None:
    """Return a reservation for which revision 1 is newer, open, or over."""
    if column == "none":
        return None
    reservation = a_reservation(column)
    reservation.revision = 0 if turn == "newer" else 1
    if turn == "open":
        reservation.revising = OPEN
        reservation.lines = (Line(SKU, "main", 5),) if column in _HOLDING else ()
    return reservation


def behind(reservation: Reservation | None, on_hand: int = 10) -> Stock:
    """Return stock that holds what a reservation does."""
    held = sum(line.quantity for line in reservation.lines) if reservation else 0
    status = reservation.status if reservation else None
    return stock_of(
        on_hand, reserved=held if status is S.RESERVED else 0, allocated=held if status is S.ALLOCATED else 0
    )


def take(event: str, *lines: tuple[str, int], on: Reservation | None, stock: Stock, **values: Any) -> Outcome:
    return react(order_event(event, *(lines or ((SKU, 5),)), **values), on, stock, stock_terms(60))


def test_the_code_s_table_is_the_tests_own() -> None:
    assert {
        (event.__name__, turn.value, status.value if status else "none"): reaction.value
        for event, row in REACTIONS.items()
        for (status, turn), reaction in row.items()
    } == {cell: "nothing" if word == "-" else word for cell, word in REVISION_CELLS.items()}


@pytest.mark.parametrize(("event", "turn", "column"), cells("-"))
def test_what_comes_late_or_twice_or_after_the_end_changes_and_tells_nothing(
    event: str, turn: str, column: str
) -> None:
    reservation = known(turn, column)
    before, stock = deepcopy(reservation), behind(reservation)
    outcome = take(event, on=reservation, stock=stock)
    assert (outcome.reservation, outcome.told, outcome.parked, stock.movements) == (before, (), None, [])


@pytest.mark.parametrize(("event", "turn", "column"), cells("park"))
def test_what_comes_before_its_forerunner_is_parked_and_changes_nothing(event: str, turn: str, column: str) -> None:
    reservation = known(turn, column)
    before, stock = deepcopy(reservation), behind(reservation)
    outcome = take(event, on=reservation, stock=stock)
    assert outcome.parked == f"{event}_while_{'reservation' if column == 'none' else 'request'}_missing"
    assert (outcome.reservation, outcome.told, stock.movements) == (before, (), [])


@pytest.mark.parametrize(("event", "turn", "column"), cells("revise"))
def test_only_the_difference_is_taken_while_the_old_units_stay_held(event: str, turn: str, column: str) -> None:
    reservation = known(turn, column)
    assert reservation is not None
    stock = behind(reservation)
    outcome = take(event, on=reservation, stock=stock)
    reserved = [(K.RESERVED, 0, 2, 0)]
    assert moves(stock) == (reserved if column == "reserved" else [*reserved, (K.ALLOCATED, 0, -2, 2)])
    assert levels(stock) == ((10, 5, 0) if column == "reserved" else (10, 0, 5))
    [told] = outcome.told
    assert isinstance(told, contracts.StockReserved)
    assert (told.order_id, told.revision, told.reserved_at) == (ORDER_ID, 1, NOW + 60 * SECOND)
    assert [(line.sku, line.quantity, line.location) for line in told.lines] == [(SKU, 5, "main")]
    assert told.expires_at == reservation.expires_at, "an edit makes no hold longer"
    assert (reservation.revision, reservation.revising, reservation.lines) == (1, OPEN, (Line(SKU, "main", 5),))


@pytest.mark.parametrize(("event", "turn", "column"), cells("revise"))
def test_a_revision_that_does_not_fit_changes_nothing_that_is_held(event: str, turn: str, column: str) -> None:
    reservation = known(turn, column)
    assert reservation is not None
    before, stock = deepcopy(reservation), behind(reservation, on_hand=4)
    outcome = take(event, (SKU, 5), (OTHER_SKU, 1), on=reservation, stock=stock)
    [told] = outcome.told
    assert isinstance(told, contracts.StockRejected)
    assert [(s.sku, s.requested, s.available) for s in told.shortages] == [(SKU, 5, 4), (OTHER_SKU, 1, 0)]
    assert (told.revision, told.rejected_at) == (1, NOW + 60 * SECOND)
    before.revision = 1
    assert (reservation, stock.movements) == (before, [])


@pytest.mark.parametrize(("event", "turn", "column"), cells("settle"))
@pytest.mark.parametrize("after", [5, 2])
def test_the_surplus_goes_once_the_order_is_revised(event: str, turn: str, column: str, after: int) -> None:
    reservation = known(turn, column)
    assert reservation is not None
    held = max(3, after)
    reservation.lines = (Line(SKU, "main", held),)
    reservation.revising = Revising(before=(Line(SKU, "main", 3),), after=(Line(SKU, "main", after),))
    stock = behind(reservation)
    outcome = take(event, (SKU, after), on=reservation, stock=stock)
    assert outcome.told == ()
    surplus = held - after if column != "expired" else 0
    bucket = (0, -surplus, 0) if column == "reserved" else (0, 0, -surplus)
    assert moves(stock) == ([(K.RELEASED, *bucket)] if surplus else [])
    assert (reservation.lines, reservation.revising, reservation.revision) == ((Line(SKU, "main", after),), None, 1)
    assert reservation.status == column


@pytest.mark.parametrize(("event", "turn", "column"), cells("withdraw"))
def test_what_a_rejected_revision_had_added_goes_again(event: str, turn: str, column: str) -> None:
    reservation = known(turn, column)
    assert reservation is not None
    stock = behind(reservation)
    outcome = take(event, on=reservation, stock=stock)
    assert outcome.told == ()
    bucket = {"reserved": (0, -2, 0), "allocated": (0, 0, -2)}.get(column)
    assert moves(stock) == ([(K.RELEASED, *bucket)] if bucket else [])
    assert (reservation.lines, reservation.revising, reservation.status) == (OPEN.before, None, column)


@pytest.mark.parametrize(("event", "turn", "column"), cells("remember"))
def test_a_revision_that_was_given_up_before_it_was_read_reserves_nothing(event: str, turn: str, column: str) -> None:
    reservation = known(turn, column)
    stock = behind(reservation)
    outcome = take(event, on=reservation, stock=stock)
    assert (outcome.told, stock.movements) == ((), [])
    before = deepcopy(reservation)
    late = take("OrderRevisionRequested", on=reservation, stock=stock)
    assert (late.reservation, late.told, stock.movements) == (before, (), [])


@pytest.mark.parametrize("column", ["reserved", "allocated"])
def test_a_cancel_meanwhile_releases_everything_that_is_held_for_both(column: str) -> None:
    reservation = known("open", column)
    assert reservation is not None
    stock = behind(reservation)
    outcome = reservations.react(order_event("OrderCancelled"), reservation, stock, stock_terms())
    assert levels(stock) == (10, 0, 0)
    [told] = outcome.told
    assert isinstance(told, contracts.StockReleased)
    assert [(line.sku, line.quantity) for line in told.lines] == [(SKU, 5)]
    assert (reservation.status, reservation.revising) == (S.RELEASED, None)


@pytest.mark.parametrize("end", ["OrderRevised", "OrderRevisionRejected"])
def test_a_reservation_that_expires_meanwhile_holds_nothing_and_is_made_anew_as_the_order_ended(end: str) -> None:
    reservation = known("open", "reserved")
    assert reservation is not None
    stock = behind(reservation)
    expire(reservation, stock, stock_terms())
    assert levels(stock) == (10, 0, 0)
    take(end, on=reservation, stock=stock)
    outcome = reservations.react(order_event("OrderConfirmed"), reservation, stock, stock_terms())
    assert isinstance(outcome.told[0], contracts.StockAllocated)
    assert levels(stock) == (10, 0, 5 if end == "OrderRevised" else 3)


def test_what_leaves_while_a_revision_is_open_is_parked() -> None:
    reservation = known("open", "allocated")
    stock = behind(reservation)
    outcome = reservations.react(order_event("OrderShipped"), reservation, stock, stock_terms())
    assert (outcome.parked, stock.movements) == ("OrderShipped_while_revision_open", [])


@pytest.mark.parametrize("late", ["OrderRevisionRequested", "OrderRevised", "OrderRevisionRejected"])
def test_an_event_of_an_older_revision_changes_nothing_of_a_newer_one(late: str) -> None:
    reservation = known("open", "reserved")
    stock = behind(reservation)
    take("OrderRevisionRequested", (SKU, 7), on=reservation, stock=stock, revision=2)
    before, moved = deepcopy(reservation), len(stock.movements)
    outcome = take(late, on=reservation, stock=stock, revision=1)
    assert (outcome.reservation, outcome.told, len(stock.movements)) == (before, (), moved)


def test_units_stay_at_the_place_where_they_are() -> None:
    here, there = Line(SKU, "main", 2), Line(SKU, "attic", 3)
    reservation = Reservation(order_id=ORDER_ID, status=S.RESERVED, lines=(here, there))
    places = ((SKU, "main", 10, 2), (SKU, "attic", 3, 3))
    stock = Stock({(s, p): StockLevel(sku=s, location=p, on_hand=n, reserved=r) for s, p, n, r in places})
    take("OrderRevisionRequested", (SKU, 4), on=reservation, stock=stock)
    take("OrderRevised", (SKU, 4), on=reservation, stock=stock)
    assert reservation.lines == (here, Line(SKU, "attic", 2))
    take("OrderRevisionRequested", (SKU, 6), on=reservation, stock=stock, revision=2)
    take("OrderRevised", (SKU, 6), on=reservation, stock=stock, revision=2)
    assert reservation.lines == (Line(SKU, "main", 4), Line(SKU, "attic", 2))
    assert [level.reserved for level in stock.levels.values()] == [4, 2]


_QUANTITIES = st.dictionaries(st.sampled_from([SKU, OTHER_SKU, "CAP-1"]), st.integers(1, 6), min_size=1)
_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["OrderRevisionRequested", "OrderRevised", "OrderRevisionRejected", "OrderCancelled"]),
        st.integers(1, 4),
        _QUANTITIES,
    ),
    max_size=12,
)


@given(_QUANTITIES, _EVENTS, st.booleans(), st.integers(0, 12))
@unhurried
def test_whatever_comes_the_levels_hold_exactly_what_the_reservation_says(
    placed: dict[str, int], events: list[tuple[str, int, dict[str, int]]], allocated: bool, expires_behind: int
) -> None:
    skus = (SKU, OTHER_SKU, "CAP-1")
    stock = Stock({(sku, "main"): StockLevel(sku=sku, location="main", on_hand=8) for sku in skus})
    outcome = reservations.react(order_event("OrderPlaced", *placed.items()), None, stock, stock_terms())
    reservation = outcome.reservation
    assert reservation is not None
    if allocated:
        reservations.react(order_event("OrderConfirmed"), reservation, stock, stock_terms())
    for n, (kind, revision, wanted) in enumerate(events):
        if n == expires_behind and reservation.status is S.RESERVED:
            expire(reservation, stock, stock_terms())
        if kind == "OrderCancelled":
            reservations.react(order_event(kind), reservation, stock, stock_terms())
        else:
            take(kind, *wanted.items(), on=reservation, stock=stock, revision=revision)
        held = dict.fromkeys(skus, 0)
        for line in reservation.lines if reservation.status in (S.RESERVED, S.ALLOCATED) else ():
            held[line.sku] += line.quantity
        assert {sku: stock.level(sku).reserved + stock.level(sku).allocated for sku in skus} == held
        if reservation.revising is not None and reservation.status in (S.RESERVED, S.ALLOCATED):
            for side in (reservation.revising.before, reservation.revising.after):
                assert all(sum(x.quantity for x in side if x.sku == sku) <= held[sku] for sku in skus)
