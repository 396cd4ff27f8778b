"""A year of a shop that is made up, by set-based SQL: the product's own placing would take the better part of an hour.

Orders fall on the days until today, few SKUs are sold often and most seldom, a customer comes back now and then. The
same for every run, but for the ids.
"""

from services.chassis.connection import Connection
from services.chassis.statements import sql

ORDERS, DAYS = 300_000, 365
_SKUS, _CUSTOMERS, _VENDORS = 10_000, 80_000, 20
VENDOR = "vendor-3"
_SEED = sql("SELECT setseed(0.4)")
_CATALOG = f"""
INSERT INTO catalog_variants (sku, product_name, variant_name, vendor_id, price_minor, currency, active, version)
SELECT 'BENCH-' || lpad(s::text, 5, '0'), 'Product ' || s, 'standard', 'vendor-' || s % {_VENDORS}, 500 + s % 9000,
    'EUR', true, 1
FROM generate_series(0, {_SKUS - 1}) s
"""
# At the end of a year most orders have come to their end; those of the last days have not.
_DRAWN = f"""
CREATE TEMPORARY TABLE year AS
SELECT i AS n, gen_random_uuid() AS id, at,
    CASE WHEN draw[1] < 0.9 THEN 'customer-' || floor({_CUSTOMERS} * draw[2] * draw[2])::int END AS customer_id,
    CASE WHEN draw[3] < 0.9 THEN 'EUR' ELSE 'USD' END AS currency, draw[4] < 0.05 AS gave_back,
    1 + floor(5 * draw[5] * draw[5])::int AS lines,
    CASE WHEN draw[6] < 0.05 THEN ARRAY['pending', 'cancelled']
        WHEN draw[6] < 0.08 THEN ARRAY['pending', 'confirmed', 'cancelled']
        WHEN at > now() - interval '4 days' THEN ARRAY['pending', 'confirmed', 'processing']
        WHEN draw[6] < 0.10 THEN ARRAY['pending', 'confirmed', 'processing', 'shipped', 'delivered', 'refunded']
        ELSE ARRAY['pending', 'confirmed', 'processing', 'shipped', 'delivered'] END AS life, draw[7] AS pace
FROM generate_series(1, {ORDERS}) i,
    LATERAL (SELECT now() - interval '1 minute' - ({ORDERS} - i) * interval '{DAYS - 1} days' / {ORDERS} AS at) day,
    LATERAL (SELECT array_agg(random()) AS draw FROM generate_series(1, 7 + 0 * i)) draws
"""
_LINES = f"""
CREATE TEMPORARY TABLE lines AS
SELECT y.id, y.n, p AS position, s.sku, s.n AS sku_n, 1 + floor(3 * random())::int AS quantity
FROM year y, generate_series(1, y.lines) p,
    LATERAL (SELECT floor({_SKUS} * power(random() + 0 * y.n * p, 3))::int AS n) drawn,
    LATERAL (SELECT drawn.n, 'BENCH-' || lpad(drawn.n::text, 5, '0') AS sku) s
"""
_ITEMS = f"""
INSERT INTO order_items (order_id, position, id, sku, product_name, variant_name, vendor_id, quantity, unit_price_minor,
    discount_minor, tax_minor, total_minor)
SELECT id, position, gen_random_uuid(), sku, 'Product ' || sku_n, 'standard', 'vendor-' || sku_n % {_VENDORS}, quantity,
    500 + sku_n % 9000, 0, 0, quantity * (500 + sku_n % 9000)
FROM lines ORDER BY n
"""
# Each step of a life takes half a day to a day.
_STEPS = "y.at + (s - 1) * (1 + y.pace) * interval '11 hours'"
_HISTORY = f"""
INSERT INTO order_history (order_id, version, previous_status, status, reason, public, actor_type, actor_id, created_at)
SELECT y.id, s, y.life[s - 1], y.life[s], 'benchmark', true, 'system', 'benchmark', {_STEPS}
FROM year y, generate_subscripts(y.life, 1) s ORDER BY y.n
"""
_ORDERS = """
INSERT INTO orders (id, order_number, customer_id, customer_email, locale, currency, subtotal_minor, discount_minor,
    tax_minor, shipping_minor, total_minor, shipping_address, billing_address, shipping_method, payment_method,
    metadata, status, payment_status, reservation_status, recorded_minor, refunded_minor, conceded_minor, refund_waived,
    confirm_when_reserved, cancel_reason, shortages, held, version, events, created_at, updated_at, confirmed_at)
SELECT y.id, 'ORD' || lpad(y.n::text, 8, '0'), y.customer_id, y.customer_id || '@shop.example', 'en', y.currency,
    l.total, 0, 0, 499, l.total + 499, '{}', '{}', 'standard', 'card', '{}', a.status,
    CASE WHEN given.back > 0 THEN 'partially_refunded' WHEN a.confirmed THEN 'paid' ELSE 'pending' END, 'allocated',
    CASE WHEN a.confirmed THEN l.total + 499 ELSE 0 END, CASE WHEN a.status = 'cancelled' AND a.confirmed
        THEN l.total + 499 ELSE given.back END, given.back, false, false,
    CASE WHEN a.status = 'cancelled' THEN CASE WHEN a.confirmed THEN 'customer_request' ELSE 'timeout' END END,
    '[]', '[]', cardinality(y.life), cardinality(y.life), y.at,
    least(now(), y.at + cardinality(y.life) * interval '12 hours'),
    CASE WHEN a.confirmed THEN y.at + interval '1 minute' END
FROM year y JOIN (SELECT n, sum(quantity * (500 + sku_n % 9000))::bigint AS total FROM lines GROUP BY 1) l USING (n),
    LATERAL (SELECT y.life[cardinality(y.life)] AS status, y.life[2] = 'confirmed' AS confirmed) a,
    LATERAL (SELECT CASE WHEN a.status = 'refunded' THEN l.total + 499
        WHEN a.status = 'delivered' AND y.gave_back THEN (l.total + 499) / 3 ELSE 0 END AS back) given
ORDER BY y.n
"""


def live_through(connection: Connection) -> None:
    """Fill an empty database of the order service with a year of orders."""
    connection.execute(sql("SET LOCAL statement_timeout = 0"))
    connection.execute(_SEED)
    for statement in (_CATALOG, _DRAWN, _LINES, _ORDERS, _ITEMS, _HISTORY):
        connection.execute(sql(statement))
