"""The questions that prove inventory's books: each returns what differs, so nothing is good news."""

from services.chassis import audit
from services.chassis.audit import Audit
from services.chassis.connection import Connection
from services.chassis.statements import sql

# The level of each SKU and location against the sum of its movements.
LEVELS_AGAINST_LEDGER = sql("""
SELECT coalesce(l.sku, m.sku) AS sku, coalesce(l.location, m.location) AS location,
       l.on_hand, l.reserved, l.allocated,
       m.on_hand AS ledger_on_hand, m.reserved AS ledger_reserved, m.allocated AS ledger_allocated
FROM stock_levels l
FULL JOIN (SELECT sku, location, sum(on_hand)::bigint AS on_hand, sum(reserved)::bigint AS reserved,
                  sum(allocated)::bigint AS allocated
           FROM stock_movements GROUP BY sku, location) m
    ON m.sku = l.sku AND m.location = l.location
WHERE (coalesce(l.on_hand, 0), coalesce(l.reserved, 0), coalesce(l.allocated, 0))
    IS DISTINCT FROM (coalesce(m.on_hand, 0), coalesce(m.reserved, 0), coalesce(m.allocated, 0))
ORDER BY 1, 2
""")
# What open reservations hold of each SKU and location against what its level says is held.
RESERVATIONS_AGAINST_LEVELS = sql("""
WITH open AS (
    SELECT line ->> 0 AS sku, line ->> 1 AS location,
           coalesce(sum((line ->> 2)::bigint) FILTER (WHERE status = 'reserved'), 0)::bigint AS reserved,
           coalesce(sum((line ->> 2)::bigint) FILTER (WHERE status = 'allocated'), 0)::bigint AS allocated
    FROM reservations, jsonb_array_elements(lines) line
    WHERE status IN ('reserved', 'allocated') GROUP BY 1, 2)
SELECT coalesce(l.sku, o.sku) AS sku, coalesce(l.location, o.location) AS location, l.reserved, l.allocated,
       coalesce(o.reserved, 0) AS held_reserved, coalesce(o.allocated, 0) AS held_allocated
FROM stock_levels l FULL JOIN open o ON o.sku = l.sku AND o.location = l.location
WHERE (coalesce(l.reserved, 0), coalesce(l.allocated, 0))
    IS DISTINCT FROM (coalesce(o.reserved, 0), coalesce(o.allocated, 0))
ORDER BY 1, 2
""")
TOTALS = sql("""
SELECT (SELECT count(*) FROM stock_levels) AS levels, (SELECT count(*) FROM stock_movements) AS movements,
       (SELECT count(*) FROM reservations WHERE status IN ('reserved', 'allocated')) AS open_reservations
""")
CHECKS = {
    "levels_equal_ledger": LEVELS_AGAINST_LEDGER,
    "reservations_equal_levels": RESERVATIONS_AGAINST_LEVELS,
}


def run(connection: Connection) -> Audit:
    """Audit the books in one consistent picture of the database."""
    return audit.run(connection, TOTALS, CHECKS)
