"""The order: its state, the moves that a person asks for, and the facts that follow from it.

Invariant: what is due back is what was recorded minus what is owed (`refund_due_minor`); nobody sets it.
Every change appends a history row and counts a version; a change that others must know returns its event.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.contracts import OrderCancelled, OrderCancelledPreviousStatus, OrderCancelledReason, OrderConfirmed
from services.order.domain.statuses import (
    TRANSITIONS,
    CancelReason,
    OrderStatus,
    PaymentStatus,
    PendingOperation,
    ReservationStatus,
)

_MICROS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who changes an order.

    Args:
        type: customer, vendor, warehouse, admin, service, or system.
        id: the token's subject, or the name of the service that reacted.

    """

    type: str
    id: str


SYSTEM = Actor(type="system", id="order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A history row: what became of an order, why, and by whom."""

    order_id: str
    previous_status: OrderStatus | None
    status: OrderStatus
    reason: str
    note: str | None
    public: bool
    actor: Actor
    event_id: str | None
    at: int


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


@dataclass(frozen=True, slots=True)
class Shortage:
    """A SKU that did not fit, in units."""

    sku: str
    requested: int
    available: int
    expected_at: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """Units of a SKU that inventory holds for the order at a location."""

    sku: str
    location: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When and why something happens: handed to every change.

    Args:
        now: microseconds since the epoch.
        actor: who does it.
        event_id: the causing event, or the request.
        note: in the actor's words.

    """

    now: int
    actor: Actor = SYSTEM
    event_id: str | None = None
    note: str | None = None


@dataclass(slots=True, kw_only=True)
class Order:
    """An order's state; what never changes after placing is its `OrderContent`.

    Args:
        recorded_minor: the sum of all payments recorded, in minor units of `currency`.
        refund_waived: a cancel said that what had paid the order is not given back.
        confirm_when_reserved: somebody confirmed while stock was open.
        held: what inventory holds, by location.
        deadline_at: microseconds since the epoch; None where nothing is awaited.
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
    history: list[Change] = field(default_factory=list)

    @property
    def allowed_transitions(self) -> tuple[OrderStatus, ...]:
        """The statuses that may follow."""
        return TRANSITIONS[self.status]

    @property
    def owed_minor(self) -> int:
        """What the customer owes, in minor units: nothing once cancelled, unless what was paid is kept."""
        is_owed = self.status is not OrderStatus.CANCELLED or self.refund_waived
        return self.total_minor if is_owed else 0

    @property
    def amount_due_minor(self) -> int:
        """What is still to be paid, in minor units."""
        return max(0, self.owed_minor - self.recorded_minor)

    @property
    def refund_due_minor(self) -> int:
        """What is to be paid back, in minor units: recorded minus owed."""
        return max(0, self.recorded_minor - self.owed_minor)

    @property
    def is_paid(self) -> bool:
        """Whether the recorded payments cover the total."""
        return self.recorded_minor >= self.total_minor > 0

    @property
    def payment_status(self) -> PaymentStatus:
        """See `PaymentStatus`."""
        if self.refund_due_minor:
            return PaymentStatus.REFUND_DUE
        # Nothing is awaited for an order that costs nothing.
        return PaymentStatus.PAID if self.recorded_minor >= self.total_minor else PaymentStatus.PENDING

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
        self, reason: CancelReason, when: When, *, restock: bool = True, notify: bool = True, refund: bool = True
    ) -> OrderCancelled:
        """Cancel the order; whatever was awaited is awaited no more.

        Without `refund` the total is kept if it was paid; what was paid beyond it, or comes later, is due all the same.
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
            notify_customer=notify,
            refund_minor=self.refund_due_minor,
            currency=self.currency,
            cancelled_at=when.now,
        )

    def wait_no_longer(self, reason: str, when: When) -> None:
        """List the order for an operator: what it awaited did not come in time."""
        self.stuck_reason, self.deadline_at = reason, None
        self.note_change(self.status, reason, when, public=False)

    def record(self, payment: Payment, when: When) -> None:
        """Record a payment; what exceeds what is owed is due for refund from now on."""
        self.recorded_minor += payment.amount_minor
        if self.payment_reference is None:
            self.payment_provider, self.payment_reference = payment.provider, payment.reference
        self.note_change(self.status, "payment_recorded", when, public=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """A line, with what the catalog said at placement; amounts in minor units."""

    item_id: str
    sku: str
    product_name: str
    variant_name: str
    vendor_id: str | None
    quantity: int
    unit_price_minor: int
    discount_minor: int
    tax_minor: int
    total_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderContent:
    """What an order is about, as it was placed."""

    order_id: str
    request_id: str | None
    customer_email: str | None
    locale: str
    subtotal_minor: int
    discount_minor: int
    tax_minor: int
    shipping_minor: int
    shipping_address: Mapping[str, str | None]
    billing_address: Mapping[str, str | None]
    shipping_method: str
    notes: str | None
    external_reference: str | None
    metadata: Mapping[str, str]
    lines: tuple[OrderLine, ...]
