"""What is sent to place an order."""

from typing import Annotated

from pydantic import Field

from services.chassis.http.models import Body
from services.chassis.http.shapes import NO_NUL, Money, shape, text
from services.order.api.models.addresses import AddressOrId
from services.order.api.models.fields import Email, Id, Notes
from services.order.domain.requests import MAX_DISCOUNTS, MAX_ID, MAX_ITEMS, MAX_METADATA, MAX_METADATA_VALUE
from services.order.domain.shapes import LOCALE


class OrderItemCreate(Body):
    """A wanted line."""

    sku: Id
    quantity: int = Field(ge=1, le=1_000_000)


class DiscountCreate(Body):
    """A discount that the storefront grants."""

    code: Id
    amount: Money


class OrderCreate(Body):
    """An order to be placed. A customer's id and e-mail come from the token; role service names them."""

    items: tuple[OrderItemCreate, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    shipping_address: AddressOrId = Field(description="the address, or the id of one that the customer saved")
    billing_address: AddressOrId | None = Field(default=None, description="the same; defaults to the shipping address")
    shipping_method: Id | None = Field(default=None, description="defaults to the shop's first")
    payment_method: Id | None = Field(default=None, description="defaults to the shop's first")
    notes: Notes | None = None
    locale: Annotated[str, shape(*LOCALE, most=35)] | None = Field(default=None, examples=["de-DE"])
    external_reference: Id | None = None
    metadata: dict[Id, Annotated[str, text(most=MAX_METADATA_VALUE)]] = Field(
        default_factory=dict,
        max_length=MAX_METADATA,
        description=f"your own fields: names of 1 to {MAX_ID} characters, values of {MAX_METADATA_VALUE} at most",
        # Said once more, since what pydantic says of a map whose names are limited is lost on the way to the document.
        json_schema_extra={
            "additionalProperties": {"type": "string", "maxLength": MAX_METADATA_VALUE, "pattern": NO_NUL}
        },
    )
    discounts: tuple[DiscountCreate, ...] = Field(default=(), max_length=MAX_DISCOUNTS, description="role service")
    expected_total: Money | None = Field(default=None, description="refuse the order unless this is its total")
    customer_id: Id | None = Field(default=None, description="role service; omitted for a guest")
    customer_email: Email | None = Field(default=None, description="role service")
