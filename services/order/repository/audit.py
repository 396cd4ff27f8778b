"""The questions that prove the order service's books: each returns what differs, so nothing is good news."""

from services.chassis import audit
from services.chassis.audit import Audit
from services.chassis.connection import Connection
from services.chassis.statements import sql

PAYMENTS_AGAINST_ORDERS = sql("""
SELECT o.order_number, o.recorded_minor, coalesce(p.paid, 0) AS payments_minor FROM orders o
LEFT JOIN (SELECT order_id, sum(amount_minor)::bigint AS paid FROM payments GROUP BY order_id) p ON p.order_id = o.id
WHERE o.recorded_minor <> coalesce(p.paid, 0) ORDER BY 1
""")
HISTORY_AGAINST_VERSION = sql("""
SELECT o.order_number, o.version, coalesce(h.rows, 0) AS history_rows, coalesce(h.last, 0) AS last_version FROM orders o
LEFT JOIN (SELECT order_id, count(*) AS rows, max(version) AS last FROM order_history GROUP BY order_id) h
    ON h.order_id = o.id
WHERE (o.version, o.version) IS DISTINCT FROM (h.rows, h.last) ORDER BY 1
""")
TOTALS_AGAINST_LINES = sql("""
SELECT o.order_number, o.subtotal_minor, o.discount_minor, i.gross AS lines_subtotal_minor,
       i.discount AS lines_discount_minor
FROM orders o
LEFT JOIN (SELECT order_id, sum(unit_price_minor * quantity)::bigint AS gross, sum(discount_minor)::bigint AS discount
           FROM order_items GROUP BY order_id) i ON i.order_id = o.id
WHERE (o.subtotal_minor, o.discount_minor) IS DISTINCT FROM (i.gross, i.discount) ORDER BY 1
""")
REFUNDS_AGAINST_ORDERS = sql("""
SELECT o.order_number, o.refunded_minor, o.refunding_minor, o.conceded_minor,
       coalesce(r.refunded, 0) AS succeeded_minor, coalesce(r.refunding, 0) AS pending_minor,
       coalesce(r.conceded, 0) AS conceded_by_refunds_minor
FROM orders o LEFT JOIN (
    SELECT order_id, coalesce(sum(amount_minor) FILTER (WHERE status = 'succeeded'), 0)::bigint AS refunded,
           coalesce(sum(amount_minor) FILTER (WHERE status = 'pending'), 0)::bigint AS refunding,
           coalesce(sum(conceded_minor) FILTER (WHERE status <> 'failed'), 0)::bigint AS conceded
    FROM refunds GROUP BY order_id) r ON r.order_id = o.id
WHERE (o.refunded_minor, o.refunding_minor, o.conceded_minor)
    <> (coalesce(r.refunded, 0), coalesce(r.refunding, 0), coalesce(r.conceded, 0)) ORDER BY 1
""")
SHIPMENTS_AGAINST_LINES = sql("""
SELECT o.order_number, i.sku, i.shipped_quantity, coalesce(s.units, 0) AS units_in_shipments FROM order_items i
JOIN orders o ON o.id = i.order_id
LEFT JOIN (SELECT order_id, (line ->> 0)::uuid AS item_id, sum((line ->> 2)::int)::bigint AS units
           FROM shipments, jsonb_array_elements(lines) line GROUP BY 1, 2) s
    ON s.order_id = i.order_id AND s.item_id = i.id
WHERE i.shipped_quantity <> coalesce(s.units, 0) ORDER BY 1, 2
""")
TOTALS = sql("""
SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM order_items) AS lines,
       (SELECT count(*) FROM order_history) AS history_rows, (SELECT count(*) FROM payments) AS payments,
       (SELECT count(*) FROM refunds) AS refunds
""")
CHECKS = {
    "payments_equal_recorded": PAYMENTS_AGAINST_ORDERS,
    "refunds_equal_orders": REFUNDS_AGAINST_ORDERS,
    "history_equals_version": HISTORY_AGAINST_VERSION,
    "totals_equal_lines": TOTALS_AGAINST_LINES,
    "shipments_equal_lines": SHIPMENTS_AGAINST_LINES,
}


def run(connection: Connection) -> Audit:
    """Audit the books in one consistent picture of the database."""
    return audit.run(connection, TOTALS, CHECKS)
