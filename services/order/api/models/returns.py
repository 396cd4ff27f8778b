"""Returns, as they are asked for, decided, received and shown."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from services.chassis.http.models import Body
from services.order.api.models.fields import Code, Id, Notes
from services.order.api.models.refunds import Refund, RefundLine
from services.order.domain.requests import MAX_ITEMS
from services.order.domain.returns import Disposition, ReturnStatus

Location = Literal["main"]
_Units = Annotated[int, Field(ge=1, le=1_000_000)]


class ReturnLineCreate(Body):
    """Units of a line that are to be sent back."""

    item_id: Id
    quantity: _Units
    reason: Code = Field(description="a code of yours", examples=["damaged", "wrong_size"])


class ReturnCreate(Body):
    """Goods of a delivered order that are to be sent back."""

    lines: tuple[ReturnLineCreate, ...] = Field(min_length=1, max_length=MAX_ITEMS)
    note: Notes | None = None

    @model_validator(mode="after")
    def _each_item_once(self) -> "ReturnCreate":
        _refuse_twice([line.item_id for line in self.lines])
        return self


class ReturnApprove(Body):
    """The goods may be sent back."""

    note: Notes | None = None


class ReturnDecline(Body):
    """The goods stay where they are."""

    reason: Code = Field(default="other", description="a code of yours", examples=["too_late", "worn"])
    note: Notes | None = None


class ReturnLineReceive(Body):
    """Units of a line that arrived: `received` counts all of them, `damaged` those that nobody can sell."""

    item_id: Id
    received: _Units
    damaged: int = Field(default=0, ge=0, le=1_000_000)
    disposition: Disposition = Field(
        default=Disposition.RESTOCK, description="of the undamaged ones: only restock puts them back on hand"
    )

    @model_validator(mode="after")
    def _damaged_arrived(self) -> "ReturnLineReceive":
        if self.damaged > self.received:
            raise ValueError(f"{self.damaged} damaged of {self.received} received; received counts damaged ones too")
        return self


class ReturnReceive(Body):
    """What arrived of a return this time; the rest may come later."""

    lines: tuple[ReturnLineReceive, ...] = Field(default=(), max_length=MAX_ITEMS)
    location: Location = Field(default="main", description="the stock location that it arrived at")
    complete: bool = Field(default=False, description="nothing more will come, whatever is missing")
    refund: bool = Field(default=False, description="ask for the refund that the receipt proposes")
    note: Notes | None = None

    @model_validator(mode="after")
    def _something_each_once(self) -> "ReturnReceive":
        if not self.lines and not self.complete:
            raise ValueError("lines are empty; say what arrived, or complete: true where nothing more will come")
        _refuse_twice([line.item_id for line in self.lines])
        return self


class ReturnLine(BaseModel):
    """Units of a line that are to come back, and what arrived of them."""

    item_id: str
    sku: str
    quantity: int
    reason: str
    received: int
    damaged: int = Field(description="how many of the received ones nobody can sell")
    restocked: int = Field(description="how many of the received ones go back on hand")
    disposition: Disposition | None = Field(description="of the last receipt")


class Return(BaseModel):
    """Goods of an order that are to come back."""

    id: str
    number: str
    status: ReturnStatus
    expected: bool = Field(description="nobody asked for it: the order was cancelled after they had left")
    note: str | None
    decline_reason: str | None
    lines: list[ReturnLine]
    requested_at: datetime
    decided_at: datetime | None
    received_at: datetime | None = Field(description="of the last receipt")


class ProposedRefund(BaseModel):
    """What the units that arrived make due."""

    amount: str
    currency: str
    lines: list[RefundLine]


class ReturnReceived(Return):
    """The return, and the refund that this receipt makes due; `refunds` are those that were asked for with it."""

    proposed_refund: ProposedRefund | None
    refunds: list[Refund]


def _refuse_twice(items: Sequence[str]) -> None:
    if len(set(items)) < len(items):
        raise ValueError("lines name an item twice; add its units up, or send a second request")
