"""How lists of orders are asked for."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from services.chassis.http.lists import PageQuery
from services.chassis.http.models import QueryMoment
from services.order.api.models.fields import Id
from services.order.domain.statuses import OrderStatus


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
