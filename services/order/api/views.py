"""How an order is shown: amounts as decimal strings, and only what its reader may see."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from services.chassis.events import from_micros
from services.chassis.money import decimal_string
from services.order.api.models.addresses import Address
from services.order.api.models.orders import (
    Actor,
    AdminOrder,
    HistoryRow,
    LastRevision,
    Order,
    OrderItem,
    ShortageRow,
    Stuck,
)
from services.order.api.models.shipments import Shipment
from services.order.api.shipment_views import is_seen, shipment_of
from services.order.domain import orders, revisions
from services.order.domain.history import Change
from services.order.domain.lines import OrderLine, Shortage, fulfillment_status
from services.order.domain.scopes import Scope
from services.order.handlers.orders import OrderView

# As many SKUs as a sentence holds; all of them are in `shortages`.
_NAMED = 5
ALL_PARTS = frozenset({"status_history", "shipments"})


def order_of(view: OrderView, links: Mapping[str, str], parts: frozenset[str] = ALL_PARTS) -> Order:
    """Return what a reader sees of an order.

    Args:
        view: the order, and through whose eyes.
        links: carrier → its tracking page.
        parts: which of `status_history` and `shipments` are asked for.

    """
    order, content, scope = view.order, view.details.content, view.scope
    lines = own_lines(content.lines, scope)
    vendor, buyer = scope.vendor_id is not None, scope.shows_buyer
    # What people write is about the whole order: a vendor reads it where all of that is theirs.
    words = not vendor or len(lines) == len(content.lines)
    return Order(
        id=order.id,
        order_number=order.number,
        status=order.status,
        allowed_transitions=list(order.allowed_transitions),
        pending_operation=order.pending_operation,
        payment_status=order.payment_status,
        fulfillment_status=fulfillment_status(content.lines),
        reservation_status=order.reservation_status,
        reserved_until=_time(order.reserved_until),
        cancel_reason=order.cancel_reason,
        shortages=shortages_of(order.shortages, lines),
        customer_id=order.customer_id,
        customer_email=content.customer_email if buyer else None,
        locale=content.locale,
        currency=order.currency,
        **_money_of(view, lines),
        shipping_address=address_of(content.shipping_address),
        billing_address=address_of(content.billing_address) if buyer else None,
        shipping_method=content.shipping_method,
        payment_method=order.payment_method,
        notes=content.notes if words else None,
        external_reference=None if vendor else content.external_reference,
        request_id=content.request_id,
        metadata={} if vendor else dict(content.metadata),
        items=items_of(order, lines),
        status_history=_history(view, words=words) if "status_history" in parts else None,
        shipments=_shipments(view, lines, links) if "shipments" in parts else None,
        last_revision=_last_revision(view),
        version=order.version,
        **_times_of(order),
    )


def admin_order_of(view: OrderView, links: Mapping[str, str], parts: frozenset[str]) -> AdminOrder:
    """Return what an operator sees of an order; see `order_of`."""
    return AdminOrder(**dict(order_of(view, links, parts)), stuck=_stuck(view))


def shortages_of(shortages: Sequence[Shortage], lines: Sequence[OrderLine]) -> list[ShortageRow]:
    """Return what did not fit of these lines, with the names that the customer saw."""
    names = {line.sku: line for line in lines}
    return [
        ShortageRow(
            sku=shortage.sku,
            product_name=names[shortage.sku].product_name,
            variant_name=names[shortage.sku].variant_name,
            requested=shortage.requested,
            available=shortage.available,
            expected_at=_time(shortage.expected_at),
        )
        for shortage in shortages
        if shortage.sku in names
    ]


def named_shortages(shortages: Sequence[ShortageRow]) -> str:
    """Return what did not fit in words: the first few by their SKUs."""
    told = [f"{row.sku} ({row.requested} wanted, {row.available} available)" for row in shortages[:_NAMED]]
    more = len(shortages) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")


def own_lines(lines: Sequence[OrderLine], scope: Scope) -> list[OrderLine]:
    """Return the lines that a reader sees: a vendor sees their own."""
    return [line for line in lines if scope.vendor_id in (None, line.vendor_id)]


def items_of(order: orders.Order, lines: Sequence[OrderLine]) -> list[OrderItem]:
    """Return lines of an order as they are shown."""
    money = Money(order.currency)
    return [_item(order, line, money) for line in lines]


def last_revision_of(revision: revisions.Revision, lines: Sequence[OrderLine]) -> LastRevision:
    """Return what became of an edit, with the shortages of these lines."""
    return LastRevision(
        revision=revision.revision,
        status=revision.status,
        reason=revision.reason,
        shortages=shortages_of(revision.shortages, lines),
        created_at=from_micros(revision.created_at),
        settled_at=_time(revision.settled_at),
    )


class Money:
    """Shows amounts of one currency."""

    def __init__(self, currency: str) -> None:
        self._currency = currency

    def __call__(self, minor: int) -> str:
        """Return an amount in minor units as a decimal string."""
        return decimal_string(minor, self._currency)


def sums_of(of: orders.OrderContent | revisions.Revision, total_minor: int, money: Money) -> dict[str, str]:
    """Return what all of an order comes to."""
    return {
        "subtotal": money(of.subtotal_minor),
        "discount_amount": money(of.discount_minor),
        "tax_amount": money(of.tax_minor),
        "shipping_amount": money(of.shipping_minor),
        "total_amount": money(total_minor),
    }


def own_sums_of(lines: Sequence[OrderLine], money: Money) -> dict[str, Any]:
    """Return what vendors and warehouses see: the sums of the lines that they see, and nothing of the rest."""
    return {
        "subtotal": money(sum(line.unit_price_minor * line.quantity for line in lines)),
        "discount_amount": money(sum(line.discount_minor for line in lines)),
        "tax_amount": money(sum(line.tax_minor for line in lines)),
        "shipping_amount": None,
        "total_amount": money(sum(line.total_minor for line in lines)),
    }


def _money_of(view: OrderView, lines: Sequence[OrderLine]) -> dict[str, Any]:
    order, money = view.order, Money(view.order.currency)
    if not view.scope.shows_buyer:
        return {**own_sums_of(lines, money), "amount_due": None, "refunded_amount": None}
    return {
        **sums_of(view.details.content, order.total_minor, money),
        "amount_due": money(order.amount_due_minor),
        "refunded_amount": money(order.refunded_minor),
    }


def _times_of(order: orders.Order) -> dict[str, Any]:
    return {
        "created_at": from_micros(order.created_at),
        "updated_at": from_micros(order.updated_at),
        "confirmed_at": _time(order.confirmed_at),
        "ship_by": _time(order.ship_by),
        "delivered_at": _time(order.delivered_at),
        "cancelled_at": _time(order.cancelled_at),
    }


def _item(order: orders.Order, line: OrderLine, money: Money) -> OrderItem:
    return OrderItem(
        id=line.item_id,
        sku=line.sku,
        product_name=line.product_name,
        variant_name=line.variant_name,
        vendor_id=line.vendor_id,
        quantity=line.quantity,
        unit_price=money(line.unit_price_minor),
        discount_amount=money(line.discount_minor),
        tax_amount=money(line.tax_minor),
        total_price=money(line.total_minor),
        shipped_quantity=line.shipped_quantity,
        returned_quantity=line.returned_quantity,
        created_at=from_micros(line.added_at or order.created_at),
    )


def _last_revision(view: OrderView) -> LastRevision | None:
    edit = view.details.last_revision
    return None if edit is None else last_revision_of(edit, own_lines(edit.lines, view.scope))


def _history(view: OrderView, *, words: bool) -> list[HistoryRow]:
    seen = [change for change in view.details.history if change.public or view.scope.internal]
    return [history_row(change if words else replace(change, note=None)) for change in seen]


def history_row(change: Change) -> HistoryRow:
    """Return a change of an order as it is shown."""
    return HistoryRow(
        status=change.status,
        previous_status=change.previous_status,
        reason=change.reason,
        notes=change.note,
        public=change.public,
        created_at=from_micros(change.at),
        created_by=Actor(type=change.actor.type, id=change.actor.id),
    )


def _shipments(view: OrderView, lines: Sequence[OrderLine], links: Mapping[str, str]) -> list[Shipment]:
    seen = {line.item_id for line in lines}
    return [shipment_of(shipment, seen, links) for shipment in view.details.shipments if is_seen(shipment, seen)]


def address_of(fields: Mapping[str, Any]) -> Address:
    """Return an address as it is shown."""
    # What was placed was checked then; checking it at each look would cost more than all the rest of the view.
    return Address.model_construct(None, **fields)


def _stuck(view: OrderView) -> Stuck | None:
    found = view.stuck
    if found is None:
        return None
    return Stuck(
        reason=found.waits_for,
        since=found.since,
        deadline_at=found.deadline_at,
        next_step=found.next_step,
        command=found.command,
    )


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
