"""Refunds: what is to be paid back, to which payment, and what became of it.

They move no money: whoever settles payments does, and reports it. Invariant: the refunds of an order that are pending
or succeeded come to no more than what was recorded for it, and those of a payment to no more than that payment.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.contracts import OrderRefunded, RefundFailed, RefundIssued, RefundRequested, RefundRequestedLine
from services.chassis.money import amount_text, decimal_string
from services.order.domain.history import Actor, When
from services.order.domain.lines import OrderLine
from services.order.domain.orders import Order, OrderContent
from services.order.domain.payments import Payment
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus

RefundEvent = RefundRequested | RefundIssued | RefundFailed | OrderRefunded


class RefundStatus(StrEnum):
    """What became of a refund."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


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


@dataclass(frozen=True, slots=True)
class RefundLine:
    """Units of a line that a refund is for.

    Args:
        amount_minor: what they cost when it was asked for.

    """

    item_id: str
    sku: str
    quantity: int
    amount_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money that goes back to one payment; amounts in minor units, times in microseconds since the epoch.

    Args:
        conceded_minor: how much of it the customer had owed, of what the order still has.
        shipping_minor: how much of it is for the shipping.
        lines: what it is for, as far as the order still has it; empty where it is for nothing in particular.
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
    lines: tuple[RefundLine, ...]
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
        """What could still be paid back at all, to these payments."""
        return min(self.order.kept_minor, sum(self.left_of(p.provider, p.reference) for p in self.payments))

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
        live = (refund for refund in self.refunds if refund.is_live)
        return sum(line.quantity for refund in live for line in refund.lines if line.item_id == item_id)

    def priced(self, units: Mapping[str, int]) -> tuple[RefundLine, ...]:
        """Return what units of lines (item id → number) cost, behind those that were paid back already."""
        lines = {line.item_id: line for line in self.content.lines}
        return tuple(
            RefundLine(item_id, lines[item_id].sku, n, _share(lines[item_id], self.units_of(item_id), n))
            for item_id, n in units.items()
        )


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
    refunded = finish(order, when)
    return done, [issued] if refunded is None else [issued, refunded]


def finish(order: Order, when: When) -> OrderRefunded | None:
    """Mark an order as refunded once all is paid back that was recorded for it, and its status admits that.

    Called where money went back, and where an order was delivered: all of it may have gone back before.
    """
    is_back = 0 < order.recorded_minor <= order.refunded_minor
    if not is_back or OrderStatus.REFUNDED not in order.allowed_transitions:
        return None
    order.note_change(OrderStatus.REFUNDED, "refunded", when)
    return OrderRefunded(
        order_id=order.id,
        order_number=order.number,
        amount_minor=order.refunded_minor,
        currency=order.currency,
        refunded_at=when.now,
    )


def settle(
    known: Refundable, refund: Refund, command: SettleRefund, when: When
) -> tuple[Refund, list[RefundEvent]] | Refusal:
    """Take the report of what became of a refund, which is returned as it is now.

    The same report again is no news, but for the provider's name of a refund that had none yet. One that failed may be
    tried again, or turn out to have been paid, as long as nothing else has paid it back.
    """
    order = known.order
    if refund.status is command.status:
        return _named(order, refund, command.provider_reference, when)
    if refund.status is RefundStatus.PENDING and command.status is RefundStatus.SUCCEEDED:
        return succeed(order, refund, command.provider_reference, when)
    if refund.status is RefundStatus.PENDING and command.status is RefundStatus.FAILED:
        return _fail(order, refund, command.failure_code or "unspecified", when)
    if refund.status is RefundStatus.FAILED:
        return _refuse_again(known, refund) or _again(order, refund, command, when)
    detail = f"refund {refund.id} {refund.status}; it cannot become {command.status} any more"
    return Refusal(RefusalCode.REFUND_SETTLED, detail)


def _named(order: Order, refund: Refund, name: str | None, when: When) -> tuple[Refund, list[RefundEvent]] | Refusal:
    if name in (None, refund.provider_reference):
        return refund, []
    if refund.provider_reference is not None:
        detail = f"refund {refund.id} {refund.status} as {refund.provider_reference!r}; it cannot become {name!r}"
        return Refusal(RefusalCode.REFUND_SETTLED, detail)
    order.note_change(order.status, "refund_named", when, public=False)
    return replace(refund, provider_reference=name), []


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


def _refuse_again(known: Refundable, refund: Refund) -> Refusal | None:
    """Return why a refund that failed can neither be tried again nor have been paid, None where it can."""
    # What it conceded may have been taken off the order meanwhile, and be paid back by another refund.
    reasons = known.order.unrequested_refund_minor + refund.conceded_minor
    left = min(known.rest_minor, known.left_of(refund.provider, refund.reference), reasons)
    quantities = {line.item_id: line.quantity - known.units_of(line.item_id) for line in known.content.lines}
    gone = [line.sku for line in refund.lines if line.quantity > quantities.get(line.item_id, 0)]
    if refund.shipping_minor > max(0, known.shipping_minor):
        gone.append("the shipping")
    if refund.amount_minor <= left and not gone:
        return None
    amount, rest = (amount_text(minor, known.order.currency) for minor in (refund.amount_minor, max(0, left)))
    what = f"{', '.join(gone)} was paid back by another" if gone else f"{rest} are left to be paid back"
    detail = f"refund {refund.id} is of {amount}, but {what}; ask for a new one"
    facts = {"refundable_amount": decimal_string(max(0, left), known.order.currency)}
    return Refusal(RefusalCode.REFUND_TOO_LARGE, detail, facts=facts)


def _again(order: Order, refund: Refund, command: SettleRefund, when: When) -> tuple[Refund, list[RefundEvent]]:
    order.conceded_minor += refund.conceded_minor
    if command.status is RefundStatus.PENDING:
        again = replace(refund, status=RefundStatus.PENDING, failure_code=None, settled_at=None)
        return again, [request(order, again, when)]
    order.refunding_minor += refund.amount_minor
    return succeed(order, replace(refund, failure_code=None), command.provider_reference, when)


def request(order: Order, refund: Refund, when: When) -> RefundRequested:
    """Ask the payment side for a refund; the order is changed in place."""
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
        lines=tuple(
            RefundRequestedLine(item_id=line.item_id, sku=line.sku, quantity=line.quantity) for line in refund.lines
        ),
        shipping_minor=refund.shipping_minor,
        requested_at=when.now,
    )


def _share(line: OrderLine, before: int, units: int) -> int:
    """Return what some units of a line cost, behind `before` others; the shares of all its units add up to it."""
    return line.total_minor * (before + units) // line.quantity - line.total_minor * before // line.quantity
