"""The facts that analytics are answered from: counted anew for the days whose orders have changed, step by step.

Invariant: what is kept of a day is what its orders come to, as of when it was counted. What it differs by from what
was kept is added to the day, its month, quarter and year in one transaction: counting it twice changes nothing.
Changes are found by `orders.updated_at`, from a while before the last look on: a transaction commits later than its
`now()`.
"""

import time
from collections.abc import Iterator, Sequence

from services.chassis.connection import Connection
from services.chassis.statements import Statement, sql
from services.order.domain.analytics import BUCKETS_AN_OCTAVE, GRAINS, MOST_LINES
from services.order.repository.analytics import PAIR_GRAINS

# Longer than any transaction that changes orders lives.
OVERLAP = "interval '2 minutes'"
# A day may begin twice, or not at midnight: so much further an index is read, the date decides.
MARGIN = "interval '4 hours'"
# Of an order with more SKUs no pairs are counted: they would be thousands, and tell nothing.
MOST_SKUS = 25
_STEP_SECONDS = 0.3

ENSURE = sql("INSERT INTO analytics_state (zone) SELECT unnest(:zones ::text[]) ON CONFLICT DO NOTHING")
# Taken by whoever refreshes: of two who think that they are elected one waits.
LOCK = sql("SELECT FROM analytics_state WHERE zone = ANY(:zones ::text[]) ORDER BY zone FOR UPDATE")
STALE = sql("SELECT zone, day FROM analytics_stale WHERE zone = ANY(:zones ::text[]) ORDER BY day DESC, zone LIMIT 1")
DONE = sql("DELETE FROM analytics_stale WHERE zone = :zone AND day = :day")
COMPLETE = sql("""
UPDATE analytics_state s SET as_of = scanned_at WHERE zone = ANY(:zones ::text[]) AND as_of IS DISTINCT FROM scanned_at
    AND NOT EXISTS (SELECT FROM analytics_stale d WHERE d.zone = s.zone)
""")
SCANNED = sql("UPDATE analytics_state SET scanned_at = now() WHERE zone = ANY(:zones ::text[])")
# Of a zone that is new every day with orders is stale.
SCAN = sql(f"""
INSERT INTO analytics_stale (zone, day)
SELECT DISTINCT s.zone, (o.created_at AT TIME ZONE s.zone)::date
FROM analytics_state s JOIN orders o ON o.updated_at >= s.scanned_at - {OVERLAP}
WHERE s.zone = ANY(:zones ::text[]) AND s.scanned_at IS NOT NULL
UNION
SELECT s.zone, day::date
FROM analytics_state s, (SELECT min(created_at) AS first FROM orders) o,
    generate_series(date_trunc('day', o.first AT TIME ZONE s.zone), now() AT TIME ZONE s.zone, '1 day') day
WHERE s.zone = ANY(:zones ::text[]) AND s.scanned_at IS NULL
    AND EXISTS (SELECT FROM orders o WHERE o.created_at >= (day AT TIME ZONE s.zone) - {MARGIN}
                AND o.created_at < ((day + interval '1 day') AT TIME ZONE s.zone) + {MARGIN})
ON CONFLICT DO NOTHING
""")

# Of an order: `Order.owed_minor`, and how much of that `Order.kept_minor` has paid.
_OWED = """CASE WHEN o.status <> 'cancelled' OR o.refund_waived
    THEN greatest(0, o.total_minor - o.conceded_minor) ELSE 0 END"""
_PAID = f"least({_OWED}, o.recorded_minor - o.refunded_minor - o.refunding_minor)"
# A day's orders.
_PLACED = f"""
placed AS MATERIALIZED (
    SELECT o.*, o.created_at AT TIME ZONE :zone AS local, o.status <> 'cancelled' AS sold,
        {_OWED} AS owed_minor, {_PAID} AS paid_minor
    FROM orders o
    WHERE o.created_at >= (:day ::timestamp AT TIME ZONE :zone) - {MARGIN}
        AND o.created_at < ((:day ::date + 1)::timestamp AT TIME ZONE :zone) + {MARGIN}
        AND (o.created_at AT TIME ZONE :zone)::date = :day ::date
)"""
# An order as all see it, and as each vendor does of whom it has lines.
_SHARES = """
lines AS MATERIALIZED (
    SELECT i.order_id, i.vendor_id, count(*) AS lines, sum(i.quantity) AS units, sum(i.total_minor) AS total
    FROM placed p JOIN order_items i ON i.order_id = p.id GROUP BY 1, 2
), shares AS MATERIALIZED (
    SELECT p.id, 'all' AS scope, sum(l.lines) AS lines, sum(l.units) AS units, p.total_minor AS gross,
        p.total_minor - p.owed_minor AS refunded, p.paid_minor AS paid
    FROM placed p JOIN lines l ON l.order_id = p.id GROUP BY p.id, p.total_minor, p.owed_minor, p.paid_minor
    UNION ALL
    SELECT order_id, 'vendor:' || vendor_id, lines, units, total, 0, 0 FROM lines WHERE vendor_id IS NOT NULL
)"""
_COUNTS = f"""
SELECT s.scope, m.measure, m.key, p.currency, m.n
FROM placed p JOIN shares s ON s.id = p.id CROSS JOIN LATERAL (VALUES
    ('status', p.status, 1),
    ('confirmed', '', (p.confirmed_at IS NOT NULL)::int),
    ('failed', '', (NOT p.sold AND p.confirmed_at IS NULL)::int),
    ('cancelled', coalesce(p.cancel_reason, 'other'), (NOT p.sold)::int),
    ('cancelled_total', '', CASE WHEN p.sold THEN 0 ELSE s.gross END),
    ('retained', '', CASE WHEN p.sold THEN 0 ELSE s.paid END),
    ('gross', '', CASE WHEN p.sold THEN s.gross END),
    ('refunded', '', CASE WHEN p.sold THEN s.refunded END),
    ('units', '', CASE WHEN p.sold THEN s.units END),
    ('lines', '', CASE WHEN p.sold THEN s.lines END),
    ('basket', least(s.lines, {MOST_LINES})::text, p.sold::int),
    ('hour', extract(hour FROM p.local)::text, 1),
    ('hour_revenue', extract(hour FROM p.local)::text, CASE WHEN p.sold THEN s.gross - s.refunded END),
    ('weekday', extract(isodow FROM p.local)::text, 1),
    ('weekday_revenue', extract(isodow FROM p.local)::text, CASE WHEN p.sold THEN s.gross - s.refunded END)
) m(measure, key, n)"""
_VENDORS = """
SELECT 'all', m.measure, coalesce(l.vendor_id, ''), p.currency, m.n
FROM placed p JOIN lines l ON l.order_id = p.id CROSS JOIN LATERAL (VALUES
    ('vendor_orders', 1), ('vendor_units', l.units), ('vendor_revenue', l.total)
) m(measure, n)
WHERE p.sold"""
# How many orders a customer had before, in the currency, whatever became of them; more than one is as good as two.
_CUSTOMERS = """
SELECT 'all', m.measure, '', p.currency, m.n
FROM placed p CROSS JOIN LATERAL (
    SELECT count(*) AS orders FROM (
        SELECT FROM orders o WHERE o.customer_id = p.customer_id AND o.currency = p.currency
            AND (o.created_at, o.id) < (p.created_at, p.id) LIMIT 2) before
) before CROSS JOIN LATERAL (VALUES
    ('guests', (p.customer_id IS NULL)::int),
    ('new', (p.customer_id IS NOT NULL AND before.orders = 0)::int),
    ('second', (before.orders = 1)::int),
    ('returning', (before.orders > 0)::int),
    ('identified', CASE WHEN p.sold AND p.customer_id IS NOT NULL THEN p.owed_minor END)
) m(measure, n)"""
# Stays that have ended. A bucket is a part of an octave of microseconds.
_TIMES = f"""
SELECT s.scope, 'time:' || t.status,
    floor({BUCKETS_AN_OCTAVE} * ln(greatest(extract(epoch FROM t.stay) * 1000000, 1)::float8) / ln(2::float8))::text,
    t.currency, 1
FROM (
    SELECT p.id, p.currency, h.status,
        lead(h.created_at) OVER (PARTITION BY h.order_id ORDER BY h.version) - h.created_at AS stay
    FROM placed p JOIN order_history h ON h.order_id = p.id WHERE h.previous_status IS DISTINCT FROM h.status
) t JOIN shares s ON s.id = t.id
WHERE t.stay IS NOT NULL"""
_SOLD = """
sold AS MATERIALIZED (
    SELECT p.id, p.currency, i.sku COLLATE "C" AS sku, i.vendor_id, sum(i.quantity) AS units,
        sum(i.total_minor) AS total
    FROM placed p JOIN order_items i ON i.order_id = p.id WHERE p.sold GROUP BY 1, 2, 3, 4
), seen AS MATERIALIZED (
    SELECT id, currency, sku, 'all' AS scope, sum(units) AS units, sum(total) AS total FROM sold GROUP BY 1, 2, 3
    UNION ALL
    SELECT id, currency, sku, 'vendor:' || vendor_id, units, total FROM sold WHERE vendor_id IS NOT NULL
)"""


def _difference(table: str, keys: Sequence[str], values: Sequence[str], fresh: str) -> Statement:
    """Return the statement that adds to a day, and to its month and so on, what they differ by from what was kept."""
    grains = ", ".join(f"'{grain}'" for grain in (PAIR_GRAINS if table == "analytics_pairs" else GRAINS))
    named = ", ".join(keys)
    each = ", ".join(values)
    differences = ", ".join(f"coalesce(f.{v}, 0) - coalesce(k.{v}, 0) AS {v}" for v in values)
    return sql(f"""
WITH {fresh}, kept AS (
    SELECT {named}, {each} FROM {table} WHERE zone = :zone AND grain = 'day' AND day = :day ::date
), difference AS (
    SELECT {named}, {differences} FROM fresh f FULL JOIN kept k USING ({named})
)
INSERT INTO {table} AS t (zone, grain, day, {named}, {each})
SELECT :zone, u.grain, u.day, {", ".join(f"d.{name}" for name in [*keys, *values])}
FROM difference d,
    (SELECT grain, date_trunc(grain, :day ::timestamp)::date AS day FROM unnest(ARRAY[{grains}]) grain) u
WHERE {" OR ".join(f"d.{v} <> 0" for v in values)}
ON CONFLICT (zone, grain, day, {named}) DO UPDATE SET {", ".join(f"{v} = t.{v} + excluded.{v}" for v in values)}
""")


REFRESH_FACTS = _difference(
    "analytics_facts",
    ("scope", "measure", "key", "currency"),
    ("n",),
    f"""{_PLACED}, {_SHARES}, counted AS ({_COUNTS}
UNION ALL {_VENDORS}
UNION ALL {_CUSTOMERS}
UNION ALL {_TIMES}
), fresh AS (
    SELECT scope, measure, key, currency, sum(n)::bigint AS n FROM counted WHERE n <> 0 GROUP BY 1, 2, 3, 4
)""",
)
REFRESH_PRODUCTS = _difference(
    "analytics_products",
    ("scope", "sku", "currency"),
    ("units", "revenue_minor", "orders"),
    f"""{_PLACED}, {_SOLD}, fresh AS (
    SELECT scope, sku, currency, sum(units)::bigint AS units, sum(total)::bigint AS revenue_minor, count(*) AS orders
    FROM seen GROUP BY 1, 2, 3
)""",
)
REFRESH_PAIRS = _difference(
    "analytics_pairs",
    ("scope", "sku_a", "sku_b", "currency"),
    ("orders",),
    f"""{_PLACED}, {_SOLD}, few AS MATERIALIZED (
    SELECT * FROM (SELECT *, count(*) OVER (PARTITION BY id, scope) AS skus FROM seen) s
    WHERE skus BETWEEN 2 AND {MOST_SKUS}
), fresh AS (
    SELECT a.scope, a.sku AS sku_a, b.sku AS sku_b, a.currency, count(*) AS orders
    FROM few a JOIN few b ON b.id = a.id AND b.scope = a.scope AND b.sku > a.sku GROUP BY 1, 2, 3, 4
)""",
)


def refresh(connection: Connection, zones: Sequence[str], seconds: float = _STEP_SECONDS) -> bool:
    """Count days anew whose orders have changed; look for changes where none is left to count.

    Args:
        connection: the transaction.
        zones: time zones that are kept.
        seconds: after which no further day is begun.

    Returns:
        Whether there is more to count.

    """
    known = {"zones": list(zones)}
    connection.execute(ENSURE, known)
    connection.execute(LOCK, known)
    if connection.execute(STALE, known).first() is None:
        connection.execute(SCAN, known)
        connection.execute(SCANNED, known)
    until = time.monotonic() + seconds
    for day in _stale(connection, known):
        if time.monotonic() > until:
            return True
        for statement in (REFRESH_FACTS, REFRESH_PRODUCTS, REFRESH_PAIRS):
            connection.execute(statement, day)
        connection.execute(DONE, day)
    connection.execute(COMPLETE, known)
    return False


def _stale(connection: Connection, known: dict[str, list[str]]) -> Iterator[dict[str, object]]:
    """Yield days to be counted, the newest first; each until it is done."""
    while (row := connection.execute(STALE, known).first()) is not None:
        yield {"zone": row.zone, "day": row.day}
