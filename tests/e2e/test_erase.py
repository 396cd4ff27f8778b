"""Erasing a customer: who they were goes, what was bought and paid stays."""

from typing import Any

from tests.support.running_shop import Shop
from tests.support.storefront import ADDRESS

ERASED = {"first_name": "erased", "last_name": "erased", "address1": "erased", "city": "erased", "country_code": "DE"}


def erase(shop: Shop, customer_id: str) -> str:
    return shop.operate("order", "erase", "--customer-id", customer_id, "--actor", "ada")


def test_a_customer_is_erased_from_what_has_ended_and_from_nothing_else(shop: Shop) -> None:
    customer, other = shop.callers.customer(email="grace@example.org"), shop.callers.customer()
    sku = shop.sku()
    ended = customer.placed((sku, 1), notes="ring twice", metadata={"gift": "for Grace"})
    shop.admin.cancel(ended)
    saved = customer.post("/api/v1/addresses/", ADDRESS)
    assert saved.status_code == 201, saved.text
    running, foreign = customer.placed((sku, 1)), other.placed((sku, 1))
    shop.admin.cancel(foreign)

    assert "1 orders erased, 1 left that have not ended yet" in erase(shop, customer.subject)

    assert customer.get("/api/v1/addresses/").json()["data"] == []
    order = shop.admin.order(ended["id"])
    assert (order["customer_email"], order["notes"], order["metadata"]) == (None, None, {})
    for address in (order["shipping_address"], order["billing_address"]):
        assert {name: address[name] for name in ERASED} == ERASED
        assert address["phone"] is None
    assert (order["total_amount"], order["items"]) == (ended["total_amount"], ended["items"])
    assert order["status_history"][-1]["reason"] == "erased"
    assert order["status_history"][-1]["created_by"] == {"type": "admin", "id": "ada"}
    for kept in (running, foreign):
        assert shop.admin.order(kept["id"])["shipping_address"]["first_name"] == "Ada"
    query = "SELECT to_jsonb(o)::text AS everything FROM orders o WHERE id = CAST(:id AS uuid)"
    (row,) = shop.probe.rows("order", query, id=order["id"])
    assert "grace@" not in row["everything"]


def test_erasing_again_changes_nothing(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    shop.admin.cancel(order)
    erase(shop, customer.subject)
    before = shop.admin.order(order["id"])
    assert "0 orders erased, 0 left that have not ended yet" in erase(shop, customer.subject)
    assert shop.admin.order(order["id"]) == before


def test_an_order_that_still_owes_a_refund_is_not_erased(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    shop.service.confirm(order)
    shop.admin.cancel(order)
    assert "0 orders erased, 1 left that have not ended yet" in erase(shop, customer.subject)


def test_every_change_of_an_order_is_logged_with_its_actor_and_without_a_name(shop: Shop) -> None:
    customer = shop.callers.customer(email="joan@example.org")
    order = customer.placed((shop.sku(), 1), notes="call Joan first")
    request = {"X-Request-Id": "r-" + order["id"]}
    answer = shop.admin.post(f"{order['id']}/cancel/", {"note": "Joan called"}, headers=request)
    assert answer.status_code == 200
    shop.await_order(order["id"], reservation_status="released")
    lines = [line for line in shop.logged("order_changed") if line["order_id"] == order["id"]]
    told = [(line["reason"], line["actor_type"]) for line in sorted(lines, key=lambda line: line["version"])]
    assert told == [
        ("placed", "customer"),
        ("stock_reserved", "system"),
        ("customer_request", "admin"),
        ("stock_released", "system"),
    ]
    by_reason: dict[str, dict[str, Any]] = {line["reason"]: line for line in lines}
    assert by_reason["customer_request"]["request_id"] == "r-" + order["id"]
    assert by_reason["placed"]["actor_id"] == customer.subject
    assert by_reason["stock_reserved"]["event_id"]
    assert "Joan" not in str(lines)
    assert "joan@" not in str(lines)
