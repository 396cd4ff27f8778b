"""Requests by Kafka are foreign input: what REST's models check by their types is checked here, every fault at once.

Invariant: whatever a request of the broker's largest size says, its refusal is an event that the broker takes. Every
text and every number of entries has a bound here, and no fault repeats more of a text than a short code, so faults are
few and short.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from schemas.contracts import (
    OrderCancellationRequested,
    OrderRequested,
    OrderRequestedAddress,
    OrderRequestedPayment,
    OrderRequestRejectedError,
    PaymentReported,
)
from services.chassis.money import amount_text
from services.order.domain.drafts import CatalogVariant, Discount, OrderDraft, ShopTerms, WantedItem
from services.order.domain.payments import Payment
from services.order.domain.placing import Priced, price, unorderable
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.shapes import COUNTRY, CURRENCY, EMAIL, LOCALE, NOT_BLANK, Shape

# Longest texts, in characters; REST's models use the same.
MAX_ID, MAX_EMAIL, MAX_NOTES, MAX_ADDRESS_FIELD, MAX_METADATA_VALUE = 128, 254, 2000, 200, 500
MAX_ITEMS, MAX_DISCOUNTS, MAX_METADATA = 200, 20, 50
# As of an order's subtotal: what every reader of an event or of JSON can hold exactly.
MAX_AMOUNT_MINOR = 2**52
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
# Of a name in metadata, what a detail shows.
_NAME_SHOWN = 32
# Amounts as the domain and REST name them; in events they are in minor units, and say so.
_AMOUNT = re.compile(r"/expected_total|/discounts/\d+/amount|/amount")
_REQUIRED = ("first_name", "last_name", "address1", "city", "postal_code", "country_code")


def id_of(request: OrderRequested, record_key: str) -> str:
    """Return the id under which a request is known and answered: its own, or its record's key if it has none to use.

    Args:
        request: what was asked; its id may be any text.
        record_key: text that can be kept.

    """
    usable = not any(_text("/request_id", request.request_id, MAX_ID, required=True))
    return request.request_id if usable else record_key


def priced_of(request: OrderRequested, catalog: Mapping[str, CatalogVariant], terms: ShopTerms) -> Priced | list[Fault]:
    """Return what a request asks for with its price, or everything that is wrong with it.

    What the items come to together shows only once each of them can be ordered, so it is told only then.
    """
    faults = faults_of(request)
    draft = draft_of(request)
    if not faults:
        return price(draft, catalog, terms)
    # Those beyond are told by their number alone.
    draft = replace(draft, items=draft.items[:MAX_ITEMS], discounts=draft.discounts[:MAX_DISCOUNTS])
    told = {fault.pointer for fault in faults}
    return faults + [fault for fault in unorderable(draft, catalog, terms) if fault.pointer not in told]


def faults_of(request: OrderRequested) -> list[Fault]:
    """Return everything that is wrong with a request's form."""
    return list(_faults(request))


def draft_of(request: OrderRequested) -> OrderDraft:
    """Return the draft that a request asks for, whatever is wrong with it."""
    return OrderDraft(
        request_id=request.request_id,
        customer_id=request.customer_id,
        customer_email=request.customer_email,
        items=tuple(WantedItem(item.sku, item.quantity) for item in request.items),
        shipping_address=_address(request.shipping_address),
        billing_address=None if request.billing_address is None else _address(request.billing_address),
        shipping_method=request.shipping_method,
        payment_method=request.payment_method,
        notes=request.notes,
        locale=request.locale,
        external_reference=request.external_reference,
        metadata=request.metadata,
        discounts=tuple(Discount(discount.code, discount.amount_minor) for discount in request.discounts),
        expected_total=request.expected_total_minor,
        currency=request.currency,
        payment=payment_in(request),
    )


def order_id_of(text: str) -> str | None:
    """Return what names an order as its id is kept, None where it has no such form."""
    return text.lower() if re.fullmatch(_UUID, text) else None


def answer_id_of(event: PaymentReported | OrderCancellationRequested, record_key: str) -> str:
    """Return the id under which a report about no known order is answered, as `id_of` does."""
    usable = not any(_text("/order_id", event.order_id, MAX_ID, required=True))
    return event.order_id if usable else record_key


def buyer_of(request: OrderRequested) -> str | None:
    """Return who is to pay for a request later; None where nobody is, or they have no id that could be kept."""
    kept = request.payment is None and not any(_text("/customer_id", request.customer_id, MAX_ID))
    return request.customer_id if kept else None


def payment_in(request: OrderRequested) -> Payment | None:
    """Return the payment that came with a request, None where there is none that could be kept."""
    sent = request.payment
    return None if sent is None or any(_payment_faults("", sent)) else _payment(sent)


def payment_of(report: PaymentReported) -> Payment | list[Fault]:
    """Return the payment that a report is about, or everything that is wrong with its form."""
    faults = list(_payment_faults("", report))
    return faults or _payment(report)


def refused(refusal: Refusal) -> list[Fault]:
    """Return what a refused report is answered with."""
    if refusal.code is RefusalCode.PAYMENT_REFERENCE_USED:
        return [reference_used("/reference")]
    return list(refusal.faults) or [Fault("", refusal.code.value, refusal.detail)]


def errors_of(faults: Sequence[Fault], request: object) -> tuple[OrderRequestRejectedError, ...]:
    """Return faults as they are told: at the fields of the event that was sent, and of which payment they are.

    Args:
        faults: what is wrong.
        request: the event that was sent, or what could not be read.

    """
    return tuple(
        OrderRequestRejectedError(
            pointer=f"{fault.pointer}_minor" if _AMOUNT.fullmatch(fault.pointer) else fault.pointer,
            code=fault.code,
            detail=_payment_named(fault, request) + fault.detail,
        )
        for fault in faults
    )


def _payment_named(fault: Fault, request: object) -> str:
    """Return which payment a fault is about: there may be many of an order, which is all that a rejection names."""
    sent: OrderRequestedPayment | PaymentReported | None
    sent = request if isinstance(request, PaymentReported) else None
    if isinstance(request, OrderRequested) and fault.pointer.startswith("/payment/"):
        sent = request.payment
    # What is longer is refused for that.
    return "" if sent is None else f"payment {sent.reference[:MAX_ID]!r} of {sent.provider[:MAX_ID]!r}: "


def reference_used(pointer: str) -> Fault:
    """Return the fault of a payment that paid another order."""
    return Fault(pointer, RefusalCode.PAYMENT_REFERENCE_USED.value, "this reference is recorded for another order")


def paid_otherwise(payment: Payment, total_minor: int, currency: str) -> list[Fault]:
    """Return what is wrong with a payment that came with a request for an order of this total."""
    code = RefusalCode.PAYMENT_MISMATCH.value
    if payment.currency != currency:
        return [Fault("/payment/currency", code, f"the order is in {currency}, not {payment.currency}")]
    if payment.amount_minor != total_minor:
        detail = f"the total is {amount_text(total_minor, currency)}, not {amount_text(payment.amount_minor, currency)}"
        return [Fault("/payment/amount_minor", code, detail)]
    return []


def _payment(sent: OrderRequestedPayment | PaymentReported) -> Payment:
    return Payment(
        provider=sent.provider, reference=sent.reference, amount_minor=sent.amount_minor, currency=sent.currency
    )


def _payment_faults(at: str, sent: OrderRequestedPayment | PaymentReported) -> Iterator[Fault]:
    yield from _text(f"{at}/provider", sent.provider, MAX_ID, required=True)
    yield from _text(f"{at}/reference", sent.reference, MAX_ID, required=True)
    yield from _text(f"{at}/currency", sent.currency, MAX_ID, required=True, shape=CURRENCY)
    if not 0 <= sent.amount_minor <= MAX_AMOUNT_MINOR:
        detail = f"{at}/amount_minor must be between 0 and {MAX_AMOUNT_MINOR}"
        yield Fault(f"{at}/amount_minor", "invalid_amount", detail)


def _faults(request: OrderRequested) -> Iterator[Fault]:
    yield from _text("/request_id", request.request_id, MAX_ID, required=True)
    yield from _text("/customer_id", request.customer_id, MAX_ID)
    yield from _text("/customer_email", request.customer_email, MAX_EMAIL, shape=EMAIL)
    yield from _text("/shipping_method", request.shipping_method, MAX_ID)
    yield from _text("/payment_method", request.payment_method, MAX_ID)
    yield from _text("/currency", request.currency, MAX_ID)
    yield from _text("/external_reference", request.external_reference, MAX_ID)
    yield from _text("/notes", request.notes, MAX_NOTES)
    yield from _text("/locale", request.locale, MAX_ID, shape=LOCALE)
    yield from _count("/items", len(request.items), MAX_ITEMS)
    yield from _count("/discounts", len(request.discounts), MAX_DISCOUNTS)
    yield from _count("/metadata", len(request.metadata), MAX_METADATA)
    for i, item in enumerate(request.items[:MAX_ITEMS]):
        yield from _text(f"/items/{i}/sku", item.sku, MAX_ID, required=True)
    for i, discount in enumerate(request.discounts[:MAX_DISCOUNTS]):
        yield from _text(f"/discounts/{i}/code", discount.code, MAX_ID, required=True)
    for name, value in list(request.metadata.items())[:MAX_METADATA]:
        yield from _metadata_faults(name, value)
    yield from _address_faults("/shipping_address", _address(request.shipping_address))
    if request.billing_address is not None:
        yield from _address_faults("/billing_address", _address(request.billing_address))
    if request.payment is not None:
        yield from _payment_faults("/payment", request.payment)


def _metadata_faults(name: str, value: str) -> Iterator[Fault]:
    # A map has no order that would tell which entry is meant; its names are the storefront's own.
    shown = repr(name if len(name) <= _NAME_SHOWN else f"{name[:_NAME_SHOWN]}...")
    for part, text, longest in (("name", name, MAX_ID), ("value", value, MAX_METADATA_VALUE)):
        for code, words in _wrong(text, longest, required=part == "name"):
            yield Fault("/metadata", code, f"the {part} of the entry {shown} of /metadata {words}")


def _text(
    pointer: str, value: str | None, longest: int, *, required: bool = False, shape: Shape | None = None
) -> Iterator[Fault]:
    for code, words in _wrong(value, longest, required=required, shape=shape):
        yield Fault(pointer, code, f"{pointer} {words}")


def _wrong(
    value: str | None, longest: int, *, required: bool = False, shape: Shape | None = None
) -> Iterator[tuple[str, str]]:
    # Never the value itself: the detail travels in an event, and the value may be personal.
    if not value:
        if required:
            yield "missing", "must not be empty"
    elif len(value) > longest:
        yield "too_long", f"has {len(value)} characters, at most {longest} are taken"
    elif "\x00" in value:
        yield "invalid_format", "must not contain the character NUL (U+0000)"
    # Not re.match: its $ lets a line feed at the end through, and REST's patterns do not.
    elif shape is not None and re.fullmatch(shape.pattern, value) is None:
        yield "invalid_format", f"must be {shape.words}"


def _count(pointer: str, number: int, most: int) -> Iterator[Fault]:
    if number > most:
        yield Fault(pointer, "too_long", f"{pointer} has {number} entries, at most {most} are taken")


def _address_faults(pointer: str, address: Mapping[str, str | None]) -> Iterator[Fault]:
    for name, value in address.items():
        required = name in _REQUIRED
        shape = COUNTRY if name == "country_code" else NOT_BLANK if required else None
        yield from _text(f"{pointer}/{name}", value, MAX_ADDRESS_FIELD, required=required, shape=shape)


def _address(address: OrderRequestedAddress) -> dict[str, str | None]:
    return {
        "first_name": address.first_name,
        "last_name": address.last_name,
        "company": address.company,
        "address1": address.address1,
        "address2": address.address2,
        "city": address.city,
        "state_province": address.state_province,
        "postal_code": address.postal_code,
        "country_code": address.country_code,
        "phone": address.phone,
    }
