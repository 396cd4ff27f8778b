"""What left, what carriers told of it, and what arrived."""

from collections.abc import Sequence

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import from_micros, to_micros
from services.chassis.results import Row
from services.chassis.statements import sql
from services.order.domain.carriers import CarrierEvent, CarrierEventType
from services.order.domain.parcels import Parcels
from services.order.domain.shipments import Shipment

OF_ORDERS = sql("""
SELECT id::text, order_id::text, number, location, vendor_id, carrier, tracking_number, estimated_delivery, lines,
       unexpected, shipped_at, delivered_at
FROM shipments WHERE order_id = ANY(:ids ::uuid[]) ORDER BY order_id, shipped_at, id
""")
# By the carrier's clock; what happened in one instant, as it was told.
EVENTS = sql("""
SELECT shipment_id::text, event_id, type, occurred_at, place, message, recorded_at
FROM shipment_events WHERE shipment_id = ANY(:ids ::uuid[]) ORDER BY shipment_id, occurred_at, recorded_at, event_id
""")
INSERT = sql("""
INSERT INTO shipments (id, order_id, number, location, vendor_id, carrier, tracking_number, estimated_delivery, lines,
                       unexpected, shipped_at)
VALUES (:id ::uuid, :order_id ::uuid, :number, :location, :vendor_id, :carrier, :tracking_number, :estimated_delivery,
        :lines ::jsonb, :unexpected, :shipped_at)
""")
INSERT_EVENT = sql("""
INSERT INTO shipment_events (shipment_id, event_id, type, occurred_at, place, message, recorded_at)
VALUES (:shipment_id ::uuid, :event_id, :type, :occurred_at, :place, :message, :recorded_at)
""")
PARCELS_OF = sql("SELECT last_number, numbers FROM parcels WHERE order_id = :id ::uuid")
KEEP_PARCELS = sql("""
INSERT INTO parcels (order_id, last_number, numbers) VALUES (:id ::uuid, :last_number, :numbers ::jsonb)
ON CONFLICT (order_id) DO UPDATE SET last_number = excluded.last_number, numbers = excluded.numbers
""")
DELIVER = sql("UPDATE shipments SET delivered_at = :at WHERE id = :id ::uuid AND delivered_at IS NULL")


class Shipments:
    """The shipments that one transaction looks at, of orders whose rows it has locked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, order_id: str) -> list[Shipment]:
        """Return an order's shipments, oldest first."""
        return of_orders(self._connection, [order_id]).get(order_id, [])

    def add(self, shipment: Shipment) -> None:
        """Keep what left."""
        parameters = {
            "id": shipment.id,
            "order_id": shipment.order_id,
            "number": shipment.number,
            "location": shipment.location,
            "vendor_id": shipment.vendor_id,
            "carrier": shipment.carrier,
            "tracking_number": shipment.tracking_number,
            "estimated_delivery": shipment.estimated_delivery,
            "lines": to_json(shipment.lines).decode(),
            "unexpected": shipment.unexpected,
            "shipped_at": from_micros(shipment.shipped_at),
        }
        self._connection.execute(INSERT, parameters)

    def update(self, shipment: Shipment) -> None:
        """Keep that a shipment arrived."""
        if shipment.delivered_at is not None:
            self._connection.execute(DELIVER, {"id": shipment.id, "at": from_micros(shipment.delivered_at)})

    def parcels_of(self, order_id: str) -> Parcels | None:
        """Return the numbers of an order's parcels, None where none were kept."""
        row = self._connection.execute(PARCELS_OF, {"id": order_id}).one_or_none()
        if row is None:
            return None
        return Parcels(row.last_number, {(vendor_id, place): n for vendor_id, place, n in row.numbers})

    def keep_parcels(self, order_id: str, parcels: Parcels) -> None:
        """Keep the numbers of an order's parcels."""
        numbers = [(vendor_id, place, n) for (vendor_id, place), n in parcels.numbers.items()]
        kept = {"id": order_id, "last_number": parcels.last, "numbers": to_json(numbers).decode()}
        self._connection.execute(KEEP_PARCELS, kept)

    def add_event(self, shipment: Shipment, event: CarrierEvent) -> None:
        """Keep what a carrier told, and the shipment as it is since."""
        parameters = {
            "shipment_id": shipment.id,
            "event_id": event.event_id,
            "type": event.type.value,
            "occurred_at": from_micros(event.occurred_at),
            "place": event.place,
            "message": event.message,
            "recorded_at": from_micros(event.recorded_at),
        }
        self._connection.execute(INSERT_EVENT, parameters)
        self.update(shipment)


def of_orders(connection: Connection, order_ids: Sequence[str]) -> dict[str, list[Shipment]]:
    """Return the shipments of orders, oldest first: two statements, however many they are."""
    rows = connection.execute(OF_ORDERS, {"ids": list(order_ids)}).all() if order_ids else ()
    events: dict[str, list[CarrierEvent]] = {}
    for row in connection.execute(EVENTS, {"ids": [row.id for row in rows]}) if rows else ():
        events.setdefault(row.shipment_id, []).append(_event(row))
    found: dict[str, list[Shipment]] = {}
    for row in rows:
        found.setdefault(row.order_id, []).append(_shipment(row, events.get(row.id, [])))
    return found


def _shipment(row: Row, events: Sequence[CarrierEvent]) -> Shipment:
    return Shipment(
        id=row.id,
        order_id=row.order_id,
        number=row.number,
        location=row.location,
        vendor_id=row.vendor_id,
        carrier=row.carrier,
        tracking_number=row.tracking_number,
        estimated_delivery=row.estimated_delivery,
        lines=tuple((item_id, sku, quantity) for item_id, sku, quantity in row.lines),
        unexpected=row.unexpected,
        shipped_at=to_micros(row.shipped_at),
        delivered_at=None if row.delivered_at is None else to_micros(row.delivered_at),
        events=tuple(events),
    )


def _event(row: Row) -> CarrierEvent:
    return CarrierEvent(
        event_id=row.event_id,
        type=CarrierEventType(row.type),
        occurred_at=to_micros(row.occurred_at),
        place=row.place,
        message=row.message,
        recorded_at=to_micros(row.recorded_at),
    )
