"""The order: its state, the moves that a person asks for, and the facts that follow from it.

Invariant: what is due back is what was recorded minus what is owed (`refund_due_minor`); nobody sets it.
Every change appends a history row and counts a version; a change that others must know returns its event.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from schemas.contracts import (
    OrderCancelled,
    OrderCancelledPreviousStatus,
    OrderCancelledReason,
    OrderCancelledShippedLine,
    OrderConfirmed,
)
from schemas.frozen import fast_init
from services.order.domain.history import Actor, Change, When
from services.order.domain.lines import Held, OrderLine, Shortage
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.statuses import (
    TRANSITIONS,
    CancelReason,
    OrderStatus,
    PaymentStatus,
    PendingOperation,
    ReservationStatus,
)

_MICROS = 1_000_000
Told = OrderConfirmed | OrderCancelled | None


@dataclass(slots=True, kw_only=True)
class Order:
    """An order's state; what never changes after placing is its `OrderContent`.

    Args:
        recorded_minor: the sum of all payments recorded, in minor units of `currency`, as all amounts.
        refunded_minor: what was paid back.
        refunding_minor: what was asked to be paid back, and is not yet.
        conceded_minor: how much of `refunded_minor` and `refunding_minor` the customer had owed: of lines, of
            shipping, or of goodwill.
        payment_failed: the last that was reported of a payment is that it failed.
        refund_waived: a cancel said that what had paid the order is not given back.
        confirm_when_reserved: somebody confirmed while stock was open.
        held: what inventory holds, by location.
        deadline_at: microseconds since the epoch, as all times; None where nothing is awaited.
        ship_by: until when everything is to leave, once it was handed to the warehouse.
        overdue_at: when it was told that it did not.
        revision: how many edits of the lines were asked for.
        stuck_reason: why an operator should look; None where nobody has to.
        events: how many events of this order are on its topic.
        history: rows added since it was loaded.

    """

    id: str
    number: str
    customer_id: str | None
    currency: str
    total_minor: int
    payment_method: str
    status: OrderStatus = OrderStatus.PENDING
    reservation_status: ReservationStatus = ReservationStatus.PENDING
    pending_operation: PendingOperation | None = None
    recorded_minor: int = 0
    refunded_minor: int = 0
    refunding_minor: int = 0
    conceded_minor: int = 0
    payment_failed: bool = False
    refund_waived: bool = False
    confirm_when_reserved: bool = False
    payment_provider: str | None = None
    payment_reference: str | None = None
    cancel_reason: CancelReason | None = None
    shortages: tuple[Shortage, ...] = ()
    held: tuple[Held, ...] = ()
    reserved_until: int | None = None
    deadline_at: int | None = None
    stuck_reason: str | None = None
    version: int = 0
    events: int = 0
    created_at: int
    updated_at: int
    confirmed_at: int | None = None
    cancelled_at: int | None = None
    delivered_at: int | None = None
    ship_by: int | None = None
    overdue_at: int | None = None
    revision: int = 0
    history: list[Change] = field(default_factory=list)

    @property
    def allowed_transitions(self) -> tuple[OrderStatus, ...]:
        """The statuses that may follow."""
        return TRANSITIONS[self.status]

    @property
    def owed_minor(self) -> int:
        """What the customer owes: the total without what was conceded; nothing once cancelled, unless it is kept."""
        is_owed = self.status is not OrderStatus.CANCELLED or self.refund_waived
        return max(0, self.total_minor - self.conceded_minor) if is_owed else 0

    @property
    def kept_minor(self) -> int:
        """What was paid and is not to be paid back, as far as it was decided."""
        return self.recorded_minor - self.refunded_minor - self.refunding_minor

    @property
    def amount_due_minor(self) -> int:
        """What is still to be paid; nothing of a cancelled order, whose part payment may be kept."""
        return 0 if self.status is OrderStatus.CANCELLED else max(0, self.owed_minor - self.kept_minor)

    @property
    def refund_due_minor(self) -> int:
        """What is to be paid back: recorded, not paid back yet, and not owed; whether or not it was asked for."""
        return max(0, self.recorded_minor - self.refunded_minor - self.owed_minor)

    @property
    def unrequested_refund_minor(self) -> int:
        """What is to be paid back and was not asked for yet."""
        return max(0, self.kept_minor - self.owed_minor)

    @property
    def is_paid(self) -> bool:
        """Whether what was paid, and is kept, covers what is owed; nothing is paid of an order that costs nothing."""
        return self.recorded_minor > 0 and self.kept_minor >= self.owed_minor and self.total_minor > 0

    @property
    def payment_status(self) -> PaymentStatus:
        """See `PaymentStatus`."""
        if self.refund_due_minor:
            return PaymentStatus.REFUND_DUE
        if self.refunded_minor and self.refunded_minor >= self.recorded_minor:
            return PaymentStatus.REFUNDED
        if self.refunded_minor and self.conceded_minor:
            return PaymentStatus.PARTIALLY_REFUNDED
        # Nothing is awaited for an order that costs nothing.
        if self.recorded_minor >= self.total_minor - self.conceded_minor:
            return PaymentStatus.PAID
        return PaymentStatus.FAILED if self.payment_failed else PaymentStatus.PENDING

    def refuse_meanwhile(self) -> Refusal | None:
        """Return why nothing else can be done while an answer of inventory is awaited, None where none is."""
        if self.pending_operation is None:
            return None
        detail = f"order {self.number} is {self.pending_operation}: inventory has not answered yet; try again"
        facts = {"pending_operation": self.pending_operation.value}
        return Refusal(RefusalCode.OPERATION_IN_PROGRESS, detail, facts=facts)

    def note_change(self, status: OrderStatus, reason: str, when: When, *, public: bool = True) -> None:
        """Move to a status, or stay in it, and write the history row."""
        self.history.append(
            Change(
                order_id=self.id,
                previous_status=self.status if self.version else None,
                status=status,
                reason=reason,
                note=when.note,
                public=public,
                actor=when.actor,
                event_id=when.event_id,
                at=when.now,
            )
        )
        self.status = status
        self.version += 1
        self.updated_at = when.now

    def confirm(self, when: When, allocation_timeout_seconds: int) -> OrderConfirmed:
        """Confirm a pending order whose stock is reserved; inventory allocates next."""
        self.note_change(OrderStatus.CONFIRMED, "confirmed", when)
        self.pending_operation = PendingOperation.ALLOCATING
        self.deadline_at = when.now + allocation_timeout_seconds * _MICROS
        self.confirmed_at = when.now
        return OrderConfirmed(
            order_id=self.id,
            order_number=self.number,
            customer_id=self.customer_id,
            currency=self.currency,
            total_minor=self.total_minor,
            payment_method=self.payment_method,
            payment_provider=self.payment_provider,
            payment_reference=self.payment_reference,
            confirmed_at=when.now,
        )

    def confirm_later(self, when: When) -> None:
        """Remember that somebody confirmed while stock is open: it confirms once its stock is reserved.

        A payment that came with it is in the history already; without one, this is what tells who it was.
        """
        if not self.confirm_when_reserved and not self.history:
            self.note_change(self.status, "confirmation_awaits_stock", when, public=False)
        self.confirm_when_reserved = True

    def cancel(
        self,
        reason: CancelReason,
        when: When,
        *,
        restock: bool = True,
        notify: bool = True,
        refund: bool = True,
        lines: Sequence[OrderLine] = (),
    ) -> OrderCancelled:
        """Cancel the order; whatever was awaited is awaited no more.

        Without `refund` the total is kept if it was paid; what was paid beyond it, or comes later, is due all the same.
        What has left of `lines` is expected back.
        """
        previous = self.status
        self.note_change(OrderStatus.CANCELLED, reason.value, when)
        self.cancel_reason = reason
        self.cancelled_at = when.now
        self.pending_operation = self.deadline_at = self.reserved_until = self.stuck_reason = None
        self.confirm_when_reserved = False
        self.refund_waived = self.is_paid and not refund
        return OrderCancelled(
            order_id=self.id,
            order_number=self.number,
            reason=OrderCancelledReason(reason.value),
            previous_status=OrderCancelledPreviousStatus(previous.value),
            restock=restock,
            shipped_lines=tuple(
                OrderCancelledShippedLine(item_id=line.item_id, sku=line.sku, quantity=line.shipped_quantity)
                for line in lines
                if line.shipped_quantity
            ),
            notify_customer=notify,
            refund_minor=self.refund_due_minor,
            currency=self.currency,
            cancelled_at=when.now,
        )

    def wait_no_longer(self, reason: str, when: When) -> None:
        """List the order for an operator: what it awaited did not come in time."""
        self.stuck_reason, self.deadline_at = reason, None
        self.note_change(self.status, reason, when, public=False)


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderContent:
    """What an order is about, as it was placed or edited since.

    Args:
        granted_discount_minor: what was granted when it was placed; of that an order takes its subtotal at most.

    """

    order_id: str
    request_id: str | None
    customer_email: str | None
    locale: str
    subtotal_minor: int
    discount_minor: int
    granted_discount_minor: int
    tax_minor: int
    shipping_minor: int
    shipping_address: Mapping[str, str | None]
    billing_address: Mapping[str, str | None]
    shipping_method: str
    notes: str | None
    external_reference: str | None
    metadata: Mapping[str, str]
    lines: tuple[OrderLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelOrder:
    """Cancel an order.

    Args:
        only_from: statuses from which this actor may; None where the table alone decides.
        not_after: microseconds since placing within which this actor may; None for any time.

    """

    order_id: str
    reason: CancelReason
    actor: Actor
    note: str | None = None
    restock: bool = True
    refund: bool = True
    notify_customer: bool = True
    only_from: tuple[OrderStatus, ...] | None = None
    not_after: int | None = None
    expected_versions: frozenset[int] | None = None


def refuse_transition(order: Order, to: OrderStatus) -> Refusal:
    """Return the refusal of a move that the table does not have."""
    allowed = [status.value for status in order.allowed_transitions]
    detail = f"order {order.number} is {order.status}; from there it can become {', '.join(allowed) or 'nothing else'}"
    facts = {"from": order.status.value, "to": to.value, "allowed": allowed}
    return Refusal(RefusalCode.INVALID_TRANSITION, detail, facts=facts)


def cancel(
    order: Order, command: CancelOrder, when: When, lines: Sequence[OrderLine] = ()
) -> tuple[Told, Refusal | None]:
    """Cancel an order; one that is cancelled already stays as it is. What has left of `lines` is expected back."""
    if order.status is OrderStatus.CANCELLED:
        return None, None
    refusal = refuse_transition(order, OrderStatus.CANCELLED)
    if command.only_from is not None and order.status not in command.only_from:
        # Others may: it would name the very move that is refused.
        own = f"you can cancel it only while it is {' or '.join(command.only_from)}"
        return None, replace(refusal, detail=f"order {order.number} is {order.status}; {own}")
    if OrderStatus.CANCELLED not in order.allowed_transitions:
        return None, refusal
    if command.not_after is not None and when.now - order.created_at > command.not_after:
        return None, Refusal(
            RefusalCode.CANCEL_WINDOW_CLOSED, f"order {order.number} can no longer be cancelled by you"
        )
    told = order.cancel(
        command.reason,
        when,
        restock=command.restock,
        notify=command.notify_customer,
        refund=command.refund,
        lines=lines,
    )
    return told, None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmTerms:
    """How orders are confirmed.

    Args:
        auto_confirm: confirm as soon as stock is reserved.
        allocation_timeout_seconds: after this an order that waits for its allocation is listed as stuck.

    """

    auto_confirm: bool
    allocation_timeout_seconds: int
