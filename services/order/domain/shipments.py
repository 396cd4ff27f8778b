"""Into the warehouse and out of it: what is handed over, and what left.

Invariants: a unit leaves once; a shipment leaves one location; an order is shipped once nothing of it is left to ship.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.contracts import (
    OrderProcessingStarted,
    OrderProcessingStartedAddress,
    OrderProcessingStartedLine,
    OrderShipped,
    OrderShippedLine,
)
from services.order.domain.calendar import business_day_after, day_in_the_west, end_of
from services.order.domain.carriers import CarrierEvent, ShipmentStatus, status_of
from services.order.domain.history import Actor, When
from services.order.domain.lines import by_location, held_without, with_shipped
from services.order.domain.orders import Order, OrderContent, refuse_transition
from services.order.domain.parcels import Parcels
from services.order.domain.picking import Pick, Wanted, pick
from services.order.domain.pricing import ShippingMethod
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus, PendingOperation, ReservationStatus

# Of what left by a shipping method that the shop has given up meanwhile: the goods are gone, whoever took them.
UNSPECIFIED_CARRIER = "unspecified"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvanceOrder:
    """Move an order on: processing, shipped or delivered.

    Args:
        carrier: of the shipments; None takes the shipping method's, see `carriage_of`.
        estimated_delivery: ISO 8601 date; None takes the shipping method's days on the way.

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
class CreateShipment:
    """Ship some units of an order from one location; see `AdvanceOrder` for carrier and estimate."""

    order_id: str
    actor: Actor
    wanted: Wanted
    note: str | None = None
    carrier: str | None = None
    tracking_number: str | None = None
    estimated_delivery: str | None = None
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Carriage:
    """How a shipment travels.

    Args:
        tracking_url: where people follow it.
        follow_url: where people follow the whole order.
        estimated_delivery: ISO 8601 date.

    """

    carrier: str
    tracking_number: str | None = None
    tracking_url: str | None = None
    follow_url: str | None = None
    estimated_delivery: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """What left from one location; times in microseconds since the epoch.

    Args:
        number: what people call it.
        vendor_id: whose lines it holds, where all are one vendor's.
        lines: (item id, SKU, units).
        unexpected: it left although its order was cancelled.
        events: what the carrier told, by the carrier's clock.

    """

    id: str
    order_id: str
    number: str
    location: str
    vendor_id: str | None = None
    carrier: str
    tracking_number: str | None
    estimated_delivery: str | None
    lines: tuple[tuple[str, str, int], ...]
    unexpected: bool = False
    shipped_at: int
    delivered_at: int | None = None
    events: tuple[CarrierEvent, ...] = ()

    @property
    def status(self) -> ShipmentStatus:
        """See `ShipmentStatus`."""
        return status_of(self.events, self.delivered_at)


@dataclass(frozen=True, slots=True)
class Sent:
    """What left: the shipments, content and parcels as they are now, and what others are told, one event a shipment."""

    shipments: Sequence[Shipment]
    content: OrderContent
    parcels: Parcels
    told: Sequence[OrderShipped]


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
    # An edit may have made it dearer since it was handed over.
    leaves = to in (OrderStatus.PROCESSING, OrderStatus.SHIPPED)
    return _refuse_unpaid(order, prepaid=prepaid, auto_confirm=auto_confirm) if leaves else None


def _refuse_unpaid(order: Order, *, prepaid: bool, auto_confirm: bool) -> Refusal | None:
    # A shop that confirms unpaid orders by itself sends them too; what was paid in part is to be paid in full.
    unpaid_is_fine = not prepaid or (auto_confirm and order.recorded_minor == 0)
    if order.amount_due_minor == 0 or unpaid_is_fine:
        return None
    # Without the amount: vendors and warehouses, who are told none of the whole order, are refused by this too.
    detail = f"order {order.number} is not paid in full by {order.payment_method!r}; report what is due with confirm"
    return Refusal(RefusalCode.AMOUNT_DUE_OPEN, detail)


def numbered(order: Order, n: int) -> str:
    """Return what people call an order's shipment that has the number n, from 1 on."""
    return f"{order.number}-{n}"


def start_processing(
    order: Order, content: OrderContent, when: When, *, ship_within: int, label: str | None
) -> tuple[Parcels, OrderProcessingStarted]:
    """Hand the order to the warehouse.

    Args:
        order: changed in place.
        content: its lines, and where they go.
        when: time and actor.
        ship_within: business days until everything is to have left.
        label: path of its label.

    Returns:
        The numbers of its parcels, and what others are told.

    """
    order.note_change(OrderStatus.PROCESSING, "processing", when)
    order.ship_by = end_of(business_day_after(when.now, ship_within))
    goods = by_location(content.lines, order.held)
    address = {name: value for name, value in content.shipping_address.items() if value is not None}
    told = OrderProcessingStarted(
        order_id=order.id,
        order_number=order.number,
        ship_to=OrderProcessingStartedAddress(**address),
        shipping_method=content.shipping_method,
        lines=tuple(
            OrderProcessingStartedLine(
                item_id=line.item_id, sku=line.sku, quantity=quantity, location=location, vendor_id=line.vendor_id
            )
            for line, location, quantity in goods
        ),
        shipment_number=numbered(order, 1),
        label=label,
        ship_by=order.ship_by,
        started_at=when.now,
    )
    return Parcels().for_goods(goods), told


def carriage_of(command: AdvanceOrder | CreateShipment, method: ShippingMethod | None, when: When) -> Carriage:
    """Return how a shipment travels, but for where people follow it.

    Args:
        command: what was said of it.
        method: the order's shipping method; None once the shop has it no more.
        when: it leaves.

    """
    estimate = command.estimated_delivery
    if estimate is None and method is not None:
        estimate = business_day_after(when.now, method.transit_days).isoformat()
    return Carriage(
        carrier=command.carrier or (method.carrier if method else UNSPECIFIED_CARRIER),
        tracking_number=command.tracking_number,
        estimated_delivery=estimate,
    )


def refuse_estimate(estimate: str | None, when: When) -> Refusal | None:
    """Return why what leaves now cannot be expected on a day (ISO 8601), at its destination; None where it can."""
    first = day_in_the_west(when.now).isoformat()
    if estimate is None or estimate >= first:
        return None
    detail = f"{estimate} is before the goods leave; expect them on {first} or later, or leave it out"
    fault = Fault("/estimated_delivery", RefusalCode.ESTIMATE_PASSED.value, detail)
    return Refusal(RefusalCode.ESTIMATE_PASSED, detail, faults=(fault,))


def ship_rest(
    order: Order, content: OrderContent, carriage: Carriage, when: When, *, parcels: Parcels, ids: Sequence[str]
) -> Sent:
    """Ship all that is left, a shipment a location.

    Args:
        order: changed in place.
        content: its lines.
        carriage: how everything travels.
        when: time and actor.
        parcels: their numbers.
        ids: ids for the shipments, at least one a location.

    """
    parts: dict[str, dict[str, int]] = {}
    for line, location, quantity in by_location(content.lines, order.held):
        parts.setdefault(location, {})[line.item_id] = quantity
    picks = [Pick(location, units) for location, units in parts.items()]
    return _send(order, content, picks, carriage, when, parcels=parcels, ids=ids)


def ship_part(
    order: Order,
    content: OrderContent,
    command: CreateShipment,
    carriage: Carriage,
    when: When,
    *,
    parcels: Parcels,
    shipment_id: str,
    prepaid: bool = False,
    auto_confirm: bool = False,
) -> Sent | Refusal:
    """Ship what is wanted from one location; see `ship_rest` and `may_advance`.

    What leaves although its order was cancelled has left all the same, if it ever was in the warehouse's hands.
    """
    handed_over = order.ship_by is not None and order.status is OrderStatus.CANCELLED
    if order.status is not OrderStatus.PROCESSING and not handed_over:
        return refuse_transition(order, OrderStatus.SHIPPED)
    # What is to leave is not settled; inventory would not know what to take off.
    if order.pending_operation is PendingOperation.REVISING:
        return order.refuse_meanwhile() or refuse_transition(order, OrderStatus.SHIPPED)
    unpaid = None if handed_over else _refuse_unpaid(order, prepaid=prepaid, auto_confirm=auto_confirm)
    refusal = unpaid or refuse_estimate(command.estimated_delivery, when)
    picked = refusal or pick(order, content, command.wanted, parcels.locations)
    if isinstance(picked, Refusal):
        return picked
    vendor_id = command.wanted.vendor_id
    return _send(order, content, [picked], carriage, when, parcels=parcels, ids=[shipment_id], packer=vendor_id)


def _send(
    order: Order,
    content: OrderContent,
    picks: Sequence[Pick],
    carriage: Carriage,
    when: When,
    *,
    parcels: Parcels,
    ids: Sequence[str],
    packer: str | None = None,
) -> Sent:
    known = {line.item_id: line for line in content.lines}
    unexpected = order.status is OrderStatus.CANCELLED
    shipments = []
    if not unexpected:
        # An edit may have brought goods, or places, that had no number.
        parcels = parcels.for_goods(by_location(content.lines, order.held))
    for picked, shipment_id in zip(picks, ids, strict=False):
        n, parcels = parcels.take(packer, picked.location)
        content = replace(content, lines=with_shipped(content.lines, picked.units))
        if not unexpected:
            order.held = held_without(order.held, picked.location, _by_sku(content, picked))
        vendors = {known[item_id].vendor_id for item_id in picked.units}
        shipments.append(
            Shipment(
                id=shipment_id,
                order_id=order.id,
                number=numbered(order, n),
                location=picked.location,
                vendor_id=vendors.pop() if len(vendors) == 1 else None,
                carrier=carriage.carrier,
                tracking_number=carriage.tracking_number,
                estimated_delivery=carriage.estimated_delivery,
                lines=tuple((item_id, known[item_id].sku, units) for item_id, units in picked.units.items()),
                unexpected=unexpected,
                shipped_at=when.now,
            )
        )
    complete = not any(line.unshipped for line in content.lines)
    _note_sent(order, complete, when)
    told = [_shipped(order, shipment, carriage, complete and shipment is shipments[-1]) for shipment in shipments]
    return Sent(shipments, content, parcels, told)


def _note_sent(order: Order, complete: bool, when: When) -> None:
    if order.status is OrderStatus.CANCELLED:
        order.note_change(order.status, "shipped_unexpectedly", when)
        return
    if not complete:
        order.note_change(order.status, "partially_shipped", when)
        return
    order.note_change(OrderStatus.SHIPPED, "shipped", when)
    # Whatever it was listed for: the goods have left, and nobody has to look any more.
    order.stuck_reason = None


def _by_sku(content: OrderContent, picked: Pick) -> dict[str, int]:
    units: dict[str, int] = {}
    for line in content.lines:
        units[line.sku] = units.get(line.sku, 0) + picked.units.get(line.item_id, 0)
    return units


def _shipped(order: Order, shipment: Shipment, carriage: Carriage, complete: bool) -> OrderShipped:
    return OrderShipped(
        order_id=order.id,
        order_number=order.number,
        shipment_id=shipment.id,
        shipment_number=shipment.number,
        vendor_id=shipment.vendor_id,
        location=shipment.location,
        carrier=shipment.carrier,
        tracking_number=shipment.tracking_number,
        tracking_url=carriage.tracking_url,
        follow_url=carriage.follow_url,
        estimated_delivery=shipment.estimated_delivery,
        lines=tuple(OrderShippedLine(item_id=i, sku=sku, quantity=n) for i, sku, n in shipment.lines),
        complete=complete,
        unexpected=shipment.unexpected,
        shipped_at=shipment.shipped_at,
    )
