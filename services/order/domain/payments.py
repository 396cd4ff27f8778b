"""Payments as storefronts report them: recorded, once each, and what they confirm."""

from dataclasses import dataclass

from services.chassis.money import amount_text
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
    order: Order,
    payment: Payment | None,
    when: When,
    *,
    known: bool,
    prepaid: bool,
    terms: ConfirmTerms,
    captured: bool = False,
) -> tuple[Told, Refusal | None]:
    """Record a payment and confirm what can be confirmed.

    Args:
        order: changed in place.
        payment: what the storefront reports; None where the method does without.
        known: whether this very payment is recorded for this order already.
        prepaid: whether the payment method needs a payment.
        terms: how orders are confirmed.
        when: time and actor.
        captured: the payment has happened and nobody awaits an answer, so it is recorded whatever it comes to.

    Returns:
        What others have to be told, and the refusal; a payment that is refused with `already_paid`, `order_cancelled`
        or `payment_required` is recorded all the same.

    """
    if payment is None and order.pending_operation is PendingOperation.REVISING:
        return None, order.refuse_meanwhile()
    taken = _take(order, payment, when, captured=captured) if payment is not None and not known else None
    refusal = taken or _obstacle(order, paid=payment is not None, prepaid=prepaid)
    if refusal is not None or order.status is not OrderStatus.PENDING:
        return None, refusal
    if order.pending_operation is not None:
        order.confirm_later(when)
        return None, None
    return order.confirm(when, terms.allocation_timeout_seconds), None


def confirm_settled(order: Order, when: When, *, prepaid: bool, terms: ConfirmTerms) -> Told:
    """Confirm an order that was confirmed, or is paid, now that an edit of it is settled and its total is another one.

    Where the edit has made it dearer than what was paid, it waits for the rest.
    """
    wanted = order.is_paid or order.confirm_when_reserved
    if order.status is not OrderStatus.PENDING or not wanted or _awaits_payment(order, prepaid=prepaid):
        return None
    return order.confirm(when, terms.allocation_timeout_seconds)


def _obstacle(order: Order, *, paid: bool, prepaid: bool) -> Refusal | None:
    if order.status is OrderStatus.CANCELLED:
        return Refusal(RefusalCode.ORDER_CANCELLED, f"order {order.number} is cancelled")
    if order.status is not OrderStatus.PENDING:
        stays = order.status is OrderStatus.CONFIRMED or paid
        return None if stays else refuse_transition(order, OrderStatus.CONFIRMED)
    # What an order comes to whose edit is open shows once it is settled.
    if order.pending_operation is not PendingOperation.REVISING and _awaits_payment(order, prepaid=prepaid):
        return refuse_payment(RefusalCode.PAYMENT_REQUIRED, "", _missing(order, paid=paid))
    return None


def _missing(order: Order, *, paid: bool) -> str:
    due, prepaid = amount_text(order.amount_due_minor, order.currency), f"is prepaid by {order.payment_method!r}"
    if not paid:
        return f"order {order.number} {prepaid}, and {due} are due: name provider, reference, amount, currency"
    recorded = amount_text(order.recorded_minor, order.currency)
    return f"order {order.number} {prepaid}: {recorded} are recorded, and it is confirmed once the other {due} are, too"


def _awaits_payment(order: Order, *, prepaid: bool) -> bool:
    return prepaid and not order.is_paid and order.total_minor > 0


def _take(order: Order, payment: Payment, when: When, *, captured: bool) -> Refusal | None:
    due = (order.amount_due_minor, order.currency)
    if payment.currency != order.currency:
        # Amounts of two currencies cannot be added up, not even to be paid back.
        return _mismatch(payment, due, "/currency")
    was_paid, cancelled = order.is_paid, order.status is OrderStatus.CANCELLED
    revising = order.pending_operation is PendingOperation.REVISING
    # Money that was captured is not undone by refusing to write it down; of nothing there is nothing to lose.
    fits = payment.amount_minor == due[0] or (captured and payment.amount_minor > 0)
    if not fits and revising and not captured:
        # What is due is open: a payment of the new total would not fit the old one.
        return order.refuse_meanwhile()
    if not fits and not was_paid and not cancelled:
        return _mismatch(payment, due, "/amount")
    record(order, payment, when)
    # It may be meant for what the edit makes dearer.
    if was_paid and not cancelled and not revising:
        detail = f"order {order.number} is paid already; this payment is recorded and due for refund"
        return Refusal(RefusalCode.ALREADY_PAID, detail)
    return None


def _mismatch(payment: Payment, due: tuple[int, str], pointer: str) -> Refusal:
    detail = f"{amount_text(*due)} are due, not {amount_text(payment.amount_minor, payment.currency)}"
    return refuse_payment(RefusalCode.PAYMENT_MISMATCH, pointer, detail)
