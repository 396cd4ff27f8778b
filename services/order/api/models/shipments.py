"""What leaves and how it fares on its way, as it is told and shown."""

from datetime import date, datetime

from pydantic import AwareDatetime, BaseModel, Field, field_validator

from services.chassis.http.models import Body
from services.order.api.models.fields import Id, Notes
from services.order.domain.carriers import CarrierEventType, ShipmentStatus
from services.order.domain.requests import MAX_ITEMS


class ShipmentItemCreate(Body):
    """Units of a line that leave."""

    item_id: Id
    quantity: int = Field(ge=1, le=1_000_000)


class ShipmentCreate(Body):
    """What leaves one location together; without items it is all that is left there, of a vendor's own lines only."""

    items: tuple[ShipmentItemCreate, ...] | None = Field(default=None, min_length=1, max_length=MAX_ITEMS)
    location: Id | None = Field(default=None, description="needed only where what ships lies at several")
    carrier: Id | None = Field(default=None, description="defaults to the shipping method's")
    tracking_number: Id | None = None
    estimated_delivery: date | None = Field(
        default=None, description="defaults to the shipping method's transit days, counted in business days"
    )
    notes: Notes | None = None

    @field_validator("items")
    @classmethod
    def _each_once(cls, items: tuple[ShipmentItemCreate, ...] | None) -> tuple[ShipmentItemCreate, ...] | None:
        named = [item.item_id for item in items or ()]
        if len(set(named)) < len(named):
            raise ValueError("items name an item twice; add its units up")
        return items


class CarrierEventCreate(Body):
    """What a carrier tells of a shipment; the same `event_id` again changes nothing."""

    event_id: Id = Field(description="the carrier's own id of what it tells")
    type: CarrierEventType
    occurred_at: AwareDatetime = Field(description="when it happened, by the carrier's clock")
    place: Id | None = Field(default=None, description="as the carrier names its places; never anyone's address")
    message: Notes | None = None


class ShipmentItem(BaseModel):
    """Units of a line that left."""

    item_id: str
    sku: str
    quantity: int


class CarrierEvent(BaseModel):
    """What a carrier told of a shipment."""

    event_id: str
    type: CarrierEventType
    occurred_at: datetime
    place: str | None
    message: str | None
    recorded_at: datetime = Field(description="when we were told")


class RecordedEvent(CarrierEvent):
    """What a carrier told, as it was kept, and where the shipment and its order stand now."""

    shipment_id: str
    shipment_status: ShipmentStatus
    order_status: str


class Shipment(BaseModel):
    """What left from one location."""

    id: str
    number: str = Field(description="what people call it, and the barcode of its label", examples=["ORD48213307-1"])
    status: ShipmentStatus = Field(
        description="what the carrier told last, by its own clock; delivered is final, whenever it is told"
    )
    location: str
    vendor_id: str | None = Field(description="whose goods it holds, where all are one vendor's")
    carrier: str
    tracking_number: str | None
    tracking_url: str | None
    estimated_delivery: str | None
    unexpected: bool = Field(description="it left although its order was cancelled")
    shipped_at: datetime
    delivered_at: datetime | None
    items: list[ShipmentItem]
    events: list[CarrierEvent] = Field(description="by the carrier's clock")
