"""Refunds: asked for by people, or by themselves where something has become due; and what became of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.chassis.commands import Submitted
from services.chassis.events import Cause, new_id
from services.order.domain import refund_requests, refunds
from services.order.domain.history import When
from services.order.domain.orders import Order
from services.order.domain.refund_requests import CreateRefund, RefundRest
from services.order.domain.refunds import Refund, Refundable, RefundStatus, SettleRefund
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus
from services.order.handlers.commands import Accepted, Outcome, order_of, when_of
from services.order.unit_of_work import OrderUnitOfWork


@dataclass(frozen=True, slots=True)
class Refunded:
    """What a command made of an order's refunds; the first is the one that was asked for.

    Args:
        is_new: unless it had been reported before.

    """

    order: Order
    refunds: Sequence[Refund]
    is_new: bool = True


def create_refund(submitted: Submitted[CreateRefund], uow: OrderUnitOfWork) -> Refunded | Refusal:
    """Refund something of an order.  Emits: RefundRequested, or RefundIssued and OrderRefunded where it was paid."""
    order = order_of(submitted, uow)
    if isinstance(order, Refusal):
        return order
    known, command = refundable(order, uow), submitted.command
    before = refund_requests.known_before(known, command)
    if before is not None:
        return Refunded(order, [before], is_new=False)
    used = _refuse_used(command.provider_reference, uow)
    if used is not None:
        return used
    made = refund_requests.create(known, command, when_of(submitted, uow), [new_id() for _ in known.payments])
    if isinstance(made, Refusal):
        return made
    _keep(order, *made, submitted.cause, uow)
    return Refunded(order, made[0])


def refund_rest(submitted: Submitted[RefundRest], uow: OrderUnitOfWork) -> Outcome:
    """Refund all that is left of an order.  Emits: RefundRequested."""
    order = order_of(submitted, uow)
    if isinstance(order, Refusal):
        return order
    if order.status is OrderStatus.REFUNDED:
        return Accepted(order)
    known = refundable(order, uow)
    made = refund_requests.refund_rest(
        known, submitted.command, when_of(submitted, uow), [new_id() for _ in known.payments]
    )
    if isinstance(made, Refusal):
        return made
    _keep(order, *made, submitted.cause, uow)
    return Accepted(order)


def settle_refund(submitted: Submitted[SettleRefund], uow: OrderUnitOfWork) -> Refunded | Refusal:
    """Take what became of a refund.  Emits: RefundIssued, OrderRefunded | RefundFailed | RefundRequested."""
    order, command = order_of(submitted, uow), submitted.command
    if isinstance(order, Refusal):
        return order
    known = refundable(order, uow)
    refund = next((refund for refund in known.refunds if refund.id == command.refund_id), None)
    if refund is None:
        detail = f"order {order.number} has no refund {command.refund_id!r}"
        return Refusal(RefusalCode.REFUND_NOT_FOUND, detail)
    name = command.provider_reference if command.status is RefundStatus.SUCCEEDED else None
    used = _refuse_used(name, uow, own=refund.id)
    settled = used or refunds.settle(known, refund, command, when_of(submitted, uow))
    if isinstance(settled, Refusal):
        return settled
    now, told = settled
    uow.refunds.update(now)
    for event in told:
        uow.tell(order, event, submitted.cause)
    return Refunded(order, [now])


def request_due_refunds(order: Order, reason: str, when: When, cause: Cause, uow: OrderUnitOfWork) -> None:
    """Ask for what has become due by itself.  Emits: RefundRequested."""
    if order.unrequested_refund_minor:
        known = refundable(order, uow)
        made = refund_requests.request_due(known, reason, when, [new_id() for _ in known.payments])
        _keep(order, *made, cause, uow)


def view_refunds(uow: OrderUnitOfWork, order: Order) -> Sequence[Refund]:
    """Return an order's refunds, oldest first."""
    return uow.refunds.of(order.id)


def refundable(order: Order, uow: OrderUnitOfWork) -> Refundable:
    """Return an order with what was paid for it and back."""
    return Refundable(order, uow.content(order.id), uow.payments.of(order.id), uow.refunds.of(order.id))


def _refuse_used(name: str | None, uow: OrderUnitOfWork, own: str | None = None) -> Refusal | None:
    """Return why a provider's name of a refund cannot be that of `own`: what was paid once settles one refund."""
    if name is None or uow.refunds.named(name) <= {own}:
        return None
    return Refusal(RefusalCode.REFUND_REFERENCE_USED, f"{name!r} is recorded for another refund")


def _keep(
    order: Order, made: Sequence[Refund], told: Sequence[refunds.RefundEvent], cause: Cause, uow: OrderUnitOfWork
) -> None:
    for refund in made:
        uow.refunds.add(refund)
    for event in told:
        uow.tell(order, event, cause)
