"""What schemathesis needs of a shop to make the requests of its OpenAPI documents: callers, and ids of real things."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemathesis import Case

from deploy.local.state import SERVICES
from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import ADDRESS, order_body, unique

# As far as each order is moved on.
_LIVES: tuple[tuple[str, ...], ...] = (
    (),
    ("cancelled",),
    ("confirmed",),
    ("confirmed", "processing"),
    ("confirmed", "processing", "shipped"),
    ("confirmed", "processing", "shipped", "delivered"),
)
_ROLES = re.compile(r"Roles: ([a-z, ]+)\.$|No token is needed\.$")
_RANK = ("admin", "service", "vendor")
# Records that nobody can read, of types that a service handles: each parks its key in the services that read the topic.
_POISON = {"order.events.v1": "oms.order.OrderConfirmed", "inventory.events.v1": "oms.inventory.StockReserved"}
_POISON_EACH = 12
_GONE = "01890a5d-ac96-774b-bcce-b302099a8057"
_NEED_A_KEY = ("POST /api/v1/orders/", "POST /api/v1/orders/bulk/")
_PARKED = "/api/v1/operations/parked/"


@dataclass(frozen=True)
class Seeds:
    """Things of a shop that requests can be about.

    Args:
        shop: whose they are.
        vendor: whose the variant is.
        values: name of a path parameter → real ids; those at the same place belong together.
        ended: ids of orders of which nothing more can become: a stream of any other would go on.
        parked: service → ids of parked keys.

    """

    shop: Shop
    vendor: str
    values: Mapping[str, list[str]]
    ended: list[str]
    parked: Mapping[str, list[str]]

    def ids(self, service: str, label: str, parameter: str) -> list[str]:
        """Return real values of a path parameter of an operation."""
        if parameter == "parked_id":
            return self.parked[service]
        return self.ended if label.endswith("{order_id}/stream/") else self.values[parameter]

    def headers(self, case: Case) -> dict[str, str]:
        """Return a token of a role that may make this call, as its document says, and the key that service needs."""
        told = _ROLES.search(case.operation.definition.raw["description"])
        assert told is not None, case.operation.label
        if told[1] is None:
            return {}
        role = next(role for role in _RANK if role in told[1].split(", "))
        headers = {"Authorization": f"Bearer {self.shop.callers.token(role, vendor=self.vendor)}"}
        if case.operation.label in _NEED_A_KEY and "Idempotency-Key" not in case.headers:
            headers["Idempotency-Key"] = unique("documented")
        return headers


def sow(shop: Shop) -> Seeds:
    """Make one of everything: orders in each status, their mails, a variant in stock, parked keys in each service."""
    vendor, keys = unique("vendor"), [unique("poison"), unique("poison")]
    sku = shop.sku(stock=1000, vendor_id=vendor)
    address = shop.service.post("/api/v1/addresses/", {**ADDRESS, "customer_id": unique("c")}).json()["id"]
    orders = [_lived(shop, sku, life) for life in _LIVES]
    for topic, kind in _POISON.items():
        for key in keys * _POISON_EACH:
            shop.outsider.write(topic, key.encode(), b"poison", {"ce_type": kind})

    def mailed() -> list[str]:
        answer = shop.admin.get("", service="notification", params={"order_id": orders[0]})
        rows: list[dict[str, Any]] = answer.json()["data"]
        assert rows
        return [row["id"] for row in rows]

    def parked(service: str) -> list[str]:
        rows = _parked(shop, service, keys)
        assert len(rows) == len(keys), f"{service}: {rows}"
        return rows

    paid = [order for order, life in zip(orders, _LIVES, strict=True) if "confirmed" in life]
    values = {
        "order_id": [*orders, *paid],
        "refund_id": [_GONE] * len(orders) + [_refunded(shop, order) for order in paid],
        "item_id": [_items(shop, order)[0] for order in [*orders, *paid]],
        "revision": ["1"],
        "shipment_id": [_shipment(shop, order) for order in [*orders, *paid]],
        "return_id": [_return(shop, order) for order in [*orders, *paid]],
        "ticket": [_GONE],
        "link": [_link(shop, orders[0])],
        "address_id": [address],
        "sku": [sku],
        "notification_id": eventually(mailed, within=20),
    }
    return Seeds(
        shop,
        vendor,
        values,
        [orders[_LIVES.index(("cancelled",))]],
        {service: eventually(lambda service=service: parked(service), within=20) for service in SERVICES},
    )


def clear(seeds: Seeds) -> None:
    """Give up what was parked, and make sure that nothing remains of it."""
    for service, ids in seeds.parked.items():
        for parked_id in ids:
            _give_up(seeds.shop, service, parked_id)


def _lived(shop: Shop, sku: str, life: tuple[str, ...]) -> str:
    order = placed(shop, sku)
    for status in life:
        answer = shop.service.confirm(order) if status == "confirmed" else shop.admin.move(order, status)
        assert answer.status_code == 200, answer.text
    return str(order["id"])


def _refunded(shop: Shop, order_id: str) -> str:
    made = shop.admin.post(f"{order_id}/refunds/", {"amount": "0.01"})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def _items(shop: Shop, order_id: str) -> list[str]:
    return [item["id"] for item in shop.admin.order(order_id)["items"]]


def _shipment(shop: Shop, order_id: str) -> str:
    shipments = shop.admin.order(order_id)["shipments"]
    return str(shipments[0]["id"]) if shipments else _GONE


def _return(shop: Shop, order_id: str) -> str:
    order = shop.admin.order(order_id)
    if order["status"] != "delivered":
        return _GONE
    wanted = {"lines": [{"item_id": order["items"][0]["id"], "quantity": 1, "reason": "other"}]}
    made = shop.admin.post(f"{order_id}/returns/", wanted)
    return str(made.json()["id"]) if made.status_code == 201 else _GONE


def _link(shop: Shop, order_id: str) -> str:
    link: str = shop.admin.get(f"{order_id}/tracking/").json()["link"]
    return link.rstrip("/").rpartition("/")[2]


def placed(shop: Shop, sku: str) -> dict[str, Any]:
    """Return an order that is reserved and not paid."""
    return shop.service.placed((sku, 1), customer_id=unique("c"), customer_email="ada@shop.example")


def refunded(shop: Shop, sku: str) -> tuple[str, str]:
    """Return the ids of an order of which something is to be paid back, and of its refund."""
    order = placed(shop, sku)
    assert shop.service.confirm(order).status_code == 200
    answer = shop.service.post(f"{order['id']}/refunds/", {"amount": "1.00"})
    assert answer.status_code == 201, answer.text
    return order["id"], answer.json()["id"]


def _parked(shop: Shop, service: str, keys: list[str]) -> list[str]:
    rows = [row for page in shop.admin.pages(_PARKED, service=service, params={"limit": 100}) for row in page]
    return [row["id"] for row in rows if row["key"] in keys]


def _give_up(shop: Shop, service: str, parked_id: str) -> None:
    def gone() -> None:
        path = f"{_PARKED}{parked_id}/"
        while shop.admin.post(f"{path}discard/", {"reason": "made by a test"}, service=service).status_code == 200:
            pass
        assert shop.admin.get(path, service=service).status_code == 404

    eventually(gone, within=15)


def succeeding(seeds: Seeds) -> Mapping[str, Callable[[], dict[str, Any]]]:  # noqa: C901  # one small function a shape
    """Return operation → the parts of a request that it answers with a 2xx; what is not named here is generated."""
    shop = seeds.shop
    sku, second = shop.sku(stock=100), shop.sku(stock=100)

    def of_order() -> dict[str, Any]:
        return {"path_parameters": {"order_id": placed(shop, sku)["id"]}, "headers": {}}

    def payment() -> dict[str, Any]:
        order = placed(shop, sku)
        body = {"provider": "cards", "reference": order["id"]}
        body |= {"amount": order["amount_due"], "currency": order["currency"]}
        return {"path_parameters": {"order_id": order["id"]}, "headers": {}, "body": body}

    def paid() -> dict[str, Any]:
        return {"path_parameters": {"order_id": _lived(shop, sku, ("confirmed",))}, "headers": {}}

    def settled() -> dict[str, Any]:
        order_id = _lived(shop, sku, ("confirmed",))
        return {"path_parameters": {"order_id": order_id, "refund_id": _refunded(shop, order_id)}, "headers": {}}

    def edited(at: int | None = None, **parts: Any) -> dict[str, Any]:
        order = shop.service.placed((sku, 1), (second, 1))
        path = {"order_id": order["id"]} | ({} if at is None else {"item_id": order["items"][at]["id"]})
        return {"path_parameters": path, "headers": {"If-Match": "*"}, **parts}

    def revised() -> dict[str, Any]:
        order_id = placed(shop, sku)["id"]
        answer = shop.admin.post(f"{order_id}/items/", {"sku": second, "quantity": 1})
        assert answer.status_code == 202, answer.text
        return {"path_parameters": {"order_id": order_id, "revision": "1"}}

    def processed() -> dict[str, Any]:
        return {"path_parameters": {"order_id": _lived(shop, sku, ("confirmed", "processing"))}, "headers": {}}

    def carried() -> dict[str, Any]:
        order_id = _lived(shop, sku, ("confirmed", "processing", "shipped"))
        told = {"event_id": "e-1", "type": "in_transit", "occurred_at": "2026-03-01T12:00:00Z"}
        path = {"order_id": order_id, "shipment_id": _shipment(shop, order_id)}
        return {"path_parameters": path, "headers": {}, "body": told}

    def delivered() -> tuple[dict[str, Any], dict[str, Any]]:
        order = shop.admin.order(_lived(shop, sku, ("confirmed", "processing", "shipped", "delivered")))
        lines = [{"item_id": order["items"][0]["id"], "quantity": 1, "reason": "other"}]
        return order, {"path_parameters": {"order_id": order["id"]}, "headers": {}, "body": {"lines": lines}}

    def returned(*steps: str, **parts: Any) -> dict[str, Any]:
        order, asked = delivered()
        made = shop.admin.post(f"{order['id']}/returns/", asked["body"]).json()
        for step in steps:
            assert shop.admin.post(f"{order['id']}/returns/{made['id']}/{step}/").status_code == 200
        return {"path_parameters": {"order_id": order["id"], "return_id": made["id"]}, "headers": {}, **parts}

    def received() -> dict[str, Any]:
        request = returned("approve")
        item = shop.admin.order(request["path_parameters"]["order_id"])["items"][0]["id"]
        lines = [{"item_id": item, "received": 1, "damaged": 0, "disposition": "restock"}]
        return {**request, "body": {"lines": lines}}

    def ticket() -> dict[str, Any]:
        url: str = shop.admin.post(f"{seeds.ended[0]}/stream/tickets/").json()["url"]
        return {"path_parameters": {"ticket": url.rstrip("/").rpartition("/")[2]}, "headers": {}}

    customer = unique("c")

    def of_address() -> dict[str, Any]:
        address = shop.service.post("/api/v1/addresses/", {**ADDRESS, "customer_id": customer}).json()
        return {"path_parameters": {"address_id": address["id"]}, "headers": {"If-Match": '"v1"'}}

    reason = {"body": {"reason": "made by a test"}, "headers": {}}
    variant = {"product_name": "Tea", "price": "1.00", "currency": "EUR"}
    return {
        "POST /api/v1/orders/": lambda: {"body": order_body((sku, 1)), "headers": {}},
        "POST /api/v1/orders/{order_id}/confirm/": payment,
        "POST /api/v1/orders/{order_id}/cancel/": of_order,
        "PATCH /api/v1/orders/{order_id}/status/": lambda: {**of_order(), "body": {"status": "cancelled"}},
        "PUT /api/v1/orders/{order_id}/": lambda: edited(body={"notes": "ring twice"}),
        "POST /api/v1/orders/{order_id}/items/": lambda: edited(body={"sku": sku, "quantity": 1}),
        "PUT /api/v1/orders/{order_id}/items/{item_id}/": lambda: edited(0, body={"quantity": 2}),
        "DELETE /api/v1/orders/{order_id}/items/{item_id}/": lambda: edited(0),
        "GET /api/v1/orders/{order_id}/revisions/{revision}/": revised,
        "POST /api/v1/orders/{order_id}/refunds/": lambda: {**paid(), "body": {"amount": "0.01"}},
        "POST /api/v1/orders/{order_id}/refunds/{refund_id}/settle/": lambda: {**settled(), "body": {}},
        "POST /api/v1/orders/{order_id}/shipments/": lambda: {**processed(), "body": {}},
        "POST /api/v1/orders/{order_id}/shipments/{shipment_id}/events/": carried,
        "GET /api/v1/orders/{order_id}/label/": lambda: {**processed(), "query": {}},
        "POST /api/v1/orders/{order_id}/returns/": lambda: delivered()[1],
        "POST /api/v1/orders/{order_id}/returns/{return_id}/approve/": returned,
        "POST /api/v1/orders/{order_id}/returns/{return_id}/decline/": returned,
        "POST /api/v1/orders/{order_id}/returns/{return_id}/receive/": received,
        "GET /api/v1/orders/stream/{ticket}/": ticket,
        "POST /api/v1/orders/quote/": lambda: {"body": order_body((sku, 1))},
        "POST /api/v1/orders/bulk/": lambda: {"body": {"orders": [order_body((sku, 1))]}, "headers": {}},
        "POST /api/v1/orders/bulk-update/": lambda: {
            "body": {"ids": [placed(shop, sku)["id"]], "status": "cancelled"},
            "headers": {},
        },
        "GET /api/v1/addresses/": lambda: {"query": {"customer_id": customer}},
        "POST /api/v1/addresses/": lambda: {"body": {**ADDRESS, "customer_id": customer}, "headers": {}},
        "GET /api/v1/addresses/{address_id}/": of_address,
        "PUT /api/v1/addresses/{address_id}/": lambda: {**of_address(), "body": ADDRESS},
        "DELETE /api/v1/addresses/{address_id}/": of_address,
        "PUT /api/v1/inventory/variants/{sku}/": lambda: {"body": variant, "headers": {}},
        "POST /api/v1/inventory/stock/{sku}/adjustments/": lambda: {
            "body": {"quantity": 1, "reason": "counted"},
            "headers": {},
        },
        "POST /api/v1/operations/parked/{parked_id}/discard/": lambda: reason,
        "POST /api/v1/operations/parked/resume/": lambda: reason,
    }
