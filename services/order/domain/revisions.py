"""Revisions: edits of an order's lines that were asked for, are answered by inventory, and only then true.

Invariants: until its stock is held an edit changes nothing of the order, so a rejected one leaves it to the last field
as it was; one edit at a time; an answer counts for the revision that is awaited, and once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.contracts import (
    OrderRevised,
    OrderRevisedLine,
    OrderRevisionRejected,
    OrderRevisionRejectedReason,
    OrderRevisionRejectedShortage,
    OrderRevisionRequested,
    OrderRevisionRequestedLine,
    StockRejected,
    StockReserved,
)
from services.order.domain import concessions
from services.order.domain.drafts import ShopTerms
from services.order.domain.edits import EDITABLE, Repriced
from services.order.domain.history import Actor, When
from services.order.domain.lines import Held, OrderLine, Shortage
from services.order.domain.orders import Order, OrderContent
from services.order.domain.refunds import Refund, Refundable
from services.order.domain.statuses import OrderStatus, PendingOperation

_MICROS = 1_000_000
RevisionAnswer = StockReserved | StockRejected


class RevisionStatus(StrEnum):
    """What became of an edit."""

    PENDING = "pending"
    APPLIED = "applied"
    REJECTED = "rejected"


class RevisionReason(StrEnum):
    """Why an edit came to nothing; the symbols are those of `OrderRevisionRejected.reason`."""

    INSUFFICIENT_STOCK = "insufficient_stock"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """An edit of an order's lines; amounts in minor units, times in microseconds since the epoch.

    Args:
        revision: counts the order's edits from 1.
        lines: all that the order is to have, with their amounts.
        previous_total_minor: the order's total when it was asked for.
        reason: why it came to nothing.
        shortages: what did not fit.

    """

    order_id: str
    revision: int
    status: RevisionStatus
    lines: tuple[OrderLine, ...]
    subtotal_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    total_minor: int
    previous_total_minor: int
    reason: RevisionReason | None = None
    shortages: tuple[Shortage, ...] = ()
    actor: Actor
    created_at: int
    settled_at: int | None = None


def request(order: Order, priced: Repriced, when: When, terms: ShopTerms) -> tuple[Revision, OrderRevisionRequested]:
    """Ask inventory to hold what an edit needs more; the order itself stays as it is until then."""
    order.revision += 1
    order.pending_operation = PendingOperation.REVISING
    order.deadline_at = when.now + terms.saga_timeout_seconds * _MICROS
    order.note_change(order.status, "revision_requested", when, public=False)
    content = priced.content
    known = Revision(
        order_id=order.id,
        revision=order.revision,
        status=RevisionStatus.PENDING,
        lines=content.lines,
        subtotal_minor=content.subtotal_minor,
        discount_minor=content.discount_minor,
        shipping_minor=content.shipping_minor,
        tax_minor=content.tax_minor,
        total_minor=priced.total_minor,
        previous_total_minor=order.total_minor,
        actor=when.actor,
        created_at=when.now,
    )
    told = OrderRevisionRequested(
        order_id=order.id,
        order_number=order.number,
        revision=order.revision,
        lines=tuple(
            OrderRevisionRequestedLine(item_id=line.item_id, sku=line.sku, quantity=line.quantity)
            for line in known.lines
        ),
        requested_at=when.now,
    )
    return known, told


class Reaction(StrEnum):
    """A cell of the table."""

    APPLY = "apply"
    REJECT = "reject"
    NOTHING = "nothing"


_S = OrderStatus
# An answer that comes after the end of an order, or after it left, changes nothing: OrderCancelled releases.
REACTIONS: Mapping[type[RevisionAnswer], Mapping[OrderStatus, Reaction]] = {
    StockReserved: {status: Reaction.APPLY if status in EDITABLE else Reaction.NOTHING for status in _S},
    StockRejected: {status: Reaction.REJECT if status in EDITABLE else Reaction.NOTHING for status in _S},
}


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of an edit.

    Args:
        content: what the order is about now; None where that did not change.
        refunds: those that are others by that.

    """

    revision: Revision
    content: OrderContent | None
    told: OrderRevised | OrderRevisionRejected
    refunds: Sequence[Refund] = ()


def awaits(order: Order, answer: RevisionAnswer) -> bool:
    """Tell whether this is the answer that an order's edit waits for: of an older one, or again, it is not."""
    return order.pending_operation is PendingOperation.REVISING and order.revision == answer.revision


def settle(answer: RevisionAnswer, known: Refundable, revision: Revision, when: When) -> Settled | None:
    """Take inventory's answer to an edit that `awaits` it; the order is changed in place.

    Returns:
        What became of the edit, None where the order's status does not admit it any more.

    """
    return _DO[REACTIONS[type(answer)][known.order.status]](answer, known, revision, when)


def reject(
    order: Order, revision: Revision, reason: RevisionReason, when: When, shortages: Sequence[Shortage] = ()
) -> Settled:
    """Give an edit up: the order goes on as it was."""
    order.pending_operation = order.deadline_at = None
    order.note_change(order.status, "revision_rejected", when, public=False)
    told = OrderRevisionRejected(
        order_id=order.id,
        order_number=order.number,
        revision=revision.revision,
        reason=OrderRevisionRejectedReason(reason.value),
        shortages=tuple(
            OrderRevisionRejectedShortage(
                sku=s.sku, requested=s.requested, available=s.available, expected_at=s.expected_at
            )
            for s in shortages
        ),
        rejected_at=when.now,
    )
    return Settled(_rejected(revision, reason, when, shortages), None, told)


def end_with_order(revision: Revision, when: When) -> Revision:
    """Return an edit whose order was cancelled meanwhile: OrderCancelled tells it, and releases everything."""
    return _rejected(revision, RevisionReason.CANCELLED, when)


def _rejected(revision: Revision, reason: RevisionReason, when: When, shortages: Sequence[Shortage] = ()) -> Revision:
    return replace(
        revision,
        status=RevisionStatus.REJECTED,
        reason=reason,
        shortages=tuple(shortages),
        settled_at=when.now,
    )


def _apply(answer: StockReserved, known: Refundable, revision: Revision, when: When) -> Settled:
    order = known.order
    order.pending_operation = order.deadline_at = None
    order.held = tuple(Held(line.sku, line.location, line.quantity) for line in answer.lines)
    order.reserved_until = answer.expires_at
    order.total_minor = revision.total_minor
    order.note_change(order.status, "revised", when)
    revised = replace(
        known.content,
        lines=revision.lines,
        subtotal_minor=revision.subtotal_minor,
        discount_minor=revision.discount_minor,
        shipping_minor=revision.shipping_minor,
        tax_minor=revision.tax_minor,
    )
    applied = replace(revision, status=RevisionStatus.APPLIED, settled_at=when.now)
    refunds = concessions.withdraw(replace(known, content=revised), known.content)
    return Settled(applied, revised, _told(order, applied), refunds)


def _reject(answer: StockRejected, known: Refundable, revision: Revision, when: When) -> Settled:
    shortages = [Shortage(s.sku, s.requested, s.available, s.expected_at) for s in answer.shortages]
    return reject(known.order, revision, RevisionReason.INSUFFICIENT_STOCK, when, shortages)


def _nothing(*_: object) -> None:
    return None


_DO: Mapping[Reaction, Callable[..., Settled | None]] = {
    Reaction.APPLY: _apply,
    Reaction.REJECT: _reject,
    Reaction.NOTHING: _nothing,
}


def _told(order: Order, revision: Revision) -> OrderRevised:
    return OrderRevised(
        order_id=order.id,
        order_number=order.number,
        revision=revision.revision,
        lines=tuple(
            OrderRevisedLine(
                item_id=line.item_id,
                sku=line.sku,
                product_name=line.product_name,
                variant_name=line.variant_name,
                vendor_id=line.vendor_id,
                quantity=line.quantity,
                unit_price_minor=line.unit_price_minor,
                discount_minor=line.discount_minor,
                tax_minor=line.tax_minor,
                total_minor=line.total_minor,
            )
            for line in revision.lines
        ),
        subtotal_minor=revision.subtotal_minor,
        discount_minor=revision.discount_minor,
        shipping_minor=revision.shipping_minor,
        tax_minor=revision.tax_minor,
        total_minor=revision.total_minor,
        currency=order.currency,
        amount_due_minor=order.amount_due_minor,
        refund_due_minor=order.refund_due_minor,
        revised_at=order.updated_at,
    )
