"""Handing an order to the warehouse, sending it, delivering it."""

from dataclasses import replace

from services.chassis.commands import Submitted
from services.chassis.events import new_id
from services.order.domain import shipments
from services.order.domain.lines import with_shipped
from services.order.domain.orders import Order
from services.order.domain.refusals import Refusal
from services.order.domain.shipments import AdvanceOrder
from services.order.domain.statuses import OrderStatus
from services.order.handlers.commands import Accepted, Outcome, order_of, when_of
from services.order.unit_of_work import OrderUnitOfWork


def advance_order(submitted: Submitted[AdvanceOrder], uow: OrderUnitOfWork) -> Outcome:
    """Move an order on.  Emits: OrderProcessingStarted | OrderShipped | OrderDelivered."""
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
    )
    if refusal is not None:
        return refusal
    _advance(order, submitted, uow)
    return Accepted(order)


def _advance(order: Order, submitted: Submitted[AdvanceOrder], uow: OrderUnitOfWork) -> None:
    command, content, when = submitted.command, uow.content(order.id), when_of(submitted, uow)
    if command.status is OrderStatus.PROCESSING:
        uow.tell(order, shipments.start_processing(order, content, when), submitted.cause)
    elif command.status is OrderStatus.SHIPPED:
        carrier = shipments.carrier_of(command, uow.settings.shop_terms.shipping_methods.get(content.shipping_method))
        ids = [new_id() for _ in {held.location for held in order.held}]
        uow.revise(
            replace(content, lines=with_shipped(content.lines, {line.item_id: line.quantity for line in content.lines}))
        )
        for shipment, shipped in shipments.ship(order, content, command, when, carrier=carrier, ids=ids):
            uow.shipments.add(shipment)
            uow.tell(order, shipped, submitted.cause)
    else:
        for delivered in shipments.deliver(order, uow.shipments.of(order.id), when):
            uow.tell(order, delivered, submitted.cause)
        uow.shipments.deliver(order.id, uow.now)
