"""Inventory's metrics that are read from the database."""

import sqlalchemy as sa

from services.chassis.service import DatabaseGauge

GAUGES = (
    DatabaseGauge(
        "oms_stock_alerts_open",
        "Open stock alerts",
        ("kind",),
        sa.text("""SELECT kind, count(*) FILTER (WHERE open) FROM skus,
                   LATERAL (VALUES ('low_stock', low_stock_open), ('out_of_stock', out_of_stock_open)) v(kind, open)
                   WHERE low_stock_open OR out_of_stock_open GROUP BY kind"""),
    ),
)
