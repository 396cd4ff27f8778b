"""Where an order goes and how, as it is changed."""

from pydantic import Field, RootModel, field_validator
from pydantic.json_schema import SkipJsonSchema

from services.chassis.http.models import Body
from services.order.api.models.addresses import Address
from services.order.api.models.fields import Id, Notes
from services.order.api.models.orders import Order
from services.order.api.models.revisions import Repriced


class OrderUpdate(Body):
    """What is to be changed of an order before it leaves; what is left out stays as it is."""

    # None is what is left out; it cannot be sent.
    shipping_address: Address | SkipJsonSchema[None] = None
    billing_address: Address | SkipJsonSchema[None] = None
    shipping_method: Id | SkipJsonSchema[None] = None
    notes: Notes | None = Field(default=None, description="null takes them away")

    @field_validator("shipping_address", "billing_address", "shipping_method", mode="before")
    @classmethod
    def _is_sent(cls, value: object) -> object:
        if value is None:
            raise ValueError("must not be null; leave it out, and the order keeps what it has")
        return value


class OrderOrTrial(RootModel[Order | Repriced]):
    """An order as it was changed, or with `dry_run=true` what that would come to."""
