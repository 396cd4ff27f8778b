"""What orders are about: what was agreed when they were placed, and their lines."""

from collections.abc import Sequence

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import from_micros, to_micros
from services.chassis.statements import sql
from services.order.domain.lines import OrderLine
from services.order.domain.orders import OrderContent

CONTENT = sql("""
SELECT id::text, request_id, customer_email, locale, subtotal_minor, discount_minor, granted_discount_minor,
       tax_minor, shipping_minor, shipping_address, billing_address, shipping_method, notes, external_reference,
       metadata
FROM orders WHERE id = ANY(:ids ::uuid[])
""")
LINES = sql("""
SELECT order_id::text, id::text AS item_id, sku, product_name, variant_name, vendor_id, quantity, unit_price_minor,
       discount_minor, tax_minor, total_minor, shipped_quantity, returned_quantity, added_at
FROM order_items WHERE order_id = ANY(:ids ::uuid[]) ORDER BY order_id, position
""")
# Of an order whose row is locked. Lines are few, and an edit may change any of them.
UPDATE_CONTENT = sql("""
WITH removed AS (DELETE FROM order_items WHERE order_id = :order_id ::uuid)
UPDATE orders SET subtotal_minor = :subtotal, discount_minor = :discount, tax_minor = :tax, shipping_minor = :shipping,
    total_minor = :total, shipping_address = :shipping_address ::jsonb, billing_address = :billing_address ::jsonb,
    shipping_method = :shipping_method, notes = :notes, customer_email = :customer_email, metadata = :metadata ::jsonb,
    external_reference = :external_reference
WHERE id = :order_id ::uuid
""")
INSERT_LINES = sql("""
INSERT INTO order_items (order_id, position, id, sku, product_name, variant_name, vendor_id, quantity,
                         unit_price_minor, discount_minor, tax_minor, total_minor, shipped_quantity,
                         returned_quantity, added_at)
SELECT unnest(:item_orders ::uuid[]), unnest(:item_positions ::int[]), unnest(:item_ids ::uuid[]),
       unnest(:item_skus ::text[]), unnest(:item_products ::text[]), unnest(:item_variants ::text[]),
       unnest(:item_vendors ::text[]), unnest(:item_quantities ::int[]), unnest(:item_prices ::bigint[]),
       unnest(:item_discounts ::bigint[]), unnest(:item_taxes ::bigint[]), unnest(:item_totals ::bigint[]),
       unnest(:item_shipped ::int[]), unnest(:item_returned ::int[]), unnest(:item_added ::timestamptz[])
""")


def contents(connection: Connection, order_ids: Sequence[str]) -> dict[str, OrderContent]:
    """Return what orders are about: two statements, however many they are."""
    if not order_ids:
        return {}
    parameters = {"ids": list(order_ids)}
    lines: dict[str, list[OrderLine]] = {}
    for row in connection.execute(LINES, parameters):
        values = row._asdict()
        values["added_at"] = None if row.added_at is None else to_micros(row.added_at)
        lines.setdefault(values.pop("order_id"), []).append(OrderLine(**values))
    rows = [row._asdict() for row in connection.execute(CONTENT, parameters)]
    return {
        row["id"]: OrderContent(order_id=row.pop("id"), lines=tuple(lines.get(row_id, ())), **row)
        for row in rows
        for row_id in [row["id"]]
    }


def update(connection: Connection, content: OrderContent, total_minor: int) -> None:
    """Write what an order is about now; its row is locked."""
    parameters = {
        "order_id": content.order_id,
        "subtotal": content.subtotal_minor,
        "discount": content.discount_minor,
        "tax": content.tax_minor,
        "shipping": content.shipping_minor,
        "total": total_minor,
        "shipping_address": to_json(dict(content.shipping_address)).decode(),
        "billing_address": to_json(dict(content.billing_address)).decode(),
        "shipping_method": content.shipping_method,
        "notes": content.notes,
        "customer_email": content.customer_email,
        "external_reference": content.external_reference,
        "metadata": to_json(dict(content.metadata)).decode(),
    }
    connection.execute(UPDATE_CONTENT, parameters)
    connection.execute(INSERT_LINES, columns([content]))


def columns(contents: Sequence[OrderContent]) -> dict[str, object]:
    """Return the lines of orders as `INSERT_LINES` takes them, a column each."""
    rows = [(content.order_id, i, line) for content in contents for i, line in enumerate(content.lines)]
    return {
        "item_orders": [order_id for order_id, _, _ in rows],
        "item_positions": [position for _, position, _ in rows],
        "item_ids": [line.item_id for _, _, line in rows],
        "item_skus": [line.sku for _, _, line in rows],
        "item_products": [line.product_name for _, _, line in rows],
        "item_variants": [line.variant_name for _, _, line in rows],
        "item_vendors": [line.vendor_id for _, _, line in rows],
        "item_quantities": [line.quantity for _, _, line in rows],
        "item_prices": [line.unit_price_minor for _, _, line in rows],
        "item_discounts": [line.discount_minor for _, _, line in rows],
        "item_taxes": [line.tax_minor for _, _, line in rows],
        "item_totals": [line.total_minor for _, _, line in rows],
        "item_shipped": [line.shipped_quantity for _, _, line in rows],
        "item_returned": [line.returned_quantity for _, _, line in rows],
        "item_added": [None if line.added_at is None else from_micros(line.added_at) for _, _, line in rows],
    }
