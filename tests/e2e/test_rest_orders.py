"""One order over REST: its money, its number, its versions, how it is shown, and who waits for what."""

import itertools
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import ADDRESS, Client, order_body, unique

MEMBERS = {
    *("id", "order_number", "status", "allowed_transitions", "pending_operation", "payment_status"),
    *("fulfillment_status", "reservation_status", "reserved_until", "cancel_reason", "shortages", "customer_id"),
    *("customer_email", "locale", "currency", "subtotal", "discount_amount", "tax_amount", "shipping_amount"),
    *("total_amount", "amount_due", "refunded_amount", "shipping_address", "billing_address", "shipping_method"),
    *("payment_method", "notes", "external_reference", "request_id", "metadata", "items", "status_history"),
    *("shipments", "last_revision", "version", "created_at", "updated_at", "confirmed_at", "ship_by", "delivered_at"),
    "cancelled_at",
}
ITEM_MEMBERS = {
    *("id", "sku", "product_name", "variant_name", "vendor_id", "quantity", "unit_price", "discount_amount"),
    *("tax_amount", "total_price", "shipped_quantity", "returned_quantity", "created_at"),
}


def amounts(order: Mapping[str, Any]) -> tuple[str, ...]:
    """Return subtotal, discount, tax, shipping and total."""
    names = ("subtotal", "discount_amount", "tax_amount", "shipping_amount", "total_amount")
    return tuple(order[name] for name in names)


# --- how it is shown


def test_an_order_is_shown_with_the_names_of_the_contract(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    assert set(order) == MEMBERS
    assert set(order["items"][0]) == ITEM_MEMBERS
    assert set(order["status_history"][0]) == {
        *("status", "previous_status", "reason", "notes", "public", "created_at", "created_by"),
    }
    assert order["shipping_address"] == {**dict.fromkeys(("company", "address2", "state_province", "phone")), **ADDRESS}
    for name in ("created_at", "updated_at", "reserved_until"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", order[name])


def test_an_order_keeps_what_was_sent_with_it(shop: Shop) -> None:
    billing = {**ADDRESS, "first_name": "Billie", "company": "ACME", "phone": "+49 228 1"}
    fields = {
        "billing_address": billing,
        "notes": "Bitte läuten 🔔",
        "locale": "de-DE",
        "external_reference": "cart-77",
        "metadata": {"channel": "app", "Ünïcode": "☃"},
        "shipping_method": "parcel",
        "payment_method": "invoice",
    }
    order = shop.customer.placed((shop.sku(), 1), **fields)
    seen = shop.admin.order(order["id"])
    assert {name: seen[name] for name in fields if name != "billing_address"} == {
        name: value for name, value in fields.items() if name != "billing_address"
    }
    assert {name: value for name, value in seen["billing_address"].items() if value is not None} == billing


def test_what_is_left_out_has_a_default(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    assert (order["shipping_method"], order["payment_method"], order["locale"]) == ("standard", "card", "en")
    assert order["billing_address"] == order["shipping_address"]
    assert (order["notes"], order["external_reference"], order["metadata"]) == (None, None, {})


def test_a_line_keeps_what_the_catalog_said_when_it_was_ordered(shop: Shop) -> None:
    sku = shop.sku(price="12.00", product_name="Tea", variant_name="green", vendor_id="tea-house")
    order = shop.customer.placed((sku, 1))

    shop.admin.put_variant(sku, price="99.00", product_name="Coffee")
    shop.admin.post(f"variants/{sku}/retire/", service="inventory")

    (item,) = shop.admin.order(order["id"])["items"]
    assert (item["unit_price"], item["product_name"], item["variant_name"]) == ("12.00", "Tea", "green")
    assert item["vendor_id"] == "tea-house"


def test_paths_work_with_and_without_their_last_slash(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.post("/api/v1/orders", order_body((shop.sku(), 1))).json()
    assert customer.get(f"/api/v1/orders/{order['id']}").json()["id"] == order["id"]
    assert len(customer.get("/api/v1/orders").json()["data"]) == 1


def test_a_request_id_is_echoed_or_made(shop: Shop) -> None:
    assert shop.customer.get("", headers={"X-Request-Id": "mine-1"}).headers["X-Request-Id"] == "mine-1"
    made = {shop.customer.get("").headers["X-Request-Id"] for _ in range(2)}
    assert len(made) == 2


def test_answers_are_for_their_caller_only(shop: Shop) -> None:
    headers = shop.customer.get("").headers
    assert (headers["Cache-Control"], headers["Vary"]) == ("private", "Authorization")


def test_a_request_leaves_its_id_and_trace_in_the_events_that_it_causes(shop: Shop) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"X-Request-Id": unique("request"), "traceparent": trace}
    order = shop.customer.post("", order_body((shop.sku(), 1)), headers=headers, wait=10).json()

    shop.kinds(order["id"], "inventory.events.v1")
    placed, reserved = (
        shop.log.of(order["id"], "order.events.v1")[0],
        shop.log.of(order["id"], "inventory.events.v1")[0],
    )

    (line,) = [
        each for each in shop.logged("order_changed") if each["order_id"] == order["id"] and each["version"] == 1
    ]
    assert line["request_id"] == headers["X-Request-Id"]
    assert (placed.headers["ce_causationid"], placed.headers["traceparent"]) == (line["event_id"], trace)
    assert headers["X-Request-Id"] not in str(placed.headers)
    assert placed.headers["ce_correlationid"] == reserved.headers["ce_correlationid"] == order["id"]
    assert (reserved.headers["ce_causationid"], reserved.headers["traceparent"]) == (placed.event_id, trace)


# --- its money


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ({}, ("20.97", "0.00", "0.00", "4.90", "25.87")),
        # Prices include 20 %: 3.50 of 20.97 (two lines, 1.66 + 1.84), and 0.82 of the 4.90 for shipping.
        ({"country_code": "AT"}, ("20.97", "0.00", "4.32", "4.90", "25.87")),
        # 5 % come on top: 0.50 + 0.55 of the lines, 0.25 of shipping.
        ({"country_code": "US"}, ("20.97", "0.00", "1.30", "4.90", "27.17")),
        # The region's rate goes before the country's: 0.72 + 0.80 + 0.36.
        ({"country_code": "US", "state_province": "CA"}, ("20.97", "0.00", "1.88", "4.90", "27.75")),
    ],
    ids=["untaxed", "included", "on top", "by region"],
)
def test_totals_hold_taxes_of_lines_and_shipping(shop: Shop, place: dict[str, str], expected: tuple[str, ...]) -> None:
    first, second = shop.sku(price="9.99"), shop.sku(price="5.49")
    order = shop.customer.placed(
        (first, 1), (second, 2), shipping_method="parcel", shipping_address={**ADDRESS, **place}
    )
    assert amounts(order) == expected
    add_up(order, included=place.get("country_code") != "US")


def add_up(order: Mapping[str, Any], *, included: bool) -> None:
    """Check that the amounts of lines and order agree to the minor unit."""
    lines = order["items"]
    cents = lambda name, rows=lines: sum(Decimal(row[name]) for row in rows)  # noqa: E731
    gross = sum(Decimal(line["unit_price"]) * line["quantity"] for line in lines)
    shipping_tax = Decimal(order["tax_amount"]) - cents("tax_amount")
    assert gross == Decimal(order["subtotal"])
    assert cents("discount_amount") == Decimal(order["discount_amount"])
    on_top = Decimal(0) if included else shipping_tax
    assert cents("total_price") + Decimal(order["shipping_amount"]) + on_top == Decimal(order["total_amount"])
    for line in lines:
        net = Decimal(line["unit_price"]) * line["quantity"] - Decimal(line["discount_amount"])
        assert Decimal(line["total_price"]) == net + (0 if included else Decimal(line["tax_amount"]))


def test_shipping_is_free_from_a_subtotal_on(shop: Shop) -> None:
    sku = shop.sku(price="25.00")
    assert shop.customer.placed((sku, 1), shipping_method="parcel")["shipping_amount"] == "4.90"
    assert shop.customer.placed((sku, 2), shipping_method="parcel")["shipping_amount"] == "0.00"


def test_a_discount_is_spread_over_the_lines_to_the_cent_before_tax(shop: Shop) -> None:
    skus = [shop.sku(price="3.33") for _ in range(3)]
    discounts = [{"code": "ONE", "amount": "0.50"}, {"code": "TWO", "amount": "0.50"}]
    address = {**ADDRESS, "country_code": "US"}

    order = shop.service.placed(*((sku, 1) for sku in skus), discounts=discounts, shipping_address=address)

    assert [item["discount_amount"] for item in order["items"]] == ["0.34", "0.33", "0.33"]
    assert [item["tax_amount"] for item in order["items"]] == ["0.15", "0.15", "0.15"]
    assert amounts(order) == ("9.99", "1.00", "0.45", "0.00", "9.44")
    add_up(order, included=False)


def test_discounts_never_exceed_the_subtotal(shop: Shop) -> None:
    sku = shop.sku(price="3.00")
    refused = shop.service.place((sku, 1), discounts=[{"code": "A", "amount": "2.00"}, {"code": "B", "amount": "1.01"}])
    assert (refused.status_code, refused.json()["code"]) == (422, "discount_exceeds_subtotal")
    assert refused.json()["errors"][0]["pointer"] == "/discounts"


def test_a_currency_without_decimals_has_none(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(price="1500", currency="JPY"), 2))
    assert (order["currency"], order["subtotal"], order["total_amount"]) == ("JPY", "3000", "3000")


def test_a_price_that_moved_refuses_the_order_with_the_new_total(shop: Shop) -> None:
    sku = shop.sku(price="10.00")
    assert shop.customer.place((sku, 2), expected_total="20.00").status_code == 201
    shop.admin.put_variant(sku, price="11.00")

    def moved() -> None:
        refused = shop.customer.place((sku, 2), expected_total="20.00")
        assert refused.status_code == 422
        assert refused.json()["code"] == "price_changed"
        assert (refused.json()["total_amount"], refused.json()["errors"][0]["pointer"]) == ("22.00", "/expected_total")

    eventually(moved, within=10)


def test_an_order_has_one_currency(shop: Shop) -> None:
    refused = shop.customer.place((shop.sku(currency="EUR"), 1), (shop.sku(currency="USD"), 1))
    assert (refused.status_code, refused.json()["code"]) == (422, "mixed_currency")


# --- its number


def test_order_numbers_are_unique_and_not_in_sequence(shop: Shop) -> None:
    sku = shop.sku(stock=1000)
    numbers = [shop.customer.placed((sku, 1), wait=None)["order_number"] for _ in range(40)]

    assert all(re.fullmatch(r"ORD\d{8}", number) for number in numbers)
    assert len(set(numbers)) == len(numbers)
    values = [int(number[3:]) for number in numbers]
    steps = {later - earlier for earlier, later in itertools.pairwise(values)}
    assert len(steps) == len(values) - 1
    assert values not in (sorted(values), sorted(values, reverse=True))


# --- its versions


def test_an_order_that_was_read_before_is_not_sent_again(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    read = customer.get(f"{order['id']}/")
    assert read.headers["ETag"] == f'"v{order["version"]}"'

    for tag in (read.headers["ETag"], f'"v999", W/{read.headers["ETag"]}', "*"):
        unchanged = customer.get(f"{order['id']}/", headers={"If-None-Match": tag})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["ETag"] == read.headers["ETag"]
    assert customer.get(f"{order['id']}/", headers={"If-None-Match": '"v1"'}).status_code == 200
    customer.cancel(order)
    changed = customer.get(f"{order['id']}/", headers={"If-None-Match": read.headers["ETag"]})
    assert (changed.status_code, changed.json()["status"]) == (200, "cancelled")


def change(client: Client, call: str, order: Mapping[str, Any], if_match: str) -> Any:
    """Try one of the changes of an order with If-Match."""
    headers, path = {"If-Match": if_match}, order["id"]
    if call == "confirm":
        return client.post(f"{path}/confirm/", {}, headers=headers)
    if call == "cancel":
        return client.post(f"{path}/cancel/", headers=headers)
    return client.call("PATCH", f"{path}/status/", json={"status": "cancelled"}, headers=headers)


@pytest.mark.parametrize("call", ["confirm", "cancel", "status"])
def test_a_change_of_a_version_that_is_gone_is_refused_with_the_one_that_is_there(shop: Shop, call: str) -> None:
    order = shop.customer.placed((shop.sku(), 1), payment_method="invoice")
    current = f'"v{order["version"]}"'

    for stale in ('"v1"', '"v1", "v77"', f"W/{current}", '"another"'):
        refused = change(shop.service, call, order, stale)
        assert (refused.status_code, refused.json()["code"]) == (412, "precondition_failed")
        assert refused.json()["errors"][0]["parameter"] == "If-Match"
        assert refused.headers["ETag"] == current
    assert shop.admin.order(order["id"])["version"] == order["version"]

    assert change(shop.service, call, order, f'"v1", {current}').status_code == 200


def test_a_change_of_any_version_is_taken(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    assert change(shop.service, "cancel", order, "*").status_code == 200


def test_every_change_has_a_version_of_its_own(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.place((shop.sku(), 1)).json()
    versions = [order["version"]]
    versions.append(shop.await_order(order["id"], reservation_status="reserved")["version"])
    versions.append(shop.service.confirm(order).json()["version"])
    way = ("processing", "shipped", "delivered")
    versions += [shop.admin.move(order, status).json()["version"] for status in way]
    assert versions == sorted(set(versions))


# --- who waits for what


def test_an_order_that_waits_too_long_is_listed_as_stuck_with_the_reason_and_the_next_step(shop: Shop) -> None:
    sku = shop.sku()
    waiting = shop.customer.placed((sku, 1))
    at_rest = shop.customer.placed((sku, 1))
    # As if inventory had been asked a while ago and never answered.
    shop.probe.execute(
        "order",
        """UPDATE orders SET pending_operation = 'allocating', status = 'confirmed',
           updated_at = now() - interval '1 hour' WHERE id = CAST(:id AS uuid)""",
        id=waiting["id"],
    )

    rows = {row["id"]: row for page in shop.admin.pages("admin/", params={"stuck": "true"}) for row in page}
    assert at_rest["id"] not in rows
    others = {row["id"] for page in shop.admin.pages("admin/", params={"stuck": "false"}) for row in page}
    assert waiting["id"] not in others
    assert at_rest["id"] in others

    (line,) = [line for line in shop.operate("order", "stuck").splitlines() if waiting["id"] in line]
    assert waiting["order_number"] in line
    assert "allocating" in line
    assert "inventory has not answered" in line
    # The list says the same.
    told = rows[waiting["id"]]["stuck"]
    assert (told["reason"], told["since"], told["command"]) == ("allocating", rows[waiting["id"]]["updated_at"], None)
    assert line.endswith(f": {told['next_step']}")


@pytest.fixture
def waiting(shop: Shop) -> Iterator[dict[str, Any]]:
    """Yield an order that was listed by a deadline; nothing stands in its way any more at the end."""
    order = shop.await_order(shop.customer.placed((shop.sku(), 1))["id"], reservation_status="reserved")
    by_id = "WHERE id = CAST(:id AS uuid)"
    reason = "allocation_timeout"
    shop.probe.execute("order", f"UPDATE orders SET stuck_reason = :reason {by_id}", reason=reason, id=order["id"])
    yield order
    shop.probe.execute("order", "DELETE FROM parked_keys WHERE key = :id", id=order["id"])
    shop.probe.execute("order", f"UPDATE orders SET stuck_reason = NULL {by_id}", id=order["id"])


def listed_as_stuck(shop: Shop, order: dict[str, Any]) -> Any:
    """Return what the list of stuck orders says of one."""
    pages = shop.admin.pages("admin/", params={"stuck": "true"})
    (row,) = [row for page in pages for row in page if row["id"] == order["id"]]
    return row["stuck"]


def test_a_stuck_order_with_a_parked_event_says_which_and_how_to_retry_it(shop: Shop, waiting: dict[str, Any]) -> None:
    shop.probe.execute(
        "order",
        """INSERT INTO parked_keys (consumer, topic, key, state, attempts, due_at, fingerprint, error)
           VALUES ('order', 'inventory.events.v1', :id, 'dead', 10, now(), 'ValueError@stock.py:1', 'x')""",
        id=waiting["id"],
    )

    told = listed_as_stuck(shop, waiting)

    step = "inventory.events.v1 is parked: ValueError@stock.py:1; repair the cause, then retry"
    command = f"parked retry --key {waiting['id']}"
    assert (told["reason"], told["next_step"], told["command"]) == ("allocation_timeout", step, command)
    lines = shop.operate("order", "stuck").splitlines()
    (at,) = [at for at, line in enumerate(lines) if line.startswith(waiting["id"])]
    assert lines[at].endswith(f": {step}")
    assert lines[at + 1].strip() == command
    assert shop.operate("order", *command.split(), "--dry-run")


def test_a_stuck_order_whose_event_is_not_published_says_so(shop: Shop, waiting: dict[str, Any]) -> None:
    with shop.frozen("order-worker"):
        shop.probe.execute(
            "order",
            """INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, headers, sequence)
               VALUES (:event_id, 'order', :id, 'x', '', 'x', '{}', 1)""",
            event_id=(event_id := str(uuid4())),
            id=waiting["id"],
        )
        try:
            told = listed_as_stuck(shop, waiting)
        finally:
            shop.probe.execute("order", "DELETE FROM outbox WHERE id = CAST(:id AS uuid)", id=event_id)
    assert told["next_step"].startswith("its event waits in the outbox")


def test_what_an_order_waits_for_is_told_where_stuck_orders_are_asked_for(shop: Shop, waiting: dict[str, Any]) -> None:
    for filters in ({}, {"stuck": "false"}):
        rows = shop.admin.get("admin/", params={"limit": 100, **filters}).json()["data"]
        assert (waiting["id"] in {row["id"] for row in rows}) == (not filters)
        assert [row["stuck"] for row in rows if row["stuck"] is not None] == []
    assert "stuck" not in shop.admin.order(waiting["id"])
    assert shop.service.get("", params={"stuck": "true"}).status_code == 400
    assert shop.service.get("admin/", params={"stuck": "true"}).status_code == 403


def test_a_customer_has_no_more_unpaid_orders_than_they_may_and_other_customers_do(
    shop: Shop, hasty: Client, hasty_url: str
) -> None:
    sku = shop.sku()
    first = hasty.placed((sku, 1), payment_method="card")
    hasty.placed((sku, 1), payment_method="card")
    refused = hasty.place((sku, 1), payment_method="card")
    assert (refused.status_code, refused.json()["code"]) == (409, "too_many_open_orders")
    assert "2 orders of this customer wait to be paid" in refused.json()["detail"]
    assert shop.callers.customer().at("order", hasty_url).place((sku, 1)).status_code == 201
    # One that is paid waits no more.
    assert shop.service.confirm(first).status_code == 200
    assert hasty.place((sku, 1), payment_method="card").status_code == 201
