"""Orders that wait, with what stands in their way: the one place that says which those are."""

from collections.abc import Sequence

from services.chassis.connection import Connection
from services.chassis.statements import sql
from services.order.domain.stuck import StuckOrder

# Waiting is normal for a moment; what waits longer than this, or was listed by a deadline, is shown.
IS_STUCK = """(o.stuck_reason IS NOT NULL
    OR (o.pending_operation IS NOT NULL AND o.updated_at < now() - interval '10 seconds'))"""
# All that waits in the outbox is read once: while the broker is away that is a lot, and no index leads from an order.
FIND = sql(f"""
WITH waiting AS MATERIALIZED (
    SELECT o.id::text AS order_id, o.order_number, o.status,
           coalesce(o.stuck_reason, o.pending_operation) AS waits_for, o.updated_at AS since, o.deadline_at,
           o.created_at
    FROM orders o WHERE {IS_STUCK} AND (:among ::uuid[] IS NULL OR o.id = ANY(:among ::uuid[]))
    ORDER BY o.created_at LIMIT 1000
), untold AS (
    SELECT DISTINCT b.aggregateid FROM outbox b WHERE b.aggregateid IN (SELECT order_id FROM waiting)
)
SELECT w.order_id, w.order_number, w.status, w.waits_for, w.since, w.deadline_at,
       (SELECT string_agg(p.topic || ' is parked: ' || p.fingerprint, '; ') FROM parked_keys p
        WHERE p.key = w.order_id) AS parked,
       u.aggregateid IS NOT NULL AS unpublished,
       (SELECT extract(epoch FROM clock_timestamp() - min(coalesce(c.caught_up_at, '-infinity')))::float8
        FROM consumer_progress c WHERE c.consumer = 'order') AS behind_seconds
FROM waiting w LEFT JOIN untold u ON u.aggregateid = w.order_id
ORDER BY w.created_at
""")


def find(connection: Connection, among: Sequence[str] | None = None) -> list[StuckOrder]:
    """Return the orders that wait, oldest first, a thousand at most.

    Args:
        connection: the service's database.
        among: ids of the orders that are looked at; None looks at all.

    """
    rows = connection.execute(FIND, {"among": None if among is None else list(among)})
    return [StuckOrder(**row._asdict()) for row in rows]
