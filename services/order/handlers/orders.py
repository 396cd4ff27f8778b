"""What persons and storefronts ask of orders by HTTP. Each returns what there is to show, or a refusal."""

from dataclasses import dataclass

from services.chassis.commands import Submitted
from services.chassis.events import new_id
from services.order.domain import commands
from services.order.domain.commands import AdvanceOrder, CancelOrder, ConfirmOrder, PlaceOrder, Refusal, RefusalCode
from services.order.domain.orders import Actor, Order, When
from services.order.domain.placing import place, price
from services.order.domain.statuses import OrderStatus
from services.order.unit_of_work import OrderUnitOfWork


@dataclass(frozen=True, slots=True)
class Accepted:
    """A command that was carried out, on this order."""

    order: Order


Outcome = Accepted | Refusal


def place_order(submitted: Submitted[PlaceOrder], uow: OrderUnitOfWork) -> Outcome:
    """Place an order.  Emits: OrderPlaced."""
    draft, terms = submitted.command.draft, uow.settings.shop_terms
    priced = price(draft, uow.catalog, terms)
    if isinstance(priced, list):
        return Refusal(RefusalCode.INVALID_ORDER, "the order cannot be placed", priced)
    when = _when(submitted.command.actor, None, submitted, uow)
    placed = place(draft, priced, terms, uow.new_identity(len(draft.items)), when)
    uow.add(placed, submitted.cause)
    return Accepted(placed.order)


def confirm_order(submitted: Submitted[ConfirmOrder], uow: OrderUnitOfWork) -> Outcome:
    """Record a payment and confirm.  Emits: OrderConfirmed, once stock is reserved."""
    command = submitted.command
    order = uow.order(command.order_id)
    refusal = _unfit(order, command.order_id, command.expected_versions)
    if order is None or refusal is not None:
        return refusal or _missing(command.order_id)
    payment = command.payment
    holder = uow.payment_holder(payment) if payment else None
    if holder not in (None, order.id):
        detail = f"the payment reference {payment.reference!r} is recorded for another order" if payment else ""
        return commands.refuse_payment(RefusalCode.PAYMENT_REFERENCE_USED, "/reference", detail)
    version = order.version
    told, refusal = commands.confirm(
        order,
        payment,
        _when(command.actor, command.note, submitted, uow),
        known=holder is not None,
        prepaid=uow.settings.is_prepaid(order.payment_method),
        terms=uow.settings.confirm_terms,
    )
    # A payment of nothing for an order that costs nothing is recorded too.
    if payment is not None and holder is None and order.version != version:
        uow.add_payment(order, payment)
    uow.tell(order, told, submitted.cause)
    return refusal or Accepted(order)


def cancel_order(submitted: Submitted[CancelOrder], uow: OrderUnitOfWork) -> Outcome:
    """Cancel an order.  Emits: OrderCancelled."""
    command = submitted.command
    order = uow.order(command.order_id)
    refusal = _unfit(order, command.order_id, command.expected_versions)
    if order is None or refusal is not None:
        return refusal or _missing(command.order_id)
    told, refusal = commands.cancel(order, command, _when(command.actor, command.note, submitted, uow))
    uow.tell(order, told, submitted.cause)
    return refusal or Accepted(order)


def advance_order(submitted: Submitted[AdvanceOrder], uow: OrderUnitOfWork) -> Outcome:
    """Move an order on.  Emits: OrderProcessingStarted | OrderShipped | OrderDelivered."""
    command = submitted.command
    order = uow.order(command.order_id)
    refusal = _unfit(order, command.order_id, command.expected_versions)
    if order is None or refusal is not None:
        return refusal or _missing(command.order_id)
    if order.status is command.status:
        return Accepted(order)
    refusal = commands.may_advance(order, command.status)
    if refusal is not None:
        return refusal
    _advance(order, submitted, uow)
    return Accepted(order)


def _advance(order: Order, submitted: Submitted[AdvanceOrder], uow: OrderUnitOfWork) -> None:
    command = submitted.command
    content, when = uow.content(order.id), _when(command.actor, command.note, submitted, uow)
    if command.status is OrderStatus.PROCESSING:
        uow.tell(order, commands.start_processing(order, content, when), submitted.cause)
    elif command.status is OrderStatus.SHIPPED:
        carrier = commands.carrier_of(command, uow.settings.shop_terms.shipping_methods.get(content.shipping_method))
        ids = [new_id() for _ in {held.location for held in order.held}]
        for shipment, shipped in commands.ship(order, content, command, when, carrier=carrier, ids=ids):
            uow.add_shipment(shipment)
            uow.tell(order, shipped, submitted.cause)
    else:
        for delivered in commands.deliver(order, uow.shipments(order.id), when):
            uow.tell(order, delivered, submitted.cause)
        uow.deliver_shipments(order.id)


def _when(actor: Actor, note: str | None, submitted: Submitted[object], uow: OrderUnitOfWork) -> When:
    return When(now=uow.now, actor=actor, event_id=submitted.cause.causation_id, note=note)


def _missing(order_id: str) -> Refusal:
    return Refusal(RefusalCode.NOT_FOUND, f"there is no order {order_id} for you")


def _unfit(order: Order | None, order_id: str, expected_versions: frozenset[int] | None) -> Refusal | None:
    if order is None:
        return _missing(order_id)
    if expected_versions is not None and order.version not in expected_versions:
        detail = f"order {order.number} has version {order.version}; read it again"
        return Refusal(RefusalCode.VERSION_CHANGED, detail, facts={"version": order.version})
    return None
