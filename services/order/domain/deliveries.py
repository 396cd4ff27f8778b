"""What became of shipments on their way: what carriers tell, and what arrived; and what should have left by now.

Invariant: an order is delivered once it is shipped and every shipment of it is delivered, whoever told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.contracts import (
    OrderDelivered,
    OrderDeliveredLine,
    OrderTrackingUpdated,
    OrderTrackingUpdatedType,
    ShipmentOverdue,
    ShipmentOverdueLine,
)
from services.order.domain.carriers import CarrierEvent, CarrierEventType
from services.order.domain.history import Actor, When
from services.order.domain.orders import Order, OrderContent
from services.order.domain.shipments import Shipment
from services.order.domain.statuses import OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCarrierEvent:
    """Record what a carrier told of a shipment.

    Args:
        vendor_id: whose shipments alone the caller may speak of; None for all.
        locations: from where; None for everywhere.

    """

    order_id: str
    shipment_id: str
    actor: Actor
    event_id: str
    type: CarrierEventType
    occurred_at: int
    place: str | None = None
    message: str | None = None
    vendor_id: str | None = None
    locations: frozenset[str] | None = None
    note: str | None = None
    expected_versions: frozenset[int] | None = None

    def may_see(self, shipment: Shipment) -> bool:
        """Return whether a shipment is one that the caller may speak of."""
        own = self.vendor_id in (None, shipment.vendor_id)
        return own and (self.locations is None or shipment.location in self.locations)


def deliver(
    order: Order, content: OrderContent, shipments: Sequence[Shipment], when: When
) -> list[tuple[Shipment, OrderDelivered]]:
    """Mark every shipment of a shipped order as delivered; those that are stay as they are."""
    order.note_change(OrderStatus.DELIVERED, "delivered", when)
    order.delivered_at = when.now
    under_way = [shipment for shipment in shipments if shipment.delivered_at is None]
    arrived = [replace(shipment, delivered_at=when.now) for shipment in under_way]
    complete = not any(line.unshipped for line in content.lines)
    return [(shipment, _delivered(order, shipment, complete and shipment is arrived[-1])) for shipment in arrived]


def record(
    order: Order,
    content: OrderContent,
    shipments: Sequence[Shipment],
    shipment: Shipment,
    event: CarrierEvent,
    *,
    when: When,
) -> tuple[Shipment, list[OrderTrackingUpdated | OrderDelivered]]:
    """Take what a carrier told of a shipment, and was not told before.

    Args:
        order: changed in place.
        content: its lines.
        shipments: all of the order's.
        shipment: one of them.
        event: what was told.
        when: time and actor.

    Returns:
        The shipment as it is now, and what others are told.

    """
    updated = replace(shipment, events=(*shipment.events, event))
    told: list[OrderTrackingUpdated | OrderDelivered] = [_tracked(order, shipment, event)]
    if event.type is not CarrierEventType.DELIVERED or shipment.delivered_at is not None:
        order.note_change(order.status, "tracking_updated", when, public=False)
        return updated, told
    updated = replace(updated, delivered_at=_arrival(shipment, event))
    others = [other.delivered_at for other in shipments if other.id != shipment.id]
    complete = None not in others and not any(line.unshipped for line in content.lines)
    if complete and order.status is OrderStatus.SHIPPED:
        order.note_change(OrderStatus.DELIVERED, "delivered", when)
        order.delivered_at = max(at for at in (updated.delivered_at, *others) if at is not None)
    else:
        order.note_change(order.status, "shipment_delivered", when)
    return updated, [*told, _delivered(order, updated, complete)]


def _arrival(shipment: Shipment, event: CarrierEvent) -> int:
    """Return when a shipment arrived: no sooner than it left, and no later than it was told.

    The window of returns counts from it; a carrier's clock that is wrong would close it at once, or never.
    """
    return max(shipment.shipped_at, min(event.occurred_at, event.recorded_at))


def note_overdue(order: Order, content: OrderContent, when: When) -> ShipmentOverdue:
    """Note that units of an order should have left by now."""
    order.overdue_at = when.now
    order.note_change(order.status, "shipment_overdue", when, public=False)
    return ShipmentOverdue(
        order_id=order.id,
        order_number=order.number,
        ship_by=order.ship_by or when.now,
        lines=tuple(
            ShipmentOverdueLine(item_id=line.item_id, sku=line.sku, quantity=line.unshipped)
            for line in content.lines
            if line.unshipped
        ),
        overdue_at=when.now,
    )


def _tracked(order: Order, shipment: Shipment, event: CarrierEvent) -> OrderTrackingUpdated:
    return OrderTrackingUpdated(
        order_id=order.id,
        order_number=order.number,
        shipment_id=shipment.id,
        shipment_number=shipment.number,
        carrier=shipment.carrier,
        tracking_number=shipment.tracking_number,
        carrier_event_id=event.event_id,
        type=OrderTrackingUpdatedType(event.type.value),
        occurred_at=event.occurred_at,
        place=event.place,
        recorded_at=event.recorded_at,
    )


def _delivered(order: Order, shipment: Shipment, complete: bool) -> OrderDelivered:
    return OrderDelivered(
        order_id=order.id,
        order_number=order.number,
        shipment_id=shipment.id,
        shipment_number=shipment.number,
        location=shipment.location,
        lines=tuple(OrderDeliveredLine(item_id=i, sku=sku, quantity=n) for i, sku, n in shipment.lines),
        complete=complete,
        delivered_at=shipment.delivered_at or 0,
    )
