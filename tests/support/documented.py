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
_ROLES = re.compile(r"Roles: ([a-z, ]+)\.$")
_RANK = ("admin", "service", "vendor")
# Records that nobody can read, of types that a service handles: each parks its key in the services that read the topic.
_POISON = {"order.events.v1": "oms.order.OrderConfirmed", "inventory.events.v1": "oms.inventory.StockReserved"}
_POISON_EACH = 12
_NEED_A_KEY = ("POST /api/v1/orders/", "POST /api/v1/orders/bulk/")
_PARKED = "/api/v1/operations/parked/"


@dataclass(frozen=True)
class Seeds:
    """Things of a shop that requests can be about.

    Args:
        shop: whose they are.
        vendor: whose the variant is.
        values: name of a path parameter → real ids.
        parked: service → ids of parked keys.

    """

    shop: Shop
    vendor: str
    values: Mapping[str, list[str]]
    parked: Mapping[str, list[str]]

    def ids(self, service: str, parameter: str) -> list[str]:
        """Return real values of a path parameter."""
        return self.parked[service] if parameter == "parked_id" else self.values[parameter]

    def headers(self, case: Case) -> dict[str, str]:
        """Return a token of a role that may make this call, as its document says, and the key that service needs."""
        told = _ROLES.search(case.operation.definition.raw["description"])
        assert told is not None, case.operation.label
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

    return Seeds(
        shop,
        vendor,
        {
            "order_id": orders,
            "sku": [sku],
            "address_id": [address],
            "refund_id": [refunded(shop, sku)[1]],
            "notification_id": eventually(mailed, within=20),
        },
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


def succeeding(seeds: Seeds) -> Mapping[str, Callable[[], dict[str, Any]]]:
    """Return operation → the parts of a request that it answers with a 2xx; what is not named here is generated."""
    shop = seeds.shop
    sku = shop.sku(stock=100)

    def of_order() -> dict[str, Any]:
        return {"path_parameters": {"order_id": placed(shop, sku)["id"]}, "headers": {}}

    def payment() -> dict[str, Any]:
        order = placed(shop, sku)
        body = {"provider": "cards", "reference": order["id"]}
        body |= {"amount": order["amount_due"], "currency": order["currency"]}
        return {"path_parameters": {"order_id": order["id"]}, "headers": {}, "body": body}

    customer = unique("c")

    def paid() -> dict[str, Any]:
        order_id, _ = refunded(shop, sku)
        return {"path_parameters": {"order_id": order_id}, "headers": {}, "body": {"amount": "1.00"}}

    def to_settle() -> dict[str, Any]:
        order_id, refund_id = refunded(shop, sku)
        path = {"order_id": order_id, "refund_id": refund_id}
        return {"path_parameters": path, "headers": {}, "body": {"provider_reference": unique("r")}}

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
        "POST /api/v1/orders/{order_id}/refunds/": paid,
        "POST /api/v1/orders/{order_id}/refunds/{refund_id}/settle/": to_settle,
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
