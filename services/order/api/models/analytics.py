"""Analytics, as they are asked for and shown; what each figure counts is said here."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, field_validator

from services.chassis.http.models import Query
from services.order.api.models.fields import Id
from services.order.domain.analytics import Period
from services.order.domain.statuses import CancelReason, OrderStatus

_DATE_LENGTH = len("2026-01-31")
_QUOTED = 100


def _written(value: object) -> object:
    """Refuse seconds since 1970, and times, which pydantic takes for a date and no document tells of."""
    if isinstance(value, str) and (len(value) != _DATE_LENGTH or value[4] != "-"):
        raise ValueError(f"{value[:_QUOTED]!r} is no date such as 2026-01-31")
    return value


QueryDate = Annotated[date, BeforeValidator(_written)]


class AnalyticsQuery(Query):
    """Which days: a period of the calendar until today (`month`, unless said), or `from` and `to`."""

    period: Period | None = Field(default=None, description="the one that contains today, until today")
    first: QueryDate | None = Field(default=None, alias="from", description="the first day; instead of a period")
    last: QueryDate | None = Field(
        default=None, alias="to", description="the last day, with `from`; today, unless said"
    )
    compare: Literal["previous_period"] | None = Field(
        default=None, description="shows as many days right before in `previous`"
    )
    time_zone: Id | None = Field(
        default=None,
        description="in which days begin and end: one of `ANALYTICS_TIME_ZONES`, the first unless said",
        examples=["UTC", "Europe/Berlin"],
    )

    @field_validator("first", "last")
    @classmethod
    def _instead_of_a_period(cls, value: date | None, info: ValidationInfo) -> date | None:
        if value is not None and info.data.get("period") is not None:
            raise ValueError("send one of period, or from and to")
        if value is not None and info.field_name == "last" and info.data.get("first", value) is None:
            raise ValueError("send one of period, or from and to: to goes with from")
        return value


class StatusCount(BaseModel):
    """How many of the orders have a status now."""

    status: OrderStatus
    orders: int


class ReasonShare(BaseModel):
    """Orders that were cancelled for a reason."""

    reason: CancelReason
    orders: int
    share: float = Field(description="of all orders")


class Outcomes(BaseModel):
    """What became of the orders."""

    confirmed: int = Field(description="were confirmed at some time, whatever became of them")
    failed: int = Field(description="were cancelled without having been confirmed")
    success_rate: float | None = Field(description="1 - failed / orders: were confirmed, or still may be")
    cancelled_by_reason: list[ReasonShare] = Field(description="before and after confirmation; most first")


class TimeInStatus(BaseModel):
    """How long orders stayed in a status that they have left, by nearest rank; each figure is within 2.2 %."""

    status: OrderStatus
    orders: int = Field(description="stays that have ended")
    p50_seconds: float
    p90_seconds: float
    p99_seconds: float


class TopProduct(BaseModel):
    """A SKU that was sold; without cancelled orders, refunds are not taken off."""

    sku: str
    product_name: str | None = Field(description="as the catalog has it now")
    units: int
    orders: int
    revenue: str = Field(description="what its lines cost")


class ProductPair(BaseModel):
    """Two SKUs that are in the same order."""

    skus: list[str]
    orders: int


class BasketCount(BaseModel):
    """Orders by their number of lines."""

    lines: int = Field(description="10 stands for 10 and more")
    orders: int


class Baskets(BaseModel):
    """How much is in an order that is not cancelled."""

    average_units: float | None
    average_lines: float | None
    by_lines: list[BasketCount]


class WeekdaySales(BaseModel):
    """Orders by the weekday on which they were placed."""

    weekday: int = Field(description="1 is Monday, 7 Sunday")
    orders: int
    revenue: str


class HourSales(BaseModel):
    """Orders by the hour of the day in which they were placed."""

    hour: int
    orders: int
    revenue: str


class Customers(BaseModel):
    """Who ordered, in this currency; an order counts whatever became of it."""

    new: int = Field(description="customers whose first order it was")
    repeat: int = Field(description="customers whose second order it was: who came back for the first time")
    returning_orders: int = Field(description="orders of customers who had ordered before")
    guest_orders: int = Field(description="orders without a customer")
    lifetime_value: str | None = Field(
        description="revenue of all orders with a customer, by the number of customers, since the first order until "
        "the last day"
    )


class VendorShare(BaseModel):
    """What was sold of a vendor; without cancelled orders, refunds are not taken off."""

    vendor_id: str | None = Field(description="null: lines without a vendor")
    orders: int
    units: int
    revenue: str
    share: float | None = Field(description="of the revenue of all lines")


class Figures(BaseModel):
    """What the orders placed on some days come to now; refunds and cancels count on the day of the order."""

    orders: int = Field(description="placed, whatever became of them")
    cancelled: int
    units: int = Field(description="of orders that are not cancelled")
    gross: str = Field(description="totals of orders that are not cancelled; for a vendor those of their lines")
    refunded: str = Field(
        description="what was given back of that, from when the refund is asked for; not what was paid twice"
    )
    revenue: str = Field(description="gross - refunded")
    cancelled_amount: str = Field(description="totals of orders that are cancelled")
    retained_amount: str = Field(description="of that, what was paid and is kept, as a cancel with `refund=false` says")
    average_order_value: str | None = Field(description="revenue an order that is not cancelled")
    by_status: list[StatusCount]
    outcomes: Outcomes
    time_in_status: list[TimeInStatus]
    top_products: list[TopProduct] = Field(description="ten at most, most revenue first")
    bought_together: list[ProductPair] = Field(
        description="ten at most, the most frequent first: pairs among the 50 SKUs that are in most orders, without "
        "cancelled orders and those of more than 25 SKUs"
    )
    baskets: Baskets
    by_weekday: list[WeekdaySales]
    by_hour: list[HourSales]
    customers: Customers | None = Field(description="null for vendors")
    vendors: list[VendorShare] | None = Field(description="most revenue first; null for vendors")


class CurrencyFigures(Figures):
    """The figures of all orders in one currency."""

    currency: str
    previous: Figures | None = Field(description="the days before, with `compare`; null where there was no order")


class OrderAnalytics(BaseModel):
    """What the orders of some days come to, by currency."""

    as_of: datetime | None = Field(
        description="all changes that were committed by then are in it; null, and figures are missing, until the first "
        "count has ended"
    )
    time_zone: str
    first: date = Field(serialization_alias="from")
    last: date = Field(serialization_alias="to")
    previous_from: date | None = Field(description="with `compare`")
    previous_to: date | None = Field(description="with `compare`")
    data: list[CurrencyFigures] = Field(description="currencies in which there is an order")
