"""From the warehouse to the door: what is handed over, what left, what arrived."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.contracts import (
    OrderDelivered,
    OrderDeliveredLine,
    OrderProcessingStarted,
    OrderProcessingStartedAddress,
    OrderProcessingStartedLine,
    OrderShipped,
    OrderShippedLine,
)
from services.order.domain.history import Actor, When
from services.order.domain.lines import by_location
from services.order.domain.orders import Order, OrderContent, refuse_transition
from services.order.domain.pricing import ShippingMethod
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus, PendingOperation, ReservationStatus

# Of what left by a shipping method that the shop has given up meanwhile: the goods are gone, whoever took them.
UNSPECIFIED_CARRIER = "unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceOrder:
    """Move an order on: processing, shipped or delivered.

    Args:
        carrier: of the shipment; None takes the shipping method's, see `carrier_of`.
        estimated_delivery: ISO 8601 date.

    """

    order_id: str
    status: OrderStatus
    actor: Actor
    note: str | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    estimated_delivery: str | None = None
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What left from one location; times in microseconds since the epoch."""

    id: str
    order_id: str
    location: str
    carrier: str
    tracking_number: str | None
    estimated_delivery: str | None
    lines: tuple[tuple[str, str, int], ...]
    shipped_at: int
    delivered_at: int | None = None


def may_advance(order: Order, to: OrderStatus, *, prepaid: bool = False, auto_confirm: bool = False) -> Refusal | None:
    """Return why an order cannot be moved on to a status, None where it can.

    Args:
        order: not changed.
        to: the wanted status.
        prepaid: whether its payment method wants the money first.
        auto_confirm: whether the shop confirms orders that nobody has paid for.

    """
    if to not in order.allowed_transitions:
        return refuse_transition(order, to)
    if order.pending_operation is PendingOperation.REVISING:
        return order.refuse_meanwhile()
    if to is OrderStatus.PROCESSING and order.reservation_status is not ReservationStatus.ALLOCATED:
        detail = f"the stock of order {order.number} is {order.reservation_status}, not allocated yet; try again"
        return Refusal(RefusalCode.STOCK_NOT_ALLOCATED, detail)
    # A shop that confirms unpaid orders by itself sends them too; what was paid in part is to be paid in full.
    unpaid_is_fine = not prepaid or (auto_confirm and order.recorded_minor == 0)
    if to is OrderStatus.PROCESSING and order.amount_due_minor > 0 and not unpaid_is_fine:
        detail = (
            f"{order.amount_due_minor} minor units of {order.currency} of order {order.number} are still to be paid "
            f"by {order.payment_method!r}; report their payment with confirm"
        )
        return Refusal(RefusalCode.AMOUNT_DUE_OPEN, detail)
    return None


def start_processing(order: Order, content: OrderContent, when: When) -> OrderProcessingStarted:
    """Hand the order to the warehouse."""
    order.note_change(OrderStatus.PROCESSING, "processing", when)
    address = {name: value for name, value in content.shipping_address.items() if value is not None}
    return OrderProcessingStarted(
        order_id=order.id,
        order_number=order.number,
        ship_to=OrderProcessingStartedAddress(**address),
        shipping_method=content.shipping_method,
        lines=tuple(
            OrderProcessingStartedLine(
                item_id=line.item_id, sku=line.sku, quantity=quantity, location=location, vendor_id=line.vendor_id
            )
            for line, location, quantity in by_location(content.lines, order.held)
        ),
        started_at=when.now,
    )


def carrier_of(command: AdvanceOrder, method: ShippingMethod | None) -> str:
    """Return who carries a shipment; `method` is the order's, None once the shop has it no more."""
    return command.carrier or (method.carrier if method else UNSPECIFIED_CARRIER)


def ship(
    order: Order, content: OrderContent, command: AdvanceOrder, when: When, *, carrier: str, ids: Sequence[str]
) -> list[tuple[Shipment, OrderShipped]]:
    """Ship all that is left, a shipment a location.

    Args:
        order: changed in place.
        content: its lines.
        command: tracking and estimate.
        carrier: who carries it.
        ids: ids for the shipments, at least one a location.
        when: time and actor.

    """
    order.note_change(OrderStatus.SHIPPED, "shipped", when)
    # Whatever it was listed for: the goods have left, and nobody has to look any more.
    order.stuck_reason = None
    parts: dict[str, list[tuple[str, str, int]]] = {}
    for line, location, quantity in by_location(content.lines, order.held):
        parts.setdefault(location, []).append((line.item_id, line.sku, quantity))
    shipments = [
        Shipment(
            id=shipment_id,
            order_id=order.id,
            location=location,
            carrier=carrier,
            tracking_number=command.tracking_number,
            estimated_delivery=command.estimated_delivery,
            lines=tuple(lines),
            shipped_at=when.now,
        )
        for shipment_id, (location, lines) in zip(ids, parts.items(), strict=False)
    ]
    order.held = ()
    return [(shipment, _shipped(order, shipment, shipment is shipments[-1])) for shipment in shipments]


def deliver(order: Order, shipments: Sequence[Shipment], when: When) -> list[OrderDelivered]:
    """Mark every shipment as delivered."""
    order.note_change(OrderStatus.DELIVERED, "delivered", when)
    order.delivered_at = when.now
    return [
        OrderDelivered(
            order_id=order.id,
            order_number=order.number,
            shipment_id=shipment.id,
            location=shipment.location,
            lines=tuple(OrderDeliveredLine(item_id=i, sku=sku, quantity=n) for i, sku, n in shipment.lines),
            complete=shipment is shipments[-1],
            delivered_at=when.now,
        )
        for shipment in shipments
    ]


def _shipped(order: Order, shipment: Shipment, complete: bool) -> OrderShipped:
    return OrderShipped(
        order_id=order.id,
        order_number=order.number,
        shipment_id=shipment.id,
        location=shipment.location,
        carrier=shipment.carrier,
        tracking_number=shipment.tracking_number,
        estimated_delivery=shipment.estimated_delivery,
        lines=tuple(OrderShippedLine(item_id=i, sku=sku, quantity=n) for i, sku, n in shipment.lines),
        complete=complete,
        shipped_at=shipment.shipped_at,
    )
