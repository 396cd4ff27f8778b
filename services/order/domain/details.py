"""What belongs to an order beside its state."""

from collections import Counter
from dataclasses import dataclass

from services.order.domain.commands import Shipment
from services.order.domain.orders import Change, OrderContent
from services.order.domain.statuses import FulfillmentStatus


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """Content, history and shipments of one order."""

    content: OrderContent
    history: tuple[Change, ...]
    shipments: tuple[Shipment, ...]

    @property
    def shipped(self) -> Counter[str]:
        """Item id → units that left; what left stays so, whatever became of the order."""
        units = Counter[str]()
        for shipment in self.shipments:
            for item_id, _, quantity in shipment.lines:
                units[item_id] += quantity
        return units

    @property
    def fulfillment_status(self) -> FulfillmentStatus:
        """See `FulfillmentStatus`."""
        return FulfillmentStatus.FULFILLED if self.shipments else FulfillmentStatus.UNFULFILLED
