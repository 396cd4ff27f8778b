"""The order service's metrics that are read from the database."""

from services.chassis.service import DatabaseGauge
from services.chassis.statements import sql

GAUGES = (
    DatabaseGauge(
        "oms_saga_in_flight",
        "Orders that wait for an answer of inventory",
        ("state",),
        sql("""SELECT pending_operation, count(*) FROM orders WHERE pending_operation IS NOT NULL
                   GROUP BY pending_operation"""),
    ),
    DatabaseGauge(
        "oms_saga_oldest_in_flight_seconds",
        "How long the order has waited that has waited longest for an answer of inventory, 0 where none waits; without "
        "those that are listed (oms_orders_stuck) or whose key is parked (oms_parked_keys)",
        (),
        # Those wait for a person, however long: each has a metric and an alert of its own. An edit may come long after
        # its order, so it counts from when it was asked for.
        sql("""SELECT coalesce(extract(epoch FROM now() - least(
                       (SELECT coalesce(confirmed_at, created_at) FROM orders o
                        WHERE pending_operation IS NOT NULL AND pending_operation <> 'revising'
                            AND stuck_reason IS NULL
                            AND NOT EXISTS (SELECT FROM parked_keys p WHERE p.key = o.id::text)
                        ORDER BY coalesce(confirmed_at, created_at) LIMIT 1),
                       (SELECT min(created_at) FROM order_revisions r WHERE status = 'pending'
                            AND NOT EXISTS (SELECT FROM parked_keys p WHERE p.key = r.order_id::text))
                   ))::float8, 0)"""),
    ),
    DatabaseGauge(
        "oms_orders_stuck",
        "Orders that were listed for an operator: nothing more happens to them by itself",
        ("reason",),
        sql("""SELECT stuck_reason, count(*) FROM orders WHERE stuck_reason IS NOT NULL
                   GROUP BY stuck_reason"""),
    ),
    DatabaseGauge(
        "oms_deadlines_overdue_seconds",
        "How long ago the deadline passed that has waited longest to fire, 0 where none waits",
        (),
        sql("""SELECT coalesce((SELECT greatest(0, extract(epoch FROM now() - deadline_at))::float8
                   FROM orders WHERE deadline_at IS NOT NULL ORDER BY deadline_at LIMIT 1), 0)"""),
    ),
    DatabaseGauge(
        "oms_analytics_timestamp_seconds",
        "Until when all changes are in the analytics, since the epoch; absent before the first count has ended",
        ("time_zone",),
        sql("SELECT zone, extract(epoch FROM as_of)::float8 FROM analytics_state WHERE as_of IS NOT NULL"),
    ),
)
