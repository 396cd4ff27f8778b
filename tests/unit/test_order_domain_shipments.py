"""What leaves in parts, what carriers tell in any order, when it is to leave and to come, and what labels say."""

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import contracts
from services.order.domain.calendar import business_day_after, end_of
from services.order.domain.carriers import CarrierEvent, CarrierEventType, ShipmentStatus, status_of
from services.order.domain.deliveries import note_overdue, record
from services.order.domain.labels import Label, WantedLabels, labels_of
from services.order.domain.lines import Held, by_location
from services.order.domain.orders import CancelOrder, Order, OrderContent, cancel
from services.order.domain.parcels import Parcels
from services.order.domain.picking import Pick, Wanted, pick
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.shipments import (
    Carriage,
    CreateShipment,
    Sent,
    Shipment,
    refuse_estimate,
    ship_part,
    start_processing,
)
from services.order.domain.statuses import CancelReason, OrderStatus, PendingOperation, ReservationStatus
from tests.support.saga_builders import (
    ADMIN,
    NOW,
    ORDER_ID,
    OTHER_SKU,
    SECOND,
    SKU,
    TOTAL,
    a_line,
    an_order,
    some_content,
    unhurried,
    when,
)

# Five of one vendor's at two locations, one of another's at one of them.
HELD = (Held(SKU, "main", 3), Held(SKU, "north", 2), Held(OTHER_SKU, "main", 1))
CONTENT = some_content(a_line(SKU, 5, vendor_id="v-1"), a_line(OTHER_SKU, 1, item_id="i-2", vendor_id="v-2"))
NONE = Parcels()
# By when everything that carriers tell is recorded.
TOLD_AT = NOW + 100
BY_MAIL = Carriage(carrier="Post")
TYPES = list(CarrierEventType)


def in_processing(**values: Any) -> Order:
    return an_order("processing", **{"held": HELD, "ship_by": NOW, **values})


def shipment_of(
    order: Order, content: OrderContent, parcels: Parcels = NONE, *, prepaid: bool = False, **wanted: Any
) -> Sent | Refusal:
    command = CreateShipment(order_id=ORDER_ID, actor=ADMIN, wanted=Wanted(**wanted))
    return ship_part(
        order, content, command, BY_MAIL, when(), parcels=parcels, shipment_id=f"s-{parcels.last}", prepaid=prepaid
    )


def sent(order: Order, content: OrderContent, parcels: Parcels = NONE, **wanted: Any) -> Sent:
    done = shipment_of(order, content, parcels, **wanted)
    assert isinstance(done, Sent), done
    return done


def refused(order: Order, content: OrderContent, **wanted: Any) -> Refusal:
    before = replace(order, history=list(order.history))
    refusal = shipment_of(order, content, **wanted)
    assert isinstance(refusal, Refusal)
    assert order == before, "a refusal changes nothing"
    return refusal


# --- business days: 2024-03-01 is a Friday


@pytest.mark.parametrize(
    ("start", "days", "expected"),
    [
        ("2024-02-28T23:59:59", 0, date(2024, 2, 28)),
        ("2024-02-28T00:00:00", 1, date(2024, 2, 29)),
        ("2024-03-01T12:00:00", 1, date(2024, 3, 4)),
        ("2024-03-01T12:00:00", 5, date(2024, 3, 8)),
        ("2024-03-02T12:00:00", 0, date(2024, 3, 4)),
        ("2024-03-02T12:00:00", 1, date(2024, 3, 4)),
        ("2024-03-03T23:59:59", 2, date(2024, 3, 5)),
        ("2024-12-30T12:00:00", 3, date(2025, 1, 2)),
    ],
)
def test_business_days_are_monday_to_friday(start: str, days: int, expected: date) -> None:
    moment = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp() * SECOND)
    assert business_day_after(moment, days) == expected


@given(st.integers(0, 4_000_000_000), st.integers(0, 60))
def test_so_many_weekdays_lie_behind_a_moment_up_to_its_business_day(seconds: int, days: int) -> None:
    start, end = datetime.fromtimestamp(seconds, UTC).date(), business_day_after(seconds * SECOND, days)
    between = [date.fromordinal(day) for day in range(start.toordinal() + 1, end.toordinal() + 1)]
    assert end.weekday() < 5
    weekdays = sum(day.weekday() < 5 for day in between)
    assert weekdays == (days if days or start.weekday() < 5 else 1)


def test_what_goes_to_processing_has_to_leave_until_the_end_of_its_last_business_day() -> None:
    # NOW is Tuesday, 2023-11-14.
    order = an_order("confirmed", reservation_status=ReservationStatus.ALLOCATED, held=HELD)
    parcels, told = start_processing(order, CONTENT, when(), ship_within=2, label="/label/")
    assert order.ship_by == told.ship_by == end_of(date(2023, 11, 16))
    assert datetime.fromtimestamp((order.ship_by or 0) / SECOND, UTC) == datetime(2023, 11, 17, tzinfo=UTC)
    assert (told.shipment_number, told.label) == ("ORD00000001-1", "/label/")
    assert parcels.numbers == {(None, "main"): 1, (None, "north"): 2, ("v-1", "main"): 3, ("v-2", "main"): 4}


# --- shipments in parts


def test_an_order_is_shipped_with_the_shipment_that_leaves_nothing() -> None:
    order = in_processing()
    first = sent(order, CONTENT, units={"i-1": 2}, location="main")
    assert (order.status, order.history[-1].reason) == (OrderStatus.PROCESSING, "partially_shipped")
    assert order.held == (Held(SKU, "main", 1), Held(SKU, "north", 2), Held(OTHER_SKU, "main", 1))
    second = sent(order, first.content, first.parcels, location="main")
    assert second.shipments[0].lines == (("i-1", SKU, 1), ("i-2", OTHER_SKU, 1))
    third = sent(order, second.content, second.parcels)
    assert (order.status, order.held) == (OrderStatus.SHIPPED, ())
    done = [event for part in (first, second, third) for event in part.told]
    assert [(e.shipment_number, e.vendor_id, e.location, e.complete, e.unexpected) for e in done] == [
        ("ORD00000001-1", "v-1", "main", False, False),
        ("ORD00000001-5", None, "main", False, False),
        ("ORD00000001-2", "v-1", "north", True, False),
    ]


@pytest.mark.parametrize(
    ("estimate", "is_taken"), [("2023-11-13", False), ("2023-11-14", True), ("2023-11-15", True), (None, True)]
)
def test_nothing_is_expected_before_it_leaves(estimate: str | None, is_taken: bool) -> None:
    """It leaves on a Tuesday, November 14, at 22:13 in UTC, when it is that day or the next everywhere on Earth."""
    order = in_processing()
    before, moment = order.version, datetime.fromtimestamp(NOW / 1_000_000, UTC)
    assert moment.isoformat(timespec="minutes") == "2023-11-14T22:13+00:00"
    command = CreateShipment(
        order_id=ORDER_ID, actor=ADMIN, wanted=Wanted(location="main"), estimated_delivery=estimate
    )
    done = ship_part(order, CONTENT, command, BY_MAIL, when(), parcels=NONE, shipment_id="s-1")
    assert isinstance(done, Sent) is is_taken
    if isinstance(done, Refusal):
        assert (done.code, done.faults[0].pointer) == (RefusalCode.ESTIMATE_PASSED, "/estimated_delivery")
        assert done.detail.endswith("expect them on 2023-11-14 or later, or leave it out")
        assert (order.version, order.held) == (before, HELD)


def test_a_parcel_may_arrive_on_the_day_that_it_still_is_in_the_west_when_it_leaves() -> None:
    early = replace(when(), now=NOW + 8 * 3600 * SECOND)
    assert datetime.fromtimestamp(early.now / 1_000_000, UTC).isoformat(timespec="hours") == "2023-11-15T06+00:00"
    assert refuse_estimate("2023-11-14", early) is None
    assert refuse_estimate("2023-11-13", early) is not None


def test_a_vendor_ships_all_that_is_left_of_their_own_lines_only() -> None:
    order = in_processing()
    done = sent(order, CONTENT, vendor_id="v-2")
    assert done.shipments[0].lines == (("i-2", OTHER_SKU, 1),)
    assert "nothing" in refused(order, done.content, vendor_id="v-2").detail


@pytest.mark.parametrize(
    ("wanted", "code", "pointer", "named"),
    [
        ({"units": {"i-1": 6}}, RefusalCode.MORE_THAN_LEFT, "/items/0/quantity", "5 of"),
        ({"units": {"i-2": 1, "i-9": 1}}, RefusalCode.UNKNOWN_ITEM, "/items/1/item_id", "i-1, i-2"),
        ({"units": {"i-2": 1}, "vendor_id": "v-1"}, RefusalCode.UNKNOWN_ITEM, "/items/0/item_id", "it has i-1"),
        ({}, RefusalCode.LOCATION_REQUIRED, "/location", "'main' has 3 of"),
        ({"units": {"i-1": 1}}, RefusalCode.LOCATION_REQUIRED, "/location", "'north' has 2 of"),
        ({"units": {"i-1": 4}}, RefusalCode.LOCATION_REQUIRED, "/location", "one location at a time"),
        ({"location": "south"}, RefusalCode.UNKNOWN_LOCATION, "/location", "main, north"),
        ({"location": "main", "locations": frozenset({"north"})}, RefusalCode.UNKNOWN_LOCATION, "/location", "north"),
        ({"location": "north", "units": {"i-1": 3}}, RefusalCode.MORE_THAN_LEFT, "/items/0/quantity", "2 of"),
        ({"location": "north", "units": {"i-2": 1}}, RefusalCode.MORE_THAN_LEFT, "/items/0/quantity", "0 of"),
    ],
)
def test_what_cannot_ship_is_refused_with_what_can(
    wanted: dict[str, Any], code: RefusalCode, pointer: str, named: str
) -> None:
    refusal = refused(in_processing(), CONTENT, **wanted)
    assert (refusal.code, refusal.faults[0].pointer) == (code, pointer)
    assert named in refusal.faults[0].detail


def test_a_location_goes_without_saying_where_only_one_can_send_what_is_wanted() -> None:
    picked = [
        pick(in_processing(), CONTENT, Wanted(**wanted))
        for wanted in ({"units": {"i-1": 3}}, {"units": {"i-1": 3, "i-2": 1}}, {"locations": frozenset({"north"})})
    ]
    assert picked[:2] == [Pick("main", {"i-1": 3}), Pick("main", {"i-1": 3, "i-2": 1})]
    assert isinstance(picked[2], Refusal), "not all that is left is there"
    assert pick(in_processing(), CONTENT, Wanted(location="north")) == Pick("north", {"i-1": 2})


def test_two_lines_of_one_sku_share_what_lies_at_a_location() -> None:
    content = some_content(a_line(SKU, 2), a_line(SKU, 3, item_id="i-2"))
    order = in_processing(held=(Held(SKU, "main", 3), Held(SKU, "north", 2)))
    assert refused(order, content, units={"i-1": 2, "i-2": 2}, location="main").code is RefusalCode.MORE_THAN_LEFT
    assert pick(order, content, Wanted(units={"i-2": 2}, location="north")) == Pick("north", {"i-2": 2})
    assert pick(order, content, Wanted(location="main")) == Pick("main", {"i-1": 2, "i-2": 1})


@unhurried
@given(
    st.lists(st.tuples(st.sampled_from(["i-1", "i-2"]), st.integers(1, 5), st.sampled_from(["main", "north", None])))
)
def test_however_an_order_leaves_no_unit_leaves_twice(parts: list[tuple[str, int, str | None]]) -> None:
    order, content, parcels, shipments = in_processing(), CONTENT, NONE, list[Shipment]()
    for item_id, n, location in parts:
        done = shipment_of(order, content, parcels, units={item_id: n}, location=location)
        if isinstance(done, Sent):
            content, parcels, shipments = done.content, done.parcels, [*shipments, *done.shipments]
    left = {
        line.item_id: sum(n for s in shipments for i, _, n in s.lines if i == line.item_id) for line in content.lines
    }
    assert left == {line.item_id: line.shipped_quantity for line in content.lines}
    assert sum(place.quantity for place in order.held) == sum(line.unshipped for line in content.lines)
    assert (order.status is OrderStatus.SHIPPED) is (sum(left.values()) == 6)
    assert len({shipment.number for shipment in shipments}) == len(shipments)


def test_a_part_of_a_prepaid_order_leaves_once_all_of_it_is_paid() -> None:
    order = in_processing(recorded_minor=TOTAL - 1)
    refusal = refused(order, CONTENT, vendor_id="v-2", prepaid=True)
    assert refusal.code is RefusalCode.AMOUNT_DUE_OPEN
    # Vendors and warehouses are told no amounts of the whole order, and are refused by this too.
    assert order.currency not in refusal.detail
    order.recorded_minor = TOTAL
    assert sent(order, CONTENT, vendor_id="v-2", prepaid=True).shipments


# --- a cancel that comes too late for some goods


def cancelled(order: Order, content: OrderContent) -> contracts.OrderCancelled:
    command = CancelOrder(order_id=ORDER_ID, reason=CancelReason.ADMIN_REQUEST, actor=ADMIN)
    told, _ = cancel(order, command, when(), content.lines)
    assert isinstance(told, contracts.OrderCancelled)
    return told


def test_a_cancel_names_what_had_left() -> None:
    order = in_processing()
    assert cancelled(in_processing(), CONTENT).shipped_lines == ()
    part = sent(order, CONTENT, units={"i-1": 2}, location="main")
    assert [(x.item_id, x.sku, x.quantity) for x in cancelled(order, part.content).shipped_lines] == [("i-1", SKU, 2)]


def test_what_left_of_a_cancelled_order_is_recorded_whatever_was_paid_of_it() -> None:
    kept = an_order("cancelled", held=HELD, ship_by=NOW, recorded_minor=1, refund_waived=True)
    assert sent(kept, CONTENT, vendor_id="v-2", prepaid=True).shipments[0].unexpected


@pytest.mark.parametrize("held", [HELD, ()], ids=["not released yet", "released"])
def test_goods_that_left_although_their_order_was_cancelled_are_recorded_as_unexpected(held: tuple[Held, ...]) -> None:
    order = in_processing()
    cancelled(order, CONTENT)
    order.held = held
    handed_over = NONE.for_goods(by_location(CONTENT.lines, HELD))
    which = refused(order, CONTENT, parcels=handed_over, units={"i-1": 2})
    assert (which.code, which.facts) == (RefusalCode.LOCATION_REQUIRED, {"locations": ["main", "north"]})
    done = sent(order, CONTENT, handed_over, units={"i-1": 2}, location="main")
    assert (order.status, order.held, order.history[-1].reason) == (OrderStatus.CANCELLED, held, "shipped_unexpectedly")
    assert (done.shipments[0].unexpected, done.told[0].unexpected, done.shipments[0].location) == (True, True, "main")
    assert [line.shipped_quantity for line in done.content.lines] == [2, 0]
    assert refused(order, done.content, units={"i-1": 4}).code is RefusalCode.MORE_THAN_LEFT
    assert sent(order, done.content, done.parcels, location="north").shipments[0].location == "north"


def test_nothing_leaves_while_an_edit_of_it_waits_for_its_stock() -> None:
    order = in_processing(pending_operation=PendingOperation.REVISING)
    assert refused(order, some_content()).code is RefusalCode.OPERATION_IN_PROGRESS


def test_of_an_order_that_the_warehouse_never_had_nothing_leaves() -> None:
    never = an_order("cancelled")
    assert refused(never, CONTENT).code is RefusalCode.INVALID_TRANSITION
    for status in ("pending", "confirmed", "shipped", "delivered"):
        assert refused(an_order(status, ship_by=NOW), CONTENT).code is RefusalCode.INVALID_TRANSITION


# --- what carriers tell


def carrier_event(kind: CarrierEventType | str, at: int, event_id: str = "e-1") -> CarrierEvent:
    return CarrierEvent(event_id=event_id, type=CarrierEventType(kind), occurred_at=at, recorded_at=TOLD_AT)


events = st.lists(st.tuples(st.sampled_from(TYPES), st.integers(0, 3)), max_size=5)


@given(events, st.randoms())
def test_what_a_shipment_s_status_is_does_not_depend_on_the_order_in_which_it_was_told(told: Any, random: Any) -> None:
    made = [carrier_event(kind, at, f"e-{n}") for n, (kind, at) in enumerate(told)]
    shuffled = random.sample(made, len(made))
    delivered = next((event.occurred_at for event in made if event.type is CarrierEventType.DELIVERED), None)
    assert status_of(made, delivered) is status_of(shuffled, delivered)


def test_what_happened_last_counts_and_a_delivery_is_final() -> None:
    way = [("in_transit", 1), ("out_for_delivery", 2), ("attempted_delivery", 3), ("label_purchased", 4), ("other", 5)]
    for told in permutations([carrier_event(kind, at) for kind, at in way]):
        assert status_of(told, None) is ShipmentStatus.ATTEMPTED_DELIVERY
    assert status_of([carrier_event("returned_to_sender", 9)], delivered_at=1) is ShipmentStatus.DELIVERED
    assert status_of([], None) is ShipmentStatus.SHIPPED


def test_a_clock_that_is_ahead_hides_nothing_that_is_told_later() -> None:
    ahead = replace(carrier_event("in_transit", 2**62), recorded_at=NOW + 1)
    later = replace(carrier_event("out_for_delivery", NOW + 2, "e-2"), recorded_at=NOW + 2)
    for told in permutations([ahead, later]):
        assert status_of(told, None) is ShipmentStatus.OUT_FOR_DELIVERY


def two_shipped() -> tuple[Order, OrderContent, list[Shipment]]:
    order = in_processing(held=(Held(SKU, "main", 5), Held(OTHER_SKU, "main", 1)))
    first = sent(order, CONTENT, units={"i-1": 5})
    second = sent(order, first.content, first.parcels)
    return order, second.content, [*first.shipments, *second.shipments]


@pytest.mark.parametrize("turn", [(0, 1), (1, 0)])
def test_the_last_shipment_that_is_delivered_delivers_the_order(turn: tuple[int, int]) -> None:
    order, content, shipments = two_shipped()
    done = []
    for n, at in zip(turn, (NOW + 50, NOW + 40), strict=True):
        shipments[n], told = record(
            order, content, shipments, shipments[n], carrier_event("delivered", at), when=when()
        )
        done.append((order.status, [type(event).__name__ for event in told], told[-1]))
    assert [(status, kinds) for status, kinds, _ in done] == [
        (OrderStatus.SHIPPED, ["OrderTrackingUpdated", "OrderDelivered"]),
        (OrderStatus.DELIVERED, ["OrderTrackingUpdated", "OrderDelivered"]),
    ]
    assert [event.complete for _, _, event in done if isinstance(event, contracts.OrderDelivered)] == [False, True]
    assert order.delivered_at == NOW + 50, "when the last of it arrived, whoever told it last"


def test_a_delivery_that_is_told_in_other_words_once_more_is_news_but_no_delivery() -> None:
    order, content, shipments = two_shipped()
    shipments[0], _ = record(order, content, shipments, shipments[0], carrier_event("delivered", NOW + 5), when=when())
    late = carrier_event("delivered", NOW + 9, "e-2")
    again, told = record(order, content, shipments, shipments[0], late, when=when())
    assert ([type(event).__name__ for event in told], again.delivered_at) == (["OrderTrackingUpdated"], NOW + 5)


def test_what_of_a_cancelled_order_arrives_delivers_no_order() -> None:
    order, content, shipments = two_shipped()
    cancelled(order, content)
    for n in (0, 1):
        shipments[n], told = record(order, content, shipments, shipments[n], carrier_event("delivered", 5), when=when())
    assert (order.status, isinstance(told[-1], contracts.OrderDelivered)) == (OrderStatus.CANCELLED, True)


@pytest.mark.parametrize(("clock", "taken"), [(0, NOW), (NOW + 7, NOW + 7), (2**62, TOLD_AT)])
def test_nothing_arrives_before_it_leaves_or_after_it_was_told_whatever_a_carrier_s_clock_says(
    clock: int, taken: int
) -> None:
    order, content, shipments = two_shipped()
    for n in (0, 1):
        shipments[n], told = record(
            order, content, shipments, shipments[n], carrier_event("delivered", clock), when=when()
        )
    tracked, delivered = told
    assert isinstance(tracked, contracts.OrderTrackingUpdated)
    assert isinstance(delivered, contracts.OrderDelivered)
    assert [tracked.occurred_at, shipments[1].events[0].occurred_at] == [clock, clock], "kept as it was told"
    assert [order.delivered_at, shipments[1].delivered_at, delivered.delivered_at] == [taken] * 3


# --- overdue


def test_an_overdue_order_names_what_is_still_to_ship() -> None:
    order = in_processing()
    part = sent(order, CONTENT, units={"i-1": 3}, location="main")
    told = note_overdue(order, part.content, when(9))
    assert [(line.item_id, line.sku, line.quantity) for line in told.lines] == [("i-1", SKU, 2), ("i-2", OTHER_SKU, 1)]
    assert (told.ship_by, told.overdue_at, order.overdue_at) == (NOW, NOW + 9 * SECOND, NOW + 9 * SECOND)


# --- labels


def labels(order: Order, content: OrderContent, parcels: Parcels = NONE, **wanted: Any) -> list[Label]:
    senders = {"main": {"company": "The Shop", "address1": "1 Dock Rd", "city": "Bonn"}}
    found = labels_of(order, content, [], parcels, WantedLabels(**wanted), ship_from=senders)
    assert not isinstance(found, Refusal), found
    return found


def test_what_is_to_ship_has_a_label_for_each_location_and_packer_with_the_packer_s_units() -> None:
    found = labels(in_processing(), CONTENT)
    assert [(label.number, label.location, label.units) for label in found] == [
        ("ORD00000001-1", "main", 4),
        ("ORD00000001-2", "north", 2),
    ]
    assert [label.ship_from for label in found] == [("The Shop", "1 Dock Rd", "Bonn"), ("north",)]
    assert found[0].ship_to == ("Ada Lovelace", "1 Main St", "53111 Bonn", "DE")
    own = [labels(in_processing(), CONTENT, vendor_id=vendor_id) for vendor_id in ("v-1", "v-2")]
    assert [[(label.number, label.units) for label in found] for found in own] == [
        [("ORD00000001-3", 3), ("ORD00000001-2", 2)],
        [("ORD00000001-4", 1)],
    ]
    north = labels(in_processing(), CONTENT, locations=frozenset({"north"}))
    assert [label.number for label in north] == ["ORD00000001-2"]


steps = st.tuples(
    st.sampled_from([None, "v-1", "v-2"]), st.sampled_from(["i-1", "i-2"]), st.sampled_from(["main", "north"])
)


@unhurried
@given(st.lists(steps))
def test_a_printed_number_is_that_of_its_packer_s_next_shipment_whoever_ships_before(parts: list[Any]) -> None:
    order, content, parcels = in_processing(), CONTENT, NONE
    printed: dict[tuple[str | None, str], str] = {}
    for vendor_id, item_id, location in parts:
        for packer in (None, "v-1", "v-2"):
            found = labels_of(order, content, [], parcels, WantedLabels(vendor_id=packer), ship_from={})
            for label in [] if isinstance(found, Refusal) else found:
                assert printed.setdefault((packer, label.location), label.number) == label.number
        done = shipment_of(order, content, parcels, units={item_id: 1}, location=location, vendor_id=vendor_id)
        if isinstance(done, Sent):
            content, parcels = done.content, done.parcels
            assert done.shipments[0].number == printed[vendor_id, location]
            # North has goods of one vendor alone: whoever packs there packs the same.
            for packer in {vendor_id} if location == "main" else (None, "v-1"):
                printed.pop((packer, location), None)


def test_what_leaves_after_a_cancel_has_the_number_that_was_printed_before() -> None:
    order = in_processing()
    (label,) = labels(order, CONTENT, vendor_id="v-2")
    parcels = NONE.for_goods(by_location(CONTENT.lines, HELD))
    cancelled(order, CONTENT)
    order.held = ()
    assert sent(order, CONTENT, parcels, vendor_id="v-2", location="main").shipments[0].number == label.number


def test_what_leaves_after_a_cancel_left_where_it_lay() -> None:
    order = in_processing()
    cancelled(order, CONTENT)
    order.held = ()
    parcels = NONE.for_goods(by_location(CONTENT.lines, HELD))
    south = refused(order, CONTENT, parcels=parcels, location="south")
    assert (south.code, south.facts) == (RefusalCode.UNKNOWN_LOCATION, {"locations": ["main", "north"]})
    (from_north,) = sent(order, CONTENT, parcels, locations=frozenset({"north", "south"})).shipments
    assert from_north.location == "north"
    (unnumbered,) = sent(order, CONTENT, Parcels(last=4), units={"i-1": 1}).shipments
    assert (unnumbered.location, unnumbered.number) == ("main", "ORD00000001-5")


def test_the_label_of_a_shipment_that_was_made_says_what_it_holds() -> None:
    order = in_processing()
    first = sent(order, CONTENT, location="main")
    found = labels_of(order, first.content, first.shipments, first.parcels, WantedLabels(shipment="s-0"), ship_from={})
    assert not isinstance(found, Refusal)
    assert [(made.number, made.carrier, made.units) for made in found] == [("ORD00000001-1", "Post", 4)]


def test_there_is_no_label_where_nothing_is_to_ship_or_nothing_of_one_s_own() -> None:
    order, content, shipments = two_shipped()
    for found in (
        labels_of(order, content, shipments, NONE, WantedLabels(), ship_from={}),
        labels_of(in_processing(), CONTENT, [], NONE, WantedLabels(vendor_id="v-9"), ship_from={}),
    ):
        assert isinstance(found, Refusal)
        assert found.code is RefusalCode.LABEL_NOT_AVAILABLE
    foreign = labels_of(order, content, shipments, NONE, WantedLabels(shipment="s-0", vendor_id="v-2"), ship_from={})
    assert isinstance(foreign, Refusal)
    assert foreign.code is RefusalCode.SHIPMENT_NOT_FOUND
