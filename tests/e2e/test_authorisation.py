"""Who may call what: every route of the order service, with the token of everybody there is.

Complete by construction: a route of the document without a row here fails, and a row without a route too. What is
asked for is right in form, so that a caller who may ask gets some other answer than 401, 403, or the 404 of what is
not theirs.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import requests

from deploy.documents import DOCS
from tests.support.running_shop import Shop
from tests.support.storefront import ADDRESS, Client, order_body, unique

PERSONS = ("nobody", "owner", "stranger", "vendor_in", "vendor_out", "vendor_sole", "warehouse", "admin", "service")
# What each gets, in that order: y yes, n not there for them (404), f forbidden (403), t a token is needed (401).
EXPECTED = {
    "GET /api/v1/orders/": "tyyffffyy",
    "POST /api/v1/orders/": "tyyfffffy",
    "POST /api/v1/orders/quote/": "tyyfffffy",
    "POST /api/v1/orders/bulk/": "tfffffffy",
    "POST /api/v1/orders/bulk-update/": "tffffffyf",
    "GET /api/v1/shipping-methods/": "tyyyyyyyy",
    "GET /api/v1/addresses/": "tyyfffffy",
    "POST /api/v1/addresses/": "tyyfffffy",
    "GET /api/v1/addresses/{address_id}/": "tyyfffffy",
    "PUT /api/v1/addresses/{address_id}/": "tyyfffffy",
    "DELETE /api/v1/addresses/{address_id}/": "tyyfffffy",
    "GET /api/v1/orders/admin/": "tffffffyf",
    "GET /api/v1/orders/vendor/": "tffyyyfff",
    "GET /api/v1/orders/analytics/": "tffyyyfyf",
    "GET /api/v1/orders/stream/{ticket}/": "yyyyyyyyy",
    "GET /api/v1/orders/{order_id}/": "tynynyyyy",
    "PUT /api/v1/orders/{order_id}/": "tfffnyfyf",
    "GET /api/v1/orders/{order_id}/items/": "tynynyfyy",
    "POST /api/v1/orders/{order_id}/items/": "tffffffyf",
    "PUT /api/v1/orders/{order_id}/items/{item_id}/": "tffffffyf",
    "DELETE /api/v1/orders/{order_id}/items/{item_id}/": "tffffffyf",
    "GET /api/v1/orders/{order_id}/revisions/{revision}/": "tynynyfyy",
    "POST /api/v1/orders/{order_id}/cancel/": "tynffffyy",
    "POST /api/v1/orders/{order_id}/confirm/": "tffffffyy",
    "PATCH /api/v1/orders/{order_id}/status/": "tfffnyfyy",
    "GET /api/v1/orders/{order_id}/refunds/": "tynffffyy",
    "POST /api/v1/orders/{order_id}/refunds/": "tffffffyy",
    "POST /api/v1/orders/{order_id}/refunds/{refund_id}/settle/": "tffffffyy",
    "GET /api/v1/orders/{order_id}/returns/": "tynfffyyy",
    "POST /api/v1/orders/{order_id}/returns/": "tynffffyy",
    "POST /api/v1/orders/{order_id}/returns/{return_id}/approve/": "tffffffyf",
    "POST /api/v1/orders/{order_id}/returns/{return_id}/decline/": "tffffffyf",
    "POST /api/v1/orders/{order_id}/returns/{return_id}/receive/": "tfffffyyf",
    "GET /api/v1/orders/{order_id}/shipments/": "tffynyyyy",
    "POST /api/v1/orders/{order_id}/shipments/": "tffynyyyy",
    "POST /api/v1/orders/{order_id}/shipments/{shipment_id}/events/": "tffynyyyy",
    "GET /api/v1/orders/{order_id}/label/": "tffynyyyy",
    "GET /api/v1/orders/{order_id}/tracking/": "tynynyfyy",
    "GET /api/v1/track/{link}/": "yyyyyyyyy",
    "GET /api/v1/orders/{order_id}/stream/": "tynffffyy",
    "POST /api/v1/orders/{order_id}/stream/tickets/": "tynffffyy",
    "GET /api/v1/orders/{order_id}/timeline/": "tffffffyf",
    "GET /api/v1/operations/parked/": "tffffffyf",
    "POST /api/v1/operations/parked/resume/": "tffffffyf",
    "GET /api/v1/operations/parked/{parked_id}/": "tffffffyf",
    "POST /api/v1/operations/parked/{parked_id}/discard/": "tffffffyf",
    "POST /api/v1/operations/parked/{parked_id}/retry/": "tffffffyf",
}
ANSWERS = {"t": {401}, "f": {403}, "n": {404}}
# Of a route that is about something made up, 404 is what those get who may ask.
MADE_UP = "01890a5d-ac96-774b-bcce-b302099a8057"
ABOUT_MADE_UP = (
    "{parked_id}",
    "{refund_id}",
    "{ticket}",
    "{link}",
    "{item_id}",
    "{revision}",
    "{shipment_id}",
    "{address_id}",
    "{return_id}",
)
BODIES: Mapping[str, Callable[[str], Any]] = {
    "POST /api/v1/orders/": lambda sku: order_body((sku, 1)),
    "PUT /api/v1/orders/{order_id}/": lambda _sku: {"notes": "by the matrix"},
    "POST /api/v1/orders/{order_id}/items/": lambda sku: {"sku": sku, "quantity": 1},
    "PUT /api/v1/orders/{order_id}/items/{item_id}/": lambda _sku: {"quantity": 1},
    "POST /api/v1/orders/{order_id}/cancel/": lambda _sku: {"note": "by the matrix"},
    "POST /api/v1/orders/{order_id}/confirm/": lambda _sku: {},
    "PATCH /api/v1/orders/{order_id}/status/": lambda _sku: {"status": "processing"},
    "POST /api/v1/orders/quote/": lambda sku: order_body((sku, 1)),
    "POST /api/v1/orders/bulk/": lambda sku: {"orders": [order_body((sku, 1))]},
    "POST /api/v1/orders/bulk-update/": lambda _sku: {"ids": [MADE_UP], "status": "cancelled"},
    "POST /api/v1/addresses/": lambda _sku: ADDRESS,
    "PUT /api/v1/addresses/{address_id}/": lambda _sku: ADDRESS,
    "POST /api/v1/orders/{order_id}/returns/": lambda _sku: {
        "lines": [{"item_id": MADE_UP, "quantity": 1, "reason": "matrix"}]
    },
    "POST /api/v1/orders/{order_id}/returns/{return_id}/receive/": lambda _sku: {
        "lines": [{"item_id": MADE_UP, "received": 1, "damaged": 0, "disposition": "restock"}]
    },
    "POST /api/v1/orders/{order_id}/shipments/": lambda _sku: {},
    "POST /api/v1/orders/{order_id}/shipments/{shipment_id}/events/": lambda _sku: {
        "event_id": "e-1",
        "type": "in_transit",
        "occurred_at": "2026-03-01T12:00:00Z",
    },
    "POST /api/v1/orders/{order_id}/refunds/": lambda _sku: {"amount": "0.01"},
    "POST /api/v1/orders/{order_id}/refunds/{refund_id}/settle/": lambda _sku: {},
    "POST /api/v1/operations/parked/resume/": lambda _sku: {"reason": "by the matrix"},
    "POST /api/v1/operations/parked/{parked_id}/discard/": lambda _sku: {"reason": "by the matrix"},
}


class Cast:
    """Everybody, and the orders that they are asked about."""

    def __init__(self, shop: Shop) -> None:
        ours, theirs, sole = (unique("vendor") for _ in range(3))
        self.sku = shop.sku(stock=1000, vendor_id=ours)
        other, only = shop.sku(vendor_id=theirs), shop.sku(vendor_id=sole)
        owner = shop.callers.customer()
        self.persons: Mapping[str, Client] = {
            "nobody": shop.callers.having(None),
            "owner": owner,
            "stranger": shop.callers.customer(),
            "vendor_in": shop.callers.vendor(ours),
            "vendor_out": shop.callers.vendor(unique("vendor")),
            "vendor_sole": shop.callers.vendor(sole),
            "warehouse": shop.callers.warehouse(),
            "admin": shop.admin,
            "service": shop.service,
        }
        self._shared = self._allocated(shop, owner, (self.sku, 1), (other, 1))
        self._sole = self._allocated(shop, owner, (only, 1))

    def ask(self, route: str, person: str) -> requests.Response:
        method, path = route.split(" ")
        order_id = self._sole if person == "vendor_sole" else self._shared
        for name in ABOUT_MADE_UP:
            path = path.replace(name, MADE_UP)
        body = BODIES[route](self.sku) if route in BODIES else None
        sent = {} if method == "GET" else {"Idempotency-Key": unique("matrix"), "If-Match": "*"}
        with self.persons[person].call(
            method, path.replace("{order_id}", order_id), json=body, headers=sent, stream=True
        ) as answer:
            return answer

    @staticmethod
    def _allocated(shop: Shop, owner: Client, *items: tuple[str, int]) -> str:
        order = owner.placed(*items)
        assert shop.service.confirm(order).status_code == 200
        shop.await_order(order["id"], reservation_status="allocated")
        return str(order["id"])


@pytest.fixture(scope="module")
def cast(shop: Shop) -> Cast:
    return Cast(shop)


def routes() -> set[str]:
    document = json.loads((DOCS / "openapi" / "order.json").read_text(encoding="utf-8"))
    return {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}


def test_every_route_has_a_row() -> None:
    assert set(EXPECTED) == routes()
    assert {len(row) for row in EXPECTED.values()} == {len(PERSONS)}


@pytest.mark.parametrize("person", PERSONS)
@pytest.mark.parametrize("route", EXPECTED)
def test_a_route_is_open_to_those_it_is_for(cast: Cast, route: str, person: str) -> None:
    expected = EXPECTED[route][PERSONS.index(person)]
    answer = cast.ask(route, person)
    if expected != "y":
        assert answer.status_code in ANSWERS[expected]
    elif any(name in route for name in ABOUT_MADE_UP):
        assert answer.status_code not in (401, 403)
    else:
        assert answer.status_code not in (401, 403, 404)
    assert answer.status_code < 500
