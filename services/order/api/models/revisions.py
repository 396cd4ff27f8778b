"""Edits of an order's lines, as they are asked for and shown."""

from pydantic import BaseModel, Field, RootModel

from services.chassis.http.models import Body, Query
from services.order.api.models.fields import Notes
from services.order.api.models.orders import LastRevision, OrderItem
from services.order.api.models.placing import OrderItemCreate


class ItemCreate(OrderItemCreate):
    """A further line, at the catalog's price of today."""

    notes: Notes | None = None


class ItemUpdate(Body):
    """Another quantity of a line; its price stays."""

    quantity: int = Field(ge=1, le=1_000_000)
    notes: Notes | None = None


class DryRunQuery(Query):
    """Whether something is only to be tried."""

    dry_run: bool = Field(
        default=False,
        description="true answers 200 with what the change would come to, and changes nothing; "
        "whether there is enough stock only inventory knows, and is not asked",
    )


class Obstacle(BaseModel):
    """Why a change cannot be made now."""

    code: str = Field(examples=["operation_in_progress", "not_editable"])
    detail: str


class Repriced(BaseModel):
    """What an order would be after a change; the amounts are the whole order's, a vendor's those of their lines."""

    feasible: bool = Field(
        description="whether the change would be taken now, by the order's state, the catalog, the shop's limits, and "
        "what was told of the stock: more of what is out of stock is not feasible; how much is left, inventory decides"
    )
    obstacles: list[Obstacle]
    currency: str
    subtotal: str
    discount_amount: str
    tax_amount: str
    shipping_amount: str | None = Field(description="null for vendors")
    total_amount: str
    price_difference: str | None = Field(
        description="new total less the present one; below zero where it becomes cheaper; null for vendors"
    )
    items: list[OrderItem]


class Revision(LastRevision):
    """An edit of an order's lines, and what became of it; a vendor sees their own lines only, and their sums."""

    currency: str
    subtotal: str
    discount_amount: str
    tax_amount: str
    shipping_amount: str | None
    total_amount: str
    price_difference: str | None = Field(
        description="its total less the one before it; below zero where it became cheaper"
    )
    items: list[OrderItem] = Field(description="all lines that the order has by it")


class RevisionOrTrial(RootModel[Revision | Repriced]):
    """An edit that was made, or with `dry_run=true` what it would come to."""
