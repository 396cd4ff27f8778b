"""What can be asked of an order by a person or a storefront, and how it is decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from schemas.contracts import (
    OrderDelivered,
    OrderDeliveredLine,
    OrderProcessingStarted,
    OrderProcessingStartedAddress,
    OrderProcessingStartedLine,
    OrderShipped,
    OrderShippedLine,
)
from services.order.domain.orders import Actor, Order, OrderContent, OrderLine, Payment, When
from services.order.domain.placing import Fault, OrderDraft
from services.order.domain.pricing import ShippingMethod
from services.order.domain.reactions import ConfirmTerms, Told
from services.order.domain.statuses import CancelReason, OrderStatus, PendingOperation, ReservationStatus

# Of what left by a shipping method that the shop has given up meanwhile: the goods are gone, whoever took them.
UNSPECIFIED_CARRIER = "unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """Place an order."""

    draft: OrderDraft
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmOrder:
    """Confirm an order, with the payment that allows it."""

    order_id: str
    payment: Payment | None
    actor: Actor
    note: str | None = None
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Cancel an order.

    Args:
        only_from: statuses from which this actor may; None where the table alone decides.
        not_after: microseconds since placing within which this actor may; None for any time.

    """

    order_id: str
    reason: CancelReason
    actor: Actor
    note: str | None = None
    restock: bool = True
    refund: bool = True
    notify_customer: bool = True
    only_from: tuple[OrderStatus, ...] | None = None
    not_after: int | None = None
    expected_versions: frozenset[int] | None = None


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


class RefusalCode(StrEnum):
    """Why a command was refused."""

    NOT_FOUND = "order_not_found"
    INVALID_ORDER = "invalid_order"
    INVALID_TRANSITION = "invalid_status_transition"
    STOCK_NOT_ALLOCATED = "stock_not_allocated"
    ORDER_CANCELLED = "order_cancelled"
    ALREADY_PAID = "already_paid"
    PAYMENT_REQUIRED = "payment_required"
    PAYMENT_MISMATCH = "payment_mismatch"
    PAYMENT_REFERENCE_USED = "payment_reference_used"
    CANCEL_WINDOW_CLOSED = "cancel_window_closed"
    VERSION_CHANGED = "precondition_failed"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that the facts do not allow.

    Args:
        code: see `RefusalCode`.
        detail: names the offender and the valid options.
        faults: single faults of a request.
        facts: further members of the answer.

    """

    code: RefusalCode
    detail: str
    faults: Sequence[Fault] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


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


def refuse_transition(order: Order, to: OrderStatus) -> Refusal:
    """Return the refusal of a move that the table does not have, or that money makes and no command."""
    allowed = [status.value for status in order.allowed_transitions]
    detail = f"order {order.number} is {order.status}; from there it can become {', '.join(allowed) or 'nothing else'}"
    if OrderStatus.REFUNDED in order.allowed_transitions:
        detail += ", by refunding all that was paid and not by a status"
    facts = {"from": order.status.value, "to": to.value, "allowed": allowed}
    return Refusal(RefusalCode.INVALID_TRANSITION, detail, facts=facts)


def refuse_payment(code: RefusalCode, pointer: str, detail: str) -> Refusal:
    """Return the refusal of a payment; `pointer` is a JSON Pointer into the payment, empty for all of it."""
    return Refusal(code, detail, faults=[Fault(pointer, code.value, detail)])


def confirm(
    order: Order, payment: Payment | None, when: When, *, known: bool, prepaid: bool, terms: ConfirmTerms
) -> tuple[Told, Refusal | None]:
    """Record a payment and confirm what can be confirmed (DESIGN 2.4).

    Args:
        order: changed in place.
        payment: what the storefront reports; None where the method does without.
        known: whether this very payment is recorded for this order already.
        prepaid: whether the payment method needs a payment.
        terms: how orders are confirmed.
        when: time and actor.

    Returns:
        What others have to be told, and the refusal; a payment that is refused with `already_paid` or
        `order_cancelled` is recorded all the same, and due for refund.

    """
    refusal = _take(order, payment, when) if payment is not None and not known else None
    if refusal is not None:
        return None, refusal
    if order.status is OrderStatus.CANCELLED:
        return None, Refusal(RefusalCode.ORDER_CANCELLED, f"order {order.number} is cancelled")
    if order.status is not OrderStatus.PENDING:
        stays = order.status is OrderStatus.CONFIRMED or payment is not None
        return None, None if stays else refuse_transition(order, OrderStatus.CONFIRMED)
    if prepaid and not order.is_paid and order.total_minor > 0:
        detail = (
            f"order {order.number} is prepaid by {order.payment_method!r}: name provider, reference, amount, currency"
        )
        return None, refuse_payment(RefusalCode.PAYMENT_REQUIRED, "", detail)
    if order.pending_operation is PendingOperation.RESERVING:
        order.confirm_later(when)
        return None, None
    return order.confirm(when, terms.allocation_timeout_seconds), None


def _take(order: Order, payment: Payment, when: When) -> Refusal | None:
    unwanted = order.status is OrderStatus.CANCELLED or order.is_paid
    due = (order.amount_due_minor, order.currency)
    # Amounts of two currencies cannot be added up, not even to be paid back.
    foreign = payment.currency != order.currency
    if foreign or (payment.amount_minor != due[0] and not unwanted):
        detail = f"{due[0]} minor units of {due[1]} are due, not {payment.amount_minor} of {payment.currency}"
        return refuse_payment(RefusalCode.PAYMENT_MISMATCH, "/currency" if foreign else "/amount", detail)
    was_paid = order.is_paid
    order.record(payment, when)
    if was_paid and order.status is not OrderStatus.CANCELLED:
        detail = f"order {order.number} is paid already; this payment is recorded and due for refund"
        return Refusal(RefusalCode.ALREADY_PAID, detail)
    return None


def cancel(order: Order, command: CancelOrder, when: When) -> tuple[Told, Refusal | None]:
    """Cancel an order; one that is cancelled already stays as it is."""
    if order.status is OrderStatus.CANCELLED:
        return None, None
    barred = command.only_from is not None and order.status not in command.only_from
    if barred or OrderStatus.CANCELLED not in order.allowed_transitions:
        return None, refuse_transition(order, OrderStatus.CANCELLED)
    if command.not_after is not None and when.now - order.created_at > command.not_after:
        return None, Refusal(
            RefusalCode.CANCEL_WINDOW_CLOSED, f"order {order.number} can no longer be cancelled by you"
        )
    told = order.cancel(
        command.reason,
        when,
        restock=command.restock,
        notify=command.notify_customer,
        refund=command.refund,
    )
    return told, None


def may_advance(order: Order, to: OrderStatus) -> Refusal | None:
    """Return why an order cannot be moved on to a status, None where it can."""
    if to not in order.allowed_transitions or to is OrderStatus.REFUNDED:
        return refuse_transition(order, to)
    if to is OrderStatus.PROCESSING and order.reservation_status is not ReservationStatus.ALLOCATED:
        detail = f"the stock of order {order.number} is {order.reservation_status}, not allocated yet; try again"
        return Refusal(RefusalCode.STOCK_NOT_ALLOCATED, detail)
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
            for line, location, quantity in _by_location(order, content.lines)
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
    for line, location, quantity in _by_location(order, content.lines):
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


def _by_location(order: Order, lines: Sequence[OrderLine]) -> list[tuple[OrderLine, str, int]]:
    """Spread the lines over the locations at which inventory holds their units.

    Raises:
        ValueError: inventory holds fewer units than the lines need.

    """
    left = {(held.sku, held.location): held.quantity for held in order.held}
    spread = []
    for line in lines:
        wanted = line.quantity
        for place in [place for place in left if place[0] == line.sku]:
            taken = min(wanted, left[place])
            if taken:
                spread.append((line, place[1], taken))
                left[place] -= taken
                wanted -= taken
        if wanted:
            raise ValueError(f"order {order.number}: {wanted} of {line.sku} are not held anywhere")
    return spread
