"""The moves between an order's statuses."""

from dataclasses import replace
from itertools import product

import pytest

from schemas import contracts
from services.order.domain.deliveries import deliver
from services.order.domain.lines import Held, fulfillment_status
from services.order.domain.orders import Order, OrderContent
from services.order.domain.parcels import Parcels
from services.order.domain.pricing import ShippingMethod
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.shipments import AdvanceOrder as Advance
from services.order.domain.shipments import Carriage, Sent, carriage_of, may_advance, ship_rest, start_processing
from services.order.domain.statuses import (
    TRANSITIONS,
    FulfillmentStatus,
    OrderStatus,
    PaymentStatus,
    PendingOperation,
    ReservationStatus,
)
from tests.support.saga_builders import (
    ADMIN,
    NOW,
    ORDER_ID,
    OTHER_SKU,
    SECOND,
    SKU,
    TOTAL,
    a_line,
    a_reserved_order,
    an_order,
    some_content,
    when,
)
from tests.support.saga_tables import STATUS_TABLE

MOVES = list(product(STATUS_TABLE, STATUS_TABLE))
SHIP = Advance(
    order_id=ORDER_ID,
    status=OrderStatus.SHIPPED,
    actor=ADMIN,
    tracking_number="T-1",
    estimated_delivery="2024-01-31",
)


def test_the_code_s_table_of_moves_is_that_of_the_design() -> None:
    assert {start.value: {to.value for to in targets} for start, targets in TRANSITIONS.items()} == STATUS_TABLE


@pytest.mark.parametrize("status", STATUS_TABLE)
def test_an_order_names_the_statuses_that_may_follow(status: str) -> None:
    assert {to.value for to in an_order(status).allowed_transitions} == STATUS_TABLE[status]


@pytest.mark.parametrize(("start", "to"), [(start, to) for start, to in MOVES if to != "refunded"])
def test_a_move_is_allowed_if_and_only_if_the_table_has_it(start: str, to: str) -> None:
    order = an_order(start, reservation_status=ReservationStatus.ALLOCATED)
    refusal = may_advance(order, OrderStatus(to))
    assert (refusal is None) is (to in STATUS_TABLE[start])


@pytest.mark.parametrize(("start", "to"), [(start, to) for start, to in MOVES if to not in STATUS_TABLE[start]])
def test_a_refused_move_names_where_it_started_where_it_went_and_what_is_allowed(start: str, to: str) -> None:
    refusal = may_advance(an_order(start), OrderStatus(to))
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.INVALID_TRANSITION
    assert (refusal.facts["from"], refusal.facts["to"]) == (start, to)
    assert set(refusal.facts["allowed"]) == STATUS_TABLE[start]  # type: ignore[call-overload]


@pytest.mark.parametrize("reservation", [status for status in ReservationStatus if status != "allocated"])
def test_processing_waits_until_the_stock_is_allocated(reservation: ReservationStatus) -> None:
    refusal = may_advance(an_order("confirmed", reservation_status=reservation), OrderStatus.PROCESSING)
    assert refusal is not None
    assert refusal.code is RefusalCode.STOCK_NOT_ALLOCATED


def test_processing_starts_once_the_stock_is_allocated() -> None:
    order = an_order("confirmed", reservation_status=ReservationStatus.ALLOCATED)
    assert may_advance(order, OrderStatus.PROCESSING) is None


@pytest.mark.parametrize(
    ("shipped", "returned", "expected"),
    [
        ((0, 0), (0, 0), FulfillmentStatus.UNFULFILLED),
        ((1, 0), (0, 0), FulfillmentStatus.PARTIALLY_FULFILLED),
        ((2, 0), (0, 0), FulfillmentStatus.PARTIALLY_FULFILLED),
        ((2, 3), (0, 0), FulfillmentStatus.FULFILLED),
        ((2, 3), (1, 0), FulfillmentStatus.PARTIALLY_RETURNED),
        ((2, 0), (1, 0), FulfillmentStatus.PARTIALLY_RETURNED),
        ((2, 0), (2, 0), FulfillmentStatus.RETURNED),
        ((2, 3), (2, 3), FulfillmentStatus.RETURNED),
    ],
)
def test_what_left_and_came_back_of_two_and_three_units_is_the_fulfillment_status(
    shipped: tuple[int, int], returned: tuple[int, int], expected: FulfillmentStatus
) -> None:
    lines = [
        replace(a_line(quantity=n, item_id=f"i-{n}"), shipped_quantity=left, returned_quantity=back)
        for n, left, back in zip((2, 3), shipped, returned, strict=True)
    ]
    assert fulfillment_status(lines) == expected


@pytest.mark.parametrize(
    ("status", "recorded", "expected"),
    [
        ("pending", 0, PaymentStatus.PENDING),
        ("pending", TOTAL, PaymentStatus.PAID),
        ("confirmed", 2 * TOTAL, PaymentStatus.REFUND_DUE),
        ("cancelled", 0, PaymentStatus.PENDING),
        ("cancelled", TOTAL, PaymentStatus.REFUND_DUE),
    ],
)
def test_the_payment_status_follows_from_what_is_recorded_and_owed(
    status: str, recorded: int, expected: PaymentStatus
) -> None:
    assert an_order(status, recorded_minor=recorded).payment_status is expected


def test_an_order_that_costs_nothing_is_paid() -> None:
    assert an_order(total_minor=0).payment_status is PaymentStatus.PAID


def test_the_first_history_row_has_no_status_before_it() -> None:
    order = an_order(version=0)
    order.note_change(OrderStatus.PENDING, "placed", when())
    assert (order.history[0].previous_status, order.version) == (None, 1)


def test_a_history_row_says_who_did_what_when_and_why() -> None:
    order = a_reserved_order()
    order.confirm(when(5, actor=ADMIN, event_id="r-1", note="by phone"), 300)
    [row] = order.history
    assert (row.order_id, row.previous_status, row.status) == (ORDER_ID, "pending", "confirmed")
    assert (row.reason, row.note, row.public) == ("confirmed", "by phone", True)
    assert (row.actor, row.event_id, row.at) == (ADMIN, "r-1", NOW + 5 * SECOND)


def test_an_order_that_waits_too_long_for_its_allocation_is_listed_and_not_cancelled() -> None:
    order = an_order("confirmed")
    order.wait_no_longer("allocation_timeout", when())
    assert (order.status, order.stuck_reason, order.deadline_at) == ("confirmed", "allocation_timeout", None)
    assert order.pending_operation is PendingOperation.ALLOCATING, "the answer is still welcome"


# --- processing, shipped, delivered


def processing(content: OrderContent, *held: Held) -> contracts.OrderProcessingStarted:
    order = an_order("confirmed", reservation_status=ReservationStatus.ALLOCATED, held=held)
    _, told = start_processing(order, content, when(), ship_within=2, label="/label/")
    return told


def test_the_warehouse_is_told_where_to_pick_each_line_and_where_to_send_it() -> None:
    content = some_content(a_line(SKU, 3, vendor_id="v-1"), a_line(OTHER_SKU, 1, item_id="i-2"))
    told = processing(content, Held(OTHER_SKU, "main", 1), Held(SKU, "main", 3))
    assert [(line.item_id, line.sku, line.quantity, line.location, line.vendor_id) for line in told.lines] == [
        ("i-1", SKU, 3, "main", "v-1"),
        ("i-2", OTHER_SKU, 1, "main", None),
    ]
    assert (told.ship_to.city, told.ship_to.company, told.shipping_method) == ("Bonn", None, "standard")


def test_a_line_whose_units_lie_at_two_locations_is_picked_from_both() -> None:
    told = processing(some_content(a_line(SKU, 5)), Held(SKU, "main", 2), Held(SKU, "north", 3))
    assert [(line.location, line.quantity) for line in told.lines] == [("main", 2), ("north", 3)]


def test_two_lines_of_one_sku_are_picked_from_what_is_held_of_it_together() -> None:
    content = some_content(a_line(SKU, 2), a_line(SKU, 3, item_id="i-2"))
    told = processing(content, Held(SKU, "main", 5))
    assert [(line.item_id, line.quantity) for line in told.lines] == [("i-1", 2), ("i-2", 3)]


def test_a_line_that_is_not_held_anywhere_is_not_picked_in_silence() -> None:
    with pytest.raises(ValueError, match=f"1 of {SKU} are not held anywhere"):
        processing(some_content(a_line(SKU, 3)), Held(SKU, "main", 2))


def ship(order: Order, content: OrderContent) -> Sent:
    travels = Carriage(carrier="DHL", tracking_number="T-1", estimated_delivery="2024-01-31")
    return ship_rest(order, content, travels, when(), parcels=Parcels(), ids=["s-1", "s-2"])


def test_all_that_is_left_ships_in_one_shipment_a_location() -> None:
    order = an_order("processing", held=(Held(SKU, "main", 2), Held(SKU, "north", 3), Held(OTHER_SKU, "main", 1)))
    sent = ship(order, some_content(a_line(SKU, 5), a_line(OTHER_SKU, 1, item_id="i-2")))
    assert (order.status, order.held) == (OrderStatus.SHIPPED, ())
    assert [(s.id, s.number, s.location, s.lines) for s in sent.shipments] == [
        ("s-1", "ORD00000001-1", "main", (("i-1", SKU, 2), ("i-2", OTHER_SKU, 1))),
        ("s-2", "ORD00000001-2", "north", (("i-1", SKU, 3),)),
    ]
    assert [line.unshipped for line in sent.content.lines] == [0, 0]


def test_an_order_that_has_left_is_stuck_no_more() -> None:
    order = an_order("processing", held=(Held(SKU, "main", 5),), stuck_reason="stock_shortfall")
    ship(order, some_content(a_line(SKU, 5)))
    assert order.stuck_reason is None


def test_a_shipment_s_carrier_is_the_one_that_is_named_or_the_method_s_or_nobody_known() -> None:
    method = ShippingMethod("standard", {}, {}, carrier="Post", transit_days=2, tracking_url=None)
    assert carriage_of(replace(SHIP, carrier="Bike"), method, when()).carrier == "Bike"
    assert carriage_of(replace(SHIP, carrier="Bike"), None, when()).carrier == "Bike"
    assert carriage_of(SHIP, method, when()).carrier == "Post"
    assert carriage_of(SHIP, None, when()).carrier == "unspecified"


def test_a_shipment_is_expected_on_the_day_that_is_named_or_after_the_method_s_business_days_or_nobody_knows() -> None:
    method = ShippingMethod("standard", {}, {}, carrier="Post", transit_days=4, tracking_url=None)
    unsaid = replace(SHIP, estimated_delivery=None)
    assert carriage_of(SHIP, method, when()).estimated_delivery == "2024-01-31"
    assert carriage_of(unsaid, method, when()).estimated_delivery == "2023-11-20", "four days after a Tuesday"
    assert carriage_of(unsaid, None, when()).estimated_delivery is None


def test_each_shipment_is_told_with_its_tracking_and_only_the_last_completes_the_order() -> None:
    order = an_order("processing", held=(Held(SKU, "main", 2), Held(SKU, "north", 3)))
    told = ship(order, some_content(a_line(SKU, 5))).told
    assert [(e.shipment_id, e.location, e.complete) for e in told] == [("s-1", "main", False), ("s-2", "north", True)]
    assert {(e.carrier, e.tracking_number, e.estimated_delivery) for e in told} == {("DHL", "T-1", "2024-01-31")}


def test_delivering_marks_every_shipment_and_completes_with_the_last() -> None:
    order = an_order("processing", held=(Held(SKU, "main", 2), Held(SKU, "north", 3)))
    sent = ship(order, some_content(a_line(SKU, 5)))
    done = deliver(order, sent.content, sent.shipments, when(9))
    assert order.status is OrderStatus.DELIVERED
    assert [(s.id, s.delivered_at) for s, _ in done] == [("s-1", NOW + 9 * SECOND), ("s-2", NOW + 9 * SECOND)]
    assert [(e.shipment_id, e.complete, e.delivered_at) for _, e in done] == [
        ("s-1", False, NOW + 9 * SECOND),
        ("s-2", True, NOW + 9 * SECOND),
    ]
    assert [(line.item_id, line.sku, line.quantity) for line in done[0][1].lines] == [("i-1", SKU, 2)]
