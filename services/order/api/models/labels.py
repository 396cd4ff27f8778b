"""Which labels are wanted."""

from pydantic import Field

from services.chassis.http.models import Query
from services.order.api.models.fields import Id


class LabelQuery(Query):
    """Which label of an order is wanted."""

    shipment: Id | None = Field(
        default=None, description="id or number of a shipment that was made; without it, what is still to ship"
    )
