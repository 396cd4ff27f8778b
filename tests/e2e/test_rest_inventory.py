"""Inventory over REST: variants, receipts, adjustments, reservations, the ledger, alerts, and the audit."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import Client, unique

ALERTS = "inventory.stock.v1"


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def faults(answer: requests.Response) -> list[dict[str, str]]:
    found: list[dict[str, str]] = answer.json()["errors"]
    return found


def variant(client: Client, sku: str) -> dict[str, Any]:
    answer = client.get(f"variants/{sku}/", service="inventory")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# --- variants


def test_a_variant_is_published_changed_and_retired(shop: Shop) -> None:
    sku = unique("SKU")
    made = shop.admin.put_variant(sku, price="4.50", low_stock_threshold=2, vendor_id="v-1")
    assert made.json() == {
        "sku": sku,
        "product_name": f"Product {sku}",
        "variant_name": "blue",
        "vendor_id": "v-1",
        "price": "4.50",
        "currency": "EUR",
        "low_stock_threshold": 2,
        "active": True,
        "version": 1,
    }
    assert shop.admin.put_variant(sku, price="5.00").json()["version"] == 2
    retired = shop.admin.post(f"variants/{sku}/retire/", service="inventory")
    assert (retired.json()["active"], retired.json()["version"]) == (False, 3)
    assert shop.admin.post(f"variants/{sku}/retire/", service="inventory").json()["version"] == 3
    assert shop.kinds(sku, "catalog.variants.v1") == ["VariantPublished", "VariantPublished", "VariantRetired"]


def test_a_retired_or_inactive_variant_is_not_ordered_any_more(shop: Shop) -> None:
    retired, inactive = shop.sku(), shop.sku(active=False)
    shop.admin.post(f"variants/{retired}/retire/", service="inventory")

    def refused() -> None:
        answer = shop.customer.place((retired, 1), (inactive, 1))
        assert problem(answer) == (422, "inactive_variant")
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/items/0/sku", "/items/1/sku"]

    eventually(refused, within=10)


def test_a_retired_variant_may_be_published_again(shop: Shop) -> None:
    sku = shop.sku()
    shop.admin.post(f"variants/{sku}/retire/", service="inventory")
    assert shop.admin.put_variant(sku).json()["active"] is True

    def ordered() -> None:
        assert shop.customer.place((sku, 1)).status_code == 201

    eventually(ordered, within=10)


def test_versions_of_a_variant_guard_its_changes_and_spare_reading_it(shop: Shop) -> None:
    sku = unique("SKU")
    first = shop.admin.put_variant(sku)
    shop.admin.put_variant(sku, price="2.00")
    path = f"variants/{sku}/"

    body = {"product_name": "P", "price": "3.00", "currency": "EUR"}
    stale = shop.admin.call("PUT", path, service="inventory", json=body, headers={"If-Match": first.headers["ETag"]})
    assert problem(stale) == (412, "precondition_failed")
    assert stale.json()["errors"][0]["parameter"] == "If-Match"
    assert stale.headers["ETag"] == '"v2"'
    fresh = shop.admin.call("PUT", path, service="inventory", json=body, headers={"If-Match": '"v2"'})
    assert fresh.status_code == 200
    unchanged = shop.customer.get(path, service="inventory", headers={"If-None-Match": '"v3"'})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_one_sku_published_at_once_by_many_has_one_version_each(shop: Shop) -> None:
    sku, clients = unique("SKU"), [shop.callers.admin() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda client: client.put_variant(sku), clients))
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 9))


def test_a_vendor_publishes_their_own_variants_only(shop: Shop) -> None:
    sku, other = unique("SKU"), unique("SKU")
    vendor, rival = shop.callers.vendor("v-own"), shop.callers.vendor("v-rival")

    assert vendor.put_variant(sku).json()["vendor_id"] == "v-own"
    for refused, place in (
        (rival.put_variant(sku), {"parameter": "sku"}),
        (rival.post(f"variants/{sku}/retire/", service="inventory"), {"parameter": "sku"}),
        (vendor.put_variant(other, vendor_id="v-rival"), {"pointer": "/vendor_id"}),
    ):
        assert problem(refused) == (403, "foreign_variant")
        assert faults(refused) == [{**place, "code": "foreign_variant", "detail": refused.json()["detail"]}]
    assert vendor.put_variant(sku, vendor_id="v-own", price="1.00").json()["version"] == 2
    shop.admin.put_variant(other)
    assert problem(vendor.put_variant(other)) == (403, "foreign_variant")


def test_variants_are_read_by_anybody_with_a_token_and_written_by_few(shop: Shop) -> None:
    sku = shop.sku(stock=0)
    for client in (shop.customer, shop.callers.warehouse(), shop.service, shop.callers.vendor("v")):
        assert variant(client, sku)["sku"] == sku
    for client in (shop.customer, shop.callers.warehouse()):
        assert problem(client.put_variant(sku)) == (403, "forbidden_role")


# --- stock


def test_receipts_and_adjustments_move_the_level_and_leave_their_reason_in_the_ledger(shop: Shop) -> None:
    sku, warehouse = shop.sku(stock=0), shop.callers.warehouse()

    received = warehouse.post(f"stock/{sku}/receipts/", {"quantity": 10, "reference": "DN-1"}, service="inventory")
    assert (received.status_code, received.json()["on_hand"], received.json()["available"]) == (201, 10, 10)
    assert warehouse.adjust(sku, quantity=-3, reason="broken").json()["on_hand"] == 7
    assert warehouse.adjust(sku, on_hand=9, expected_on_hand=7, reason="counted").json()["on_hand"] == 9

    rows = warehouse.get("movements/", service="inventory", params={"sku": sku}).json()["data"]
    told = [(r["kind"], r["delta"]["on_hand"], r["after"]["on_hand"], r["reason"], r["reference"]) for r in rows]
    assert told == [
        ("adjusted", 2, 9, "counted", None),
        ("adjusted", -3, 7, "broken", None),
        ("received", 10, 10, None, "DN-1"),
    ]
    assert {row["actor"] for row in rows} == {"local-warehouse"}


def test_a_count_is_refused_when_the_level_has_moved_meanwhile(shop: Shop) -> None:
    sku = shop.sku(stock=10)
    assert problem(shop.admin.adjust(sku, on_hand=5, expected_on_hand=9)) == (409, "stock_changed")
    assert shop.admin.level(sku) == (10, 0, 0)


def test_what_is_held_for_orders_cannot_be_adjusted_away(shop: Shop) -> None:
    sku = shop.sku(stock=10)
    shop.customer.placed((sku, 4))
    order = shop.customer.placed((sku, 3))
    shop.service.confirm(order)

    for refused, pointer in (
        (shop.admin.adjust(sku, quantity=-4), "/quantity"),
        (shop.admin.adjust(sku, on_hand=6, expected_on_hand=10), "/on_hand"),
    ):
        assert problem(refused) == (409, "stock_held")
        assert faults(refused) == [{"pointer": pointer, "code": "stock_held", "detail": refused.json()["detail"]}]
    assert shop.admin.adjust(sku, quantity=-3).json()["available"] == 0
    assert shop.admin.level(sku) == (7, 4, 3)


@pytest.mark.parametrize("body", [{}, {"quantity": 1, "on_hand": 5, "expected_on_hand": 1}, {"on_hand": 5}])
def test_an_adjustment_is_a_difference_or_a_count(shop: Shop, body: dict[str, int]) -> None:
    assert problem(shop.admin.adjust(shop.sku(), **body)) == (400, "invalid_request")


def test_an_adjustment_needs_a_reason(shop: Shop) -> None:
    refused = shop.admin.post(f"stock/{shop.sku()}/adjustments/", {"quantity": 1}, service="inventory")
    assert problem(refused) == (400, "invalid_request")
    assert refused.json()["errors"][0]["pointer"] == "/reason"


def test_stock_of_an_unknown_sku_is_not_there(shop: Shop) -> None:
    sku = unique("SKU")
    for answer in (
        shop.admin.get(f"stock/{sku}/", service="inventory"),
        shop.admin.receive(sku, 1),
        shop.admin.adjust(sku, quantity=1),
        shop.admin.get(f"variants/{sku}/", service="inventory"),
        shop.admin.post(f"variants/{sku}/retire/", service="inventory"),
    ):
        assert problem(answer) == (404, "unknown_sku")
        assert answer.json()["errors"][0]["parameter"] == "sku"


def test_who_may_see_and_move_stock(shop: Shop) -> None:
    sku = shop.sku()
    warehouse = shop.callers.warehouse()
    assert shop.service.level(sku) == warehouse.level(sku) == (10, 0, 0)
    for client in (shop.customer, shop.callers.vendor("v")):
        assert problem(client.get(f"stock/{sku}/", service="inventory")) == (403, "forbidden_role")
        assert problem(client.receive(sku, 1)) == (403, "forbidden_role")
    assert problem(shop.service.receive(sku, 1)) == (403, "forbidden_role")
    assert problem(shop.service.adjust(sku, quantity=1)) == (403, "forbidden_role")
    assert problem(warehouse.get("audit/", service="inventory")) == (403, "forbidden_role")


def test_a_warehouse_moves_stock_at_its_own_locations_only(shop: Shop) -> None:
    sku = shop.sku()
    here, elsewhere = (
        shop.callers.having(shop.callers.token("warehouse", locations=[place])) for place in ("main", "berlin")
    )
    for refused in (elsewhere.receive(sku, 1), elsewhere.adjust(sku, quantity=-1)):
        assert problem(refused) == (403, "foreign_location")
        assert refused.json()["errors"][0]["pointer"] == "/location"
    assert here.receive(sku, 2).status_code == here.adjust(sku, quantity=-1).status_code == 201
    assert shop.admin.level(sku) == (11, 0, 0)


def test_receipts_at_once_are_all_counted(shop: Shop) -> None:
    sku, clients = shop.sku(stock=0), [shop.callers.admin() for _ in range(16)]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda client: client.receive(sku, 1), clients))
    assert sorted(answer.json()["on_hand"] for answer in answers) == list(range(1, 17))
    assert shop.admin.level(sku) == (16, 0, 0)


def test_the_reservation_and_the_ledger_of_an_order_are_listed(shop: Shop) -> None:
    sku = shop.sku()
    order = shop.customer.placed((sku, 3))
    (found,) = shop.admin.get("reservations/", service="inventory", params={"order_id": order["id"]}).json()["data"]
    assert found == {
        "order_id": order["id"],
        "status": "reserved",
        "expires_at": order["reserved_until"],
        "lines": [{"sku": sku, "location": "main", "quantity": 3}],
    }
    rows = shop.admin.get("movements/", service="inventory", params={"order_id": order["id"]}).json()["data"]
    assert [(row["kind"], row["delta"]["reserved"], row["order_id"]) for row in rows] == [("reserved", 3, order["id"])]


def test_the_ledger_cannot_be_changed_not_even_in_the_database(shop: Shop) -> None:
    sku = shop.sku()
    for statement in (
        "UPDATE stock_movements SET on_hand = 0 WHERE sku = :sku",
        "DELETE FROM stock_movements WHERE sku = :sku",
    ):
        with pytest.raises(Exception, match="append-only"):
            shop.probe.execute("inventory", statement, sku=sku)


# --- alerts


def test_low_stock_is_told_once_an_episode(shop: Shop) -> None:
    sku = shop.sku(stock=10, low_stock_threshold=3)
    order = shop.customer.placed((sku, 7))
    shop.customer.placed((sku, 1))
    assert shop.kinds(sku, ALERTS) == ["LowStockReached"]

    shop.customer.cancel(order)
    again = shop.customer.placed((sku, 6))
    assert again["reservation_status"] == "reserved"
    assert shop.kinds(sku, ALERTS) == ["LowStockReached", "LowStockReached"]
    alert = shop.log.of(sku, ALERTS)[0].event
    assert (alert["available"], alert["threshold"]) == (3, 3)


def test_stock_that_ends_and_comes_back_is_told(shop: Shop) -> None:
    sku = shop.sku(stock=2, low_stock_threshold=0)
    shop.customer.placed((sku, 2))
    shop.admin.receive(sku, 5)
    assert shop.kinds(sku, ALERTS) == ["LowStockReached", "OutOfStock", "BackInStock"]


# --- the audit


def test_the_audit_finds_the_books_right_and_says_what_it_looked_at(shop: Shop) -> None:
    sku = shop.sku()
    shop.customer.placed((sku, 3))
    audit = shop.admin.audit()
    assert (audit["ok"], audit["differences"]) == (True, [])
    assert min(audit["levels"], audit["movements"], audit["open_reservations"]) > 0
    assert "0 differences" in shop.operate("inventory", "audit")


def test_the_audit_finds_a_level_that_the_ledger_does_not_explain(shop: Shop) -> None:
    sku = shop.sku()
    shop.probe.execute("inventory", "UPDATE stock_levels SET on_hand = on_hand + 1 WHERE sku = :sku", sku=sku)
    try:
        audit = shop.admin.audit()
        assert audit["ok"] is False
        assert [(row["check"], row["sku"]) for row in audit["differences"]] == [("levels_equal_ledger", sku)]
    finally:
        shop.probe.execute("inventory", "UPDATE stock_levels SET on_hand = on_hand - 1 WHERE sku = :sku", sku=sku)
    assert shop.admin.audit()["ok"] is True
