"""Quotes: what an order would come to, by the code that places it; and the shop's shipping methods."""

from typing import Any

import pytest
import requests

from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.statements import counted
from tests.support.storefront import ADDRESS, Client, unique

# What an order and its quote have in common, and what one line of both has.
AMOUNTS = ("currency", "subtotal", "discount_amount", "tax_amount", "shipping_amount", "total_amount")
CHOICES = ("shipping_method", "payment_method", "shipping_address", "billing_address")
LINE = ("sku", "product_name", "variant_name", "vendor_id", "quantity")
LINE_AMOUNTS = ("unit_price", "discount_amount", "tax_amount", "total_price")


def quote(client: Client, *items: tuple[str, int], **fields: Any) -> requests.Response:
    wanted = [{"sku": sku, "quantity": quantity} for sku, quantity in items]
    return client.post("quote/", {"items": wanted, "shipping_address": ADDRESS, **fields})


def quoted(client: Client, *items: tuple[str, int], **fields: Any) -> dict[str, Any]:
    answer = quote(client, *items, **fields)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"shipping_method": "parcel", "payment_method": "invoice"},
        {"shipping_address": {**ADDRESS, "country_code": "US", "state_province": "CA"}, "shipping_method": "parcel"},
        {"discounts": [{"code": "TEN", "amount": "10.01"}], "shipping_address": {**ADDRESS, "country_code": "AT"}},
    ],
    ids=["the defaults", "another way", "tax on top", "a discount, and tax within"],
)
def test_an_order_comes_to_what_its_quote_said(shop: Shop, fields: dict[str, Any]) -> None:
    items = [(shop.sku(price="19.99"), 2), (shop.sku(price="0.03"), 3)]
    told = quoted(shop.service, *items, **fields)
    order = shop.service.placed(*items, expected_total=told["total_amount"], **fields)
    assert {name: told[name] for name in (*AMOUNTS, *CHOICES)} == {name: order[name] for name in (*AMOUNTS, *CHOICES)}
    names = (*LINE, *LINE_AMOUNTS)
    assert [[line[name] for name in names] for line in told["items"]] == [
        [line[name] for name in names] for line in order["items"]
    ]


def test_each_shipping_option_says_what_the_order_costs_with_it(shop: Shop) -> None:
    sku = shop.sku(price="10.00", stock=100)
    told = quoted(shop.customer, (sku, 1))
    assert [
        (option["code"], option["shipping_amount"], option["total_amount"]) for option in told["shipping_options"]
    ] == [
        ("standard", "0.00", "10.00"),
        ("parcel", "4.90", "14.90"),
    ]
    assert (told["shipping_method"], told["total_amount"]) == ("standard", "10.00")
    free = quoted(shop.customer, (sku, 5), shipping_method="parcel", expected_total="50.00")
    assert [option["total_amount"] for option in free["shipping_options"]] == ["50.00", "50.00"]


def test_a_quote_lists_the_ways_to_pay(shop: Shop) -> None:
    told = quoted(shop.customer, (shop.sku(), 1))
    assert told["payment_methods"][:3] == [
        {"code": "card", "kind": "prepaid", "hold_seconds": None},
        {"code": "invoice", "kind": "invoice", "hold_seconds": None},
        {"code": "flash", "kind": "prepaid", "hold_seconds": 1},
    ]
    assert told["payment_method"] == "card"


def test_a_quote_refuses_what_placing_refuses_in_the_same_words(shop: Shop) -> None:
    sku, foreign = shop.sku(), shop.sku(currency="USD")
    refused: list[tuple[list[tuple[str, int]], dict[str, Any]]] = [
        ([("nothing", 1), (sku, 1001)], {"shipping_method": "pigeon", "payment_method": "shells"}),
        ([(sku, 1), (foreign, 1)], {}),
        ([(sku, 1)], {"expected_total": "0.01"}),
        ([(sku, 1)], {"discounts": [{"code": "X", "amount": "10.01"}]}),
        ([(sku, 1)], {"discounts": [{"code": "X", "amount": "0.001"}]}),
        ([("nothing", 1)], {"shipping_address": unique("nobody's"), "billing_address": unique("nobody's")}),
    ]
    for items, fields in refused:
        asked, placed = quote(shop.service, *items, **fields), shop.service.place(*items, **fields)
        assert asked.status_code == placed.status_code == 422
        assert {**asked.json(), "trace_id": None} == {**placed.json(), "trace_id": None}
    assert [fault["code"] for fault in asked.json()["errors"]] == ["unknown_sku", "unknown_address", "unknown_address"]


def test_a_quote_stores_nothing_whatever_key_it_carries(shop: Shop) -> None:
    sku, key = shop.sku(), unique("key")
    before = shop.probe.value("order", "SELECT count(*) FROM orders")
    body = {"items": [{"sku": sku, "quantity": 1}], "shipping_address": ADDRESS}
    assert shop.service.post("quote/", body, key=key).status_code == 200
    assert shop.probe.value("order", "SELECT count(*) FROM idempotency_keys WHERE key = :key", key=key) == 0
    assert shop.probe.value("order", "SELECT count(*) FROM orders") == before
    # So the key is still there for the order.
    assert shop.service.place((sku, 1), key=key).headers.get("Idempotent-Replayed") is None


def test_a_quote_costs_a_fixed_number_of_statements(shop: Shop) -> None:
    skus = [shop.sku(stock=0) for _ in range(8)]

    def statements(*wanted: str) -> int:
        def once() -> int:
            with counted(shop, "order") as count:
                quoted(shop.customer, *((sku, 1) for sku in wanted))
            return count.statements

        return min(once() for _ in range(3))

    assert statements(skus[0]) == statements(*skus) < 6


def test_only_buyers_ask_and_customers_send_their_own_fields_only(shop: Shop) -> None:
    sku = shop.sku()
    assert quote(shop.admin, (sku, 1)).json()["code"] == "forbidden_role"
    refused = quote(shop.customer, (sku, 1), customer_id="somebody", discounts=[])
    assert (refused.status_code, refused.json()["code"]) == (403, "field_not_allowed")
    assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/customer_id", "/discounts"]


def test_availability_follows_what_inventory_tells_of_a_variant(shop: Shop) -> None:
    sku, calm = shop.sku(stock=3, low_stock_threshold=2), shop.sku(stock=100)

    def availability() -> list[str]:
        return [line["availability"] for line in quoted(shop.customer, (sku, 1), (calm, 1))["items"]]

    def becomes(state: str) -> None:
        eventually(lambda: _equal(availability(), [state, "in_stock"]), within=15)

    assert availability() == ["in_stock", "in_stock"]
    shop.customer.placed((sku, 1))
    becomes("low_stock")
    shop.customer.placed((sku, 2))
    becomes("out_of_stock")
    # It is told, not forbidden: stock may come any moment, and placing decides.
    assert shop.customer.place((sku, 1), wait=10).json()["code"] == "insufficient_stock"
    shop.admin.receive(sku, 50)
    becomes("in_stock")


def _equal(found: object, wanted: object) -> None:
    assert found == wanted


def test_everybody_sees_the_shipping_methods(shop: Shop) -> None:
    callers = [shop.customer, shop.service, shop.admin, shop.callers.warehouse(), shop.callers.vendor("v")]
    for caller in callers:
        answer = caller.get("/api/v1/shipping-methods/")
        assert answer.status_code == 200
        assert answer.json() == {
            "data": [
                {"code": "standard", "carrier": "Post", "transit_days": 3, "prices": {}, "free_from": {}},
                {
                    "code": "parcel",
                    "carrier": "DHL",
                    "transit_days": 3,
                    "prices": {"EUR": "4.90"},
                    "free_from": {"EUR": "50.00"},
                },
            ],
            "next_cursor": None,
        }
    assert shop.callers.having(None).get("/api/v1/shipping-methods/").status_code == 401
