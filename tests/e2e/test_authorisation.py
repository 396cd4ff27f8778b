"""Who may call what: every route of the order service, with the token of everybody there is.

Complete by construction: a route of the document without a row here fails, and a row without a route too. What is
asked for is right in form and about what is there, so that a caller who may ask gets some other answer than 401, 403,
or the 404 of what is not theirs.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from deploy.documents import DOCS
from tests.support.running_shop import Shop
from tests.support.shipping import shipped
from tests.support.storefront import ADDRESS, Client, order_body, unique

PERSONS = (
    *("nobody", "owner", "stranger", "vendor_in", "vendor_out", "vendor_sole"),
    *("warehouse", "warehouse_here", "warehouse_elsewhere", "admin", "service"),
)
# What each gets, in that order: y yes, n not there for them (404), f forbidden (403), t a token is needed (401).
EXPECTED = {
    "GET /api/v1/orders/": "tyyffffffyy",
    "POST /api/v1/orders/": "tyyfffffffy",
    "POST /api/v1/orders/quote/": "tyyfffffffy",
    "POST /api/v1/orders/bulk/": "tfffffffffy",
    "POST /api/v1/orders/bulk-update/": "tffffffffyf",
    "GET /api/v1/shipping-methods/": "tyyyyyyyyyy",
    "GET /api/v1/addresses/": "tyyfffffffy",
    "POST /api/v1/addresses/": "tyyfffffffy",
    "GET /api/v1/addresses/{address_id}/": "tynfffffffy",
    "PUT /api/v1/addresses/{address_id}/": "tynfffffffy",
    "DELETE /api/v1/addresses/{address_id}/": "tynfffffffy",
    "GET /api/v1/orders/admin/": "tffffffffyf",
    "GET /api/v1/orders/vendor/": "tffyyyfffff",
    "GET /api/v1/orders/analytics/": "tffyyyfffyf",
    "GET /api/v1/orders/stream/{ticket}/": "yyyyyyyyyyy",
    "GET /api/v1/orders/{order_id}/": "tynynyyynyy",
    "PUT /api/v1/orders/{order_id}/": "tfffnyfffyf",
    "GET /api/v1/orders/{order_id}/items/": "tynynyfffyy",
    "POST /api/v1/orders/{order_id}/items/": "tffffffffyf",
    "PUT /api/v1/orders/{order_id}/items/{item_id}/": "tffffffffyf",
    "DELETE /api/v1/orders/{order_id}/items/{item_id}/": "tffffffffyf",
    "GET /api/v1/orders/{order_id}/revisions/{revision}/": "tynynyfffyy",
    "POST /api/v1/orders/{order_id}/cancel/": "tynffffffyy",
    "POST /api/v1/orders/{order_id}/confirm/": "tffffffffyy",
    "PATCH /api/v1/orders/{order_id}/status/": "tfffnyfffyy",
    "GET /api/v1/orders/{order_id}/refunds/": "tynffffffyy",
    "POST /api/v1/orders/{order_id}/refunds/": "tffffffffyy",
    "POST /api/v1/orders/{order_id}/refunds/{refund_id}/settle/": "tffffffffyy",
    "GET /api/v1/orders/{order_id}/returns/": "tynfffyynyy",
    "POST /api/v1/orders/{order_id}/returns/": "tynffffffyy",
    "POST /api/v1/orders/{order_id}/returns/{return_id}/approve/": "tffffffffyf",
    "POST /api/v1/orders/{order_id}/returns/{return_id}/decline/": "tffffffffyf",
    "POST /api/v1/orders/{order_id}/returns/{return_id}/receive/": "tfffffyyfyf",
    "GET /api/v1/orders/{order_id}/shipments/": "tffynyyynyy",
    "POST /api/v1/orders/{order_id}/shipments/": "tffynyyynyy",
    "POST /api/v1/orders/{order_id}/shipments/{shipment_id}/events/": "tffynyyynyy",
    "GET /api/v1/orders/{order_id}/label/": "tffynyyynyy",
    "GET /api/v1/orders/{order_id}/tracking/": "tynynyfffyy",
    "GET /api/v1/track/{link}/": "yyyyyyyyyyy",
    "GET /api/v1/orders/{order_id}/stream/": "tynffffffyy",
    "POST /api/v1/orders/{order_id}/stream/tickets/": "tynffffffyy",
    "GET /api/v1/orders/{order_id}/timeline/": "tffffffffyf",
    "GET /api/v1/operations/parked/": "tffffffffyf",
    "POST /api/v1/operations/parked/resume/": "tffffffffyf",
    "GET /api/v1/operations/parked/{parked_id}/": "tffffffffyf",
    "POST /api/v1/operations/parked/{parked_id}/discard/": "tffffffffyf",
    "POST /api/v1/operations/parked/{parked_id}/retry/": "tffffffffyf",
}
ANSWERS = {"t": {401}, "f": {403}, "n": {404}}
# Of a route that is about something made up, 404 is what those get who may ask.
MADE_UP = "01890a5d-ac96-774b-bcce-b302099a8057"
ABOUT_MADE_UP = ("{parked_id}", "{ticket}", "{link}")


@dataclass(frozen=True)
class Lived:
    """An order that has been through everything: edited, shipped, delivered, and with what came of that.

    Args:
        sku: of its first line.
        ids: the part of a path that stands for something of it → its id.
        foreign_shipment: a shipment without anything of its first line's vendor.

    """

    sku: str
    ids: Mapping[str, str]
    foreign_shipment: str = ""


BODIES: Mapping[str, Callable[[Lived], Any]] = {
    "POST /api/v1/orders/": lambda lived: order_body((lived.sku, 1)),
    "PUT /api/v1/orders/{order_id}/": lambda _: {"notes": "by the matrix"},
    "POST /api/v1/orders/{order_id}/items/": lambda lived: {"sku": lived.sku, "quantity": 1},
    "PUT /api/v1/orders/{order_id}/items/{item_id}/": lambda _: {"quantity": 1},
    "POST /api/v1/orders/{order_id}/cancel/": lambda _: {"note": "by the matrix"},
    "POST /api/v1/orders/{order_id}/confirm/": lambda _: {},
    "PATCH /api/v1/orders/{order_id}/status/": lambda _: {"status": "processing"},
    "POST /api/v1/orders/quote/": lambda lived: order_body((lived.sku, 1)),
    "POST /api/v1/orders/bulk/": lambda lived: {"orders": [order_body((lived.sku, 1))]},
    "POST /api/v1/orders/bulk-update/": lambda _: {"ids": [MADE_UP], "status": "cancelled"},
    "POST /api/v1/addresses/": lambda _: ADDRESS,
    "PUT /api/v1/addresses/{address_id}/": lambda _: ADDRESS,
    "POST /api/v1/orders/{order_id}/returns/": lambda lived: {
        "lines": [{"item_id": lived.ids["{item_id}"], "quantity": 1, "reason": "matrix"}]
    },
    "POST /api/v1/orders/{order_id}/returns/{return_id}/receive/": lambda lived: {
        "lines": [{"item_id": lived.ids["{item_id}"], "received": 1, "damaged": 0, "disposition": "restock"}]
    },
    "POST /api/v1/orders/{order_id}/shipments/": lambda _: {},
    "POST /api/v1/orders/{order_id}/shipments/{shipment_id}/events/": lambda _: {
        "event_id": "e-1",
        "type": "in_transit",
        "occurred_at": "2026-03-01T12:00:00Z",
    },
    "POST /api/v1/orders/{order_id}/refunds/": lambda _: {"amount": "0.01"},
    "POST /api/v1/orders/{order_id}/refunds/{refund_id}/settle/": lambda _: {},
    "POST /api/v1/operations/parked/resume/": lambda _: {"reason": "by the matrix"},
    "POST /api/v1/operations/parked/{parked_id}/discard/": lambda _: {"reason": "by the matrix"},
}


class Cast:
    """Everybody, and the orders that they are asked about."""

    def __init__(self, shop: Shop) -> None:
        ours, theirs, sole = (unique("vendor") for _ in range(3))
        own, other, only = (shop.sku(stock=1000, vendor_id=vendor_id) for vendor_id in (ours, theirs, sole))
        self._shop, self._owner = shop, shop.callers.customer()
        self.persons: Mapping[str, Client] = {
            "nobody": shop.callers.having(None),
            "owner": self._owner,
            "stranger": shop.callers.customer(),
            "vendor_in": shop.callers.vendor(ours),
            "vendor_out": shop.callers.vendor(unique("vendor")),
            "vendor_sole": shop.callers.vendor(sole),
            "warehouse": shop.callers.warehouse(),
            "warehouse_here": shop.callers.having(shop.callers.token("warehouse", locations=["main"])),
            "warehouse_elsewhere": shop.callers.having(shop.callers.token("warehouse", locations=["berlin"])),
            "admin": shop.admin,
            "service": shop.service,
        }
        self.shared = self._lived(own, other)
        self._sole = self._lived(only)

    def ask(self, route: str, person: str) -> requests.Response:
        method, path = route.split(" ")
        lived = self._sole if person == "vendor_sole" else self.shared
        # Whoever may delete it has one to delete.
        ids = {**lived.ids, **({"{address_id}": self._address()} if method == "DELETE" else {})}
        for name, value in {**ids, **dict.fromkeys(ABOUT_MADE_UP, MADE_UP)}.items():
            path = path.replace(name, value)
        body = BODIES[route](lived) if route in BODIES else None
        sent = {} if method == "GET" else {"Idempotency-Key": unique("matrix"), "If-Match": "*"}
        with self.persons[person].call(method, path, json=body, headers=sent, stream=True) as answer:
            return answer

    def _address(self) -> str:
        made = self._owner.post("/api/v1/addresses/", ADDRESS)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    def _lived(self, *skus: str) -> Lived:
        """Bring an order of two units of each through its life; a shipment a line, a return that is asked for."""
        admin = self._shop.admin
        order = self._owner.placed(*((sku, 2) for sku in skus))
        assert self._shop.service.confirm(order).status_code == 200
        order = self._shop.await_order(order["id"], reservation_status="allocated", pending_operation=None)
        edited = admin.change_item(order, order["items"][0], 1)
        assert edited.ok, edited.text
        order = self._shop.await_order(order["id"], pending_operation=None)
        assert admin.move(order, "processing").status_code == 200
        sent = [
            shipped(admin, order, items=[{"item_id": item["id"], "quantity": item["quantity"]}])
            for item in order["items"]
        ]
        assert admin.move(order, "delivered").ok
        refund = admin.post(f"{order['id']}/refunds/", {"amount": "0.01"})
        assert refund.status_code == 201, refund.text
        item_id = order["items"][0]["id"]
        ids = {
            "{order_id}": order["id"],
            "{item_id}": item_id,
            "{revision}": str(order["last_revision"]["revision"]),
            "{shipment_id}": sent[0]["id"],
            "{refund_id}": refund.json()["id"],
            "{return_id}": self._return(order, item_id),
            "{address_id}": self._address(),
        }
        return Lived(skus[0], ids, sent[-1]["id"])

    def _return(self, order: Mapping[str, Any], item_id: str) -> str:
        lines = [{"item_id": item_id, "quantity": 1, "reason": "matrix"}]
        asked = self._owner.post(f"{order['id']}/returns/", {"lines": lines})
        assert asked.status_code == 201, asked.text
        return str(asked.json()["id"])


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


def test_of_a_shipment_of_another_vendor_s_nothing_is_there_for_those_in_the_order(cast: Cast) -> None:
    order_id, shipment_id = cast.shared.ids["{order_id}"], cast.shared.foreign_shipment
    told = BODIES["POST /api/v1/orders/{order_id}/shipments/{shipment_id}/events/"](cast.shared)
    for person, expected in (("vendor_in", 404), ("warehouse", 201)):
        client = cast.persons[person]
        event = {**told, "event_id": unique("matrix")}
        assert client.post(f"{order_id}/shipments/{shipment_id}/events/", event).status_code == expected
        label = client.get(f"{order_id}/label/", params={"shipment": shipment_id})
        assert (label.status_code == 404) is (expected == 404)
