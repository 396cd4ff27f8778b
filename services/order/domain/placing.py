"""Placing an order: from what a customer wants to a priced order, or to every reason why not."""

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.contracts import OrderPlaced, OrderPlacedLine
from services.chassis.money import amount_text
from services.order.domain.addresses import Known, with_addresses
from services.order.domain.drafts import CatalogVariant, Identity, OrderDraft, PaymentMethod, ShopTerms
from services.order.domain.history import Actor, When
from services.order.domain.lines import OrderLine
from services.order.domain.numbers import order_number
from services.order.domain.orders import Order, OrderContent
from services.order.domain.payments import record
from services.order.domain.pricing import ShippingMethod, Totals, total_up
from services.order.domain.refusals import Fault
from services.order.domain.statuses import PendingOperation

_MICROS = 1_000_000


# Amounts that every reader of an event or of JSON can hold exactly, whatever numbers it has.
MAX_SUBTOTAL_MINOR = 2**52


# Characters of a stranger's code that a detail shows, each of which may be written as ten. Hundreds of them travel in
# one event.
_CODE_SHOWN = 64
_NO_ADDRESSES: Known = {}


@dataclass(frozen=True, slots=True)
class Placed:
    """A new order, and what others are told of it."""

    order: Order
    content: OrderContent
    told: OrderPlaced


@dataclass(frozen=True, slots=True)
class Priced:
    """A draft that can be placed, with everything looked up."""

    draft: OrderDraft
    variants: tuple[CatalogVariant, ...]
    shipping: ShippingMethod
    payment: PaymentMethod
    currency: str
    totals: Totals


def price(
    draft: OrderDraft, catalog: Mapping[str, CatalogVariant], terms: ShopTerms, addresses: Known = _NO_ADDRESSES
) -> Priced | list[Fault]:
    """Look up and price a draft: the one way for orders that are placed and for those that are only asked about.

    Args:
        draft: what is wanted.
        catalog: the variants, by SKU.
        terms: the shop's rules.
        addresses: the saved addresses that the draft may name.

    Returns:
        The priced draft, or every fault that was found.

    """
    draft, unknown = with_addresses(draft, addresses)
    faults = unorderable(draft, catalog, terms) + unknown
    if faults:
        return faults
    variants = tuple(catalog[item.sku] for item in draft.items)
    payment = terms.payment_methods[draft.payment_method or next(iter(terms.payment_methods))]
    currency = variants[0].currency
    shipping = shipping_of(draft.shipping_method, currency, terms)
    if isinstance(shipping, Fault):
        return [shipping]
    lines = [(variant.price_minor, item.quantity) for variant, item in zip(variants, draft.items, strict=True)]
    subtotal = sum(unit * quantity for unit, quantity in lines)
    priced = _discounted(draft, lines, shipping.price(subtotal, currency), currency, terms)
    if isinstance(priced, list):
        return priced
    return Priced(draft, variants, shipping, payment, currency, priced)


def unorderable(draft: OrderDraft, catalog: Mapping[str, CatalogVariant], terms: ShopTerms) -> list[Fault]:
    """Return all of a draft that the shop does not sell, or not so, before it is known what it comes to."""
    return item_faults(draft, catalog, terms) + _method_faults(draft, terms)


def place(priced: Priced, terms: ShopTerms, identity: Identity, when: When) -> Placed:
    """Make an order of a priced draft, paid if its payment is the total; inventory is asked to reserve next."""
    draft, totals = priced.draft, priced.totals
    order = Order(
        id=identity.order_id,
        number=order_number(identity.count, identity.number_key, terms.number_prefix, terms.number_length),
        customer_id=draft.customer_id,
        currency=priced.currency,
        total_minor=totals.total,
        payment_method=priced.payment.code,
        pending_operation=PendingOperation.RESERVING,
        deadline_at=when.now + terms.saga_timeout_seconds * _MICROS,
        created_at=when.now,
        updated_at=when.now,
    )
    order.note_change(order.status, "placed", when)
    if draft.payment is not None:
        record(order, draft.payment, when)
        order.confirm_when_reserved = True
    content = OrderContent(
        order_id=order.id,
        request_id=draft.request_id,
        customer_email=draft.customer_email,
        locale=draft.locale or terms.default_locale,
        subtotal_minor=totals.subtotal,
        discount_minor=totals.discount,
        granted_discount_minor=totals.discount,
        tax_minor=totals.tax,
        shipping_minor=totals.shipping,
        shipping_address=draft.shipping_address,
        billing_address=draft.billing_address or draft.shipping_address,
        shipping_method=priced.shipping.code,
        notes=draft.notes,
        external_reference=draft.external_reference,
        metadata=draft.metadata or {},
        lines=_lines(priced, identity),
    )
    return Placed(order, content, _told(order, content, priced))


def _discounted(
    draft: OrderDraft, lines: list[tuple[int, int]], shipping: int, currency: str, terms: ShopTerms
) -> Totals | list[Fault]:
    subtotal = sum(unit * quantity for unit, quantity in lines)
    faults = subtotal_faults(subtotal, currency) or _decimal_faults(draft, currency, terms)
    if faults:
        return faults
    discount = sum(terms.minor(discount.amount, currency) for discount in draft.discounts)
    if discount > subtotal:
        shown, whole = amount_text(discount, currency), amount_text(subtotal, currency)
        detail = f"the discounts come to {shown}, the subtotal is {whole}"
        return [Fault("/discounts", "discount_exceeds_subtotal", detail)]
    totals = total_up(lines, discount, shipping, terms.tax_for(draft.shipping_address))
    if draft.expected_total is not None and terms.minor(draft.expected_total, currency) != totals.total:
        detail = f"the total is {amount_text(totals.total, currency)}, not what was expected"
        return [Fault("/expected_total", "price_changed", detail, totals.total, currency)]
    return totals


def subtotal_faults(subtotal: int, currency: str) -> list[Fault]:
    """Return what is wrong with a subtotal in minor units: it may be too large."""
    if subtotal <= MAX_SUBTOTAL_MINOR:
        return []
    most = amount_text(MAX_SUBTOTAL_MINOR, currency)
    detail = f"the items come to {amount_text(subtotal, currency)}, at most {most} can be ordered"
    return [Fault("/items", "total_too_large", detail)]


def _decimal_faults(draft: OrderDraft, currency: str, terms: ShopTerms) -> list[Fault]:
    amounts = [(f"/discounts/{i}/amount", discount.amount) for i, discount in enumerate(draft.discounts)]
    if draft.expected_total is not None:
        amounts.append(("/expected_total", draft.expected_total))
    faults = []
    for pointer, amount in amounts:
        try:
            terms.minor(amount, currency)
        except ValueError as error:
            faults.append(Fault(pointer, "too_many_decimals", str(error)))
    return faults


def item_faults(draft: OrderDraft, catalog: Mapping[str, CatalogVariant], terms: ShopTerms) -> list[Fault]:
    """Return all that is wrong with the items of a draft, each looked up in the catalog."""
    faults = []
    if not draft.items:
        faults.append(Fault("/items", "missing_items", "an order needs at least one item"))
    for i, item in enumerate(draft.items):
        variant = catalog.get(item.sku)
        if variant is None:
            faults.append(Fault(f"/items/{i}/sku", "unknown_sku", f"no variant has the SKU {_named(item.sku)}"))
        elif not variant.active:
            faults.append(Fault(f"/items/{i}/sku", "inactive_variant", f"{_named(item.sku)} is not for sale"))
        faults += quantity_faults(item.sku, item.quantity, terms, f"/items/{i}/quantity")
    return faults + _currency_faults(draft, catalog)


def quantity_faults(sku: str, quantity: int, terms: ShopTerms, pointer: str = "/quantity") -> list[Fault]:
    """Return what is wrong with the quantity of a line."""
    if 1 <= quantity <= terms.max_quantity_per_line:
        return []
    detail = f"{quantity} of {_named(sku)}: between 1 and {terms.max_quantity_per_line} can be ordered"
    return [Fault(pointer, "quantity_limit", detail)]


def _currency_faults(draft: OrderDraft, catalog: Mapping[str, CatalogVariant]) -> list[Fault]:
    # A variant that was retired before it was first read has no currency, and a fault of its own.
    known = {catalog[item.sku].currency for item in draft.items if item.sku in catalog} - {""}
    if len(known) > 1:
        return [
            Fault("/items", "mixed_currency", f"the items are priced in {', '.join(sorted(known))}; order them apart")
        ]
    if draft.currency is not None and known and draft.currency not in known:
        return [
            Fault("/currency", "mixed_currency", f"the items are priced in {known.pop()}, not {_named(draft.currency)}")
        ]
    return []


def _named(code: str) -> str:
    return repr(code if len(code) <= _CODE_SHOWN else f"{code[:_CODE_SHOWN]}...")


def shipping_of(code: str | None, currency: str, terms: ShopTerms) -> ShippingMethod | Fault:
    """Return the shop's shipping method of this code, or its first for this currency; or why there is none.

    A method without a price in a currency is not offered in it: it would be sent for nothing.
    """
    methods = list(terms.shipping_methods.values()) if code is None else [terms.shipping_methods[code]]
    offered = next((method for method in methods if method.is_offered_in(currency)), None)
    if offered is not None:
        return offered
    names = ", ".join(method.code for method in methods)
    currencies = ", ".join(sorted({currency for method in methods for currency in method.prices_minor}))
    return Fault("/shipping_method", "unknown_shipping_method", f"{names}: offered in {currencies}, not in {currency}")


def _method_faults(draft: OrderDraft, terms: ShopTerms) -> list[Fault]:
    faults = []
    if draft.shipping_method is not None and draft.shipping_method not in terms.shipping_methods:
        detail = f"{_named(draft.shipping_method)}: the shop has {', '.join(terms.shipping_methods)}"
        faults.append(Fault("/shipping_method", "unknown_shipping_method", detail))
    if draft.payment_method is not None and draft.payment_method not in terms.payment_methods:
        detail = f"{_named(draft.payment_method)}: the shop has {', '.join(terms.payment_methods)}"
        faults.append(Fault("/payment_method", "unknown_payment_method", detail))
    return faults + [
        Fault(f"/discounts/{i}/amount", "negative_discount", f"{_named(discount.code)} is below zero")
        for i, discount in enumerate(draft.discounts)
        if discount.amount < 0
    ]


def _lines(priced: Priced, identity: Identity) -> tuple[OrderLine, ...]:
    rows = zip(identity.item_ids, priced.draft.items, priced.variants, priced.totals.lines, strict=True)
    return tuple(
        OrderLine(
            item_id=item_id,
            sku=item.sku,
            product_name=variant.product_name,
            variant_name=variant.variant_name,
            vendor_id=variant.vendor_id,
            quantity=item.quantity,
            unit_price_minor=variant.price_minor,
            discount_minor=amounts.discount,
            tax_minor=amounts.tax,
            total_minor=amounts.total,
        )
        for item_id, item, variant, amounts in rows
    )


def _told(order: Order, content: OrderContent, priced: Priced) -> OrderPlaced:
    return OrderPlaced(
        order_id=order.id,
        order_number=order.number,
        request_id=content.request_id,
        customer_id=order.customer_id,
        customer_email=content.customer_email,
        locale=content.locale,
        currency=order.currency,
        lines=tuple(
            OrderPlacedLine(
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
            for line in content.lines
        ),
        subtotal_minor=content.subtotal_minor,
        discount_minor=content.discount_minor,
        shipping_minor=content.shipping_minor,
        tax_minor=content.tax_minor,
        total_minor=order.total_minor,
        shipping_method=content.shipping_method,
        payment_method=order.payment_method,
        hold_seconds=priced.payment.hold_seconds,
        external_reference=content.external_reference,
        placed_at=order.created_at,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrder:
    """Place an order."""

    draft: OrderDraft
    actor: Actor
