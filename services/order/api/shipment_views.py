"""How shipments are shown."""

from collections.abc import Collection, Mapping

from services.chassis.events import from_micros
from services.order.api.models import shipments as models
from services.order.domain.carriers import CarrierEvent
from services.order.domain.shipments import Shipment
from services.order.handlers.shipments import tracking_url


def shipment_of(shipment: Shipment, seen: Collection[str], links: Mapping[str, str]) -> models.Shipment:
    """Return what a reader sees of a shipment.

    Args:
        shipment: what left.
        seen: ids of the lines that the reader may see.
        links: carrier → its tracking page.

    """
    return models.Shipment(
        id=shipment.id,
        number=shipment.number,
        status=shipment.status,
        location=shipment.location,
        vendor_id=shipment.vendor_id,
        carrier=shipment.carrier,
        tracking_number=shipment.tracking_number,
        tracking_url=tracking_url(shipment.carrier, shipment.tracking_number, links),
        estimated_delivery=shipment.estimated_delivery,
        unexpected=shipment.unexpected,
        shipped_at=from_micros(shipment.shipped_at),
        delivered_at=None if shipment.delivered_at is None else from_micros(shipment.delivered_at),
        items=[
            models.ShipmentItem(item_id=item_id, sku=sku, quantity=quantity)
            for item_id, sku, quantity in shipment.lines
            if item_id in seen
        ],
        events=[event_of(event) for event in shipment.events],
    )


def is_seen(shipment: Shipment, seen: Collection[str]) -> bool:
    """Return whether a reader sees something of a shipment."""
    return any(item_id in seen for item_id, _, _ in shipment.lines)


def event_of(event: CarrierEvent) -> models.CarrierEvent:
    """Return how something that a carrier told is shown."""
    return models.CarrierEvent(
        event_id=event.event_id,
        type=event.type,
        occurred_at=from_micros(event.occurred_at),
        place=event.place,
        message=event.message,
        recorded_at=from_micros(event.recorded_at),
    )
