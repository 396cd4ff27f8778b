"""What left, as it is shown."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel


class ShipmentItem(BaseModel):
    """Units of a line that left."""

    item_id: str
    sku: str
    quantity: int


class Shipment(BaseModel):
    """What left from one location."""

    id: str
    status: Literal["shipped", "delivered"]
    location: str
    carrier: str
    tracking_number: str | None
    tracking_url: str | None
    estimated_delivery: str | None
    shipped_at: datetime
    delivered_at: datetime | None
    items: list[ShipmentItem]
