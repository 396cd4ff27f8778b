"""Handing an order to the warehouse, sending it in parts or at once, following and delivering it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import quote

from services.chassis.commands import Submitted
from services.chassis.events import Cause, new_id
from services.chassis.unit_of_work import Due
from services.order.domain import deliveries, refunds, shipments
from services.order.domain.carriers import CarrierEvent
from services.order.domain.deliveries import RecordCarrierEvent
from services.order.domain.history import SYSTEM, When
from services.order.domain.orders import Order, OrderContent
from services.order.domain.parcels import Parcels
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.shipments import AdvanceOrder, Carriage, CreateShipment, Sent, Shipment
from services.order.domain.statuses import OrderStatus
from services.order.handlers.commands import Accepted, Outcome, order_of, when_of
from services.order.handlers.returns import expect_return
from services.order.handlers.tracking import tracking_path
from services.order.unit_of_work import OrderUnitOfWork

LABEL = "/api/v1/orders/{order_id}/label/"


@dataclass(frozen=True, slots=True)
class Shipped:
    """A shipment that a command made or spoke of, and its order as it is now."""

    order: Order
    content: OrderContent
    shipment: Shipment


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a carrier told, as it is kept; `is_new` unless it had been told before."""

    order: Order
    shipment: Shipment
    event: CarrierEvent
    is_new: bool


def advance_order(submitted: Submitted[AdvanceOrder], uow: OrderUnitOfWork) -> Outcome:
    """Move an order on.  Emits: OrderProcessingStarted | OrderShipped | OrderDelivered, OrderRefunded."""
    order, status = order_of(submitted, uow), submitted.command.status
    if isinstance(order, Refusal):
        return order
    if order.status is status:
        return Accepted(order)
    refusal = shipments.may_advance(
        order,
        status,
        prepaid=uow.settings.is_prepaid(order.payment_method),
        auto_confirm=uow.settings.confirm_terms.auto_confirm,
    ) or shipments.refuse_estimate(submitted.command.estimated_delivery, when_of(submitted, uow))
    if refusal is not None:
        return refusal
    _advance(order, submitted, uow)
    return Accepted(order)


def create_shipment(submitted: Submitted[CreateShipment], uow: OrderUnitOfWork) -> Shipped | Refusal:
    """Ship a part of an order.  Emits: OrderShipped; ReturnRequested, ReturnApproved where it was cancelled before."""
    order, command = order_of(submitted, uow), submitted.command
    if isinstance(order, Refusal):
        return order
    content, when = uow.content(order.id), when_of(submitted, uow)
    sent = shipments.ship_part(
        order,
        content,
        command,
        _carriage(command, content, when, uow),
        when,
        parcels=view_parcels(uow, order),
        shipment_id=new_id(),
        prepaid=uow.settings.is_prepaid(order.payment_method),
        auto_confirm=uow.settings.confirm_terms.auto_confirm,
    )
    if isinstance(sent, Refusal):
        return sent
    _keep(order, sent, submitted.cause, uow)
    if sent.shipments[0].unexpected:
        left = {item_id: units for item_id, _, units in sent.shipments[0].lines}
        expect_return(order, left, when, submitted.cause, uow)
    return Shipped(order, sent.content, sent.shipments[0])


def record_carrier_event(submitted: Submitted[RecordCarrierEvent], uow: OrderUnitOfWork) -> Recorded | Refusal:
    """Take what a carrier told of a shipment, once.  Emits: OrderTrackingUpdated, OrderDelivered, OrderRefunded."""
    order, command = order_of(submitted, uow), submitted.command
    if isinstance(order, Refusal):
        return order
    known = uow.shipments.of(order.id)
    shipment = next((s for s in known if command.shipment_id in (s.id, s.number) and command.may_see(s)), None)
    if shipment is None:
        detail = f"order {order.number} has no shipment {command.shipment_id!r} for you"
        return Refusal(RefusalCode.SHIPMENT_NOT_FOUND, detail)
    before = next((event for event in shipment.events if event.event_id == command.event_id), None)
    if before is not None:
        return Recorded(order, shipment, before, is_new=False)
    event = CarrierEvent(
        event_id=command.event_id,
        type=command.type,
        occurred_at=command.occurred_at,
        place=command.place,
        message=command.message,
        recorded_at=uow.now,
    )
    content, when = uow.content(order.id), when_of(submitted, uow)
    updated, told = deliveries.record(order, content, known, shipment, event, when=when)
    uow.shipments.add_event(updated, event)
    for tracked in told:
        uow.tell(order, tracked, submitted.cause)
    uow.tell(order, refunds.finish(order, when), submitted.cause)
    return Recorded(order, updated, event, is_new=True)


def tell_overdue(uow: OrderUnitOfWork, due: Due) -> int:
    """Reacts to: an order's ship_by.  Emits: ShipmentOverdue, once an order."""
    late = uow.lock_late(due)
    for order in late:
        deadline_id = new_id()
        when = When(now=uow.now, actor=SYSTEM, event_id=deadline_id)
        cause = Cause(correlation_id=order.id, causation_id=deadline_id)
        uow.tell(order, deliveries.note_overdue(order, uow.content(order.id), when), cause)
    return len(late)


def view_shipments(uow: OrderUnitOfWork, order: Order) -> Sequence[Shipment]:
    """Return an order's shipments, oldest first."""
    return uow.shipments.of(order.id)


def view_parcels(uow: OrderUnitOfWork, order: Order) -> Parcels:
    """Return the numbers of an order's parcels; of one that was processed before they were kept, what follows."""
    return uow.shipments.parcels_of(order.id) or Parcels(last=len(uow.shipments.of(order.id)))


def tracking_url(carrier: str, tracking_number: str | None, links: Mapping[str, str]) -> str | None:
    """Return where people follow a shipment, None where nobody knows.

    Args:
        carrier: who carries it.
        tracking_number: the carrier's, if it has one.
        links: carrier → address with `{tracking_number}`.

    """
    link = links.get(carrier)
    if link is None or not tracking_number:
        return None
    return link.replace("{tracking_number}", quote(tracking_number, safe=""))


def _advance(order: Order, submitted: Submitted[AdvanceOrder], uow: OrderUnitOfWork) -> None:
    command, content, when = submitted.command, uow.content(order.id), when_of(submitted, uow)
    if command.status is OrderStatus.PROCESSING:
        label = LABEL.format(order_id=order.id)
        within = uow.settings.ship_within_business_days
        parcels, told = shipments.start_processing(order, content, when, ship_within=within, label=label)
        uow.shipments.keep_parcels(order.id, parcels)
        uow.tell(order, told, submitted.cause)
    elif command.status is OrderStatus.SHIPPED:
        carriage = _carriage(command, content, when, uow)
        ids = [new_id() for _ in {held.location for held in order.held}]
        parcels = view_parcels(uow, order)
        sent = shipments.ship_rest(order, content, carriage, when, parcels=parcels, ids=ids)
        _keep(order, sent, submitted.cause, uow)
    else:
        for shipment, delivered in deliveries.deliver(order, content, uow.shipments.of(order.id), when):
            uow.shipments.update(shipment)
            uow.tell(order, delivered, submitted.cause)
        uow.tell(order, refunds.finish(order, when), submitted.cause)


def _carriage(
    command: AdvanceOrder | CreateShipment, content: OrderContent, when: When, uow: OrderUnitOfWork
) -> Carriage:
    method = uow.settings.shop_terms.shipping_methods.get(content.shipping_method)
    carriage = shipments.carriage_of(command, method, when)
    link = tracking_url(carriage.carrier, carriage.tracking_number, uow.settings.tracking_links)
    public = uow.settings.public_url
    follow = None if public is None else public.rstrip("/") + tracking_path(content.order_id, uow)
    return replace(carriage, tracking_url=link, follow_url=follow)


def _keep(order: Order, sent: Sent, cause: Cause, uow: OrderUnitOfWork) -> None:
    uow.revise(sent.content)
    uow.shipments.keep_parcels(order.id, sent.parcels)
    for shipment, told in zip(sent.shipments, sent.told, strict=True):
        uow.shipments.add(shipment)
        uow.tell(order, told, cause)
