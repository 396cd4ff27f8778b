"""The refusals that only the order service knows, and how the domain's become problems."""

from collections.abc import Sequence

from services.chassis.errors import Problem
from services.chassis.http.headers import etag
from services.chassis.http.problems import CODES, ProblemCode
from services.chassis.money import decimal_string
from services.order.domain.refusals import Fault, Refusal, RefusalCode

PROBLEMS = {
    "order_not_found": ProblemCode(404, "There is no such order, or it is not the caller's"),
    "field_not_allowed": ProblemCode(403, "The caller may not send this field"),
    "incomplete_payment": ProblemCode(400, "A payment needs provider, reference, amount and currency"),
    "insufficient_stock": ProblemCode(409, "The order was cancelled: its lines do not all fit"),
    "invalid_status_transition": ProblemCode(409, "The order's status does not allow this"),
    "rows_refused": ProblemCode(409, "Some of many orders do not allow this; nothing was changed"),
    "stock_not_allocated": ProblemCode(409, "The order's stock is not allocated yet"),
    "order_cancelled": ProblemCode(409, "The order is cancelled; a payment is recorded and due for refund"),
    "already_paid": ProblemCode(409, "The order is paid already; this payment is recorded and due for refund"),
    "cancel_window_closed": ProblemCode(409, "The time in which customers may cancel is over"),
    "payment_required": ProblemCode(422, "A prepaid order is confirmed by its payment"),
    "payment_mismatch": ProblemCode(422, "The payment is not what is due"),
    "payment_reference_used": ProblemCode(422, "The provider's reference is recorded for another order"),
    "link_invalid": ProblemCode(404, "There is no such link"),
    "ticket_invalid": ProblemCode(404, "There is no such ticket, or its time is over"),
    "unknown_item": ProblemCode(422, "The order has no such item"),
    "unknown_location": ProblemCode(422, "Nothing of the order lies at this location, or it is not the caller's"),
    "location_required": ProblemCode(422, "What is to ship lies at several locations; a shipment leaves one"),
    "more_than_left": ProblemCode(422, "It is more than is left to ship"),
    "estimate_passed": ProblemCode(422, "A delivery cannot be expected before the goods leave"),
    "shipment_not_found": ProblemCode(404, "The order has no such shipment, or it is not the caller's"),
    "label_not_available": ProblemCode(409, "There is nothing to print a label for"),
    "unknown_payment": ProblemCode(422, "The order has no such payment, or several of which one has to be named"),
    "refund_reference_used": ProblemCode(422, "The provider's reference is recorded for another refund"),
    "refund_not_found": ProblemCode(404, "The order has no such refund"),
    "refund_not_allowed": ProblemCode(409, "Nothing is paid back of an order in this status"),
    "refund_settled": ProblemCode(409, "The refund was settled otherwise, or by another name"),
    "refund_too_large": ProblemCode(422, "It is more than is left of what was paid"),
    "nothing_to_refund": ProblemCode(409, "Nothing that was paid is left to be paid back"),
    "not_editable": ProblemCode(409, "The order has left, or ended: nothing of it can be changed"),
    "operation_in_progress": ProblemCode(409, "Inventory's answer is awaited; try again"),
    "item_not_found": ProblemCode(404, "The order has no such item"),
    "last_item": ProblemCode(409, "An order has at least one item; cancel it instead"),
    "revision_not_found": ProblemCode(404, "The order has no such revision"),
    "revision_rejected": ProblemCode(409, "The revision came to nothing: the order is as it was"),
    "amount_due_open": ProblemCode(409, "A prepaid order is handed over, and leaves, once all of it is paid"),
    "return_not_found": ProblemCode(404, "The order has no such return"),
    "return_not_allowed": ProblemCode(409, "Nothing of an order in this status can be sent back"),
    "return_window_closed": ProblemCode(409, "The time in which goods may be sent back is over"),
    "return_too_large": ProblemCode(422, "It is more than was delivered and is not back or on its way back"),
    "invalid_return_transition": ProblemCode(409, "The return's status does not allow this"),
    "too_many_open_orders": ProblemCode(409, "As many orders of the customer wait to be paid as there may be"),
    "unknown_sku": ProblemCode(422, "No variant has this SKU"),
    "inactive_variant": ProblemCode(422, "The variant is not for sale"),
    "mixed_currency": ProblemCode(422, "All items of an order are priced in one currency"),
    "quantity_limit": ProblemCode(422, "The quantity is more than can be ordered at once"),
    "total_too_large": ProblemCode(422, "The items come to more money than an order can have"),
    "price_changed": ProblemCode(422, "The total is not the expected one"),
    "discount_exceeds_subtotal": ProblemCode(422, "Discounts are at most the subtotal"),
    "too_many_decimals": ProblemCode(422, "An amount has more decimals than its currency"),
    "unknown_shipping_method": ProblemCode(422, "The shop has no such shipping method, or not in this currency"),
    "unknown_payment_method": ProblemCode(422, "The shop has no such payment method"),
    "unknown_address": ProblemCode(422, "The customer has no such saved address"),
    "address_not_found": ProblemCode(404, "There is no such saved address, or it is not the caller's"),
    "unknown_time_zone": ProblemCode(422, "No analytics are kept for this time zone"),
    "invalid_period": ProblemCode(422, "There are no analytics of these days"),
}
_RETRY = frozenset({RefusalCode.STOCK_NOT_ALLOCATED, RefusalCode.OPERATION_IN_PROGRESS})
_STATUS = {code: known.status for code, known in {**CODES, **PROBLEMS}.items()}


def problem_of(refusal: Refusal, at: str = "") -> Problem:
    """Return the problem that a refusal of the domain is answered with.

    Args:
        refusal: why not.
        at: JSON Pointer to what the refusal's faults are in, where that is not the body itself.

    """
    if refusal.code is RefusalCode.INVALID_ORDER:
        return _of_faults(refusal.faults, at)
    if refusal.code is RefusalCode.VERSION_CHANGED:
        return _version_changed(refusal)
    headers = {"Retry-After": "1"} if refusal.code in _RETRY else {}
    code = refusal.code.value
    errors = _rows(refusal.faults, at)
    return Problem(_STATUS[code], code, refusal.detail, errors=errors, extra=refusal.facts, headers=headers)


def not_found(order_id: str) -> Problem:
    """Return the refusal of an order that is not there, or not the caller's."""
    detail = f"there is no order {order_id!r} for you"
    errors = [{"parameter": "order_id", "code": "order_not_found", "detail": detail}]
    return Problem(404, "order_not_found", detail, errors=errors)


def fault_of(code: str, pointer: str, detail: str) -> Problem:
    """Return the refusal of one value of a body."""
    return Problem(_STATUS[code], code, detail, errors=[{"pointer": pointer, "code": code, "detail": detail}])


def _version_changed(refusal: Refusal) -> Problem:
    code, version = refusal.code.value, int(str(refusal.facts["version"]))
    errors = [{"parameter": "If-Match", "code": code, "detail": refusal.detail}]
    return Problem(_STATUS[code], code, refusal.detail, errors=errors, headers={"ETag": etag(version)})


def _rows(faults: Sequence[Fault], at: str) -> list[dict[str, str]]:
    return [{"pointer": at + fault.pointer, "code": fault.code, "detail": fault.detail} for fault in faults]


def _of_faults(faults: Sequence[Fault], at: str) -> Problem:
    errors = _rows(faults, at)
    first = faults[0]
    extra = {}
    if first.total_minor is not None and first.currency is not None:
        extra["total_amount"] = decimal_string(first.total_minor, first.currency)
    return Problem(_STATUS[first.code], first.code, first.detail, errors=errors, extra=extra)
