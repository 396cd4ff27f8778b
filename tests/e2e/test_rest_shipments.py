"""An order that leaves in parts, by vendor and location, and is followed to the door by what carriers tell."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.running_shop import Shop
from tests.support.shipping import EVENTS, items, of_two_vendors, processing, refused, ship, shipped, tell, told
from tests.support.storefront import Client, unique


def test_an_order_of_two_vendors_leaves_in_parts_and_arrives_by_what_carriers_tell(shop: Shop) -> None:
    order, one, other = of_two_vendors(shop, shipping_method="parcel")
    first_vendor, second_vendor = shop.callers.vendor(one), shop.callers.vendor(other)

    first = shipped(first_vendor, order, tracking_number="T/1")

    number = order["order_number"]
    assert (first["number"], first["vendor_id"], first["status"], first["location"]) == (
        f"{number}-2",
        one,
        "shipped",
        "main",
    )
    assert (first["carrier"], first["tracking_url"]) == ("DHL", "https://track.example/T%2F1")
    assert [(item["item_id"], item["quantity"]) for item in first["items"]] == [(order["items"][0]["id"], 3)]
    partly = shop.admin.order(order["id"])
    assert (partly["status"], partly["fulfillment_status"]) == ("processing", "partially_fulfilled")
    assert [item["shipped_quantity"] for item in partly["items"]] == [3, 0]

    assert tell(first_vendor, order, first, "delivered", "2026-01-05T10:00:00Z").status_code == 201
    assert shop.admin.order(order["id"])["status"] == "processing", "the other vendor's goods have not left"
    second = shipped(shop.callers.warehouse(), order, carrier="Bike")
    assert (second["number"], second["vendor_id"], second["tracking_url"]) == (f"{number}-1", other, None)
    assert shop.admin.order(order["id"])["status"] == "shipped"
    last = tell(second_vendor, order, second, "delivered", "2026-01-06T10:00:00Z").json()
    assert (last["shipment_status"], last["order_status"]) == ("delivered", "delivered")

    done = shop.admin.order(order["id"])
    assert (done["status"], done["fulfillment_status"]) == ("delivered", "fulfilled")
    # What they told is kept as it was told; nothing arrives before it leaves.
    assert [shipment["events"][0]["occurred_at"] for shipment in done["shipments"]] == [
        "2026-01-05T10:00:00Z",
        "2026-01-06T10:00:00Z",
    ]
    assert all(shipment["delivered_at"] == shipment["shipped_at"] for shipment in done["shipments"])
    kinds = shop.kinds(order["id"], EVENTS)[-6:]
    assert kinds == [
        "OrderShipped",
        "OrderTrackingUpdated",
        "OrderDelivered",
        "OrderShipped",
        "OrderTrackingUpdated",
        "OrderDelivered",
    ]
    assert [(e["shipment_number"], e["vendor_id"], e["complete"]) for e in told(shop, order, "OrderShipped")] == [
        (f"{number}-2", one, False),
        (f"{number}-1", other, True),
    ]
    assert [(e["shipment_number"], e["complete"]) for e in told(shop, order, "OrderDelivered")] == [
        (f"{number}-2", False),
        (f"{number}-1", True),
    ]
    shop.await_reservation(order["id"], "shipped")
    assert [shop.admin.level(item["sku"]) for item in order["items"]] == [(7, 0, 0), (8, 0, 0)]


def test_a_line_leaves_in_parts_and_what_left_is_taken_out_of_stock_once(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 3))

    shipped(shop.admin, order, items=items(order, 1))
    more = refused(ship(shop.admin, order, items=items(order, 3)), 422, "more_than_left")
    shipped(shop.admin, order, items=items(order, 2))

    assert more["errors"][0]["pointer"] == "/items/0/quantity"
    assert "2 of" in more["errors"][0]["detail"]
    assert shop.admin.order(order["id"])["status"] == "shipped"
    shop.await_reservation(order["id"], "shipped")
    assert shop.admin.level(order["items"][0]["sku"]) == (7, 0, 0)
    assert refused(ship(shop.admin, order), 409, "invalid_status_transition")["from"] == "shipped"


def test_the_rest_of_a_partly_shipped_order_ships_and_arrives_by_its_status(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 3))
    first = shipped(shop.admin, order, items=items(order, 1))
    tell(shop.admin, order, first, "delivered", "2026-01-05T10:00:00Z")

    rest = shop.admin.move(order, "shipped").json()
    done = shop.admin.move(order, "delivered").json()

    assert [[item["quantity"] for item in shipment["items"]] for shipment in rest["shipments"]] == [[1], [2]]
    assert done["shipments"][0]["delivered_at"] == first["shipped_at"], "it had arrived before"
    assert done["shipments"][1]["delivered_at"] > first["shipped_at"]
    assert [e["complete"] for e in told(shop, order, "OrderDelivered")] == [False, True]


def test_vendors_ship_and_see_and_speak_of_only_their_own(shop: Shop) -> None:
    order, one, other = of_two_vendors(shop)
    vendor, rival = shop.callers.vendor(one), shop.callers.vendor(other)
    foreign = refused(ship(rival, order, items=items(order, 1, 0)), 422, "unknown_item")
    assert foreign["errors"][0]["pointer"] == "/items/0/item_id"

    made = shipped(vendor, order, items=items(order, 1, 0))

    assert rival.get(f"{order['id']}/shipments/").json()["data"] == []
    assert rival.order(order["id"])["shipments"] == []
    assert [row["id"] for row in vendor.get(f"{order['id']}/shipments/").json()["data"]] == [made["id"]]
    refused(tell(rival, order, made, "in_transit", "2026-01-05T10:00:00Z"), 404, "shipment_not_found")
    refused(ship(shop.callers.vendor(unique("vendor")), order), 404, "order_not_found")
    assert ship(shop.customer, order).status_code == 403
    together = shipped(shop.admin, order)
    assert (together["vendor_id"], len(together["items"])) == (None, 2)
    (seen,) = rival.get(f"{order['id']}/shipments/").json()["data"]
    assert [item["item_id"] for item in seen["items"]] == [order["items"][1]["id"]]
    refused(tell(rival, order, seen, "delivered", "2026-01-05T10:00:00Z"), 404, "shipment_not_found")


def test_a_carrier_s_event_is_kept_once_however_often_it_is_told(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 1))
    shipment = shipped(shop.admin, order, tracking_number="T-1")
    event = {"event_id": unique("carrier"), "place": "Depot Bonn", "message": "arrived"}

    first = tell(shop.admin, order, shipment, "in_transit", "2026-01-05T10:00:00+01:00", **event)
    again = tell(shop.admin, order, shipment, "in_transit", "2026-01-05T10:00:00+01:00", **event)
    other = tell(shop.service, order, shipment, "delivered", "2026-01-06T10:00:00Z", **event)
    assert (first.status_code, again.status_code, other.status_code) == (201, 200, 200)
    assert first.json() == again.json() == other.json()
    assert first.json()["occurred_at"] == "2026-01-05T09:00:00Z"

    seen = shop.customer.order(order["id"])["shipments"][0]
    assert (seen["status"], len(seen["events"]), seen["events"][0]["place"]) == ("in_transit", 1, "Depot Bonn")
    (update,) = told(shop, order, "OrderTrackingUpdated")
    assert (update["carrier_event_id"], update["type"], update["place"]) == (
        event["event_id"],
        "in_transit",
        "Depot Bonn",
    )


def test_many_tell_the_same_event_at_once_and_it_is_kept_once(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 1))
    shipment = shipped(shop.admin, order)
    event_id = unique("carrier")

    def deliver(_: int) -> int:
        teller = shop.callers.admin()
        return int(tell(teller, order, shipment, "delivered", "2026-01-05T10:00:00Z", event_id=event_id).status_code)

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(deliver, range(8)))

    assert answers == [200] * 7 + [201]
    assert len(told(shop, order, "OrderDelivered")) == len(told(shop, order, "OrderTrackingUpdated")) == 1


def test_an_earlier_event_that_arrives_late_changes_no_later_state(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 1))
    shipment = shipped(shop.admin, order)
    steps = [
        ("out_for_delivery", "2026-01-05T12:00:00Z", "out_for_delivery"),
        ("in_transit", "2026-01-05T10:00:00Z", "out_for_delivery"),
        ("other", "2026-01-05T13:00:00Z", "out_for_delivery"),
        ("delivered", "2026-01-05T14:00:00Z", "delivered"),
        ("attempted_delivery", "2026-01-05T13:30:00Z", "delivered"),
        ("failure", "2026-01-06T00:00:00Z", "delivered"),
    ]
    for kind, at, status in steps:
        assert tell(shop.admin, order, shipment, kind, at).json()["shipment_status"] == status, kind

    seen = shop.admin.order(order["id"])
    assert (seen["status"], seen["shipments"][0]["status"]) == ("delivered", "delivered")
    occurred = [event["occurred_at"] for event in seen["shipments"][0]["events"]]
    assert (len(occurred), occurred) == (6, sorted(occurred))
    assert len(told(shop, order, "OrderDelivered")) == 1


def test_goods_at_two_locations_leave_in_a_shipment_each(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 3))
    sku = order["items"][0]["sku"]
    # Inventory has one location; the order service knows of more.
    held = f'[["{sku}", "main", 2], ["{sku}", "north", 1]]'
    shop.probe.execute(
        "order", "UPDATE orders SET held = CAST(:held AS jsonb) WHERE id = CAST(:id AS uuid)", id=order["id"], held=held
    )

    unclear = refused(ship(shop.admin, order), 422, "location_required")
    assert unclear["locations"] == ["main", "north"]
    assert refused(ship(shop.admin, order, location="south"), 422, "unknown_location")["locations"] == ["main", "north"]
    refused(ship(shop.admin, order, location="north", items=items(order, 2)), 422, "more_than_left")
    bound = Client(shop.callers.urls, shop.callers.token("warehouse", locations=["north"]))
    refused(ship(bound, order, location="main"), 422, "unknown_location")
    made = shipped(bound, order, items=items(order, 1))
    assert (made["location"], made["items"][0]["quantity"]) == ("north", 1)
    assert shop.admin.move(order, "shipped").json()["shipments"][1]["location"] == "main"


def test_a_cancel_of_a_partly_shipped_order_releases_the_rest_and_expects_the_shipped_back(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 3))
    shipped(shop.admin, order, items=items(order, 1))

    assert shop.admin.cancel(order).json()["status"] == "cancelled"

    shop.await_order(order["id"], reservation_status="released")
    assert shop.admin.level(order["items"][0]["sku"]) == (9, 0, 0)
    (cancelled,) = told(shop, order, "OrderCancelled")
    assert [(line["item_id"], line["quantity"]) for line in cancelled["shipped_lines"]] == [
        (order["items"][0]["id"], 1)
    ]


def test_a_shipment_is_made_once_by_its_key_and_by_the_version_that_was_read(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 3))
    path, key, body = f"{order['id']}/shipments/", unique("ship"), {"items": items(order, 1)}

    stale = shop.admin.post(path, body, headers={"If-Match": '"v1"'})
    first, again = (shop.admin.post(path, body, key=key) for _ in range(2))

    assert stale.status_code == 412
    assert (first.status_code, again.status_code) == (201, 201)
    assert (first.json(), again.headers["Idempotent-Replayed"]) == (again.json(), "true")
    assert len(shop.admin.get(path).json()["data"]) == 1


def test_two_who_ship_the_same_units_at_once_ship_them_once(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 3))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: ship(shop.callers.admin(), order, items=items(order, 3)), range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert len(told(shop, order, "OrderShipped")) == 1


@pytest.mark.parametrize("status", ["pending", "confirmed"])
def test_nothing_leaves_before_the_warehouse_has_the_order(shop: Shop, status: str) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    if status == "confirmed":
        shop.service.confirm(order)
    told_ = refused(ship(shop.admin, order), 409, "invalid_status_transition")
    assert (told_["from"], told_["to"]) == (status, "shipped")
