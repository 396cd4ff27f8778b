"""Orders that storefronts ask for on `order.requests.v1`: each request is answered, once."""

import json
import uuid
from typing import Any

import pytest

from schemas import contracts
from tests.support import forged
from tests.support.eventually import eventually
from tests.support.log import Entry
from tests.support.running_shop import GRACE_SECONDS, Shop
from tests.support.storefront import unique
from tests.support.throughout import throughout

REQUESTS, EVENTS = "order.requests.v1", "order.events.v1"


def order_of(shop: Shop, request_id: str) -> dict[str, Any]:
    """Return the order that a request became, as the storefront's backend sees it."""

    def placed() -> dict[str, Any]:
        rows = shop.service.get("", params={"request_id": request_id}).json()["data"]
        assert len(rows) == 1
        order: dict[str, Any] = rows[0]
        return order

    return eventually(placed, within=15)


def rejection_of(shop: Shop, request_id: str, code: str) -> Entry:
    """Return the OrderRequestRejected of a request once it is in the log; it is the only one."""

    def rejected() -> Entry:
        entries = [entry for entry in shop.log.of(request_id, EVENTS) if entry.kind == "OrderRequestRejected"]
        assert entries
        (entry,) = entries
        return entry

    entry = eventually(rejected, within=15)
    assert entry.event["code"] == code
    assert entry.event["request_id"] == request_id
    return entry


def faults(entry: Entry) -> set[tuple[str, str]]:
    """Return (pointer, code) of everything that a rejection finds wrong."""
    return {(error["pointer"], error["code"]) for error in entry.event["errors"]}


def test_a_request_becomes_an_order_like_one_placed_by_rest(shop: Shop) -> None:
    sku, request_id = shop.sku(price="12.50"), unique("request")
    discount = contracts.OrderRequestedDiscount(code="TEN", amount_minor=1000)

    shop.outsider.tell(
        forged.requested(
            request_id,
            (sku, 2),
            customer_id="c-by-kafka",
            shipping_method="parcel",
            payment_method="invoice",
            locale="de-DE",
            notes="ring twice",
            external_reference="cart-1",
            metadata={"channel": "app"},
            discounts=(discount,),
            expected_total_minor=1990,
            currency="EUR",
        )
    )

    order = shop.await_order(order_of(shop, request_id)["id"], reservation_status="reserved")
    assert (order["request_id"], order["customer_id"]) == (request_id, "c-by-kafka")
    assert (order["subtotal"], order["discount_amount"], order["shipping_amount"]) == ("25.00", "10.00", "4.90")
    assert (order["total_amount"], order["locale"], order["payment_method"]) == ("19.90", "de-DE", "invoice")
    assert (order["external_reference"], order["metadata"]) == ("cart-1", {"channel": "app"})
    assert order["status_history"][0]["created_by"] == {"type": "service", "id": "storefront"}
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced"]
    (placed,) = shop.log.of(order["id"], EVENTS)
    assert placed.event["request_id"] == request_id


def test_the_same_request_again_changes_nothing(shop: Shop) -> None:
    sku, request_id = shop.sku(), unique("request")
    request = forged.requested(request_id, (sku, 1))

    for _ in range(3):
        last = shop.outsider.tell(request)

    shop.probe.await_taken("order", last)
    shop.await_order(order_of(shop, request_id)["id"], reservation_status="reserved")
    assert shop.kinds(request_id, EVENTS) == []
    assert shop.admin.level(sku) == (10, 1, 0)


def test_an_id_that_comes_again_with_other_content_is_rejected_and_the_first_answer_stands(shop: Shop) -> None:
    sku, request_id = shop.sku(), unique("request")
    shop.outsider.tell(forged.requested(request_id, (sku, 1)))
    order = order_of(shop, request_id)

    shop.outsider.tell(forged.requested(request_id, (sku, 2)))

    rejected = rejection_of(shop, request_id, "request_id_reused")
    assert faults(rejected) == {("/request_id", "request_id_reused")}
    assert [item["quantity"] for item in order_of(shop, request_id)["items"]] == [1]
    assert order_of(shop, request_id)["id"] == order["id"]


def test_a_request_that_was_rejected_stays_rejected(shop: Shop) -> None:
    sku, request_id = shop.sku(), unique("request")
    request = forged.requested(request_id, (sku, 0))

    shop.outsider.tell(request)
    rejection_of(shop, request_id, "invalid_request")
    again = shop.outsider.tell(request)

    shop.probe.await_taken("order", again)
    assert shop.kinds(request_id, EVENTS) == ["OrderRequestRejected"]


def test_an_invalid_request_is_answered_with_every_error_in_its_form_and_its_facts_beside_them(shop: Shop) -> None:
    request_id = unique("request")
    address = contracts.OrderRequestedAddress(
        first_name="", last_name="L", address1="1 Main St", city="Bonn\x00", postal_code="53111", country_code="de"
    )

    shop.outsider.tell(
        forged.requested(
            request_id,
            ("", 1),
            ("x" * 129, 1),
            (shop.sku(), 0),
            shipping_method="teleport",
            shipping_address=address,
            customer_email="nobody",
            locale="?",
            notes="n" * 2001,
            metadata={"k": "v\x00"},
        )
    )

    rejected = rejection_of(shop, request_id, "invalid_request")
    assert {pointer for pointer, _ in faults(rejected)} == {
        "/items/0/sku",
        "/items/1/sku",
        "/items/2/quantity",
        "/shipping_method",
        "/shipping_address/first_name",
        "/shipping_address/city",
        "/shipping_address/country_code",
        "/customer_email",
        "/locale",
        "/notes",
        "/metadata",
    }


def test_an_invalid_request_is_answered_with_every_error_in_its_facts(shop: Shop) -> None:
    request_id = unique("request")
    sku, retired, dollars = shop.sku(), shop.sku(active=False), shop.sku(currency="USD")

    shop.outsider.tell(
        forged.requested(
            request_id,
            (sku, -1),
            (sku, 10**12),
            (retired, 1),
            (dollars, 1),
            shipping_method="teleport",
            payment_method="shells",
            discounts=(contracts.OrderRequestedDiscount(code="ODD", amount_minor=-1),),
        )
    )

    assert faults(rejection_of(shop, request_id, "invalid_request")) == {
        ("/items/0/quantity", "quantity_limit"),
        ("/items/1/quantity", "quantity_limit"),
        ("/items/2/sku", "inactive_variant"),
        ("/items", "mixed_currency"),
        ("/shipping_method", "unknown_shipping_method"),
        ("/payment_method", "unknown_payment_method"),
        ("/discounts/0/amount_minor", "negative_discount"),
    }


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"expected_total_minor": 999}, ("/expected_total_minor", "price_changed")),
        ({"currency": "USD"}, ("/currency", "mixed_currency")),
        (
            {"discounts": (contracts.OrderRequestedDiscount(code="ALL", amount_minor=1001),)},
            ("/discounts", "discount_exceeds_subtotal"),
        ),
    ],
)
def test_a_request_whose_money_is_wrong_is_rejected(shop: Shop, values: dict[str, Any], fault: tuple[str, str]) -> None:
    request_id = unique("request")

    shop.outsider.tell(forged.requested(request_id, (shop.sku(), 1), **values))

    assert faults(rejection_of(shop, request_id, "invalid_request")) == {fault}


def test_a_request_that_comes_to_more_money_than_there_is_is_rejected(shop: Shop) -> None:
    request_id, sku = unique("request"), shop.sku(price="999999999999.99")
    shop.outsider.tell(forged.requested(request_id, *[(sku, 1000)] * 200))
    assert faults(rejection_of(shop, request_id, "invalid_request")) == {("/items", "total_too_large")}


def test_a_request_without_items_is_rejected(shop: Shop) -> None:
    request_id = unique("request")
    shop.outsider.tell(forged.requested(request_id))
    assert faults(rejection_of(shop, request_id, "invalid_request")) == {("/items", "missing_items")}


def test_a_request_that_cannot_be_read_is_rejected_under_its_key_and_its_bytes_are_kept(shop: Shop) -> None:
    request_id, value = unique("request"), b"not avro at all"

    shop.outsider.write(REQUESTS, request_id.encode(), value)

    rejected = rejection_of(shop, request_id, "malformed_request")
    assert faults(rejected) == {("", "malformed_request")}
    kept = shop.probe.rows("order", "SELECT value FROM dead_events WHERE key = :key", key=request_id)
    assert [bytes(row["value"]) for row in kept] == [value]


def test_a_request_may_be_sent_again_legibly_under_the_id_of_a_malformed_one(shop: Shop) -> None:
    request_id = unique("request")
    shop.outsider.write(REQUESTS, request_id.encode(), b"\x00 cut off")
    rejection_of(shop, request_id, "malformed_request")

    shop.outsider.tell(forged.requested(request_id, (shop.sku(), 1)))

    assert order_of(shop, request_id)["request_id"] == request_id


# What a storefront could write and no text of PostgreSQL, no index and no path of ours can hold.
_ODD_TEXTS = {
    "a NUL in the SKU": {"items": (contracts.OrderRequestedItem(sku="NUL\x00", quantity=1),)},
    "a SKU of 100,000 characters": {"items": (contracts.OrderRequestedItem(sku="x" * 100_000, quantity=1),)},
    "a NUL in the customer's id": {"customer_id": "c\x00"},
    "a NUL in a discount's code": {"discounts": (contracts.OrderRequestedDiscount(code="\x00", amount_minor=0),)},
    "the largest discount there is": {
        "discounts": (contracts.OrderRequestedDiscount(code="MAX", amount_minor=2**63 - 1),) * 2
    },
    "the largest total there is": {"expected_total_minor": 2**63 - 1},
    "the smallest total there is": {"expected_total_minor": -(2**63)},
    "the largest quantity there is": {"items": (contracts.OrderRequestedItem(sku="SKU-X", quantity=2**63 - 1),)},
    "a line feed behind the e-mail": {"customer_email": "ada@example.org\n"},
}


@pytest.mark.parametrize("values", _ODD_TEXTS.values(), ids=_ODD_TEXTS.keys())
def test_a_request_with_odd_values_is_rejected_and_stops_nobody(shop: Shop, values: dict[str, Any]) -> None:
    request_id, next_id, sku = unique("request"), unique("request"), shop.sku()

    shop.outsider.tell(forged.requested(request_id, *([] if "items" in values else [(sku, 1)]), **values))
    shop.outsider.tell(forged.requested(next_id, (sku, 1)))

    rejection_of(shop, request_id, "invalid_request")
    order_of(shop, next_id)


_ODD_IDS = {"a NUL": "r\x00r", "thousands of random characters": None, "nothing": ""}


@pytest.mark.parametrize("request_id", _ODD_IDS.values(), ids=_ODD_IDS.keys())
def test_a_request_with_an_odd_id_is_answered_and_stops_nobody(shop: Shop, request_id: str | None) -> None:
    sku, next_id = shop.sku(), unique("request")
    odd = "".join(uuid.uuid4().hex for _ in range(200)) if request_id is None else request_id
    before = len(answers(shop))

    event_id = shop.outsider.tell(forged.requested(odd, (sku, 1)))
    shop.outsider.tell(forged.requested(next_id, (sku, 1)))

    order_of(shop, next_id)
    shop.probe.await_taken("order", event_id)

    def answered() -> None:
        assert len(answers(shop)) == before + 1

    eventually(answered, within=10)


_ODD_KEYS = {"no key": None, "a NUL": b"\x00", "not UTF-8": b"\xff\xfe", "6,400 random characters": b""}


@pytest.mark.parametrize("key", _ODD_KEYS.values(), ids=_ODD_KEYS.keys())
def test_a_malformed_request_under_an_odd_key_is_answered_and_stops_nobody(shop: Shop, key: bytes | None) -> None:
    next_id, sku = unique("request"), shop.sku()
    odd = "".join(uuid.uuid4().hex for _ in range(200)).encode() if key == b"" else key
    before = len(answers(shop))

    shop.outsider.write(REQUESTS, odd, b"\x07 neither avro nor anything else")
    shop.outsider.tell(forged.requested(next_id, (sku, 1)))

    order_of(shop, next_id)

    def answered() -> None:
        assert len(answers(shop)) == before + 1

    eventually(answered, within=10)


def answers(shop: Shop) -> list[Entry]:
    """Return every rejection in the log."""
    return [entry for entry in shop.log.entries if entry.kind == "OrderRequestRejected"]


@pytest.mark.timing
def test_an_unknown_sku_waits_for_the_catalog_and_then_the_order_is_placed(shop: Shop) -> None:
    sku, request_id, other_id = unique("SKU"), unique("request"), unique("request")
    shop.outsider.tell(forged.requested(request_id, (sku, 1)))
    shop.outsider.tell(forged.requested(other_id, (shop.sku(), 1)))

    # Its key alone waits.
    order_of(shop, other_id)

    def waiting() -> None:
        assert [row["state"] for row in shop.probe.parked("order", request_id)] == ["waiting"]

    eventually(waiting, within=5)
    assert shop.admin.put_variant(sku).status_code == 200
    assert shop.admin.receive(sku, 5).status_code == 201

    shop.await_order(order_of(shop, request_id)["id"], reservation_status="reserved")
    assert shop.kinds(request_id, EVENTS) == []
    assert shop.probe.parked("order", request_id) == []


@pytest.mark.timing
def test_an_unknown_sku_is_rejected_once_the_catalog_has_had_its_time(shop: Shop) -> None:
    sku, request_id = unique("SKU"), unique("request")
    shop.outsider.tell(forged.requested(request_id, (sku, 1)))

    def unanswered() -> None:
        assert shop.log.of(request_id, EVENTS) == []

    throughout(unanswered, seconds=GRACE_SECONDS / 2)
    rejected = rejection_of(shop, request_id, "invalid_request")
    assert faults(rejected) == {("/items/0/sku", "unknown_sku")}


def test_an_unknown_sku_beside_another_error_is_rejected_at_once(shop: Shop) -> None:
    request_id = unique("request")
    shop.outsider.tell(forged.requested(request_id, (unique("SKU"), 1), (shop.sku(), 0)))
    assert len(faults(rejection_of(shop, request_id, "invalid_request"))) == 2


def test_headers_of_a_request_are_optional(shop: Shop) -> None:
    request_id, headers = (
        unique("request"),
        ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time"),
    )
    request = forged.requested(request_id, (shop.sku(), 1))
    shop.outsider.tell(request, headers=dict.fromkeys([*headers, "content-type"]))
    assert order_of(shop, request_id)["request_id"] == request_id


def test_personal_data_of_a_request_is_in_no_rejection(shop: Shop) -> None:
    request_id = unique("request")
    shop.outsider.tell(forged.requested(request_id, ("", 1), customer_email="private-person"))
    assert "private" not in json.dumps(rejection_of(shop, request_id, "invalid_request").event)
