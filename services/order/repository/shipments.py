"""What left, and what arrived."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json

from services.chassis.events import from_micros, to_micros
from services.order.domain.shipments import Shipment

OF_ORDERS = sa.text("""
SELECT id::text, order_id::text, location, carrier, tracking_number, estimated_delivery, lines, shipped_at,
       delivered_at
FROM shipments WHERE order_id = ANY(:ids ::uuid[]) ORDER BY order_id, shipped_at, id
""")
INSERT = sa.text("""
INSERT INTO shipments (id, order_id, location, carrier, tracking_number, estimated_delivery, lines, shipped_at)
VALUES (:id ::uuid, :order_id ::uuid, :location, :carrier, :tracking_number, :estimated_delivery, :lines ::jsonb,
        :shipped_at)
""")
DELIVER = sa.text("""
UPDATE shipments SET delivered_at = :at WHERE order_id = :order_id ::uuid AND delivered_at IS NULL
""")


class Shipments:
    """The shipments that one transaction looks at, of orders whose rows it has locked."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def of(self, order_id: str) -> list[Shipment]:
        """Return an order's shipments, oldest first."""
        return of_orders(self._connection, [order_id]).get(order_id, [])

    def add(self, shipment: Shipment) -> None:
        """Keep what left."""
        parameters = {
            "id": shipment.id,
            "order_id": shipment.order_id,
            "location": shipment.location,
            "carrier": shipment.carrier,
            "tracking_number": shipment.tracking_number,
            "estimated_delivery": shipment.estimated_delivery,
            "lines": to_json(shipment.lines).decode(),
            "shipped_at": from_micros(shipment.shipped_at),
        }
        self._connection.execute(INSERT, parameters)

    def deliver(self, order_id: str, at: int) -> None:
        """Keep that everything of an order arrived by `at` (microseconds since the epoch)."""
        self._connection.execute(DELIVER, {"order_id": order_id, "at": from_micros(at)})


def of_orders(connection: sa.Connection, order_ids: Sequence[str]) -> dict[str, list[Shipment]]:
    """Return the shipments of orders, oldest first."""
    found: dict[str, list[Shipment]] = {}
    for row in connection.execute(OF_ORDERS, {"ids": list(order_ids)}) if order_ids else ():
        found.setdefault(row.order_id, []).append(_shipment(row))
    return found


def _shipment(row: sa.Row[Any]) -> Shipment:
    return Shipment(
        id=row.id,
        order_id=row.order_id,
        location=row.location,
        carrier=row.carrier,
        tracking_number=row.tracking_number,
        estimated_delivery=row.estimated_delivery,
        lines=tuple((item_id, sku, quantity) for item_id, sku, quantity in row.lines),
        shipped_at=to_micros(row.shipped_at),
        delivered_at=None if row.delivered_at is None else to_micros(row.delivered_at),
    )
