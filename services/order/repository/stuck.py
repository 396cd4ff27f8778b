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
       (SELECT extract(epoch FROM clock_timestamp() - min(coalesce(c.caught_up_at, '-infinity')))::float8
        FROM consumer_progress c WHERE c.consumer = 'order') AS behind_seconds
FROM orders o
WHERE o.stuck_reason IS NOT NULL
   OR (o.pending_operation IS NOT NULL AND o.updated_at < now() - make_interval(secs => :seconds))
ORDER BY o.created_at LIMIT 1000
""")
_PATIENCE_SECONDS = 10


@dataclass(frozen=True, slots=True)
class StuckOrder:
    """An order that waits, and what stands in its way.

    Args:
        waits_for: the answer that is awaited, or why it was listed.
        since: when its state changed last.
        parked: topics and fingerprints of its parked events.
        unpublished: whether an event of it waits in the outbox.
        behind_seconds: how long ago this service's consumer had read all that there was; infinite where it never had.

    """

    order_id: str
    order_number: str
    status: str
    waits_for: str
    since: datetime
    deadline_at: datetime | None
    parked: str | None
    unpublished: bool
    behind_seconds: float | None


def find(connection: sa.Connection) -> list[StuckOrder]:
    """Return the orders that wait, oldest first, a thousand at most."""
    rows = connection.execute(FIND, {"seconds": _PATIENCE_SECONDS})
    return [StuckOrder(**row._asdict()) for row in rows]
