"""Where an order goes and how, as it is changed."""

from typing import Annotated, Any

from pydantic import Field, GetJsonSchemaHandler, RootModel, field_validator
from pydantic.json_schema import JsonSchemaValue

from services.chassis.http.models import Body
from services.order.api.models.addresses import Address
from services.order.api.models.fields import Id, Notes
from services.order.api.models.orders import Order
from services.order.api.models.revisions import Repriced


class _NeverNull:
    """Documents a field that may be left out without the null which stands for that here.

    With `SkipJsonSchema[None]` pydantic tells of each fault once more, that null would do.
    """

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the JSON Schema; called by pydantic."""
        sent: JsonSchemaValue
        (sent,) = [kind for kind in handler(schema)["anyOf"] if kind != {"type": "null"}]
        return sent


class OrderUpdate(Body):
    """What is to be changed of an order before it leaves; what is left out stays as it is."""

    # None is what is left out; it cannot be sent.
    shipping_address: Annotated[Address | None, _NeverNull()] = None
    billing_address: Annotated[Address | None, _NeverNull()] = None
    shipping_method: Annotated[Id | None, _NeverNull()] = None
    notes: Notes | None = Field(default=None, description="null takes them away")

    @field_validator("shipping_address", "billing_address", "shipping_method", mode="before")
    @classmethod
    def _is_sent(cls, value: object) -> object:
        if value is None:
            raise ValueError("must not be null; leave it out, and the order keeps what it has")
        return value


class OrderOrTrial(RootModel[Order | Repriced]):
    """An order as it was changed, or with `dry_run=true` what that would come to."""
