"""What shipments bring with them: labels, what should have left, and what left although nobody should have sent it."""

import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import requests

from deploy.local.services import ROOT
from services.chassis.events import from_micros
from tests.support.code128 import barcodes
from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.shipping import EVENTS, items, of_two_vendors, processing, refused, ship, shipped, told
from tests.support.storefront import Client, unique

# --- goods that leave although their order was cancelled


def test_goods_of_a_cancelled_order_that_left_are_recorded_and_taken_out_of_stock_once(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 3))
    sku = order["items"][0]["sku"]
    shop.admin.cancel(order)
    shop.await_order(order["id"], reservation_status="released")

    made = shipped(shop.callers.warehouse(), order, items=items(order, 2))

    assert (made["unexpected"], made["number"]) == (True, f"{order['order_number']}-1")
    now = shop.admin.order(order["id"])
    assert (now["status"], now["fulfillment_status"]) == ("cancelled", "partially_fulfilled")
    assert shop.kinds(order["id"], EVENTS)[-5:] == [
        "OrderCancelled",
        "RefundRequested",
        "OrderShipped",
        "ReturnRequested",
        "ReturnApproved",
    ]
    told_ = shop.log.of(order["id"], EVENTS)[-3]
    assert (told_.event["unexpected"], told_.event["complete"]) == (True, False)
    shop.probe.await_taken("inventory", told_.event_id)
    assert shop.admin.level(sku) == (8, 0, 0)
    again = shop.outsider.repeat(told_, event_id=str(uuid.uuid4()))
    shop.probe.await_taken("inventory", again)
    assert shop.admin.level(sku) == (8, 0, 0)
    assert shop.probe.parked("inventory", order["id"]) == []
    shop.probe.await_taken("notification", told_.event_id)
    templates = "SELECT template FROM notifications WHERE subject = :id"
    assert "order_shipped" not in {
        row["template"] for row in shop.probe.rows("notification", templates, id=order["id"])
    }


def test_goods_of_a_cancelled_order_left_where_they_lay_and_nowhere_else(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 3))
    shop.admin.cancel(order)
    shop.await_order(order["id"], reservation_status="released")

    elsewhere = refused(ship(shop.admin, order, location="nowhere"), 422, "unknown_location")

    assert elsewhere["locations"] == ["main"]
    assert shop.admin.order(order["id"])["shipments"] == []
    assert shipped(shop.admin, order)["location"] == "main"

    def taken_out() -> None:
        assert shop.admin.level(order["items"][0]["sku"]) == (7, 0, 0)

    eventually(taken_out, within=20)


def test_units_that_left_and_are_promised_to_others_wait_for_an_operator(shop: Shop) -> None:
    order = processing(shop, (shop.sku(stock=3), 3))
    sku = order["items"][0]["sku"]
    shop.admin.cancel(order)
    shop.await_order(order["id"], reservation_status="released")
    shop.customer.placed((sku, 2))

    shipped(shop.admin, order)

    shop.kinds(order["id"], EVENTS)
    (left,) = [entry for entry in shop.log.of(order["id"], EVENTS) if entry.kind == "OrderShipped"]
    shop.probe.await_taken("inventory", left.event_id)
    (parked,) = shop.probe.parked("inventory", order["id"])
    assert (parked["state"], shop.admin.level(sku)) == ("retrying", (3, 2, 0))
    shop.admin.receive(sku, 3)
    shop.operate("inventory", "parked", "retry", "--key", order["id"])

    def taken() -> None:
        assert shop.probe.parked("inventory", order["id"]) == []

    eventually(taken, within=20)
    assert shop.admin.level(sku) == (3, 2, 0)


# --- labels


def label(client: Client, order: Mapping[str, Any], **query: str) -> requests.Response:
    return client.get(f"{order['id']}/label/", params=query)


def test_the_label_of_what_is_to_ship_bears_the_number_of_the_shipment_that_is_made_next(shop: Shop) -> None:
    order, one, other = of_two_vendors(shop)
    (started,) = told(shop, order, "OrderProcessingStarted")
    assert started["shipment_number"] == f"{order['order_number']}-1"

    printed = shop.callers.warehouse().get(started["label"])

    assert (printed.status_code, printed.headers["Content-Type"]) == (200, "application/pdf")
    assert barcodes(printed.content) == [started["shipment_number"]]
    assert label(shop.admin, order).content == printed.content, "the same bytes, whoever prints it"
    first, second = shop.callers.vendor(one), shop.callers.vendor(other)
    own = [barcodes(label(vendor, order).content) for vendor in (first, second)]
    assert own == [[f"{order['order_number']}-2"], [f"{order['order_number']}-3"]]
    # The one whose lines come last ships first.
    late = shipped(second, order)
    made = shipped(first, order, items=items(order, 2, 0))
    assert [[made["number"]], [late["number"]]] == own
    assert barcodes(label(first, order).content) == [f"{order['order_number']}-5"]
    rest = shipped(shop.callers.warehouse(), order)
    assert rest["number"] == started["shipment_number"], "as was printed for the warehouse"
    for name in (made["id"], made["number"]):
        assert barcodes(label(shop.admin, order, shipment=name).content) == [made["number"]]
    refused(label(shop.callers.vendor(other), order, shipment=made["id"]), 404, "shipment_not_found")
    refused(label(shop.callers.vendor(one), order), 409, "label_not_available")


def test_labels_are_there_for_those_who_ship_and_while_there_is_something_to_ship(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    refused(label(shop.admin, order), 409, "label_not_available")
    shop.service.confirm(order)
    shop.admin.move(order, "processing")
    assert label(shop.service, order).status_code == 200
    assert label(shop.customer, order).status_code == 403
    refused(label(shop.callers.vendor(unique("vendor")), order), 404, "order_not_found")
    assert label(shop.admin, order, page="2").status_code == 400


def test_many_labels_are_printed_at_once_and_each_is_whole(shop: Shop) -> None:
    orders = [processing(shop, (shop.sku(), 1)) for _ in range(4)]
    wanted = [order for order in orders for _ in range(5)]
    with ThreadPoolExecutor(8) as pool:
        printed = list(pool.map(lambda order: label(shop.callers.admin(), order).content, wanted))
    assert [barcodes(pdf) for pdf in printed] == [[f"{order['order_number']}-1"] for order in wanted]
    assert len(set(printed)) == 4


# --- what should have left by now


def test_an_order_that_has_not_left_in_time_is_told_to_be_overdue_once(shop: Shop) -> None:
    order = processing(shop, (shop.sku(), 3))
    shipped(shop.admin, order, items=items(order, 1))
    (started,) = told(shop, order, "OrderProcessingStarted")
    assert started["ship_by"] > started["started_at"]
    assert datetime.fromisoformat(order["ship_by"]) == from_micros(started["ship_by"])
    left = processing(shop, (shop.sku(), 1))
    shipped(shop.admin, left)

    late = "UPDATE orders SET ship_by = now() - interval '1 second' WHERE id = CAST(:id AS uuid)"
    for each in (order, left):
        shop.probe.execute("order", late, id=each["id"])

    def is_told() -> None:
        assert "ShipmentOverdue" in shop.kinds(order["id"], EVENTS)

    eventually(is_told, within=15)
    before = shop.admin.order(order["id"])["version"]
    passes = eventually(lambda: _ticks(shop, 0), within=15)
    eventually(lambda: _ticks(shop, passes + 3), within=15)
    (overdue,) = told(shop, order, "ShipmentOverdue")
    assert [(line["item_id"], line["quantity"]) for line in overdue["lines"]] == [(order["items"][0]["id"], 2)]
    assert shop.admin.order(order["id"])["version"] == before
    assert told(shop, left, "ShipmentOverdue") == []
    row = shop.probe.rows("order", "SELECT overdue_at FROM orders WHERE id = CAST(:id AS uuid)", id=order["id"])[0]
    assert row["overdue_at"] is not None
    assert shop.admin.move(order, "shipped").status_code == 200


def _ticks(shop: Shop, least: int) -> int:
    """Return how many looks the elected worker has had so far, in thirds of a second."""
    seconds = shop.probe.value("order", "SELECT extract(epoch FROM ticked_at)::float8 FROM deadline_watch")
    ticks = int(float(seconds) * 3)
    assert ticks >= least
    return ticks


def test_the_books_of_shipments_balance_and_say_so_when_they_do_not(shop: Shop) -> None:
    assert "shipments_equal_lines" not in shop.operate("order", "audit")
    order = processing(shop, (shop.sku(), 3))
    shipped(shop.admin, order, items=items(order, 2))
    lose = "UPDATE order_items SET shipped_quantity = shipped_quantity - :n WHERE order_id = CAST(:id AS uuid)"
    shop.probe.execute("order", lose, id=order["id"], n=1)
    audit = subprocess.run(
        [sys.executable, "-m", "services.order", "audit"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "300", **shop.stack.environment("order")},
        capture_output=True,
        text=True,
        check=False,
    )
    shop.probe.execute("order", lose, id=order["id"], n=-1)
    assert audit.returncode == 1
    assert "shipments_equal_lines" in audit.stdout
    assert order["order_number"] in audit.stdout
