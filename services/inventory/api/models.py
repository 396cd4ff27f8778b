"""What warehouses and storefronts send to inventory, and what they are shown."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from services.chassis.http.lists import PageQuery
from services.chassis.http.models import Body
from services.chassis.http.shapes import Currency, Money, statement, text

MAX_UNITS = 1_000_000_000
Id = Annotated[str, text(least=1, most=128)]
Name = Annotated[str, text(least=1, most=200)]
Text = Annotated[str, text(least=1, most=500)]
Location = Literal["main"]
ReservationState = Literal["reserved", "rejected", "allocated", "expired", "released", "shipped", "cancelled_first"]
MovementKind = Literal[
    "received",
    "reserved",
    "released",
    "reservation_expired",
    "allocated",
    "shipped",
    "returned",
    "adjusted",
    "written_off",
]


class VariantPut(Body):
    """A variant, as it is to be from now on."""

    product_name: Name
    variant_name: Annotated[str, text(most=200)] = ""
    vendor_id: Id | None = Field(default=None, description="a vendor may only name themselves")
    price: Money
    currency: Currency
    low_stock_threshold: int | None = Field(
        default=None, ge=0, le=MAX_UNITS, description="units; null takes LOW_STOCK_THRESHOLD"
    )
    active: bool = True


class Variant(BaseModel):
    """A variant."""

    sku: str
    product_name: str
    variant_name: str
    vendor_id: str | None
    price: str
    currency: str
    low_stock_threshold: int | None
    active: bool
    version: int


class ReceiptCreate(Body):
    """Units that came in."""

    quantity: int = Field(ge=1, le=MAX_UNITS)
    location: Location = "main"
    reference: Text | None = Field(default=None, description="the document behind it, such as a delivery note")


class AdjustmentCreate(Body):
    """A correction: a difference, or a counted value that replaces an expected one."""

    quantity: int | None = Field(default=None, ge=-MAX_UNITS, le=MAX_UNITS, description="the difference")
    on_hand: int | None = Field(default=None, ge=0, le=MAX_UNITS, description="the counted value")
    expected_on_hand: int | None = Field(default=None, ge=0, le=MAX_UNITS, description="with on_hand: refuse otherwise")
    location: Location = "main"
    reason: Annotated[str, statement(most=500)]

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        counted = (self.on_hand is not None, self.expected_on_hand is not None)
        if self.quantity is not None and not any(counted):
            return self
        if self.quantity is None and all(counted):
            return self
        raise ValueError("send either quantity, or on_hand together with expected_on_hand")


class StockLevel(BaseModel):
    """Units of a SKU at a location."""

    sku: str
    location: str
    on_hand: int
    reserved: int
    allocated: int
    safety_stock: int
    available: int
    version: int


class StockLevels(BaseModel):
    """Levels of a SKU at all its locations."""

    sku: str
    available: int
    locations: list[StockLevel]


class ReservationLine(BaseModel):
    """Units held at a location."""

    sku: str
    location: str
    quantity: int


class Reservation(BaseModel):
    """The stock of an order."""

    order_id: str
    status: ReservationState
    expires_at: datetime | None
    lines: list[ReservationLine]


class Buckets(BaseModel):
    """Units by bucket."""

    on_hand: int
    reserved: int
    allocated: int


class Movement(BaseModel):
    """A line of the ledger."""

    id: int
    sku: str
    location: str
    kind: MovementKind
    delta: Buckets
    after: Buckets
    reason: str | None
    reference: str | None
    order_id: str | None
    actor: str
    event_id: str
    created_at: datetime


class Audit(BaseModel):
    """What an audit looked at, and every disagreement that it found."""

    ok: bool
    levels: int
    movements: int
    open_reservations: int
    differences: list[dict[str, str | int | None]]


class VariantQuery(PageQuery):
    """Filters of the list of variants."""

    q: Text | None = Field(default=None, description="part of a SKU or a name")
    vendor_id: Id | None = None
    active: bool | None = None


class ReservationQuery(PageQuery):
    """Filters of the list of reservations."""

    order_id: Id | None = None
    status: ReservationState | None = None


class MovementQuery(PageQuery):
    """Filters of the ledger."""

    sku: Id | None = None
    order_id: Id | None = None
    kind: MovementKind | None = None
