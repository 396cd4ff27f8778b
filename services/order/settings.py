"""The order service's settings, and the shop's rules that they spell out."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator

from services.chassis.money import minor_units
from services.chassis.settings import CommaSeparated, ServiceSettings
from services.order.domain.drafts import PaymentMethod, ShopTerms
from services.order.domain.orders import ConfirmTerms
from services.order.domain.pricing import ShippingMethod, TaxRate
from services.order.domain.returns import ReturnTerms

Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
TrackingLink = Annotated[str, StringConstraints(pattern=r"^https?://.*\{tracking_number\}")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]


class ShippingMethodSetting(BaseModel):
    """One entry of SHIPPING_METHODS; amounts are decimal strings by currency.

    With prices it is offered in their currencies alone, without any in all of them, for nothing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prices: dict[Currency, Decimal] = Field(default_factory=dict)
    free_from: dict[Currency, Decimal] = Field(default_factory=dict)
    carrier: str = "unspecified"
    transit_days: int = Field(default=3, ge=0, le=365)
    tracking_url: str | None = None

    @field_validator("prices", "free_from")
    @classmethod
    def _whole_minor_units(cls, amounts: dict[str, Decimal]) -> dict[str, Decimal]:
        _minor(amounts)
        return amounts


class ShipFromSetting(BaseModel):
    """One entry of SHIP_FROM: the address that the label of what leaves a location bears."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    company: str = Field(min_length=1, max_length=200)
    address1: str | None = Field(default=None, max_length=200)
    address2: str | None = Field(default=None, max_length=200)
    city: str | None = Field(default=None, max_length=200)
    state_province: str | None = Field(default=None, max_length=200)
    postal_code: str | None = Field(default=None, max_length=200)
    country_code: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")


class TaxRateSetting(BaseModel):
    """One entry of TAX_RATES."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: Decimal = Field(ge=0, le=1)
    inclusive: bool = True


class PaymentMethodSetting(BaseModel):
    """One entry of PAYMENT_METHODS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["prepaid", "on_delivery", "invoice"]
    hold_seconds: int | None = Field(default=None, ge=1)


def _not_empty(value: dict[str, object]) -> dict[str, object]:
    if not value:
        raise ValueError("needs at least one entry; the first is the default")
    return value


def _time_zones(value: tuple[str, ...]) -> tuple[str, ...]:
    for zone in value:
        try:
            ZoneInfo(zone)
        # An empty name is a folder of the zones, a name with a slash in front is none of theirs.
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{zone!r} is no time zone of IANA's, such as Europe/Berlin") from None
    if not value or len(set(value)) < len(value):
        raise ValueError("needs at least one time zone, each once; the first is the default")
    return value


class OrderSettings(ServiceSettings):
    """What only the order service needs to know."""

    http_port: int = Field(default=8001, ge=1, le=65535)
    metrics_port: int = Field(default=9101, ge=1, le=65535)
    order_number_prefix: str = Field(default="ORD", max_length=16, pattern=r"^[A-Z0-9-]*$")
    order_number_length: int = Field(default=8, ge=4, le=18)
    default_order_status: Literal["pending", "confirmed"] = Field(
        default="pending", description="confirmed is the same as AUTO_CONFIRM_ORDERS=true"
    )
    auto_confirm_orders: bool = False
    saga_timeout_seconds: int = Field(default=300, ge=1, description="how long inventory has to answer a new order")
    allocation_timeout_seconds: int = Field(
        default=300, ge=1, description="after it a confirmed order is listed as stuck"
    )
    catalog_grace_seconds: int = Field(
        default=30, ge=0, description="how long a request by Kafka waits for an unknown SKU"
    )
    cancel_window_minutes: int | None = Field(
        default=None, ge=0, description="how long customers may cancel; unset: always"
    )
    return_window_days: int = Field(
        default=30, ge=0, le=36_500, description="how long after its delivery an order's goods may be sent back"
    )
    return_number_prefix: str = Field(default="RET", max_length=16, pattern=r"^[A-Z0-9-]*$")
    max_open_orders: int | None = Field(
        default=None, ge=1, description="pending orders of one customer that nobody has paid in full; unset: any number"
    )
    max_quantity_per_line: int = Field(default=1000, ge=1, le=1_000_000)
    place_wait_seconds: int = Field(default=0, ge=0, le=20, description="default of Prefer: wait when placing")
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^\s]+$",
        description="where customers reach this API (https://shop.example); mails then say where an order is followed",
    )
    audit_seconds: float = Field(default=3600, gt=0, description="between two audits for oms_invariant_violations")
    ship_within_business_days: int = Field(
        default=2, ge=0, le=365, description="Monday to Friday, in UTC: until when what is processed has to leave"
    )
    ship_from: dict[str, ShipFromSetting] = Field(
        default_factory=dict, description="location: the address on its labels; a location without one bears its code"
    )
    tracking_urls: dict[str, TrackingLink] = Field(
        default_factory=dict,
        description="carrier: its tracking page, with {tracking_number}; beside those of SHIPPING_METHODS",
    )
    analytics_time_zones: Annotated[CommaSeparated, AfterValidator(_time_zones)] = Field(
        default=("UTC",), description="comma separated: in which the days of the analytics are kept, the default first"
    )
    analytics_refresh_seconds: float = Field(default=60, gt=0, description="between two looks at what has changed")
    default_locale: str = Field(default="en", pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$")
    shipping_methods: Annotated[dict[Code, ShippingMethodSetting], AfterValidator(_not_empty)] = Field(
        default_factory=lambda: {"standard": ShippingMethodSetting()}
    )
    payment_methods: Annotated[dict[Code, PaymentMethodSetting], AfterValidator(_not_empty)] = Field(
        default_factory=lambda: {
            "card": PaymentMethodSetting(kind="prepaid"),
            "invoice": PaymentMethodSetting(kind="invoice"),
            "cash_on_delivery": PaymentMethodSetting(kind="on_delivery"),
        }
    )
    tax_rates: dict[str, TaxRateSetting] = Field(default_factory=dict)

    @cached_property
    def shop_terms(self) -> ShopTerms:
        """The shop's rules for placing."""
        return ShopTerms(
            shipping_methods={code: _shipping(code, entry) for code, entry in self.shipping_methods.items()},
            payment_methods={
                code: PaymentMethod(code, entry.kind, entry.hold_seconds)
                for code, entry in self.payment_methods.items()
            },
            tax_rates={place: TaxRate(entry.rate, entry.inclusive) for place, entry in self.tax_rates.items()},
            max_quantity_per_line=self.max_quantity_per_line,
            saga_timeout_seconds=self.saga_timeout_seconds,
            number_prefix=self.order_number_prefix,
            number_length=self.order_number_length,
            default_locale=self.default_locale,
            minor_units=minor_units,
        )

    @cached_property
    def confirm_terms(self) -> ConfirmTerms:
        """The shop's rules for confirming."""
        auto = self.auto_confirm_orders or self.default_order_status == "confirmed"
        return ConfirmTerms(auto_confirm=auto, allocation_timeout_seconds=self.allocation_timeout_seconds)

    @cached_property
    def tracking_links(self) -> Mapping[str, str]:
        """Carrier → its tracking page, with `{tracking_number}` where the number goes."""
        known = {entry.carrier: entry.tracking_url for entry in self.shipping_methods.values() if entry.tracking_url}
        return {**known, **self.tracking_urls}

    @cached_property
    def senders(self) -> Mapping[str, Mapping[str, str | None]]:
        """Location → the address that its labels bear."""
        return {location: entry.model_dump() for location, entry in self.ship_from.items()}

    @cached_property
    def return_terms(self) -> ReturnTerms:
        """The shop's rules for returns."""
        return ReturnTerms(
            window_days=self.return_window_days,
            number_prefix=self.return_number_prefix,
            number_length=self.order_number_length,
        )

    def is_prepaid(self, payment_method: str) -> bool:
        """Return whether an order needs a payment to be confirmed; so it does where its method was abolished since."""
        known = self.payment_methods.get(payment_method)
        return known is None or known.kind == "prepaid"


def _shipping(code: str, entry: ShippingMethodSetting) -> ShippingMethod:
    return ShippingMethod(
        code=code,
        prices_minor=_minor(entry.prices),
        free_from_minor=_minor(entry.free_from),
        carrier=entry.carrier,
        transit_days=entry.transit_days,
        tracking_url=entry.tracking_url,
    )


def _minor(amounts: Mapping[str, Decimal]) -> dict[str, int]:
    return {currency: minor_units(amount, currency) for currency, amount in amounts.items()}
