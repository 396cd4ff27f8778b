"""Refunds: what is to be paid back, to which payment, and what became of it (DESIGN 2.4).

They move no money: whoever settles payments does, and reports it. Invariant: the refunds of an order that are pending
or succeeded come to no more than what was recorded for it, and those of a payment to no more than that payment; so
one refund belongs to one payment, and what needs several payments becomes several refunds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.contracts import OrderRefunded, RefundFailed, RefundIssued, RefundRequested, RefundRequestedLine
from services.order.domain.history import Actor, When
from services.order.domain.lines import OrderLine
from services.order.domain.orders import Order, OrderContent, refuse_transition
from services.order.domain.payments import Payment
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus

RefundEvent = RefundRequested | RefundIssued | RefundFailed | OrderRefunded


class RefundStatus(StrEnum):
    """What became of a refund."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


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
        provider_reference: the provider's own name of a refund that has already happened; None asks for it.

    """

    order_id: str
    actor: Actor
    wanted: WantedRefund
    reason: str
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleRefund:
    """Report what became of a refund: it succeeded, failed, or (pending) is to be tried again."""

    order_id: str
    refund_id: str
    actor: Actor
    status: RefundStatus
    provider_reference: str | None = None
    failure_code: str | None = None
    note: str | None = None
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money that goes back to one payment; amounts in minor units, times in microseconds since the epoch.

    Args:
        conceded_minor: how much of it the customer had owed.
        shipping_minor: how much of it is for the shipping.
        lines: (item id, SKU, units) that it is for; empty where it is for none in particular.
        reference: of the payment.
        provider_reference: of the refund itself, once the provider has named it.

    """

    id: str
    order_id: str
    status: RefundStatus
    amount_minor: int
    conceded_minor: int
    shipping_minor: int
    currency: str
    reason: str
    note: str | None
    lines: tuple[tuple[str, str, int], ...]
    provider: str
    reference: str
    provider_reference: str | None = None
    failure_code: str | None = None
    created_at: int
    settled_at: int | None = None

    @property
    def is_live(self) -> bool:
        """Whether it was or may still be paid."""
        return self.status is not RefundStatus.FAILED


@dataclass(frozen=True, slots=True)
class Refundable:
    """An order with what was paid for it and back, as far as it decides about a further refund."""

    order: Order
    content: OrderContent
    payments: Sequence[Payment]
    refunds: Sequence[Refund]

    @property
    def rest_minor(self) -> int:
        """What could still be paid back at all."""
        return self.order.kept_minor

    @property
    def shipping_minor(self) -> int:
        """What is left of the shipping, with its tax."""
        shipping = self.order.total_minor - sum(line.total_minor for line in self.content.lines)
        return shipping - sum(refund.shipping_minor for refund in self.refunds if refund.is_live)

    def left_of(self, provider: str, reference: str) -> int:
        """Return what could still be paid back of one payment."""
        paid = sum(p.amount_minor for p in self.payments if (p.provider, p.reference) == (provider, reference))
        back = [r for r in self.refunds if r.is_live and (r.provider, r.reference) == (provider, reference)]
        return paid - sum(refund.amount_minor for refund in back)

    def units_of(self, item_id: str) -> int:
        """Return for how many units of a line something was paid back already."""
        return sum(n for refund in self.refunds if refund.is_live for i, _, n in refund.lines if i == item_id)

    def cost_of(self, units: Mapping[str, int]) -> int:
        """Return what units of lines (item id → number) cost, behind those that were paid back already."""
        lines = {line.item_id: line for line in self.content.lines}
        return sum(_share(lines[item_id], self.units_of(item_id), n) for item_id, n in units.items())


@dataclass(frozen=True, slots=True)
class _Sum:
    """What a wanted refund comes to."""

    amount_minor: int
    shipping_minor: int = 0
    lines: tuple[tuple[str, str, int], ...] = ()


def create(
    known: Refundable, command: CreateRefund, when: When, ids: Sequence[str]
) -> tuple[list[Refund], list[RefundEvent]] | Refusal:
    """Refund something of an order, which is changed in place; `ids` are for the new refunds, at least one a payment.

    Returns:
        The refunds and what others are told, or why not.

    """
    order, wanted = known.order, _wanted_sum(known, command.wanted)
    if isinstance(wanted, Refusal):
        return wanted
    refunds = _spread(known, wanted, command.reason, when, ids)
    told: list[RefundEvent] = [_request(order, refund, when) for refund in refunds]
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
    return refunds, [_request(known.order, refund, when) for refund in refunds]


def succeed(
    order: Order, refund: Refund, provider_reference: str | None, when: When
) -> tuple[Refund, list[RefundEvent]]:
    """Note that a pending refund was paid; the order is refunded once all is that was recorded for it."""
    order.refunding_minor -= refund.amount_minor
    order.refunded_minor += refund.amount_minor
    order.note_change(order.status, "refund_issued", when)
    done = replace(
        refund,
        status=RefundStatus.SUCCEEDED,
        provider_reference=provider_reference or refund.provider_reference,
        settled_at=when.now,
    )
    issued = RefundIssued(
        order_id=order.id,
        order_number=order.number,
        refund_id=refund.id,
        provider=refund.provider,
        provider_reference=done.provider_reference,
        amount_minor=refund.amount_minor,
        refunded_total_minor=order.refunded_minor,
        currency=refund.currency,
        settled_at=when.now,
    )
    if OrderStatus.REFUNDED not in order.allowed_transitions or order.refunded_minor < order.recorded_minor:
        return done, [issued]
    order.note_change(OrderStatus.REFUNDED, "refunded", when)
    refunded = OrderRefunded(
        order_id=order.id,
        order_number=order.number,
        amount_minor=order.refunded_minor,
        currency=order.currency,
        refunded_at=when.now,
    )
    return done, [issued, refunded]


def settle(
    known: Refundable, refund: Refund, command: SettleRefund, when: When
) -> tuple[Refund, list[RefundEvent]] | Refusal:
    """Take the report of what became of a refund, which is returned as it is now; the same report again is no news."""
    order = known.order
    if refund.status is command.status:
        return refund, []
    if refund.status is RefundStatus.PENDING and command.status is RefundStatus.SUCCEEDED:
        return succeed(order, refund, command.provider_reference, when)
    if refund.status is RefundStatus.PENDING and command.status is RefundStatus.FAILED:
        return _fail(order, refund, command.failure_code or "unspecified", when)
    if refund.status is RefundStatus.FAILED and command.status is RefundStatus.PENDING:
        left = min(known.rest_minor, known.left_of(refund.provider, refund.reference))
        if refund.amount_minor > left:
            detail = f"{left} minor units of its payment are left, less than refund {refund.id}; ask for a new one"
            return Refusal(RefusalCode.REFUND_TOO_LARGE, detail, facts={"refundable_minor": left})
        return _retry(order, refund, when)
    detail = f"refund {refund.id} {refund.status}; it cannot become {command.status} any more"
    return Refusal(RefusalCode.REFUND_SETTLED, detail)


def _fail(order: Order, refund: Refund, code: str, when: When) -> tuple[Refund, list[RefundEvent]]:
    order.refunding_minor -= refund.amount_minor
    order.conceded_minor -= refund.conceded_minor
    order.note_change(order.status, "refund_failed", when, public=False)
    failed = RefundFailed(
        order_id=order.id,
        order_number=order.number,
        refund_id=refund.id,
        provider=refund.provider,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        code=code,
        failed_at=when.now,
    )
    return replace(refund, status=RefundStatus.FAILED, failure_code=code, settled_at=when.now), [failed]


def _retry(order: Order, refund: Refund, when: When) -> tuple[Refund, list[RefundEvent]]:
    again = replace(refund, status=RefundStatus.PENDING, failure_code=None, settled_at=None)
    order.conceded_minor += refund.conceded_minor
    return again, [_request(order, again, when)]


def _request(order: Order, refund: Refund, when: When) -> RefundRequested:
    order.refunding_minor += refund.amount_minor
    order.note_change(order.status, "refund_requested", when, public=False)
    return RefundRequested(
        order_id=order.id,
        order_number=order.number,
        refund_id=refund.id,
        provider=refund.provider,
        reference=refund.reference,
        amount_minor=refund.amount_minor,
        currency=refund.currency,
        reason=refund.reason,
        lines=tuple(RefundRequestedLine(item_id=i, sku=sku, quantity=n) for i, sku, n in refund.lines),
        shipping_minor=refund.shipping_minor,
        requested_at=when.now,
    )


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
    detail = f"{amount_minor} minor units of {known.order.currency} are more than the {known.rest_minor} left"
    fault = Fault("/amount", RefusalCode.REFUND_TOO_LARGE.value, detail)
    return Refusal(RefusalCode.REFUND_TOO_LARGE, detail, [fault], {"refundable_minor": known.rest_minor})


def _sum_of(known: Refundable, wanted: WantedRefund) -> _Sum | Refusal:
    if wanted.amount_minor is not None:
        return _Sum(wanted.amount_minor, lines=_named(known, wanted.units or {}))
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
    return _Sum(known.cost_of(units), lines=_named(known, units))


def _named(known: Refundable, units: Mapping[str, int]) -> tuple[tuple[str, str, int], ...]:
    skus = {line.item_id: line.sku for line in known.content.lines}
    return tuple((item_id, skus[item_id], n) for item_id, n in units.items())


def _share(line: OrderLine, before: int, units: int) -> int:
    """Return what some units of a line cost, behind `before` others; the shares of all its units add up to it."""
    return line.total_minor * (before + units) // line.quantity - line.total_minor * before // line.quantity


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
