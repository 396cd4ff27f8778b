"""The words for where an order stands, and the one table of moves between them."""

from collections.abc import Mapping
from enum import StrEnum


class OrderStatus(StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    CONFIRMED = "confirmed"
    PROCESSING = "processing"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


class PaymentStatus(StrEnum):
    """What the recorded payments come to; derived."""

    PENDING = "pending"
    PAID = "paid"
    REFUND_DUE = "refund_due"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    FAILED = "failed"


class FulfillmentStatus(StrEnum):
    """How much of an order has left; derived."""

    UNFULFILLED = "unfulfilled"
    PARTIALLY_FULFILLED = "partially_fulfilled"
    FULFILLED = "fulfilled"
    PARTIALLY_RETURNED = "partially_returned"
    RETURNED = "returned"


class ReservationStatus(StrEnum):
    """What inventory last said of the order's stock."""

    PENDING = "pending"
    RESERVED = "reserved"
    REJECTED = "rejected"
    ALLOCATED = "allocated"
    RELEASED = "released"
    EXPIRED = "expired"


class PendingOperation(StrEnum):
    """An answer of inventory that is awaited."""

    RESERVING = "reserving"
    ALLOCATING = "allocating"
    REVISING = "revising"


class CancelReason(StrEnum):
    """Why an order was cancelled; the symbols are those of `OrderCancelled.reason`."""

    INSUFFICIENT_STOCK = "insufficient_stock"
    STOCK_SHORTFALL = "stock_shortfall"
    TIMEOUT = "timeout"
    EXPIRED = "expired"
    CUSTOMER_REQUEST = "customer_request"
    PAYMENT_FAILED = "payment_failed"
    FRAUD_SUSPECTED = "fraud_suspected"
    ADMIN_REQUEST = "admin_request"
    OTHER = "other"


# The reasons that a person may give; the others are the saga's own.
GIVEN_REASONS = (
    CancelReason.CUSTOMER_REQUEST,
    CancelReason.PAYMENT_FAILED,
    CancelReason.FRAUD_SUSPECTED,
    CancelReason.ADMIN_REQUEST,
    CancelReason.OTHER,
)

_S = OrderStatus
TRANSITIONS: Mapping[OrderStatus, tuple[OrderStatus, ...]] = {
    _S.PENDING: (_S.CONFIRMED, _S.CANCELLED),
    _S.CONFIRMED: (_S.PROCESSING, _S.CANCELLED),
    _S.PROCESSING: (_S.SHIPPED, _S.CANCELLED),
    _S.SHIPPED: (_S.DELIVERED, _S.CANCELLED),
    _S.DELIVERED: (_S.REFUNDED,),
    _S.CANCELLED: (),
    _S.REFUNDED: (),
}
# Where an order has nothing more to go through, unless what was paid for it is paid back.
ENDED = frozenset({_S.DELIVERED, _S.CANCELLED, _S.REFUNDED})
