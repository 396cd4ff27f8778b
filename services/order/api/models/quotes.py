"""What an order would come to, and the ways to send one."""

from typing import Literal

from pydantic import BaseModel, Field

from services.order.api.models.addresses import Address
from services.order.domain.availability import Availability


class QuoteItem(BaseModel):
    """A line, as it would be ordered now."""

    sku: str
    product_name: str
    variant_name: str
    vendor_id: str | None
    quantity: int
    unit_price: str
    discount_amount: str
    tax_amount: str
    total_price: str
    availability: Availability = Field(
        description="what inventory's last alert says of the variant, `in_stock` where it said nothing; never a "
        "promise: stock is decided when the order is placed. That low stock has recovered is not told, so it is "
        "believed for seven days"
    )


class ShippingOption(BaseModel):
    """A way to send this order."""

    code: str
    carrier: str
    transit_days: int
    shipping_amount: str
    total_amount: str = Field(description="of the order, if it is sent so")


class PaymentOption(BaseModel):
    """A way to pay this order."""

    code: str
    kind: Literal["prepaid", "on_delivery", "invoice"]
    hold_seconds: int | None = Field(description="how long stock waits for the payment; null: inventory's default")


class Quote(BaseModel):
    """What an order would come to now: the same as placing it makes of it, and nothing is stored."""

    currency: str
    items: list[QuoteItem]
    subtotal: str
    discount_amount: str
    tax_amount: str
    shipping_amount: str
    total_amount: str = Field(description="send it as `expected_total` when the order is placed")
    shipping_method: str
    payment_method: str
    shipping_address: Address
    billing_address: Address
    shipping_options: list[ShippingOption]
    payment_methods: list[PaymentOption]


class ShippingMethod(BaseModel):
    """A way to send orders."""

    code: str
    carrier: str
    transit_days: int = Field(description="working days on the way")
    prices: dict[str, str] = Field(
        description="by currency; offered in these alone, or in all for nothing where none is named"
    )
    free_from: dict[str, str] = Field(description="by currency: the subtotal from which on it is free")
