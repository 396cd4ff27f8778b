"""Notification's gauges: what is not at its end yet."""

import sqlalchemy as sa

from services.chassis.service import DatabaseGauge

GAUGES = (
    DatabaseGauge(
        "oms_emails_open",
        "Mails that wait for their order, for their turn, for an answer, or (held) for an operator, up to 100000",
        ("status",),
        sa.text("""SELECT status, count(*) FROM (
                       SELECT status FROM notifications
                       WHERE status <> 'sent' AND status IN ('waiting', 'queued', 'sending', 'held')
                       LIMIT 100000) open
                   GROUP BY status"""),
    ),
)
