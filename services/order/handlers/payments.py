"""Payments that are reported, and what they confirm."""

from services.chassis.commands import Submitted
from services.order.domain import payments
from services.order.domain.payments import ConfirmOrder
from services.order.domain.refusals import Refusal
from services.order.handlers.commands import Accepted, Outcome, order_of, when_of
from services.order.handlers.refunds import request_due_refunds
from services.order.unit_of_work import OrderUnitOfWork


def confirm_order(submitted: Submitted[ConfirmOrder], uow: OrderUnitOfWork) -> Outcome:
    """Record a payment and confirm.  Emits: OrderConfirmed, once stock is reserved; RefundRequested."""
    order = order_of(submitted, uow)
    if isinstance(order, Refusal):
        return order
    payment = submitted.command.payment
    holder = uow.payments.holder(payment) if payment else None
    if payment is not None and holder not in (None, order.id):
        return payments.refuse_used(payment)
    version, when = order.version, when_of(submitted, uow)
    told, refusal = payments.confirm(
        order,
        payment,
        when,
        known=holder is not None,
        prepaid=uow.settings.is_prepaid(order.payment_method),
        terms=uow.settings.confirm_terms,
    )
    # A payment of nothing for an order that costs nothing is recorded too.
    if payment is not None and holder is None and order.version != version:
        uow.payments.add(order.id, payment, uow.now)
    uow.tell(order, told, submitted.cause)
    request_due_refunds(order, "not_due", when, submitted.cause, uow)
    return refusal or Accepted(order)
