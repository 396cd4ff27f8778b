"""Payments that are reported, and what they confirm."""

from services.chassis.commands import Submitted
from services.chassis.events import Cause
from services.order.domain import payments
from services.order.domain.history import When
from services.order.domain.orders import Order
from services.order.domain.payments import ConfirmOrder, Payment
from services.order.domain.refusals import Refusal
from services.order.handlers.commands import Accepted, Outcome, order_of, when_of
from services.order.handlers.refunds import request_due_refunds
from services.order.unit_of_work import OrderUnitOfWork


def confirm_order(submitted: Submitted[ConfirmOrder], uow: OrderUnitOfWork) -> Outcome:
    """Record a payment and confirm.  Emits: OrderConfirmed, once stock is reserved; RefundRequested."""
    order = order_of(submitted, uow)
    if isinstance(order, Refusal):
        return order
    refusal = take_payment(order, submitted.command.payment, when_of(submitted, uow), submitted.cause, uow)
    return refusal or Accepted(order)


def take_payment(
    order: Order, payment: Payment | None, when: When, cause: Cause, uow: OrderUnitOfWork
) -> Refusal | None:
    """Confirm an order that is locked, with the payment, if there is one, whose holder is loaded; see above."""
    holder = uow.payments.holder(payment) if payment else None
    if payment is not None and holder not in (None, order.id):
        return payments.refuse_used(payment)
    version = order.version
    told, refusal = payments.confirm(
        order,
        payment,
        when,
        known=holder is not None,
        prepaid=uow.settings.is_prepaid(order.payment_method),
        terms=uow.settings.confirm_terms,
    )
    # A payment of nothing for an order that costs nothing is recorded too.
    recorded = payment is not None and holder is None and order.version != version
    if payment is not None and recorded:
        uow.payments.add(order.id, payment, uow.now)
    uow.tell(order, told, cause)
    # Without a new payment nothing has become due: what failed is tried again by people.
    if recorded:
        request_due_refunds(order, "not_due", when, cause, uow)
    return refusal
