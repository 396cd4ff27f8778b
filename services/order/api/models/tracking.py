"""How far an order has come, as anybody with its link may see it."""

from datetime import datetime

from pydantic import BaseModel, Field

from services.order.api.models.shipments import CarrierEvent
from services.order.domain.carriers import ShipmentStatus
from services.order.domain.statuses import OrderStatus


class TrackedShipment(BaseModel):
    """One parcel on its way."""

    number: str
    status: ShipmentStatus
    carrier: str
    tracking_number: str | None
    tracking_url: str | None
    estimated_delivery: str | None
    shipped_at: datetime
    delivered_at: datetime | None
    events: list[CarrierEvent] = Field(description="by the carrier's clock")


class TrackedChange(BaseModel):
    """What became of the order."""

    status: OrderStatus
    reason: str
    created_at: datetime


class Tracking(BaseModel):
    """How far an order has come; nothing of who ordered, what, or for how much."""

    order_number: str
    status: OrderStatus
    shipments: list[TrackedShipment]
    history: list[TrackedChange]
    link: str | None = Field(
        description="path of the same without a token; null where it is that already, and for vendors, since it shows "
        "all of the order"
    )
