"""What inventory does with each event of an order, whatever its reservation is."""

from copy import deepcopy
from typing import Any

import pytest

from schemas import contracts
from services.inventory.domain.reservations import (
    REACTIONS,
    UNEXPECTED,
    UNITS_HELD,
    Line,
    Outcome,
    Reservation,
    ReservationStatus,
    expire,
    react,
)
from services.inventory.domain.stock import DEFAULT_LOCATION, MovementKind, Stock, StockLevel
from tests.support.saga_builders import (
    NOW,
    ORDER_ID,
    OTHER_SKU,
    SECOND,
    SKU,
    a_reservation,
    levels,
    moves,
    stock_behind,
    stock_of,
    stock_terms,
)
from tests.support.saga_events import order_event
from tests.support.saga_tables import RESERVATION_CELLS, UNEXPECTED_CELLS

CELLS = [(event, column, cell) for (event, column), cell in RESERVATION_CELLS.items()]
K = MovementKind


def cells(kind: str) -> list[tuple[str, str]]:
    return [(event, column) for event, column, cell in CELLS if cell == kind]


def known(column: str) -> Reservation | None:
    return None if column == "none" else a_reservation(column)


def take(event: str, column: str, stock: Stock | None = None, **values: Any) -> tuple[Outcome, Stock]:
    """Let inventory take an event of an order for three of SKU, while ten are on hand."""
    behind = stock or stock_behind(column)
    return react(order_event(event, **values), known(column), behind, stock_terms(60)), behind


def held_of(reservation: Reservation | None) -> list[tuple[str, str, int]]:
    assert reservation is not None
    return [(line.sku, line.location, line.quantity) for line in reservation.lines]


def test_the_code_s_table_is_that_of_the_design() -> None:
    assert {
        (event.__name__, status.value if status else "none"): reaction.value
        for event, row in REACTIONS.items()
        for status, reaction in row.items()
    } == {cell: {"-": "nothing"}.get(word, word.replace(" ", "_")) for cell, word in RESERVATION_CELLS.items()}


@pytest.mark.parametrize(("event", "column"), cells("-"))
def test_an_event_that_comes_late_or_twice_changes_and_tells_nothing(event: str, column: str) -> None:
    before = known(column)
    outcome, stock = take(event, column)
    assert (outcome.reservation, outcome.told, outcome.parked) == (before, (), None)
    assert stock.levels == stock_behind(column).levels
    assert stock.movements == []


@pytest.mark.parametrize(("event", "column"), cells("park"))
def test_an_event_whose_forerunner_is_missing_is_parked_and_changes_nothing(event: str, column: str) -> None:
    before = known(column)
    outcome, stock = take(event, column)
    assert outcome.parked == f"{event}_while_reservation_{'missing' if column == 'none' else column}"
    assert (outcome.reservation, outcome.told) == (before, ())
    assert stock.levels == stock_behind(column).levels
    assert stock.movements == []


@pytest.mark.parametrize(("event", "column"), cells("reserve"))
def test_stock_that_fits_is_reserved(event: str, column: str) -> None:
    outcome, stock = take(event, column)
    assert levels(stock) == (10, 3, 0)
    assert moves(stock) == [(K.RESERVED, 0, 3, 0)]
    [told] = outcome.told
    assert isinstance(told, contracts.StockReserved)
    assert [(line.sku, line.quantity, line.location) for line in told.lines] == [(SKU, 3, "main")]
    assert outcome.reservation == Reservation(
        order_id=ORDER_ID,
        status=ReservationStatus.RESERVED,
        lines=(Line(SKU, "main", 3),),
        expires_at=NOW + 960 * SECOND,
    )
    assert (told.order_id, told.expires_at, told.reserved_at) == (ORDER_ID, NOW + 960 * SECOND, NOW + 60 * SECOND)


@pytest.mark.parametrize(("event", "column"), cells("allocate"))
def test_reserved_stock_is_allocated(event: str, column: str) -> None:
    outcome, stock = take(event, column)
    assert levels(stock) == (10, 0, 3)
    assert moves(stock) == [(K.ALLOCATED, 0, -3, 3)]
    [told] = outcome.told
    assert isinstance(told, contracts.StockAllocated)
    assert [(line.sku, line.quantity, line.location) for line in told.lines] == [(SKU, 3, "main")]
    assert outcome.reservation is not None
    assert (outcome.reservation.status, outcome.reservation.expires_at) == (ReservationStatus.ALLOCATED, None)


@pytest.mark.parametrize(("event", "column"), cells("reserve and allocate"))
def test_stock_that_expired_is_reserved_once_more_and_allocated(event: str, column: str) -> None:
    outcome, stock = take(event, column)
    assert levels(stock) == (10, 0, 3)
    assert moves(stock) == [(K.RESERVED, 0, 3, 0), (K.ALLOCATED, 0, -3, 3)]
    [told] = outcome.told
    assert isinstance(told, contracts.StockAllocated)
    assert outcome.reservation is not None
    assert outcome.reservation.status is ReservationStatus.ALLOCATED


@pytest.mark.parametrize(("event", "column"), cells("reserve and allocate"))
def test_stock_that_expired_and_is_gone_is_a_shortfall(event: str, column: str) -> None:
    outcome, stock = take(event, column, stock_of(10, allocated=8))
    assert (levels(stock), moves(stock)) == ((10, 0, 8), [])
    [told] = outcome.told
    assert isinstance(told, contracts.StockShortfall)
    assert [(s.sku, s.requested, s.available) for s in told.shortages] == [(SKU, 3, 2)]
    assert outcome.reservation == a_reservation(column), "what was wanted is kept, and nothing is held"


@pytest.mark.parametrize(("event", "column"), cells("release"))
def test_what_is_held_for_a_cancelled_order_is_released(event: str, column: str) -> None:
    outcome, stock = take(event, column)
    assert levels(stock) == (10, 0, 0)
    assert [(kind, on_hand) for kind, on_hand, _, _ in moves(stock)] == [(K.RELEASED, 0)]
    [told] = outcome.told
    assert isinstance(told, contracts.StockReleased)
    assert told.restocked
    assert [(line.sku, line.quantity, line.location) for line in told.lines] == [(SKU, 3, "main")]
    assert outcome.reservation is not None
    assert (outcome.reservation.status, outcome.reservation.expires_at) == (ReservationStatus.RELEASED, None)


@pytest.mark.parametrize(("event", "column"), cells("remember"))
def test_a_cancel_that_overtakes_its_order_is_remembered(event: str, column: str) -> None:
    outcome, stock = take(event, column)
    assert outcome == Outcome(Reservation(order_id=ORDER_ID, status=ReservationStatus.CANCELLED_FIRST))
    assert stock.movements == []


def test_a_cancel_that_overtakes_its_order_reserves_nothing() -> None:
    cancelled, stock = take("OrderCancelled", "none")
    outcome = react(order_event("OrderPlaced"), cancelled.reservation, stock, stock_terms())
    assert (outcome.told, levels(stock)) == ((), (10, 0, 0))


@pytest.mark.parametrize(("event", "column"), cells("ship"))
def test_allocated_stock_that_ships_leaves(event: str, column: str) -> None:
    outcome, stock = take(event, column)
    assert levels(stock) == (7, 0, 0)
    assert moves(stock) == [(K.SHIPPED, -3, 0, -3)]
    [told] = outcome.told
    assert isinstance(told, contracts.StockShipped)
    assert (told.shipment_id, told.location) == ("s-1", "main")
    assert [(line.sku, line.quantity) for line in told.lines] == [(SKU, 3)]
    assert outcome.reservation is not None
    assert (outcome.reservation.status, outcome.reservation.lines) == (ReservationStatus.SHIPPED, ())


# --- all or nothing


@pytest.mark.parametrize(
    ("wanted", "short"),
    [
        pytest.param([(SKU, 11)], [(SKU, 11, 10)], id="one line"),
        pytest.param([(SKU, 1), (OTHER_SKU, 5)], [(OTHER_SKU, 5, 4)], id="one line of two"),
        pytest.param([(SKU, 11), (OTHER_SKU, 5)], [(SKU, 11, 10), (OTHER_SKU, 5, 4)], id="every short line is told"),
        pytest.param([(SKU, 6), (OTHER_SKU, 1), (SKU, 5)], [(SKU, 11, 10)], id="lines of one SKU are added up first"),
        pytest.param([("NOPE", 1)], [("NOPE", 1, 0)], id="what nobody knows is not there"),
    ],
)
def test_an_order_that_does_not_fit_as_a_whole_is_rejected_as_a_whole(
    wanted: list[tuple[str, int]], short: list[tuple[str, int, int]]
) -> None:
    stock = stock_of(10)
    stock.levels[OTHER_SKU, "main"] = StockLevel(sku=OTHER_SKU, location="main", on_hand=4)
    outcome = react(order_event("OrderPlaced", *wanted), None, stock, stock_terms())
    [told] = outcome.told
    assert isinstance(told, contracts.StockRejected)
    assert [(s.sku, s.requested, s.available) for s in told.shortages] == short
    assert outcome.reservation == Reservation(order_id=ORDER_ID, status=ReservationStatus.REJECTED)
    assert (levels(stock), levels(stock, OTHER_SKU), stock.movements) == ((10, 0, 0), (4, 0, 0), [])


@pytest.mark.parametrize("quantity", [1, 10])
def test_an_order_for_up_to_the_last_unit_fits(quantity: int) -> None:
    stock = stock_of(10)
    outcome = react(order_event("OrderPlaced", (SKU, quantity)), None, stock, stock_terms())
    assert isinstance(outcome.told[0], contracts.StockReserved)
    assert levels(stock) == (10, quantity, 0)


def test_two_lines_of_one_sku_are_held_as_one() -> None:
    stock = stock_of(10)
    outcome = react(order_event("OrderPlaced", (SKU, 4), (SKU, 6)), None, stock, stock_terms())
    assert (held_of(outcome.reservation), moves(stock)) == ([(SKU, "main", 10)], [(K.RESERVED, 0, 10, 0)])


@pytest.mark.parametrize(
    "stock",
    [
        pytest.param(stock_of(10, reserved=8), id="reserved"),
        pytest.param(stock_of(10, allocated=8), id="allocated"),
        pytest.param(stock_of(10, safety_stock=8), id="safety stock"),
        pytest.param(stock_of(10, reserved=3, allocated=3, safety_stock=2), id="a bit of each"),
    ],
)
def test_what_is_held_or_kept_back_is_not_promised_again(stock: Stock) -> None:
    outcome, _ = take("OrderPlaced", "none", stock)
    [told] = outcome.told
    assert isinstance(told, contracts.StockRejected)
    assert [(s.requested, s.available) for s in told.shortages] == [(3, 2)]


def test_a_shortage_never_names_a_negative_number() -> None:
    outcome, _ = take("OrderPlaced", "none", stock_of(10, reserved=5, safety_stock=9))
    [told] = outcome.told
    assert isinstance(told, contracts.StockRejected)
    assert told.shortages[0].available == 0


def test_everything_is_looked_at_again_when_stock_that_expired_is_wanted_after_all() -> None:
    reservation = a_reservation("expired")
    reservation.lines = (Line(SKU, "main", 3), Line(OTHER_SKU, "main", 1))
    stock = stock_of(10)
    outcome = react(order_event("OrderConfirmed"), reservation, stock, stock_terms())
    [told] = outcome.told
    assert isinstance(told, contracts.StockShortfall)
    assert [(s.sku, s.requested, s.available) for s in told.shortages] == [(OTHER_SKU, 1, 0)]
    assert stock.movements == []


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_line_without_units_is_a_fault_and_not_a_reservation(quantity: int) -> None:
    with pytest.raises(ValueError, match="quantity"):
        take("OrderPlaced", "none", None, lines=(order_event("OrderPlaced", (SKU, quantity)).lines))


# --- how long


@pytest.mark.parametrize(("hold", "seconds"), [(None, 900), (86_400, 86_400)])
def test_stock_is_held_as_long_as_the_order_says_or_as_usual(hold: int | None, seconds: int) -> None:
    outcome, _ = take("OrderPlaced", "none", None, hold_seconds=hold)
    assert outcome.reservation is not None
    assert outcome.reservation.expires_at == NOW + (60 + seconds) * SECOND


def test_a_reservation_that_expires_holds_nothing_and_remembers_what_was_wanted() -> None:
    reservation, stock = a_reservation("reserved"), stock_behind("reserved")
    told = expire(reservation, stock, stock_terms(60))
    assert (levels(stock), moves(stock)) == ((10, 0, 0), [(K.RESERVATION_EXPIRED, 0, -3, 0)])
    assert (reservation.status, reservation.expires_at) == (ReservationStatus.EXPIRED, None)
    assert held_of(reservation) == [(SKU, "main", 3)]
    assert [(line.sku, line.quantity, line.location) for line in told.lines] == [(SKU, 3, "main")]
    assert (told.order_id, told.expired_at) == (ORDER_ID, NOW + 60 * SECOND)


# --- goods that do not come back


def test_units_of_a_confirmed_order_that_are_not_restocked_are_written_off() -> None:
    outcome, stock = take("OrderCancelled", "allocated", restock=False)
    assert levels(stock) == (7, 0, 0)
    assert moves(stock) == [(K.RELEASED, 0, 0, -3), (K.WRITTEN_OFF, -3, 0, 0)]
    [told] = outcome.told
    assert isinstance(told, contracts.StockReleased)
    assert not told.restocked


def test_units_that_were_only_reserved_never_left_their_shelf_and_are_not_written_off() -> None:
    outcome, stock = take("OrderCancelled", "reserved", restock=False)
    assert levels(stock) == (10, 0, 0)
    assert moves(stock) == [(K.RELEASED, 0, -3, 0)]
    [told] = outcome.told
    assert isinstance(told, contracts.StockReleased)
    assert told.restocked


# --- shipping in parts


def allocated_at_two() -> tuple[Reservation, Stock]:
    reservation = a_reservation("allocated")
    reservation.lines = (Line(SKU, "main", 3), Line(SKU, "north", 2))
    stock = stock_behind("allocated")
    stock.levels[SKU, "north"] = StockLevel(sku=SKU, location="north", on_hand=2, allocated=2)
    return reservation, stock


def test_a_shipment_from_one_location_leaves_the_other_s_units_allocated() -> None:
    reservation, stock = allocated_at_two()
    react(order_event("OrderShipped", (SKU, 2), location="north"), reservation, stock, stock_terms())
    assert (reservation.status, held_of(reservation)) == (ReservationStatus.ALLOCATED, [(SKU, "main", 3)])
    assert (levels(stock), stock.level(SKU, "north").on_hand) == ((10, 0, 3), 0)


def test_what_has_not_left_is_released_when_a_partly_shipped_order_is_cancelled() -> None:
    reservation, stock = allocated_at_two()
    react(order_event("OrderShipped", (SKU, 2), location="north"), reservation, stock, stock_terms())
    outcome = react(order_event("OrderCancelled"), reservation, stock, stock_terms())
    [told] = outcome.told
    assert isinstance(told, contracts.StockReleased)
    assert [(line.quantity, line.location) for line in told.lines] == [(3, "main")]
    assert (levels(stock), stock.level(SKU, "north").on_hand) == ((10, 0, 0), 0)


def test_nothing_is_released_when_a_shipped_order_is_cancelled() -> None:
    reservation, stock = a_reservation("allocated"), stock_behind("allocated")
    react(order_event("OrderShipped"), reservation, stock, stock_terms())
    outcome = react(order_event("OrderCancelled"), reservation, stock, stock_terms())
    assert (outcome.told, levels(stock)) == ((), (7, 0, 0))


@pytest.mark.parametrize(
    "values", [pytest.param({"lines": ((SKU, 4),)}, id="too many"), pytest.param({"location": "north"}, id="elsewhere")]
)
def test_a_shipment_of_more_than_is_allocated_there_is_a_fault_and_changes_nothing(values: dict[str, Any]) -> None:
    reservation, stock = a_reservation("allocated"), stock_behind("allocated")
    before = deepcopy((reservation, stock))
    shipped = order_event("OrderShipped", *values.pop("lines", ()), **values)
    with pytest.raises(ValueError, match="were allocated there"):
        react(shipped, reservation, stock, stock_terms())
    assert (reservation, stock) == before


def test_everything_is_held_at_the_one_location_that_there_is() -> None:
    outcome, _ = take("OrderPlaced", "none")
    assert outcome.reservation is not None
    assert {line.location for line in outcome.reservation.lines} == {DEFAULT_LOCATION}


# --- goods of a cancelled order that left all the same


def unexpected(column: str, stock: Stock | None = None, **values: Any) -> tuple[Outcome, Stock]:
    return take("OrderShipped", column, stock, unexpected=True, **values)


def test_the_code_s_row_of_unexpected_shipments_is_that_of_the_design() -> None:
    code = {status.value if status else "none": reaction.value for status, reaction in UNEXPECTED.items()}
    assert code == {
        column: {"-": "nothing"}.get(word, word.replace(" ", "_")) for column, word in UNEXPECTED_CELLS.items()
    }


@pytest.mark.parametrize("column", [column for column, word in UNEXPECTED_CELLS.items() if word == "take out"])
def test_what_left_unexpectedly_is_taken_out_of_stock_once(column: str) -> None:
    outcome, stock = unexpected(column)
    assert (levels(stock), moves(stock)) == ((7, 0, 0), [(K.SHIPPED, -3, 0, 0)])
    [told] = outcome.told
    assert isinstance(told, contracts.StockShipped)
    assert [(line.sku, line.quantity) for line in told.lines] == [(SKU, 3)]
    assert outcome.reservation is not None
    assert (outcome.reservation.status, outcome.reservation.shipments) == (ReservationStatus(column), ("s-1",))

    again = react(order_event("OrderShipped", unexpected=True), outcome.reservation, stock, stock_terms())
    assert (again.told, again.parked, levels(stock)) == ((), None, (7, 0, 0))


@pytest.mark.parametrize("column", [column for column, word in UNEXPECTED_CELLS.items() if word in ("park", "-")])
def test_an_unexpected_shipment_moves_nothing_before_its_cancel_or_after_everything_left(column: str) -> None:
    outcome, stock = unexpected(column)
    assert (outcome.told, stock.movements) == ((), [])
    assert (outcome.parked is not None) is (UNEXPECTED_CELLS[column] == "park")


@pytest.mark.parametrize("stock", [stock_of(10, reserved=8), stock_of(10, allocated=8), stock_of(2)])
def test_what_left_unexpectedly_and_is_promised_to_others_waits_for_an_operator(stock: Stock) -> None:
    before = deepcopy(stock)
    outcome, _ = unexpected("released", stock)
    assert (outcome.parked, outcome.told, stock) == (UNITS_HELD, (), before)
    stock.levels[SKU, "main"].on_hand += 3
    assert unexpected("released", stock)[0].parked is None


def test_what_was_written_off_with_its_order_is_not_taken_out_once_more() -> None:
    cancelled, stock = take("OrderCancelled", "allocated", restock=False)
    outcome = react(order_event("OrderShipped", unexpected=True), cancelled.reservation, stock, stock_terms())
    assert ([type(event).__name__ for event in outcome.told], levels(stock)) == (["StockShipped"], (7, 0, 0))


def test_a_shipment_that_is_told_again_under_another_event_id_leaves_once() -> None:
    reservation, stock = a_reservation("allocated"), stock_behind("allocated")
    for _ in range(2):
        outcome = react(order_event("OrderShipped", (SKU, 1)), reservation, stock, stock_terms())
    assert (outcome.told, levels(stock), held_of(reservation)) == ((), (9, 0, 2), [(SKU, "main", 2)])
