"""What belongs to an order beside its state."""

from dataclasses import dataclass

from services.order.domain.commands import Shipment
from services.order.domain.orders import Change, OrderContent


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """Content, history and shipments of one order."""

    content: OrderContent
    history: tuple[Change, ...]
    shipments: tuple[Shipment, ...]
