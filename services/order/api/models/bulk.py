"""Many orders in one request, and what became of each."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from services.chassis.http.documents import Problem
from services.chassis.http.models import Body, ReadAlone
from services.chassis.http.shapes import shape
from services.order.api.models.fields import Id, Notes
from services.order.api.models.placing import OrderCreate
from services.order.domain.bulk import MAX_ROWS, BulkMode
from services.order.domain.statuses import OrderStatus

Key = Annotated[str, shape(r"^[!-~]([ -~]{0,253}[!-~])?$", "1 to 255 printable ASCII characters, no space at an end")]


class BulkOrderCreate(OrderCreate):
    """An order to be placed, with a key of its own."""

    key: Key | None = Field(
        default=None,
        description="idempotency key of this row, one with those of single orders: what was placed under it before "
        "is answered again, and nothing is placed; of rows that share one, the first has it, the others are refused",
    )


class BulkCreate(Body):
    """Orders to be placed."""

    orders: tuple[Annotated[Any, ReadAlone(BulkOrderCreate)], ...] = Field(min_length=1, max_length=MAX_ROWS)


class BulkUpdate(Body):
    """Orders that are moved on, each by the same command as `PATCH …/{id}/status/`."""

    ids: tuple[Id, ...] = Field(min_length=1, max_length=MAX_ROWS, description="the orders' ids or numbers")
    status: OrderStatus
    notes: Notes | None = None
    mode: BulkMode = Field(
        default=BulkMode.ATOMIC,
        description="atomic: all, or none where one is refused; best_effort: those that can be; dry_run: none, and "
        "the answer says what would become of each",
    )


class BulkRow(BaseModel):
    """What became of a row."""

    index: int = Field(description="of the row in the request, from 0")
    id: str | None = Field(description="the order's, as it was sent where orders are named; null where none was placed")
    order_number: str | None
    status: OrderStatus | None = Field(description="the order's, after the call")
    repeated: bool = Field(description="whether the row's key was answered before, and this is that order")
    problem: Problem | None = Field(description="why not; null where it was done")


class BulkAnswer(BaseModel):
    """What became of each row, in the order of the request."""

    succeeded: int
    failed: int
    results: list[BulkRow]
