"""Why something that was asked for cannot be done: what the facts do not allow, in words for the one who asked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a draft is refused.

    Args:
        pointer: JSON pointer to what is wrong.
        code: a stable code of the catalogue.
        detail: names the offender and the valid options. Of what a stranger sent it repeats codes only, and those
            cut: it travels in an event, which may hold neither personal data nor more than the broker takes.
        total_minor: the total that would be right, where that is what is wrong, in minor units.
        currency: of that total.

    """

    pointer: str
    code: str
    detail: str
    total_minor: int | None = None
    currency: str | None = None


class RefusalCode(StrEnum):
    """Why a command was refused."""

    NOT_FOUND = "order_not_found"
    INVALID_ORDER = "invalid_order"
    INVALID_TRANSITION = "invalid_status_transition"
    INSUFFICIENT_STOCK = "insufficient_stock"
    STOCK_NOT_ALLOCATED = "stock_not_allocated"
    ORDER_CANCELLED = "order_cancelled"
    ALREADY_PAID = "already_paid"
    PAYMENT_REQUIRED = "payment_required"
    PAYMENT_MISMATCH = "payment_mismatch"
    PAYMENT_REFERENCE_USED = "payment_reference_used"
    CANCEL_WINDOW_CLOSED = "cancel_window_closed"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_LOCATION = "unknown_location"
    LOCATION_REQUIRED = "location_required"
    MORE_THAN_LEFT = "more_than_left"
    ESTIMATE_PASSED = "estimate_passed"
    SHIPMENT_NOT_FOUND = "shipment_not_found"
    LABEL_NOT_AVAILABLE = "label_not_available"
    UNKNOWN_PAYMENT = "unknown_payment"
    REFUND_REFERENCE_USED = "refund_reference_used"
    REFUND_NOT_FOUND = "refund_not_found"
    REFUND_NOT_ALLOWED = "refund_not_allowed"
    REFUND_SETTLED = "refund_settled"
    REFUND_TOO_LARGE = "refund_too_large"
    NOTHING_TO_REFUND = "nothing_to_refund"
    NOT_EDITABLE = "not_editable"
    OPERATION_IN_PROGRESS = "operation_in_progress"
    ITEM_NOT_FOUND = "item_not_found"
    LAST_ITEM = "last_item"
    REVISION_NOT_FOUND = "revision_not_found"
    AMOUNT_DUE_OPEN = "amount_due_open"
    RETURN_NOT_FOUND = "return_not_found"
    RETURN_NOT_ALLOWED = "return_not_allowed"
    RETURN_WINDOW_CLOSED = "return_window_closed"
    RETURN_TOO_LARGE = "return_too_large"
    INVALID_RETURN_TRANSITION = "invalid_return_transition"
    ADDRESS_NOT_FOUND = "address_not_found"
    VERSION_CHANGED = "precondition_failed"
    UNKNOWN_TIME_ZONE = "unknown_time_zone"
    INVALID_PERIOD = "invalid_period"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command that the facts do not allow.

    Args:
        code: see `RefusalCode`.
        detail: names the offender and the valid options.
        faults: single faults of a request.
        facts: further members of the answer.

    """

    code: RefusalCode
    detail: str
    faults: Sequence[Fault] = ()
    facts: Mapping[str, object] = field(default_factory=dict)
