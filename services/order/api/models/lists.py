"""How lists of orders are asked for."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from services.chassis.http.lists import PageQuery
from services.chassis.http.models import QueryMoment
from services.order.api.models.fields import Id
from services.order.domain.statuses import OrderStatus, PaymentStatus


def _in_order(parts: str) -> str:
    return ",".join(sorted(parts.split(",")))


# Kept in one order: a cursor belongs to what was asked for, not to how it was written.
Expand = Annotated[
    Literal["shipments", "status_history", "shipments,status_history", "status_history,shipments"],
    AfterValidator(_in_order),
]


Sort = Literal["created_at", "-created_at", "updated_at", "-updated_at", "total_amount", "-total_amount"]


class OrderQuery(PageQuery):
    """Filters of a list of orders.

    Over all orders a range of times goes with the sort by that time, and `sort=total_amount` with no status.
    """

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

    q: Id | None = Field(
        default=None,
        description="the beginning of an order number, or all of an e-mail address, a SKU or a tracking number; "
        "sorted by created_at",
        examples=["ORD8938", "ada@shop.example"],
    )
    payment_status: PaymentStatus | None = None
    overdue: bool | None = Field(
        default=None, description="orders that were to have left by now and have not, or all others"
    )

    stuck: bool | None = Field(
        default=None, description="orders that wait too long for something, or those that do not"
    )
