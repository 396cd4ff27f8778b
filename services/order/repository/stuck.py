"""Orders that wait: for what, since when, what stands in the way (DESIGN 2.6)."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

# Waiting is normal for a moment; what waits longer than this, or was listed by a deadline, is shown.
FIND = sa.text("""
SELECT o.id::text AS order_id, o.order_number, o.status, coalesce(o.stuck_reason, o.pending_operation) AS waits_for,
       o.updated_at AS since, o.deadline_at,
       (SELECT string_agg(p.topic || ' is parked: ' || p.fingerprint, '; ') FROM parked_keys p
        WHERE p.key = o.id::text) AS parked,
       EXISTS (SELECT FROM outbox b WHERE b.aggregateid = o.id::text) AS unpublished,
       (SELECT min(c.caught_up_at) FROM consumer_progress c WHERE c.consumer = 'order') AS caught_up_at
FROM orders o
WHERE o.stuck_reason IS NOT NULL
   OR (o.pending_operation IS NOT NULL AND o.updated_at < now() - make_interval(secs => :seconds))
ORDER BY o.created_at LIMIT 1000
""")
_PATIENCE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class StuckOrder:
    """An order that waits, and what stands in its way."""

    order_id: str
    order_number: str
    status: str
    waits_for: str
    since: datetime
    deadline_at: datetime | None
    parked: str | None
    unpublished: bool
    caught_up_at: datetime | None


def find(connection: sa.Connection) -> list[StuckOrder]:
    """Return the orders that wait, oldest first, a thousand at most."""
    rows = connection.execute(FIND, {"seconds": _PATIENCE_SECONDS})
    return [StuckOrder(**row._asdict()) for row in rows]
