"""Who is told what: one notification an event and recipient, whatever arrives, in any order, however often.

Only OrderPlaced carries the customer's address, so it is remembered as the *subject* of all later mails about the
order. An event that comes before its OrderPlaced is not parked: the OrderPlaced, which has the same key, would then
wait behind it for ever. Its notification waits instead, and OrderPlaced lets it go.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from schemas.contracts import (
    LowStockReached,
    OrderCancelled,
    OrderCancelledReason,
    OrderConfirmed,
    OrderDelivered,
    OrderPlaced,
    OrderProcessingStarted,
    OrderShipped,
    OutOfStock,
    RefundIssued,
    ReturnApproved,
    ReturnDeclined,
    ReturnReceived,
)

ReturnEvent = ReturnApproved | ReturnDeclined | ReturnReceived
OrderEvent = (
    OrderPlaced
    | OrderConfirmed
    | OrderProcessingStarted
    | OrderShipped
    | OrderDelivered
    | OrderCancelled
    | ReturnEvent
    | RefundIssued
)
StockAlert = LowStockReached | OutOfStock
# What a mail needs of its event or its order, as it is kept: values that JSON knows.
Facts = dict[str, Any]
# What an order calls the carrier that nobody named.
_UNNAMED_CARRIER = "unspecified"


class SubjectKind(StrEnum):
    """What notifications are about."""

    ORDER = "order"
    VARIANT = "variant"


class Audience(StrEnum):
    """Whom a notification is for."""

    CUSTOMER = "customer"
    OPERATOR = "operator"


class Template(StrEnum):
    """What a notification says; the files in `mail/templates` have these names."""

    ORDER_PLACED = "order_placed"
    ORDER_CONFIRMED = "order_confirmed"
    ORDER_PROCESSING = "order_processing"
    ORDER_SHIPPED = "order_shipped"
    ORDER_DELIVERED = "order_delivered"
    ORDER_CANCELLED = "order_cancelled"
    RETURN_APPROVED = "return_approved"
    RETURN_DECLINED = "return_declined"
    RETURN_RECEIVED = "return_received"
    REFUND_ISSUED = "refund_issued"
    LOW_STOCK = "low_stock"
    OUT_OF_STOCK = "out_of_stock"


class NotificationStatus(StrEnum):
    """How far a notification is.

    waiting → queued → sending → sent | failed; from sending back to queued after a transient failure, or to held
    where nobody knows whether the mail server took it.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    FAILED = "failed"
    HELD = "held"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What notifications are about, as far as decisions need it.

    Args:
        key: the order's id or the SKU: the key of its events.
        kind: which of the two.
        email: where the customer's mails go; None where none is wanted, and for a variant.
        known: False for an order whose OrderPlaced has not come yet.

    """

    key: str
    kind: SubjectKind
    email: str | None = None
    known: bool = True


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What later mails say of a subject: the customer's BCP 47 locale, and facts (`OrderFacts` reads them)."""

    locale: str
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail to be written down: `recipient` is None while its order is not known."""

    template: Template
    audience: Audience
    recipient: str | None
    facts: Facts

    @property
    def status(self) -> NotificationStatus:
        """Whether it can be sent, or waits for the OrderPlaced."""
        return NotificationStatus.WAITING if self.recipient is None else NotificationStatus.QUEUED


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A notification as it stands, for who looks after them.

    Args:
        subject: the order's id or the SKU, as `kind` says.
        event_id: the event that it tells of.
        recipient: the address; None while it waits for its order to become known, and once it was erased.
        due_at: the next try of a queued one, the end of the claim of one being sent; else without meaning.
        attempts: tries so far.
        failure: stable code of what went wrong last.
        smtp_status: the mail server's last reply code.

    """

    id: str
    subject: str
    kind: SubjectKind
    event_id: str
    channel: str
    audience: Audience
    template: Template
    recipient: str | None
    status: NotificationStatus
    due_at: datetime
    attempts: int
    failure: str | None
    smtp_status: int | None
    created_at: datetime
    updated_at: datetime
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of an order as it was sold; amounts are in minor units of the order's currency."""

    item_id: str
    sku: str
    product_name: str
    variant_name: str
    quantity: int
    total_minor: int

    @property
    def name(self) -> str:
        """What a customer calls it."""
        return f"{self.product_name} ({self.variant_name})" if self.variant_name else self.product_name


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
    """An order as it was placed; amounts are in minor units of `currency`."""

    number: str
    currency: str
    subtotal_minor: int
    discount_minor: int
    shipping_minor: int
    tax_minor: int
    total_minor: int
    lines: tuple[OrderLine, ...]

    @classmethod
    def of(cls, facts: Facts) -> Self:
        """Return the order that a snapshot holds.

        Raises:
            KeyError, TypeError: the facts are not those of an order.

        """
        return cls(**{**facts, "lines": tuple(OrderLine(*line) for line in facts["lines"])})


def unknown_order(order_id: str) -> Subject:
    """Return what is known of an order whose OrderPlaced is still to come: its id."""
    return Subject(key=order_id, kind=SubjectKind.ORDER, known=False)


def placed_order(event: OrderPlaced) -> tuple[Subject, Snapshot]:
    """Return what later mails need of an order."""
    facts: Facts = {
        "number": event.order_number,
        "currency": event.currency,
        "subtotal_minor": event.subtotal_minor,
        "discount_minor": event.discount_minor,
        "shipping_minor": event.shipping_minor,
        "tax_minor": event.tax_minor,
        "total_minor": event.total_minor,
        "lines": [
            (line.item_id, line.sku, line.product_name, line.variant_name, line.quantity, line.total_minor)
            for line in event.lines
        ],
    }
    subject = Subject(key=event.order_id, kind=SubjectKind.ORDER, email=event.customer_email or None)
    return subject, Snapshot(event.locale, facts)


def variant(sku: str) -> tuple[Subject, Snapshot]:
    """Return a variant as a subject; what its mails say is in the alerts."""
    return Subject(key=sku, kind=SubjectKind.VARIANT), Snapshot("en", {})


def mail_to_customer(event: OrderEvent, subject: Subject) -> Mail | None:
    """Return the mail that tells the customer, or None where none is wanted (a guest without an address)."""
    if subject.known and subject.email is None:
        return None
    if isinstance(event, OrderCancelled) and not event.notify_customer:
        return None
    # They were told that the order is off; what becomes of goods that left all the same is for a person to say.
    if isinstance(event, OrderShipped) and event.unexpected:
        return None
    # Nobody asked for it: it follows from a cancel, whose own mail tells what there is to tell.
    if isinstance(event, ReturnApproved) and event.expected:
        return None
    # It only says that nothing more will come.
    if isinstance(event, ReturnReceived) and not event.lines:
        return None
    template, facts = _CUSTOMER_MAILS[type(event)]
    return Mail(template=template, audience=Audience.CUSTOMER, recipient=subject.email, facts=facts(event))


def mail_to_operator(alert: StockAlert, address: str | None) -> Mail | None:
    """Return the mail that tells the operator, or None where nobody is to be told."""
    if address is None:
        return None
    facts: Facts = {"sku": alert.sku, "product_name": alert.product_name, "variant_name": alert.variant_name}
    if isinstance(alert, OutOfStock):
        return Mail(template=Template.OUT_OF_STOCK, audience=Audience.OPERATOR, recipient=address, facts=facts)
    facts |= {"available": alert.available, "threshold": alert.threshold}
    return Mail(template=Template.LOW_STOCK, audience=Audience.OPERATOR, recipient=address, facts=facts)


def _nothing_more(_event: OrderPlaced | OrderProcessingStarted) -> Facts:
    return {}


def _confirmed(event: OrderConfirmed) -> Facts:
    return {"total_minor": event.total_minor, "paid": event.payment_reference is not None}


def _shipped(event: OrderShipped) -> Facts:
    return {
        "carrier": None if event.carrier == _UNNAMED_CARRIER else event.carrier,
        "tracking_number": event.tracking_number,
        "tracking_url": event.tracking_url,
        "follow_url": event.follow_url,
        "estimated_delivery": event.estimated_delivery,
        "complete": event.complete,
        "lines": [(line.item_id, line.sku, line.quantity) for line in event.lines],
    }


def _delivered(event: OrderDelivered) -> Facts:
    return {"complete": event.complete, "lines": [(line.item_id, line.sku, line.quantity) for line in event.lines]}


def _cancelled(event: OrderCancelled) -> Facts:
    return {"reason": event.reason.value, "refund_minor": event.refund_minor}


def _return(event: ReturnApproved | ReturnDeclined) -> Facts:
    return {"return_number": event.return_number}


def _returned(event: ReturnReceived) -> Facts:
    return {
        "return_number": event.return_number,
        "complete": event.complete,
        "lines": [(line.item_id, line.sku, line.received) for line in event.lines],
    }


def _refunded(event: RefundIssued) -> Facts:
    return {"amount_minor": event.amount_minor, "refunded_total_minor": event.refunded_total_minor}


_CUSTOMER_MAILS: Mapping[type[OrderEvent], tuple[Template, Callable[[Any], Facts]]] = {
    OrderPlaced: (Template.ORDER_PLACED, _nothing_more),
    OrderConfirmed: (Template.ORDER_CONFIRMED, _confirmed),
    OrderProcessingStarted: (Template.ORDER_PROCESSING, _nothing_more),
    OrderShipped: (Template.ORDER_SHIPPED, _shipped),
    OrderDelivered: (Template.ORDER_DELIVERED, _delivered),
    OrderCancelled: (Template.ORDER_CANCELLED, _cancelled),
    ReturnApproved: (Template.RETURN_APPROVED, _return),
    ReturnDeclined: (Template.RETURN_DECLINED, _return),
    ReturnReceived: (Template.RETURN_RECEIVED, _returned),
    RefundIssued: (Template.REFUND_ISSUED, _refunded),
}

# What completes "Your order … was cancelled because". A suspicion is not told to whom it is about.
REASONS: Mapping[OrderCancelledReason, str] = {
    OrderCancelledReason.UNKNOWN: "it could not be completed",
    OrderCancelledReason.INSUFFICIENT_STOCK: "not everything in it is in stock",
    OrderCancelledReason.STOCK_SHORTFALL: "something in it was sold out by the time it was confirmed",
    OrderCancelledReason.TIMEOUT: "we could not check in time whether everything is in stock",
    OrderCancelledReason.EXPIRED: "it was not confirmed in the time for which we could hold the goods",
    OrderCancelledReason.CUSTOMER_REQUEST: "you asked us to cancel it",
    OrderCancelledReason.PAYMENT_FAILED: "the payment did not go through",
    OrderCancelledReason.FRAUD_SUSPECTED: "we could not verify it",
    OrderCancelledReason.ADMIN_REQUEST: "our customer service cancelled it",
    OrderCancelledReason.OTHER: "it could not be completed",
}
