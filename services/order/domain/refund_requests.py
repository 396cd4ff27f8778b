"""Requests of refunds: what somebody wants to be paid back or has become due by itself, and what that comes to.

One refund belongs to one payment, so that what needs several payments becomes several refunds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.chassis.money import amount_text, decimal_string
from services.order.domain.history import Actor, When
from services.order.domain.orders import refuse_transition
from services.order.domain.payments import Payment
from services.order.domain.refunds import Refund, Refundable, RefundEvent, RefundLine, RefundStatus, request, succeed
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedRefund:
    """What somebody wants to be paid back: one of an amount, units of lines, or the shipping; all the rest for none.

    Args:
        amount_minor: any amount; with units, what they come to.
        units: item id → units.
        shipping: what is left of the shipping.

    """

    amount_minor: int | None = None
    units: Mapping[str, int] | None = None
    shipping: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRefund:
    """Refund something of an order.

    Args:
        reason: a code of the caller's, for reports.
        payment_reference: of the payment that is paid back; None for whichever, the newest first.
        provider_reference: the provider's own name of a refund that has already happened; None asks for it.

    """

    order_id: str
    actor: Actor
    wanted: WantedRefund
    reason: str
    payment_reference: str | None = None
    provider_reference: str | None = None
    note: str | None = None
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRest:
    """Refund all that is left of a delivered order, so that it becomes refunded."""

    order_id: str
    actor: Actor
    note: str | None = None
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class _Sum:
    """What a wanted refund comes to."""

    amount_minor: int
    shipping_minor: int = 0
    lines: tuple[RefundLine, ...] = ()


def create(
    known: Refundable, command: CreateRefund, when: When, ids: Sequence[str]
) -> tuple[list[Refund], list[RefundEvent]] | Refusal:
    """Refund something of an order, which is changed in place; `ids` are for the new refunds, at least one a payment.

    Returns:
        The refunds and what others are told, or why not.

    """
    order, payments = known.order, _payments(known, command)
    if isinstance(payments, Refusal):
        return payments
    open_ = replace(known, payments=payments)
    wanted = _wanted_sum(open_, command.wanted)
    if isinstance(wanted, Refusal):
        return wanted
    refunds = _spread(open_, wanted, command.reason, when, ids)
    told: list[RefundEvent] = [request(order, refund, when) for refund in refunds]
    if command.provider_reference is None:
        return refunds, told
    done = [replace(refund, provider_reference=command.provider_reference) for refund in refunds]
    settled = [succeed(order, refund, command.provider_reference, when) for refund in done]
    return [refund for refund, _ in settled], [event for _, events in settled for event in events]


def refund_rest(
    known: Refundable, command: RefundRest, when: When, ids: Sequence[str]
) -> tuple[list[Refund], list[RefundEvent]] | Refusal:
    """Refund all that is left; the order becomes refunded once that is paid. Arguments and result as of `create`."""
    order = known.order
    if OrderStatus.REFUNDED not in order.allowed_transitions:
        return refuse_transition(order, OrderStatus.REFUNDED)
    # Asked for already, and not settled yet.
    if order.refunding_minor and known.rest_minor <= 0:
        return [], []
    everything = CreateRefund(order_id=order.id, actor=command.actor, wanted=WantedRefund(), reason="refunded")
    return create(known, everything, when, ids)


def request_due(
    known: Refundable, reason: str, when: When, ids: Sequence[str]
) -> tuple[list[Refund], list[RefundEvent]]:
    """Ask for what has become due by itself: the payment of a cancelled order, a second payment, an edit.

    Called where something became due, and only there: what failed is tried again by people.
    """
    due = known.order.unrequested_refund_minor
    if not due:
        return [], []
    refunds = _spread(known, _Sum(due), reason, when, ids)
    return refunds, [request(known.order, refund, when) for refund in refunds]


def known_before(known: Refundable, command: CreateRefund) -> Refund | None:
    """Return the refund that was reported with the same name before, None for a new one."""
    name = command.provider_reference
    return next((refund for refund in known.refunds if name is not None and refund.provider_reference == name), None)


def _payments(known: Refundable, command: CreateRefund) -> Sequence[Payment] | Refusal:
    """Return the payments that may be paid back.

    What has happened at a provider is of one payment: it is never guessed which, and never spread.
    """
    names = ", ".join(repr(payment.reference) for payment in known.payments)
    if command.payment_reference is not None:
        named = [payment for payment in known.payments if payment.reference == command.payment_reference]
        if len(named) == 1 or (named and command.provider_reference is None):
            return named
        detail = f"order {known.order.number} has no payment {command.payment_reference!r}; it has {names or 'none'}"
        if named:
            detail = (
                f"order {known.order.number} has payments {command.payment_reference!r} of several providers, "
                f"{', '.join(payment.provider for payment in named)}; ask for the refund without provider_reference, "
                "and settle what it becomes"
            )
    elif command.provider_reference is not None and len(known.payments) > 1:
        detail = f"order {known.order.number} has several payments; name the one that was paid back: {names}"
    else:
        return known.payments
    fault = Fault("/payment_reference", RefusalCode.UNKNOWN_PAYMENT.value, detail)
    return Refusal(RefusalCode.UNKNOWN_PAYMENT, detail, [fault])


def _wanted_sum(known: Refundable, wanted: WantedRefund) -> _Sum | Refusal:
    """Return what a wanted refund comes to, or why there can be none of that much."""
    order = known.order
    if order.status is OrderStatus.PENDING:
        detail = f"order {order.number} is pending; cancel it, and what was paid is due for refund by itself"
        return Refusal(RefusalCode.REFUND_NOT_ALLOWED, detail)
    if known.rest_minor <= 0:
        return Refusal(RefusalCode.NOTHING_TO_REFUND, f"nothing that was paid for order {order.number} is left")
    found = _sum_of(known, wanted)
    if isinstance(found, Refusal):
        return found
    if found.amount_minor <= 0:
        detail = f"what is asked to be paid back of order {order.number} comes to nothing"
        return Refusal(RefusalCode.NOTHING_TO_REFUND, detail)
    return found if found.amount_minor <= known.rest_minor else _too_large(known, found.amount_minor)


def _too_large(known: Refundable, amount_minor: int) -> Refusal:
    wanted, left = (amount_text(minor, known.order.currency) for minor in (amount_minor, known.rest_minor))
    detail = f"{wanted} is more than the {left} that are left of what was paid"
    fault = Fault("/amount", RefusalCode.REFUND_TOO_LARGE.value, detail)
    facts = {"refundable_amount": decimal_string(known.rest_minor, known.order.currency)}
    return Refusal(RefusalCode.REFUND_TOO_LARGE, detail, [fault], facts)


def _sum_of(known: Refundable, wanted: WantedRefund) -> _Sum | Refusal:
    if wanted.amount_minor is not None:
        return _Sum(wanted.amount_minor, lines=known.priced(wanted.units or {}))
    if wanted.shipping:
        if known.shipping_minor <= 0:
            detail = f"nothing of the shipping of order {known.order.number} is left to be paid back"
            return Refusal(RefusalCode.NOTHING_TO_REFUND, detail)
        return _Sum(known.shipping_minor, known.shipping_minor)
    if wanted.units is not None:
        return _of_lines(known, wanted.units)
    return _Sum(known.rest_minor)


def _of_lines(known: Refundable, units: Mapping[str, int]) -> _Sum | Refusal:
    lines = {line.item_id: line for line in known.content.lines}
    faults = []
    for i, (item_id, quantity) in enumerate(units.items()):
        line = lines.get(item_id)
        if line is None:
            detail = f"order {known.order.number} has no item {item_id!r}"
            faults.append(Fault(f"/lines/{i}/item_id", RefusalCode.UNKNOWN_ITEM.value, detail))
        elif quantity > line.quantity - known.units_of(item_id):
            detail = f"{line.quantity - known.units_of(item_id)} of {line.sku!r} are not paid back yet, not {quantity}"
            faults.append(Fault(f"/lines/{i}/quantity", RefusalCode.REFUND_TOO_LARGE.value, detail))
    if faults:
        return Refusal(RefusalCode(faults[0].code), faults[0].detail, faults)
    priced = known.priced(units)
    return _Sum(sum(line.amount_minor for line in priced), lines=priced)


def _spread(known: Refundable, wanted: _Sum, reason: str, when: When, ids: Sequence[str]) -> list[Refund]:
    """Spread a refund over the order's payments, the newest first: what is too much came last."""
    order, left = known.order, wanted.amount_minor
    conceded = max(0, wanted.amount_minor - order.unrequested_refund_minor)
    refunds: list[Refund] = []
    for payment, refund_id in zip(reversed(known.payments), ids, strict=False):
        part = min(left, known.left_of(payment.provider, payment.reference))
        if part <= 0:
            continue
        first = not refunds
        refunds.append(
            Refund(
                id=refund_id,
                order_id=order.id,
                status=RefundStatus.PENDING,
                amount_minor=part,
                conceded_minor=min(part, conceded),
                shipping_minor=wanted.shipping_minor if first else 0,
                currency=order.currency,
                reason=reason,
                note=when.note,
                lines=wanted.lines if first else (),
                provider=payment.provider,
                reference=payment.reference,
                created_at=when.now,
            )
        )
        left, conceded = left - part, conceded - min(part, conceded)
    if left:
        raise ValueError(f"order {order.number}: its payments are {left} short of what was recorded")
    order.conceded_minor += sum(refund.conceded_minor for refund in refunds)
    return refunds
