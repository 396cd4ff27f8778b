"""Notification's gauges: what is not at its end yet."""

from services.chassis.service import DatabaseGauge
from services.chassis.statements import sql

GAUGES = (
    DatabaseGauge(
        "oms_emails_open",
        "Mails that wait for their order, for their turn, for an answer, or (held) for an operator, up to 100000",
        ("status",),
        sql("""SELECT status, count(*) FROM (
                       SELECT status FROM notifications
                       WHERE status <> 'sent' AND status IN ('waiting', 'queued', 'sending', 'held')
                       LIMIT 100000) open
                   GROUP BY status"""),
    ),
)
