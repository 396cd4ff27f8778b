"""Edits: what is to be changed of an order before it leaves, and what it would cost then.

Invariants: lines that are not touched keep the price at which they were sold; the order's discount is the amount
that was granted when it was placed, at most the subtotal, and is spread anew; shipping and tax follow the method and
the address.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.order.domain.drafts import CatalogVariant, OrderDraft, ShopTerms, WantedItem
from services.order.domain.history import Actor
from services.order.domain.lines import OrderLine
from services.order.domain.orders import Order, OrderContent
from services.order.domain.placing import item_faults, quantity_faults, subtotal_faults
from services.order.domain.pricing import total_up
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.requests import MAX_ITEMS
from services.order.domain.statuses import OrderStatus

# What has these statuses, and nothing of which has left, can be changed.
EDITABLE = (OrderStatus.PENDING, OrderStatus.CONFIRMED, OrderStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class AddItem:
    """A further line, at the catalog's price of today."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class ChangeItem:
    """Another quantity of a line."""

    item_id: str
    quantity: int


@dataclass(frozen=True, slots=True)
class RemoveItem:
    """One line less."""

    item_id: str


Edit = AddItem | ChangeItem | RemoveItem


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviseOrder:
    """Edit the lines of an order."""

    order_id: str
    actor: Actor
    edit: Edit
    note: str | None = None
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True)
class Repriced:
    """What an order would be about and cost.

    Args:
        content: with new lines and amounts.
        obstacle: why it cannot be changed now, though it may be priced.

    """

    content: OrderContent
    total_minor: int
    obstacle: Refusal | None = None


@dataclass(frozen=True, slots=True)
class Shop:
    """What is sold, as far as an edit asks, and the rules for it."""

    catalog: Mapping[str, CatalogVariant]
    terms: ShopTerms


@dataclass(frozen=True, slots=True)
class _Added:
    item_id: str
    at: int


def obstacle_of(order: Order, content: OrderContent) -> Refusal | None:
    """Return why nothing of an order can be changed now, None where it can: until something of it leaves."""
    editable = order.status in EDITABLE
    if not editable or any(line.shipped_quantity for line in content.lines):
        left = "something of it has left" if editable else f"it is {order.status}"
        detail = f"order {order.number} cannot be changed: {left}; what is pending, confirmed or processing can"
        return Refusal(RefusalCode.NOT_EDITABLE, detail)
    return order.refuse_meanwhile()


def reprice(content: OrderContent, order: Order, terms: ShopTerms) -> Repriced | Refusal:
    """Compute every amount anew, for other lines, another address or another shipping method.

    Args:
        content: what the order is to be about; its lines' own amounts and its totals are what is computed.
        order: its state.
        terms: the shop's rules of today.

    """
    gross = [(line.unit_price_minor, line.quantity) for line in content.lines]
    subtotal = sum(price * quantity for price, quantity in gross)
    faults = subtotal_faults(subtotal, order.currency)
    if faults:
        return Refusal(RefusalCode.INVALID_ORDER, faults[0].detail, faults)
    method = terms.shipping_methods.get(content.shipping_method)
    # Of a method that the shop has given up since, in this currency at least, the price that was agreed holds.
    offered = method is not None and method.is_offered_in(order.currency)
    shipping = method.price(subtotal, order.currency) if method and offered else content.shipping_minor
    discount = min(content.granted_discount_minor, subtotal)
    totals = total_up(gross, discount, shipping, terms.tax_for(content.shipping_address))
    lines = tuple(
        replace(line, discount_minor=amounts.discount, tax_minor=amounts.tax, total_minor=amounts.total)
        for line, amounts in zip(content.lines, totals.lines, strict=True)
    )
    priced = replace(
        content,
        lines=lines,
        subtotal_minor=totals.subtotal,
        discount_minor=totals.discount,
        tax_minor=totals.tax,
        shipping_minor=totals.shipping,
    )
    return Repriced(priced, totals.total)


def preview(
    order: Order, content: OrderContent, edit: Edit, shop: Shop, *, item_id: str, now: int
) -> Repriced | Refusal:
    """Return what an edit would make of an order, as far as this service knows: it does not know the stock.

    Args:
        order: not changed.
        content: what it is about now.
        edit: what is asked.
        shop: what it sells, and how.
        item_id: of a line that is added.
        now: microseconds since the epoch.

    """
    lines = _edited(order, content, edit, shop, _Added(item_id, now))
    if isinstance(lines, Refusal):
        return lines
    priced = reprice(replace(content, lines=lines), order, shop.terms)
    return priced if isinstance(priced, Refusal) else replace(priced, obstacle=obstacle_of(order, content))


def _edited(
    order: Order, content: OrderContent, edit: Edit, shop: Shop, added: _Added
) -> tuple[OrderLine, ...] | Refusal:
    if isinstance(edit, AddItem):
        line = _new_line(order, content, edit, shop, added)
        return line if isinstance(line, Refusal) else (*content.lines, line)
    if all(line.item_id != edit.item_id for line in content.lines):
        return Refusal(RefusalCode.ITEM_NOT_FOUND, f"order {order.number} has no item {edit.item_id!r}")
    if isinstance(edit, ChangeItem):
        return _with_quantity(content.lines, edit, shop.terms)
    rest = tuple(line for line in content.lines if line.item_id != edit.item_id)
    if not rest:
        detail = f"order {order.number} has no other item; cancel it instead"
        return Refusal(RefusalCode.LAST_ITEM, detail)
    return rest


def _with_quantity(lines: Sequence[OrderLine], edit: ChangeItem, terms: ShopTerms) -> tuple[OrderLine, ...] | Refusal:
    faults = [
        fault
        for line in lines
        if line.item_id == edit.item_id
        for fault in quantity_faults(line.sku, edit.quantity, terms)
    ]
    if faults:
        return _refuse(faults)
    return tuple(replace(line, quantity=edit.quantity) if line.item_id == edit.item_id else line for line in lines)


def _new_line(order: Order, content: OrderContent, edit: AddItem, shop: Shop, added: _Added) -> OrderLine | Refusal:
    # Looked up as it would be for an order of its own, in this order's currency.
    draft = OrderDraft(
        customer_id=None,
        customer_email=None,
        items=(WantedItem(edit.sku, edit.quantity),),
        shipping_address=content.shipping_address,
        currency=order.currency,
    )
    faults = item_faults(draft, shop.catalog, shop.terms)
    if len(content.lines) >= MAX_ITEMS:
        faults.append(Fault("/items/0/sku", "quantity_limit", f"an order has {MAX_ITEMS} items at most"))
    if faults:
        return _refuse(faults)
    variant = shop.catalog[edit.sku]
    return OrderLine(
        item_id=added.item_id,
        sku=edit.sku,
        product_name=variant.product_name,
        variant_name=variant.variant_name,
        vendor_id=variant.vendor_id,
        quantity=edit.quantity,
        unit_price_minor=variant.price_minor,
        discount_minor=0,
        tax_minor=0,
        total_minor=0,
        added_at=added.at,
    )


def _refuse(faults: Sequence[Fault]) -> Refusal:
    """Return the refusal of an edit, whose body is the only item of the draft that it was checked as."""
    own = [replace(fault, pointer=_POINTERS.get(fault.pointer, fault.pointer)) for fault in faults]
    return Refusal(RefusalCode.INVALID_ORDER, "the items cannot be changed like this", own)


_POINTERS = {
    "/items/0/sku": "/sku",
    "/items/0/quantity": "/quantity",
    "/items": "/sku",
    "/currency": "/sku",
}
