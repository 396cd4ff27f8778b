"""Changing where an order goes and how: what it costs then, who may, and what others are told."""

from typing import Any

import pytest

from tests.support.pdf_text import pages_of
from tests.support.running_shop import Shop
from tests.support.storefront import ADDRESS, unique

EVENTS = "order.events.v1"
Order = dict[str, Any]
VIENNA = {**ADDRESS, "city": "Wien", "postal_code": "1010", "country_code": "AT"}


def told(shop: Shop, order: Order) -> list[dict[str, Any]]:
    """Return every OrderDetailsChanged of an order."""
    shop.kinds(order["id"], EVENTS)
    return [entry.event for entry in shop.log.of(order["id"], EVENTS) if entry.kind == "OrderDetailsChanged"]


def test_another_address_has_its_own_tax_and_others_are_told(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(price="20.00"), 1))

    changed = shop.admin.change_details(order, {"shipping_address": VIENNA})

    assert changed.status_code == 200, changed.text
    now = changed.json()
    assert now["shipping_address"]["city"] == "Wien"
    assert now["billing_address"] == order["billing_address"], "what is left out stays"
    assert (now["tax_amount"], now["total_amount"]) == ("3.33", "20.00")
    assert now["items"][0]["tax_amount"] == "3.33"
    assert (now["status"], now["notes"], now["version"]) == ("pending", None, order["version"] + 1)
    assert changed.headers["ETag"] == f'"v{now["version"]}"'
    (event,) = told(shop, order)
    assert event["shipping_address"]["city"] == "Wien"
    assert (event["billing_address"], event["shipping_method"], event["label"]) == (None, None, None)
    assert (event["version"], event["tax_minor"], event["total_minor"]) == (now["version"], 333, 2000)


def test_another_method_has_its_own_price(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(price="20.00"), 1))
    assert shop.service.confirm(order).status_code == 200
    now = shop.admin.order(order["id"])

    changed = shop.admin.change_details(now, {"shipping_method": "parcel"})

    now = changed.json()
    assert (now["shipping_method"], now["shipping_amount"], now["total_amount"]) == ("parcel", "4.90", "24.90")
    assert (now["amount_due"], now["payment_status"]) == ("4.90", "pending")
    assert shop.admin.move(order, "processing").json()["code"] == "amount_due_open"
    back = shop.admin.change_details(now, {"shipping_method": "standard"})
    assert (back.json()["total_amount"], back.json()["amount_due"]) == ("20.00", "0.00")
    assert shop.admin.move(order, "processing").status_code == 200
    wrong = shop.admin.change_details(shop.admin.order(order["id"]), {"shipping_method": "pigeon"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "unknown_shipping_method")
    assert [event["shipping_method"] for event in told(shop, order)] == ["parcel", "standard"]


def test_what_was_paid_for_shipping_that_costs_less_is_refunded(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(price="20.00"), 1), shipping_method="parcel")
    assert shop.service.confirm(order).status_code == 200
    now = shop.admin.order(order["id"])
    assert shop.admin.change_details(now, {"shipping_method": "standard"}).status_code == 200
    (refund,) = shop.service.get(f"{order['id']}/refunds/").json()["data"]
    assert (refund["amount"], refund["reason"]) == ("4.90", "details_changed")


def test_an_order_in_the_warehouse_gets_another_label(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    shop.service.confirm(order)
    processing = shop.admin.move(order, "processing").json()

    label, warehouse = f"/api/v1/orders/{order['id']}/label/", shop.callers.warehouse()
    (before,) = pages_of(warehouse.get(label).content)

    changed = shop.admin.change_details(processing, {"shipping_address": VIENNA})

    assert changed.status_code == 200
    (event,) = told(shop, order)
    assert event["label"] == label
    (after,) = pages_of(warehouse.get(label).content)
    assert [line for line in before if line not in after] == ["53111 Bonn", "DE"]
    assert [line for line in after if line not in before] == ["1010 Wien", "AT"]
    assert shop.admin.move(order, "shipped").status_code == 200
    late = shop.admin.change_details(shop.admin.order(order["id"]), {"shipping_address": ADDRESS})
    assert (late.status_code, late.json()["code"]) == (409, "not_editable")


def test_notes_change_without_an_event_and_the_same_again_is_no_change(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1), notes="ring twice")

    changed = shop.admin.change_details(order, {"notes": "do not ring"}).json()
    same = shop.admin.change_details(changed, {"notes": "do not ring", "shipping_address": ADDRESS})
    cleared = shop.admin.change_details(changed, {"notes": None}).json()

    assert (changed["notes"], cleared["notes"]) == ("do not ring", None)
    assert (same.status_code, same.json()["version"]) == (200, changed["version"])
    assert told(shop, order) == []


def test_a_dry_run_tells_the_totals_and_changes_nothing(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(price="20.00"), 1))
    before = shop.probe.order(order["id"])

    tried = shop.admin.change_details(order, {"shipping_method": "parcel"}, params={"dry_run": "true"})

    assert tried.status_code == 200, tried.text
    assert (tried.json()["feasible"], tried.json()["price_difference"]) == (True, "4.90")
    assert shop.probe.order(order["id"]) == before
    assert told(shop, order) == []


def test_a_dry_run_tells_a_vendor_of_their_lines_and_not_what_the_order_comes_to(shop: Shop) -> None:
    vendor_id = unique("vendor")
    order = shop.customer.placed((shop.sku(price="20.00", vendor_id=vendor_id), 1), shipping_method="parcel")

    asked = {"shipping_address": VIENNA, "shipping_method": "standard"}
    tried = shop.callers.vendor(vendor_id).change_details(order, asked, params={"dry_run": "true"})

    assert tried.status_code == 200, tried.text
    seen = tried.json()
    sums = (seen["subtotal"], seen["tax_amount"], seen["total_amount"])
    assert (seen["feasible"], sums) == (True, ("20.00", "3.33", "20.00"))
    assert (seen["shipping_amount"], seen["price_difference"]) == (None, None)


def test_a_change_needs_the_version_that_was_read(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    blind = shop.admin.change_details(order, {"notes": "x"}, headers={})
    stale = shop.admin.change_details({**order, "version": 1}, {"notes": "x"})
    assert (blind.status_code, stale.status_code) == (428, 412)
    for body in ({"status": "shipped"}, {"shipping_address": {"city": "Wien"}}, {"shipping_method": 1}):
        assert shop.admin.change_details(order, body).status_code == 400, body


def test_a_vendor_changes_what_is_theirs_alone(shop: Shop) -> None:
    vendor_id = unique("vendor")
    theirs, others = shop.sku(vendor_id=vendor_id), shop.sku()
    alone, shared = shop.customer.placed((theirs, 1)), shop.customer.placed((theirs, 1), (others, 1))
    vendor = shop.callers.vendor(vendor_id)

    assert vendor.change_details(alone, {"shipping_address": VIENNA}).status_code == 200
    assert vendor.change_details(shared, {"notes": "x"}).status_code == 403
    assert shop.callers.vendor(unique("vendor")).change_details(alone, {"notes": "x"}).status_code == 404
    for caller in (shop.customer, shop.service, shop.callers.warehouse()):
        assert caller.change_details(alone, {"notes": "x"}).status_code == 403


@pytest.mark.parametrize("name", ["shipping_address", "billing_address", "shipping_method"])
def test_what_an_order_cannot_be_without_is_not_taken_away(shop: Shop, name: str) -> None:
    order = shop.customer.placed((shop.sku(), 1), shipping_method="parcel")
    refused = shop.admin.change_details(order, {name: None, "notes": "ring twice"})
    assert refused.status_code == 400, refused.text
    (fault,) = refused.json()["errors"]
    assert (fault["pointer"], fault["code"]) == (f"/{name}", "invalid_value")
    assert fault["detail"].startswith("must not be null")
    assert shop.admin.order(order["id"])["version"] == order["version"]
