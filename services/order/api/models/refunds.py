"""Refunds, as they are asked for, settled and shown."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from services.chassis.http.models import Body
from services.chassis.http.shapes import Money
from services.order.api.models.fields import Code, Id, Notes, T, goes_with_status
from services.order.domain.refunds import RefundStatus
from services.order.domain.requests import MAX_ITEMS

_ONE_OF = ("amount", "lines", "shipping")
_GOES_WITH = {"provider_reference": RefundStatus.SUCCEEDED, "failure_code": RefundStatus.FAILED}


class RefundLineCreate(Body):
    """Units of a line that are paid back."""

    item_id: Id
    quantity: int = Field(ge=1, le=1_000_000)


class RefundCreate(Body):
    """One of an amount, units of lines, or the shipping; none of them: all that is left of what was paid."""

    amount: Money | None = None
    lines: tuple[RefundLineCreate, ...] | None = Field(default=None, min_length=1, max_length=MAX_ITEMS)
    shipping: Literal[True] | None = Field(default=None, description="true: what is left of the shipping")
    reason: Code = Field(default="other", description="a code of yours", examples=["damaged", "goodwill"])
    note: Notes | None = None
    payment_reference: Id | None = Field(
        default=None,
        description="the payment that is paid back; without it the newest, and others where that is not enough. "
        "Needed with `provider_reference` where an order has several payments",
    )
    provider_reference: Id | None = Field(
        default=None,
        description="the provider's name of a refund that has happened already; without it, it is asked for",
    )

    @model_validator(mode="after")
    def _one_thing(self) -> "RefundCreate":
        sent = [name for name in _ONE_OF if getattr(self, name) is not None]
        if len(sent) > 1:
            raise ValueError(
                f"send one of {', '.join(_ONE_OF)}, not {' and '.join(sent)}; none of them refunds the rest"
            )
        items = [line.item_id for line in self.lines or ()]
        if len(set(items)) < len(items):
            raise ValueError("lines name an item twice; add its units up")
        return self


class RefundSettle(Body):
    """What became of a refund: it succeeded or failed; `pending` has a failed one tried again."""

    status: RefundStatus = RefundStatus.SUCCEEDED
    provider_reference: Id | None = Field(
        default=None, description="with succeeded only; the provider's name of the refund; may come with a later report"
    )
    failure_code: Code | None = Field(
        default=None, description="with failed only; why it failed, a code", examples=["card_expired"]
    )
    note: Notes | None = None

    @field_validator(*_GOES_WITH)
    @classmethod
    def _goes_with_its_status(cls, value: T, info: ValidationInfo) -> T:
        return goes_with_status(value, info, _GOES_WITH, "note")


class RefundLine(BaseModel):
    """Units of a line that are paid back."""

    item_id: str
    sku: str
    quantity: int


class Refund(BaseModel):
    """Money that goes back to one payment of an order."""

    id: str
    status: RefundStatus
    amount: str
    currency: str
    reason: str
    note: str | None = Field(description="in the words of whoever made it; not shown to its customer")
    lines: list[RefundLine] = Field(description="what it is for, as far as the order still has it")
    shipping: str = Field(description="how much of the amount is for shipping that the order still has")
    provider: str
    payment_reference: str = Field(description="the payment that is paid back")
    provider_reference: str | None = Field(description="the provider's name of the refund")
    failure_code: str | None
    created_at: datetime
    settled_at: datetime | None


class RefundsMade(Refund):
    """The refund that was asked for, and others where it had to be spread over several payments."""

    further: list[Refund]
