"""What storefronts send, and what they are shown (REST 2 and 5). Money is decimal strings, times RFC 3339 in UTC."""

from datetime import date, datetime
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints, ValidationInfo, field_validator

from services.chassis.http.lists import PageQuery
from services.chassis.http.models import Body, QueryMoment
from services.order.domain.requests import (
    COUNTRY,
    EMAIL,
    LOCALE,
    MAX_ADDRESS_FIELD,
    MAX_DISCOUNTS,
    MAX_EMAIL,
    MAX_ID,
    MAX_ITEMS,
    MAX_METADATA,
    MAX_METADATA_VALUE,
    MAX_NOTES,
)
from services.order.domain.statuses import (
    CancelReason,
    FulfillmentStatus,
    OrderStatus,
    PaymentStatus,
    PendingOperation,
    ReservationStatus,
)

T = TypeVar("T")
# PostgreSQL's text holds every character but NUL.
_NO_NUL = r"^[^\x00]*$"
Id = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ID, pattern=_NO_NUL)]
Notes = Annotated[str, StringConstraints(max_length=MAX_NOTES, pattern=_NO_NUL)]
AddressField = Annotated[str, StringConstraints(min_length=1, max_length=MAX_ADDRESS_FIELD, pattern=_NO_NUL)]
Email = Annotated[str, StringConstraints(max_length=MAX_EMAIL, pattern=EMAIL)]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
# A decimal string: a JSON number would have been a float on its way.
Money = Annotated[
    str, StringConstraints(pattern=r"^\d{1,12}(\.\d{1,4})?$"), Field(examples=["19.99"], description="decimal string")
]


class OrderItemCreate(Body):
    """A wanted line."""

    sku: Id
    quantity: int = Field(ge=1, le=1_000_000)


class Address(Body):
    """A postal address."""

    first_name: AddressField
    last_name: AddressField
    company: AddressField | None = None
    address1: AddressField
    address2: AddressField | None = None
    city: AddressField
    state_province: AddressField | None = None
    postal_code: AddressField
    country_code: Annotated[str, StringConstraints(pattern=COUNTRY)] = Field(examples=["DE"])
    phone: AddressField | None = None


class DiscountCreate(Body):
    """A discount that the storefront grants."""

    code: Id
    amount: Money


class OrderCreate(Body):
    """An order to be placed. A customer's id and e-mail come from the token; role service names them."""

    items: tuple[OrderItemCreate, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    shipping_address: Address
    billing_address: Address | None = Field(default=None, description="defaults to the shipping address")
    shipping_method: Id | None = Field(default=None, description="defaults to the shop's first")
    payment_method: Id | None = Field(default=None, description="defaults to the shop's first")
    notes: Notes | None = None
    locale: Annotated[str, StringConstraints(max_length=35, pattern=LOCALE)] | None = Field(
        default=None, examples=["de-DE"]
    )
    external_reference: Id | None = None
    metadata: dict[Id, Annotated[str, StringConstraints(max_length=MAX_METADATA_VALUE, pattern=_NO_NUL)]] = Field(
        default_factory=dict,
        max_length=MAX_METADATA,
        description=f"your own fields: names of 1 to {MAX_ID} characters, values of {MAX_METADATA_VALUE} at most",
        # Said once more, since what pydantic says of a map whose names are limited is lost on the way to the document.
        json_schema_extra={
            "additionalProperties": {"type": "string", "maxLength": MAX_METADATA_VALUE, "pattern": _NO_NUL}
        },
    )
    discounts: tuple[DiscountCreate, ...] = Field(default=(), max_length=MAX_DISCOUNTS, description="role service")
    expected_total: Money | None = Field(default=None, description="refuse the order unless this is its total")
    customer_id: Id | None = Field(default=None, description="role service; omitted for a guest")
    customer_email: Email | None = Field(default=None, description="role service")


class PaymentCreate(Body):
    """A payment that was made, for all that is due."""

    provider: Id
    reference: Id = Field(description="the provider's; used once over all orders")
    amount: Money
    currency: Currency


class OrderConfirm(Body):
    """A payment, and with it the confirmation; without one for methods that are paid later."""

    provider: Id | None = None
    reference: Id | None = None
    amount: Money | None = None
    currency: Currency | None = None
    notes: Notes | None = None


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
        description="the order's own changes nothing; pending and refunded cannot be set: orders begin as pending, "
        "and become refunded by refunding all that was paid"
    )
    notes: Notes | None = None
    payment: PaymentCreate | None = Field(default=None, description="with confirmed only")
    carrier: Id | None = Field(default=None, description="with shipped only; defaults to the shipping method's")
    tracking_number: Id | None = Field(default=None, description="with shipped only")
    estimated_delivery: date | None = Field(default=None, description="with shipped only")

    @field_validator(*_GOES_WITH)
    @classmethod
    def _goes_with_its_status(cls, value: T, info: ValidationInfo) -> T:
        """Refuse what would be dropped without a word."""
        # A status that is none is a fault of its own.
        status, wanted = info.data.get("status"), _GOES_WITH[info.field_name or ""]
        if value is not None and status not in (None, wanted):
            valid = ", ".join(["notes", *(name for name, other in _GOES_WITH.items() if other is status)])
            raise ValueError(f"goes with status {wanted} only; status {status} takes {valid}")
        return value


def _in_order(parts: str) -> str:
    return ",".join(sorted(parts.split(",")))


# Kept in one order: a cursor belongs to what was asked for, not to how it was written.
Expand = Annotated[
    Literal["shipments", "status_history", "shipments,status_history", "status_history,shipments"],
    AfterValidator(_in_order),
]
Sort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "total_amount", "-total_amount"]


class OrderQuery(PageQuery):
    """Filters of a list of orders."""

    status: OrderStatus | None = None
    created_from: QueryMoment | None = Field(default=None, alias="created_at[gte]")
    created_before: QueryMoment | None = Field(default=None, alias="created_at[lt]")
    updated_from: QueryMoment | None = Field(default=None, alias="updated_at[gte]")
    number: Id | None = None
    request_id: Id | None = None
    customer_id: Id | None = Field(default=None, description="role service and admin")
    sort: Sort = "-created_at"
    expand: Expand | None = None


class AdminOrderQuery(OrderQuery):
    """Filters of the list of all orders."""

    stuck: bool | None = Field(
        default=None, description="orders that wait too long for something, or those that do not"
    )


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


class ShortageRow(BaseModel):
    """A SKU that did not fit."""

    sku: str
    product_name: str | None
    variant_name: str | None
    requested: int
    available: int
    expected_at: datetime | None


class Order(BaseModel):
    """An order, as its reader may see it: a vendor sees their own lines only, and their sums."""

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
    version: int
    created_at: datetime
    updated_at: datetime
    confirmed_at: datetime | None
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
