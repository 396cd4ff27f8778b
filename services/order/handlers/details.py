"""Where an order goes and how, changed before it leaves."""

from services.chassis.commands import Submitted
from services.order.domain import concessions, details
from services.order.domain.details import ChangeDetails, NewDetails
from services.order.domain.edits import Repriced
from services.order.domain.orders import Order
from services.order.domain.refusals import Refusal
from services.order.handlers.commands import Accepted, Outcome, order_of, when_of
from services.order.handlers.refunds import refundable, request_due_refunds
from services.order.unit_of_work import OrderUnitOfWork


def change_details(submitted: Submitted[ChangeDetails], uow: OrderUnitOfWork) -> Outcome:
    """Change addresses, notes, shipping method.  Emits: OrderDetailsChanged, RefundRequested."""
    order = order_of(submitted, uow)
    if isinstance(order, Refusal):
        return order
    priced = preview_details(uow, order, submitted.command.new)
    if isinstance(priced, Refusal):
        return priced
    if priced.obstacle is not None:
        return priced.obstacle
    when, content = when_of(submitted, uow), uow.content(order.id)
    told = details.change(order, content, priced, when, f"/api/v1/orders/{order.id}/label/")
    if priced.content != content:
        uow.revise(priced.content)
        for refund in concessions.withdraw(refundable(order, uow), content):
            uow.refunds.update(refund)
    uow.tell(order, told, submitted.cause)
    request_due_refunds(order, "details_changed", when, submitted.cause, uow)
    return Accepted(order)


def preview_details(uow: OrderUnitOfWork, order: Order, new: NewDetails) -> Repriced | Refusal:
    """Return what a change would make of an order; nothing is changed."""
    return details.preview(order, uow.content(order.id), new, uow.settings.shop_terms)
