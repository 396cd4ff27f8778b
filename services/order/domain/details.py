"""What belongs to an order beside its state."""

from dataclasses import dataclass

from services.order.domain.history import Change
from services.order.domain.orders import OrderContent
from services.order.domain.shipments import Shipment


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """Content, history and shipments of one order."""

    content: OrderContent
    history: tuple[Change, ...]
    shipments: tuple[Shipment, ...]
