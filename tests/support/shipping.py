"""Shipping orders over REST, as warehouses and vendors do."""

from collections.abc import Mapping
from typing import Any

import requests

from tests.support.running_shop import Shop
from tests.support.storefront import Client, unique

Json = dict[str, Any]
EVENTS = "order.events.v1"


def processing(shop: Shop, *lines: tuple[str, int], **fields: Any) -> Json:
    """Return an order that is in the warehouse's hands."""
    order = shop.customer.placed(*lines, **fields)
    assert shop.service.confirm(order).status_code == 200
    assert shop.admin.move(order, "processing").status_code == 200
    return shop.admin.order(order["id"])


def of_two_vendors(shop: Shop, **fields: Any) -> tuple[Json, str, str]:
    """Return an order in processing of three of one vendor's and two of another's, and the vendors."""
    one, other = unique("vendor"), unique("vendor")
    order = processing(shop, (shop.sku(vendor_id=one), 3), (shop.sku(vendor_id=other), 2), **fields)
    return order, one, other


def ship(client: Client, order: Mapping[str, Any], **body: Any) -> requests.Response:
    return client.post(f"{order['id']}/shipments/", body or None)


def shipped(client: Client, order: Mapping[str, Any], **body: Any) -> Json:
    answer = ship(client, order, **body)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def tell(client: Client, order: Mapping[str, Any], shipment: Mapping[str, Any], kind: str, at: str, **body: Any) -> Any:
    event = {"event_id": unique("carrier"), "type": kind, "occurred_at": at, **body}
    return client.post(f"{order['id']}/shipments/{shipment['id']}/events/", event)


def items(order: Mapping[str, Any], *quantities: int) -> list[Json]:
    rows = zip(order["items"], quantities, strict=True)
    return [{"item_id": item["id"], "quantity": n} for item, n in rows if n]


def refused(answer: requests.Response, status: int, code: str) -> Json:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    told: Json = answer.json()
    return told


def told(shop: Shop, order: Mapping[str, Any], kind: str) -> list[Json]:
    shop.kinds(order["id"], EVENTS)
    return [entry.event for entry in shop.log.of(order["id"], EVENTS) if entry.kind == kind]
