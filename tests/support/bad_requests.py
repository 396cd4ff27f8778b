"""Requests that no client should send, with what each is answered, as data.

In paths `{order}`, `{foreign}` and `{sku}` stand for an order of the caller, one of somebody else, and a SKU in stock.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.support.storefront import ADDRESS

# Nothing is found under any of these.
ODD_IDS = {
    "a word": "nothing",
    "a UUID of nobody": "018f0000-0000-7000-8000-000000000000",
    "almost a UUID": "018f0000-0000-7000-8000-00000000000g",
    "a UUID and more": "018f0000-0000-7000-8000-000000000000'--",
    "SQL": "' OR '1'='1",
    "not UTF-8": "%ff%fe",
    "an emoji": "🦆",
    "spaces": "%20%20",
    "a percent sign": "%25",
    "a number larger than any": "9" * 100,
}
DEEP = '{"items":' + "[" * 20_000 + "]" * 20_000 + "}"


@dataclass(frozen=True, kw_only=True)
class Bad:
    """One bad request and its answer.

    Args:
        at: the pointer (from "/" on, or "" for the body itself) or the parameter that the answer names; None where
            there is nothing to point at.
        json: the body; `raw` wins where it is not None.
        role: who sends it.

    """

    status: int
    code: str
    at: str | None
    method: str = "POST"
    service: str = "order"
    path: str = ""
    json: Any = None
    raw: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    role: str = "customer"

    @property
    def body(self) -> bytes | None:
        """The body's bytes."""
        if self.raw is not None:
            return self.raw
        return None if self.json is None else json.dumps(self.json).encode()


def order(items: Any = None, **fields: Any) -> dict[str, Any]:
    """Return the body of a placing; `items` default to one that is in stock."""
    return {"items": items or [{"sku": "{sku}", "quantity": 1}], "shipping_address": ADDRESS, **fields}


def item(**fields: Any) -> dict[str, Any]:
    """Return the body of a placing with one line, whose members are replaced."""
    return order([{"sku": "{sku}", "quantity": 1, **fields}])


def _invalid(body: Any, at: str, **values: Any) -> Bad:
    return Bad(status=400, code="invalid_request", at=at, json=body, **values)


def _raw(raw: bytes, code: str = "malformed_json", status: int = 400, **values: Any) -> Bad:
    return Bad(status=status, code=code, at="", raw=raw, **values)


def _list(query: str, parameter: str | None, code: str = "invalid_request", **values: Any) -> Bad:
    return Bad(status=400, code=code, at=parameter, method="GET", path=f"?{query}", **values)


def _raw_quantity(text: str) -> bytes:
    return json.dumps(item()).replace('"quantity": 1', f'"quantity": {text}').encode()


BODIES = {
    "an unknown field": _invalid(order(colour="red"), "/colour"),
    "an unknown field of a line": _invalid(item(gift=True), "/items/0/gift"),
    "an unknown field of an address": _invalid(
        {**order(), "shipping_address": {**ADDRESS, "planet": "Mars"}}, "/shipping_address/planet"
    ),
    "no items": _invalid({"shipping_address": ADDRESS}, "/items"),
    "an empty list of items": _invalid({**order(), "items": []}, "/items"),
    "too many items": _invalid(order([{"sku": "x", "quantity": 1}] * 201), "/items"),
    "a line without a SKU": _invalid(order([{"quantity": 1}]), "/items/0/sku"),
    "items that are no list": _invalid({**order(), "items": {"0": 1}}, "/items"),
    "a line that is no object": _invalid({**order(), "items": ["SKU"]}, "/items/0"),
    "a quantity that is text": _invalid(item(quantity="1"), "/items/0/quantity"),
    "a quantity with decimals": _invalid(item(quantity=1.5), "/items/0/quantity"),
    "a quantity that is a float": _invalid(item(quantity=1.0), "/items/0/quantity"),
    "a quantity that is true": _invalid(item(quantity=True), "/items/0/quantity"),
    "a quantity that is null": _invalid(item(quantity=None), "/items/0/quantity"),
    "a quantity of zero": _invalid(item(quantity=0), "/items/0/quantity"),
    "a negative quantity": _invalid(item(quantity=-1), "/items/0/quantity"),
    "a quantity beyond a million": _invalid(item(quantity=1_000_001), "/items/0/quantity"),
    "a quantity beyond 64 bits": _invalid(item(quantity=2**64), "/items/0/quantity"),
    "a quantity of 400 digits": _invalid(None, "/items/0/quantity", raw=_raw_quantity("9" * 400)),
    "a quantity of 5000 digits": _raw(_raw_quantity("9" * 5000)),
    "a quantity beyond any float": _invalid(None, "/items/0/quantity", raw=_raw_quantity("1e400")),
    "a quantity that is not a number": _invalid(None, "/items/0/quantity", raw=_raw_quantity("NaN")),
    "an unknown field of a saved address": _invalid(
        {**ADDRESS, "planet": "Mars"}, "/planet", path="/api/v1/addresses/"
    ),
    "an address that is a number": _invalid({**order(), "shipping_address": 1}, "/shipping_address"),
    "an empty id of an address": _invalid({**order(), "shipping_address": ""}, "/shipping_address"),
    "an unknown field of a billing address": _invalid(
        {**order(), "billing_address": {**ADDRESS, "planet": "Mars"}}, "/billing_address/planet"
    ),
    "an unknown field of a quote": _invalid(order(colour="red"), "/colour", path="quote/"),
    "an unknown field beside many": _invalid(
        {"orders": [order()], "colour": "red"}, "/colour", path="bulk/", role="service"
    ),
    "many that are no list": _invalid({"orders": "all"}, "/orders", path="bulk/", role="service"),
    "a mode that is none": _invalid(
        {"ids": ["x"], "status": "cancelled", "mode": "maybe"}, "/mode", path="bulk-update/", role="admin"
    ),
    "an unknown field of what is refunded": _invalid(
        {"lines": [{"item_id": "x", "quantity": 1, "colour": "red"}]},
        "/lines/0/colour",
        path="{order}/refunds/",
        role="admin",
    ),
    "a refund for a reason in words": _invalid(
        {"reason": "Grace was cross"}, "/reason", path="{order}/refunds/", role="admin"
    ),
    "a refund that failed in words": _invalid(
        {"status": "failed", "failure_code": "Grace has no card"},
        "/failure_code",
        path="{order}/refunds/x/settle/",
        role="admin",
    ),
    "a SKU that is a number": _invalid(item(sku=1), "/items/0/sku"),
    "an empty SKU": _invalid(item(sku=""), "/items/0/sku"),
    "a SKU of 129 characters": _invalid(item(sku="x" * 129), "/items/0/sku"),
    "a NUL in a SKU": _invalid(item(sku="a\x00b"), "/items/0/sku"),
    "a NUL in notes": _invalid(order(notes="a\x00b"), "/notes"),
    "a NUL in a name in metadata": _invalid(order(metadata={"a\x00": "b"}), "/metadata/a\x00"),
    "notes that are too long": _invalid(order(notes="n" * 2001), "/notes"),
    "a locale that is none": _invalid(order(locale="?"), "/locale"),
    "metadata that is not text": _invalid(order(metadata={"a": 1}), "/metadata/a"),
    "too much metadata": _invalid(order(metadata={str(n): "" for n in range(51)}), "/metadata"),
    "an address whose city is blank": _invalid(
        {**order(), "shipping_address": {**ADDRESS, "city": " \u3000"}}, "/shipping_address/city"
    ),
    "an address without a city": _invalid(
        {**order(), "shipping_address": {**ADDRESS, "city": None}}, "/shipping_address/city"
    ),
    "a country that is none": _invalid(
        {**order(), "shipping_address": {**ADDRESS, "country_code": "Germany"}}, "/shipping_address/country_code"
    ),
    "a total that is a number": _invalid(order(expected_total=10.0), "/expected_total"),
    "a negative total": _invalid(order(expected_total="-1"), "/expected_total"),
    "a total that is not a number": _invalid(order(expected_total="NaN"), "/expected_total"),
    "a total with an exponent": _invalid(order(expected_total="1e3"), "/expected_total"),
    "a total of 13 digits": _invalid(order(expected_total="1" * 13), "/expected_total"),
    "a body that is a list": _invalid([], ""),
    "a body that is text": _invalid("order", ""),
    "a body that is null": _raw(b"null", "invalid_request"),
    "no body": _raw(b"", "malformed_json"),
    "a body that is cut off": _raw(b'{"items": ['),
    "a body in single quotes": _raw(b"{'items': []}"),
    "a body with a comma too many": _raw(b'{"items": [],}'),
    "half of a surrogate pair": _raw(json.dumps(order(notes="?")).replace("?", "\\ud800").encode()),
    "JSON that is too deep": _raw(DEEP.encode()),
    "a body of 1 MB": _raw(json.dumps(order(notes="n" * 1_000_000)).encode(), "body_too_large", 413),
    "a body of 10 MB": _raw(b"x" * 10_000_000, "body_too_large", 413),
    "a body that is not UTF-8": _raw(b'{"notes": "\xff"}', "invalid_utf8"),
    "a body in UTF-16": _raw(json.dumps(order()).encode("utf-16"), "invalid_utf8"),
}
FACTS = {
    "an unknown SKU": Bad(status=422, code="unknown_sku", at="/items/0/sku", json=item(sku="NO-SUCH-SKU")),
    "a quantity beyond the shop's": Bad(
        status=422, code="quantity_limit", at="/items/0/quantity", json=item(quantity=1001)
    ),
    "an unknown shipping method": Bad(
        status=422, code="unknown_shipping_method", at="/shipping_method", json=order(shipping_method="teleport")
    ),
    "an unknown payment method": Bad(
        status=422, code="unknown_payment_method", at="/payment_method", json=order(payment_method="shells")
    ),
    "a total with too many decimals": Bad(
        status=422, code="too_many_decimals", at="/expected_total", json=order(expected_total="10.001")
    ),
}
HEADERS = {
    "text instead of JSON": Bad(
        status=415,
        code="unsupported_media_type",
        at="Content-Type",
        json=order(),
        headers={"Content-Type": "text/plain"},
    ),
    "no media type": Bad(
        status=415, code="unsupported_media_type", at="Content-Type", json=order(), headers={"Content-Type": ""}
    ),
    "another character set": Bad(
        status=415,
        code="unsupported_media_type",
        at="Content-Type",
        json=order(),
        headers={"Content-Type": "application/json; charset=latin-1"},
    ),
    "If-Match without quotes": Bad(
        status=400, code="invalid_header", at="If-Match", path="{order}/cancel/", headers={"If-Match": "v1"}
    ),
    "If-Match of another version": Bad(
        status=412, code="precondition_failed", at="If-Match", path="{order}/cancel/", headers={"If-Match": '"v99"'}
    ),
    "an empty If-Match": Bad(
        status=400, code="invalid_header", at="If-Match", path="{order}/cancel/", headers={"If-Match": ","}
    ),
    "If-None-Match without quotes": Bad(
        status=400,
        code="invalid_header",
        at="If-None-Match",
        method="GET",
        path="{order}/",
        headers={"If-None-Match": "v1"},
    ),
}
QUERIES = {
    "an unknown parameter": _list("debug=1", "debug"),
    "a repeated parameter": _list("limit=1&limit=2", "limit"),
    "a limit of zero": _list("limit=0", "limit"),
    "a limit beyond a page": _list("limit=101", "limit"),
    "a limit that is text": _list("limit=many", "limit"),
    "a limit of 3000 digits": _list("limit=" + "9" * 3000, "limit"),
    "a status that is none": _list("status=lost", "status"),
    "an order of rows that is none": _list("sort=price", "sort"),
    "a time that is none": _list("created_at[gte]=yesterday", "created_at[gte]"),
    "a time in seconds since 1970": _list("created_at[gte]=1700000000", "created_at[gte]"),
    "a time without a zone": _list("created_at[gte]=2024-01-01T00:00:00", "created_at[gte]"),
    "a part that is none": _list("expand=everything", "expand"),
    "a part twice": _list("expand=shipments,shipments", "expand"),
    "a part twice among others": _list("expand=shipments,status_history,shipments", "expand"),
    "no part at all": _list("expand=", "expand"),
    "a NUL in a parameter": _list("customer_id=%00", "customer_id"),
    "a parameter that is not UTF-8": _list("customer_id=%ff", "", "invalid_utf8"),
    "101 parameters": _list("&".join(f"p{n}=1" for n in range(101)), None, "bad_request"),
    "a cursor that is none": _list("cursor=garbage", "cursor", "invalid_cursor"),
    "a cursor of another kind": _list("cursor=WyJ4IiwxXQ", "cursor", "invalid_cursor"),
    "a cursor that is too long": _list("cursor=" + "x" * 2001, "cursor"),
    "stuck that is neither": Bad(
        status=400, code="invalid_request", at="stuck", method="GET", path="admin/?stuck=maybe", role="admin"
    ),
}
CHANGES = {
    "a payment whose amount is a number": _invalid(
        {"provider": "p", "reference": "r", "amount": 10, "currency": "EUR"},
        "/amount",
        path="{order}/confirm/",
        role="service",
    ),
    "a payment of less than nothing": _invalid(
        {"provider": "p", "reference": "r", "amount": "-1", "currency": "EUR"},
        "/amount",
        path="{order}/confirm/",
        role="service",
    ),
    "a reason that is none": _invalid({"reason": "fun"}, "/reason", path="{order}/cancel/"),
    "restock that is text": _invalid({"restock": "no"}, "/restock", path="{order}/cancel/"),
    "a status that is none": _invalid(
        {"status": "lost"}, "/status", method="PATCH", path="{order}/status/", role="admin"
    ),
    "a day that is none": _invalid(
        {"status": "shipped", "estimated_delivery": "2030-02-30"},
        "/estimated_delivery",
        method="PATCH",
        path="{order}/status/",
        role="admin",
    ),
    "a payment with processing": _invalid(
        {
            "status": "processing",
            "payment": {"provider": "p", "reference": "r", "amount": "1.00", "currency": "EUR"},
        },
        "/payment",
        method="PATCH",
        path="{order}/status/",
        role="admin",
    ),
    "a carrier with confirmed": _invalid(
        {"status": "confirmed", "carrier": "X"}, "/carrier", method="PATCH", path="{order}/status/", role="admin"
    ),
    "a day with cancelled": _invalid(
        {"status": "cancelled", "estimated_delivery": "2030-01-31"},
        "/estimated_delivery",
        method="PATCH",
        path="{order}/status/",
        role="service",
    ),
    "a carrier with a status that is none": _invalid(
        {"status": "lost", "carrier": "X"}, "/status", method="PATCH", path="{order}/status/", role="admin"
    ),
    "no status": _invalid({}, "/status", method="PATCH", path="{order}/status/", role="admin"),
    "a discount that is a number": _invalid(
        order(discounts=[{"code": "X", "amount": 1}]), "/discounts/0/amount", role="service"
    ),
    "an e-mail that is none": _invalid(order(customer_email="nobody"), "/customer_email", role="service"),
    "an e-mail with a line feed": _invalid(order(customer_email="a@b.example\n"), "/customer_email", role="service"),
}


def _stock(body: Any, at: str, path: str = "stock/{sku}/receipts/", **values: Any) -> Bad:
    return Bad(
        **{"status": 400, "code": "invalid_request", **values},
        at=at,
        json=body,
        path=path,
        service="inventory",
        role="admin",
    )


def _variant(at: str, **fields: Any) -> Bad:
    body = {"product_name": "P", "price": "1.00", "currency": "EUR", **fields}
    return _stock(body, at, "variants/{sku}/", method="PUT")


INVENTORY = {
    "a receipt of nothing": _stock({"quantity": 0}, "/quantity"),
    "a receipt of less than nothing": _stock({"quantity": -5}, "/quantity"),
    "a receipt beyond 64 bits": _stock({"quantity": 2**64}, "/quantity"),
    "a receipt at no location": _stock({"quantity": 1, "location": "moon"}, "/location"),
    "a receipt with an unknown field": _stock({"quantity": 1, "colour": "red"}, "/colour"),
    "an adjustment beyond 64 bits": _stock(
        {"quantity": -(2**64), "reason": "r"}, "/quantity", "stock/{sku}/adjustments/"
    ),
    "a count that expects nothing": _stock({"on_hand": 1, "reason": "r"}, "", "stock/{sku}/adjustments/"),
    "a reason that says nothing": _stock({"quantity": 1, "reason": "  "}, "/reason", "stock/{sku}/adjustments/"),
    "a reason with a NUL": _stock({"quantity": 1, "reason": "\x00"}, "/reason", "stock/{sku}/adjustments/"),
    "a price that is a number": _variant("/price", price=1.0),
    "a negative price": _variant("/price", price="-1.00"),
    "a price that is none": _variant("/price", price="cheap"),
    "a currency in small letters": _variant("/currency", currency="eur"),
    "a threshold beyond 32 bits": _variant("/low_stock_threshold", low_stock_threshold=2**31),
    "a negative threshold": _variant("/low_stock_threshold", low_stock_threshold=-1),
    "a name with a NUL": _variant("/product_name", product_name="\x00"),
    "a name that is too long": _variant("/product_name", product_name="n" * 201),
    "a price with too many decimals": _stock(
        {"product_name": "P", "price": "1.001", "currency": "EUR"},
        "/price",
        "variants/{sku}/",
        method="PUT",
        status=422,
        code="invalid_price",
    ),
    "a currency that is none": _stock(
        {"product_name": "P", "price": "1.00", "currency": "QQQ"},
        "/currency",
        "variants/{sku}/",
        method="PUT",
        status=422,
        code="invalid_price",
    ),
    "a movement kind that is none": _stock(None, "kind", "movements/?kind=lost", method="GET"),
    "an unknown parameter": _stock(None, "debug", "variants/?debug=1", method="GET"),
    "a forged cursor": _stock(None, "cursor", "reservations/?cursor=WyJ4IiwiMSJd", method="GET", code="invalid_cursor"),
}
NOTIFICATION = {
    name: Bad(status=400, code=code, at=at, method="GET", service="notification", path=path, role="admin")
    for name, (path, at, code) in {
        "a status that is none": ("?status=lost", "status", "invalid_request"),
        "an order that is none": ("?order_id=1", "order_id", "invalid_request"),
        "an unknown parameter": ("?debug=1", "debug", "invalid_request"),
        "an id that is none": ("nothing/", "notification_id", "invalid_request"),
        "a forged cursor": ("?cursor=WyJ4IiwiMSJd", "cursor", "invalid_cursor"),
    }.items()
}
