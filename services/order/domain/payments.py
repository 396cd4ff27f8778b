"""Payments as storefronts report them: recorded, once each, and what they confirm."""

from dataclasses import dataclass

from services.order.domain.history import Actor, When
from services.order.domain.orders import ConfirmTerms, Order, Told, refuse_transition
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus, PendingOperation


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment that somebody reports; a provider's reference is used once over all orders.

    Args:
        amount_minor: in minor units of `currency`.

    """

    provider: str
    reference: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmOrder:
    """Confirm an order, with the payment that allows it."""

    order_id: str
    payment: Payment | None
    actor: Actor
    note: str | None = None
    expected_versions: frozenset[int] | None = None


def record(order: Order, payment: Payment, when: When) -> None:
    """Record a payment; what exceeds what is owed is due for refund from now on."""
    order.recorded_minor += payment.amount_minor
    order.payment_failed = False
    if order.payment_reference is None:
        order.payment_provider, order.payment_reference = payment.provider, payment.reference
    order.note_change(order.status, "payment_recorded", when, public=False)


def note_failed(order: Order, when: When) -> None:
    """Note that a payment failed, where the order still waits for one."""
    ended = order.status in (OrderStatus.CANCELLED, OrderStatus.REFUNDED)
    if ended or order.is_paid or order.payment_failed:
        return
    order.payment_failed = True
    order.note_change(order.status, "payment_failed", when)


def refuse_payment(code: RefusalCode, pointer: str, detail: str) -> Refusal:
    """Return the refusal of a payment; `pointer` is a JSON Pointer into the payment, empty for all of it."""
    return Refusal(code, detail, faults=[Fault(pointer, code.value, detail)])


def refuse_used(payment: Payment) -> Refusal:
    """Return the refusal of a payment that paid another order."""
    detail = f"the payment reference {payment.reference!r} is recorded for another order"
    return refuse_payment(RefusalCode.PAYMENT_REFERENCE_USED, "/reference", detail)


def confirm(
    order: Order, payment: Payment | None, when: When, *, known: bool, prepaid: bool, terms: ConfirmTerms
) -> tuple[Told, Refusal | None]:
    """Record a payment and confirm what can be confirmed.

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
    # While an edit is open, what is due is: a payment of the old total might not be one of the new.
    revising = order.pending_operation is PendingOperation.REVISING
    refusal = order.refuse_meanwhile() if revising else None
    if payment is not None and not known and not revising:
        refusal = _take(order, payment, when)
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
    record(order, payment, when)
    if was_paid and order.status is not OrderStatus.CANCELLED:
        detail = f"order {order.number} is paid already; this payment is recorded and due for refund"
        return Refusal(RefusalCode.ALREADY_PAID, detail)
    return None
