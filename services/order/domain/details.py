"""What belongs to an order beside its state: where it goes and how, and how that is changed before it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from schemas.contracts import OrderDetailsChanged, OrderDetailsChangedAddress
from services.order.domain.drafts import Address, ShopTerms
from services.order.domain.edits import Repriced, obstacle_of, reprice
from services.order.domain.history import Actor, Change, When
from services.order.domain.orders import Order, OrderContent
from services.order.domain.placing import shipping_of
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.revisions import Revision
from services.order.domain.shipments import Shipment
from services.order.domain.statuses import OrderStatus


@dataclass(frozen=True, slots=True)
class OrderDetails:
    """Content, history and shipments of one order, and the newest edit of its lines."""

    content: OrderContent
    history: tuple[Change, ...]
    shipments: tuple[Shipment, ...]
    last_revision: Revision | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDetails:
    """What is to be changed; None leaves it as it is.

    Args:
        clear_notes: whether the notes are to go.

    """

    shipping_address: Address | None = None
    billing_address: Address | None = None
    shipping_method: str | None = None
    notes: str | None = None
    clear_notes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeDetails:
    """Change where an order goes, and how."""

    order_id: str
    actor: Actor
    new: NewDetails = field(default_factory=NewDetails)
    note: str | None = None
    expected_versions: frozenset[int] | None = None


def preview(order: Order, content: OrderContent, new: NewDetails, terms: ShopTerms) -> Repriced | Refusal:
    """Return what a change would make of an order, and whether it can be made now."""
    fault = _method_fault(order, content, new, terms)
    if fault is not None:
        return Refusal(RefusalCode.INVALID_ORDER, fault.detail, [fault])
    changed = replace(
        content,
        shipping_address=new.shipping_address or content.shipping_address,
        billing_address=new.billing_address or content.billing_address,
        shipping_method=new.shipping_method or content.shipping_method,
        notes=None if new.clear_notes else new.notes or content.notes,
    )
    # What costs the same way as before costs the same: the shop's rules may have changed since it was placed.
    moved = _way(changed) != _way(content)
    priced = reprice(changed, order, terms) if moved else Repriced(changed, order.total_minor)
    return priced if isinstance(priced, Refusal) else replace(priced, obstacle=obstacle_of(order, content))


def _method_fault(order: Order, content: OrderContent, new: NewDetails, terms: ShopTerms) -> Fault | None:
    if new.shipping_method in (None, content.shipping_method):
        return None
    if new.shipping_method not in terms.shipping_methods:
        detail = f"{new.shipping_method!r}: the shop has {', '.join(terms.shipping_methods)}"
        return Fault("/shipping_method", "unknown_shipping_method", detail)
    found = shipping_of(new.shipping_method, order.currency, terms)
    return found if isinstance(found, Fault) else None


def change(order: Order, content: OrderContent, priced: Repriced, when: When, label: str) -> OrderDetailsChanged | None:
    """Change where an order goes and how, and what it costs by that; the order is changed in place.

    Args:
        order: nothing stands in the way.
        content: what it is about now.
        priced: what it is to be about.
        when: time and actor.
        label: path of its shipping label.

    Returns:
        What others are told; None where only the notes are others, or nothing is.

    """
    new = priced.content
    if new == content:
        return None
    order.total_minor = priced.total_minor
    order.note_change(order.status, "details_changed", when)
    shipping = _changed(content.shipping_address, new.shipping_address)
    billing = _changed(content.billing_address, new.billing_address)
    method = new.shipping_method if new.shipping_method != content.shipping_method else None
    if shipping is None and billing is None and method is None:
        return None
    # A label is there from when the order was handed to the warehouse, and shows both.
    is_labelled = order.status is OrderStatus.PROCESSING and (shipping is not None or method is not None)
    return OrderDetailsChanged(
        order_id=order.id,
        order_number=order.number,
        version=order.version,
        revision=order.revision,
        shipping_address=shipping,
        billing_address=billing,
        shipping_method=method,
        label=label if is_labelled else None,
        subtotal_minor=new.subtotal_minor,
        discount_minor=new.discount_minor,
        shipping_minor=new.shipping_minor,
        tax_minor=new.tax_minor,
        total_minor=order.total_minor,
        currency=order.currency,
        changed_at=when.now,
    )


def _changed(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> OrderDetailsChangedAddress | None:
    if _said(old) == _said(new):
        return None
    return OrderDetailsChangedAddress(**_said(new))


def _way(content: OrderContent) -> tuple[Mapping[str, str], str]:
    return _said(content.shipping_address), content.shipping_method


def _said(address: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in address.items() if value is not None}
