"""Where an order goes and how, as it is changed."""

from pydantic import Field, RootModel

from services.chassis.http.models import Body
from services.order.api.models.addresses import Address
from services.order.api.models.fields import Id, Notes
from services.order.api.models.orders import Order
from services.order.api.models.revisions import Repriced


class OrderUpdate(Body):
    """What is to be changed of an order before it leaves; what is left out stays as it is."""

    shipping_address: Address | None = None
    billing_address: Address | None = None
    shipping_method: Id | None = None
    notes: Notes | None = Field(default=None, description="null takes them away")


class OrderOrTrial(RootModel[Order | Repriced]):
    """An order as it was changed, or with `dry_run=true` what that would come to."""
