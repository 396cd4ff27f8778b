"""Inventory's metrics that are read from the database."""

from services.chassis.service import DatabaseGauge
from services.chassis.statements import sql

GAUGES = (
    DatabaseGauge(
        "oms_stock_alerts_open",
        "Open stock alerts",
        ("kind",),
        sql("""SELECT kind, count(*) FILTER (WHERE open) FROM skus,
                   LATERAL (VALUES ('low_stock', low_stock_open), ('out_of_stock', out_of_stock_open)) v(kind, open)
                   WHERE low_stock_open OR out_of_stock_open GROUP BY kind"""),
    ),
    DatabaseGauge(
        "oms_deadlines_overdue_seconds",
        "How long ago the deadline passed that has waited longest to fire, 0 where none waits",
        (),
        sql("""SELECT coalesce((SELECT greatest(0, extract(epoch FROM now() - deadline_at))::float8
                   FROM reservations WHERE deadline_at IS NOT NULL ORDER BY deadline_at LIMIT 1), 0)"""),
    ),
)
