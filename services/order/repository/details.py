"""What belongs to orders beside their state: content, history, shipments, payments; read in a fixed number of steps."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from services.chassis.events import from_micros, to_micros
from services.order.domain.commands import Shipment
from services.order.domain.details import OrderDetails
from services.order.domain.orders import Actor, Change, OrderContent, OrderLine, Payment
from services.order.domain.statuses import OrderStatus

CONTENT = sa.text("""
SELECT id::text, request_id, customer_email, locale, subtotal_minor, discount_minor, tax_minor, shipping_minor,
       shipping_address, billing_address, shipping_method, notes, external_reference, metadata
FROM orders WHERE id = ANY(:ids ::uuid[])
""")
ITEMS = sa.text("""
SELECT order_id::text, id::text AS item_id, sku, product_name, variant_name, vendor_id, quantity, unit_price_minor,
       discount_minor, tax_minor, total_minor
FROM order_items WHERE order_id = ANY(:ids ::uuid[]) ORDER BY order_id, position
""")
HISTORY = sa.text("""
SELECT order_id::text, previous_status, status, reason, note, public, actor_type, actor_id, event_id, created_at
FROM order_history WHERE order_id = ANY(:ids ::uuid[]) ORDER BY order_id, version
""")
SHIPMENTS = sa.text("""
SELECT id::text, order_id::text, location, carrier, tracking_number, estimated_delivery, lines, shipped_at,
       delivered_at
FROM shipments WHERE order_id = ANY(:ids ::uuid[]) ORDER BY order_id, shipped_at, id
""")
INSERT_SHIPMENT = sa.text("""
INSERT INTO shipments (id, order_id, location, carrier, tracking_number, estimated_delivery, lines, shipped_at)
VALUES (:id ::uuid, :order_id ::uuid, :location, :carrier, :tracking_number, :estimated_delivery, :lines ::jsonb,
        :shipped_at)
""")
DELIVER_SHIPMENTS = sa.text("""
UPDATE shipments SET delivered_at = :at WHERE order_id = :order_id ::uuid AND delivered_at IS NULL
""")
# Locked after the orders: whoever records a payment for one holds that order's row.
PAYMENTS = sa.text("""
SELECT provider, reference, order_id::text FROM payments
JOIN unnest(:providers ::text[], :references ::text[]) d(provider, reference) USING (provider, reference)
""")
INSERT_PAYMENT = sa.text("""
INSERT INTO payments (provider, reference, order_id, amount_minor, currency, recorded_at)
VALUES (:provider, :reference, :order_id ::uuid, :amount_minor, :currency, :recorded_at)
""")


def contents(connection: sa.Connection, order_ids: Sequence[str]) -> dict[str, OrderContent]:
    """Return what orders are about: two statements, however many they are."""
    if not order_ids:
        return {}
    parameters = {"ids": list(order_ids)}
    lines: dict[str, list[OrderLine]] = {}
    for row in connection.execute(ITEMS, parameters):
        values = row._asdict()
        lines.setdefault(values.pop("order_id"), []).append(OrderLine(**values))
    rows = [row._asdict() for row in connection.execute(CONTENT, parameters)]
    return {
        row["id"]: OrderContent(order_id=row.pop("id"), lines=tuple(lines.get(row_id, ())), **row)
        for row in rows
        for row_id in [row["id"]]
    }


def details(connection: sa.Connection, order_ids: Sequence[str]) -> dict[str, OrderDetails]:
    """Return everything of orders: four statements, however many they are."""
    found = contents(connection, order_ids)
    parameters = {"ids": list(order_ids)}
    history: dict[str, list[Change]] = {}
    for row in connection.execute(HISTORY, parameters) if found else ():
        history.setdefault(row.order_id, []).append(_change(row))
    parts = shipments(connection, order_ids)
    return {
        order_id: OrderDetails(content, tuple(history.get(order_id, ())), tuple(parts.get(order_id, ())))
        for order_id, content in found.items()
    }


def shipments(connection: sa.Connection, order_ids: Sequence[str]) -> dict[str, list[Shipment]]:
    """Return the shipments of orders."""
    found: dict[str, list[Shipment]] = {}
    for row in connection.execute(SHIPMENTS, {"ids": list(order_ids)}) if order_ids else ():
        found.setdefault(row.order_id, []).append(_shipment(row))
    return found


def add_shipment(connection: sa.Connection, shipment: Shipment) -> None:
    """Add a shipment of an order whose row is locked."""
    connection.execute(
        INSERT_SHIPMENT,
        {
            "id": shipment.id,
            "order_id": shipment.order_id,
            "location": shipment.location,
            "carrier": shipment.carrier,
            "tracking_number": shipment.tracking_number,
            "estimated_delivery": shipment.estimated_delivery,
            "lines": json.dumps(shipment.lines),
            "shipped_at": from_micros(shipment.shipped_at),
        },
    )


def deliver_shipments(connection: sa.Connection, order_id: str, at: int) -> None:
    """Mark every shipment of an order as delivered at `at` (microseconds since the epoch)."""
    connection.execute(DELIVER_SHIPMENTS, {"order_id": order_id, "at": from_micros(at)})


def known_payments(connection: sa.Connection, payments: Iterable[Payment]) -> dict[tuple[str, str], str]:
    """Return (provider, reference) → order id of those payments that were recorded before."""
    wanted = sorted({(payment.provider, payment.reference) for payment in payments})
    if not wanted:
        return {}
    parameters = {"providers": [p for p, _ in wanted], "references": [r for _, r in wanted]}
    return {(row.provider, row.reference): row.order_id for row in connection.execute(PAYMENTS, parameters)}


def add_payment(connection: sa.Connection, order_id: str, payment: Payment, at: int) -> None:
    """Record a payment; its reference must be new."""
    connection.execute(
        INSERT_PAYMENT,
        {
            "provider": payment.provider,
            "reference": payment.reference,
            "order_id": order_id,
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "recorded_at": from_micros(at),
        },
    )


def _change(row: sa.Row[Any]) -> Change:
    return Change(
        order_id=row.order_id,
        previous_status=row.previous_status and OrderStatus(row.previous_status),
        status=OrderStatus(row.status),
        reason=row.reason,
        note=row.note,
        public=row.public,
        actor=Actor(type=row.actor_type, id=row.actor_id),
        event_id=row.event_id,
        at=to_micros(row.created_at),
    )


def _shipment(row: sa.Row[Any]) -> Shipment:
    return Shipment(
        id=row.id,
        order_id=row.order_id,
        location=row.location,
        carrier=row.carrier,
        tracking_number=row.tracking_number,
        estimated_delivery=row.estimated_delivery,
        lines=tuple((item_id, sku, quantity) for item_id, sku, quantity in row.lines),
        shipped_at=to_micros(row.shipped_at),
        delivered_at=None if row.delivered_at is None else to_micros(row.delivered_at),
    )
