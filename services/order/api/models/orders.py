"""What is done with an order, and how it is shown."""

from datetime import date, datetime
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator

from services.chassis.http.models import Body
from services.order.api.models.addresses import Address
from services.order.api.models.fields import Id, Notes, T, goes_with_status
from services.order.api.models.payments import PaymentCreate
from services.order.api.models.shipments import Shipment
from services.order.domain.revisions import RevisionReason, RevisionStatus
from services.order.domain.statuses import (
    CancelReason,
    FulfillmentStatus,
    OrderStatus,
    PaymentStatus,
    PendingOperation,
    ReservationStatus,
)


class OrderCancel(Body):
    """Why and how an order is cancelled."""

    reason: Literal["customer_request", "payment_failed", "fraud_suspected", "admin_request", "other"] = (
        "customer_request"
    )
    note: Notes | None = None
    restock: bool = Field(default=True, description="false writes the released units off")
    refund: bool = Field(default=True, description="false keeps what was paid")
    notify_customer: bool = True


_GOES_WITH = {
    "payment": OrderStatus.CONFIRMED,
    "carrier": OrderStatus.SHIPPED,
    "tracking_number": OrderStatus.SHIPPED,
    "estimated_delivery": OrderStatus.SHIPPED,
}


class OrderStatusUpdate(Body):
    """A move of the status; runs the same command as the named call."""

    status: OrderStatus = Field(
        description="the order's own changes nothing; pending cannot be set: orders begin so; refunded asks for "
        "all the rest to be paid back, and the order becomes refunded once that is settled"
    )
    notes: Notes | None = None
    payment: PaymentCreate | None = Field(default=None, description="with confirmed only")
    carrier: Id | None = Field(default=None, description="with shipped only; defaults to the shipping method's")
    tracking_number: Id | None = Field(default=None, description="with shipped only")
    estimated_delivery: date | None = Field(default=None, description="with shipped only")

    @field_validator(*_GOES_WITH)
    @classmethod
    def _goes_with_its_status(cls, value: T, info: ValidationInfo) -> T:
        return goes_with_status(value, info, _GOES_WITH, "notes")


class OrderItem(BaseModel):
    """A line of an order."""

    id: str
    sku: str
    product_name: str
    variant_name: str
    vendor_id: str | None
    quantity: int
    unit_price: str
    discount_amount: str
    tax_amount: str
    total_price: str
    shipped_quantity: int
    returned_quantity: int
    created_at: datetime


class Actor(BaseModel):
    """Who did it."""

    type: str
    id: str


class HistoryRow(BaseModel):
    """What became of an order, and why."""

    status: OrderStatus
    previous_status: OrderStatus | None
    reason: str
    notes: str | None
    public: bool
    created_at: datetime
    created_by: Actor


class ShortageRow(BaseModel):
    """A SKU that did not fit."""

    sku: str
    product_name: str | None
    variant_name: str | None
    requested: int
    available: int
    expected_at: datetime | None


class LastRevision(BaseModel):
    """What became of the newest edit of an order's lines."""

    revision: int = Field(description="counts the order's edits from 1")
    status: RevisionStatus
    reason: RevisionReason | None = Field(description="why it was rejected")
    shortages: list[ShortageRow] = Field(description="what did not fit, where that is why")
    created_at: datetime
    settled_at: datetime | None


class Order(BaseModel):
    """An order, as its reader may see it.

    A vendor sees their own lines only. Vendors and warehouses see the sums of the lines that they see, and neither
    the buyer's e-mail nor their billing address nor what is due or was paid back.
    """

    id: str
    order_number: str
    status: OrderStatus
    allowed_transitions: list[OrderStatus]
    pending_operation: PendingOperation | None
    payment_status: PaymentStatus
    fulfillment_status: FulfillmentStatus
    reservation_status: ReservationStatus
    reserved_until: datetime | None
    cancel_reason: CancelReason | None
    shortages: list[ShortageRow]
    customer_id: str | None
    customer_email: str | None
    locale: str
    currency: str
    subtotal: str
    discount_amount: str
    tax_amount: str
    shipping_amount: str | None
    total_amount: str
    amount_due: str | None
    refunded_amount: str | None
    shipping_address: Address
    billing_address: Address | None
    shipping_method: str
    payment_method: str
    notes: str | None
    external_reference: str | None
    request_id: str | None
    metadata: dict[str, str]
    items: list[OrderItem]
    status_history: list[HistoryRow] | None
    shipments: list[Shipment] | None
    last_revision: LastRevision | None = Field(description="the newest edit of its lines, null where there was none")
    version: int
    created_at: datetime
    updated_at: datetime
    confirmed_at: datetime | None
    ship_by: datetime | None = Field(description="until when all of it is to leave, null before it is processed")
    delivered_at: datetime | None = Field(description="when the last of it arrived, null before")
    cancelled_at: datetime | None


class Stuck(BaseModel):
    """Why an order waits, and what to do about it: the same as `python -m services.order stuck` says."""

    reason: str = Field(
        description="the answer that is awaited, or why the order was listed",
        examples=["reserving", "allocating", "allocation_timeout", "stock_shortfall"],
    )
    since: datetime = Field(description="when the order changed last")
    deadline_at: datetime | None = Field(description="when the order is cancelled or listed by itself, if ever")
    next_step: str = Field(description="what stands in the way, and what to do; for people")
    command: str | None = Field(
        description="what to run for it, behind `python -m services.order`",
        examples=["parked retry --key 01890a5d-ac96-774b-bcce-b302099a8057"],
    )


class AdminOrder(Order):
    """An order, as operators see it."""

    stuck: Stuck | None = Field(
        description="with `stuck=true` only; null there for an order that was answered while the page was read"
    )
