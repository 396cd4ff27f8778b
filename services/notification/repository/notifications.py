"""Notifications as consumers write them and admins read them; `queue` has the mailer's side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from pydantic_core import to_json

from services.chassis.sending import deferred
from services.notification.domain.notifications import (
    Audience,
    Mail,
    Notification,
    NotificationStatus,
    SubjectKind,
    Template,
)

_EMAIL = "email"
# A notification that stands already stays as it is, also where the inbox has forgotten its event.
INSERT_NOTIFICATIONS = deferred("""
INSERT INTO notifications (id, subject, event_id, channel, audience, template, recipient, facts, correlation_id,
                           traceparent, status)
SELECT unnest(:ids ::uuid[]), unnest(:subjects ::text[]), unnest(:event_ids ::uuid[]), :channel,
       unnest(:audiences ::text[]), unnest(:templates ::text[]), unnest(:recipients ::text[]), unnest(:facts ::jsonb[]),
       unnest(:correlation_ids ::text[]), unnest(:traceparents ::text[]), unnest(:statuses ::text[])
ON CONFLICT (subject, event_id, channel, audience) DO NOTHING
""")
# Behind the mail about the OrderPlaced, which is due at the start of this transaction.
RELEASE = sa.text("""
UPDATE notifications n SET status = 'queued', recipient = d.email, due_at = clock_timestamp(), updated_at = now()
FROM unnest(:subjects ::text[], :emails ::text[]) d(subject, email)
WHERE n.subject = d.subject AND n.status = 'waiting' AND d.email IS NOT NULL
""")
DROP_UNWANTED = sa.text("""
DELETE FROM notifications n USING unnest(:subjects ::text[], :emails ::text[]) d(subject, email)
WHERE n.subject = d.subject AND n.status = 'waiting' AND d.email IS NULL
""")
PRUNE = sa.text("""
DELETE FROM notifications WHERE id = ANY(ARRAY(
    SELECT id FROM notifications WHERE updated_at < now() - make_interval(secs => :seconds)
    LIMIT 5000 FOR UPDATE SKIP LOCKED))
""")
# What is still to be sent, or may have been, keeps its address until it is at its end.
ERASE = sa.text("""
UPDATE notifications SET recipient = NULL, facts = '{}'
WHERE subject = ANY(:subjects ::text[]) AND audience = 'customer' AND status IN ('sent', 'failed')
    AND recipient IS NOT NULL
""")
COUNT_OPEN = sa.text("""
SELECT count(*) FROM notifications
WHERE subject = ANY(:subjects ::text[]) AND audience = 'customer' AND status NOT IN ('sent', 'failed')
""")
_TEXT, _TIME, _ID = sa.Text(), sa.DateTime(timezone=True), sa.Uuid(as_uuid=False)
_table = sa.table(
    "notifications",
    sa.column("id", _ID),
    sa.column("subject", _TEXT),
    sa.column("event_id", _ID),
    sa.column("channel", _TEXT),
    sa.column("audience", _TEXT),
    sa.column("template", _TEXT),
    sa.column("recipient", _TEXT),
    sa.column("status", _TEXT),
    sa.column("due_at", _TIME),
    sa.column("attempts", sa.Integer()),
    sa.column("failure", _TEXT),
    sa.column("smtp_status", sa.Integer()),
    sa.column("created_at", _TIME),
    sa.column("updated_at", _TIME),
    sa.column("sent_at", _TIME),
)
_subjects = sa.table("subjects", sa.column("key", _TEXT), sa.column("kind", _TEXT))
_SELECT = sa.select(_table, _subjects.c.kind).join_from(_table, _subjects, _table.c.subject == _subjects.c.key)


@dataclass(slots=True, kw_only=True)
class QueuedMail:
    """A mail to be written down, with where it comes from."""

    id: str
    subject: str
    event_id: str
    mail: Mail
    correlation_id: str
    traceparent: str | None


def insert(connection: sa.Connection, mails: Sequence[QueuedMail]) -> None:
    """Write mails down, each once an event and audience."""
    if mails:
        connection.execute(INSERT_NOTIFICATIONS, _columns(mails))


def release(connection: sa.Connection, emails: Mapping[str, str | None]) -> None:
    """Queue what waited for these orders to become known; drop it where the customer wants no mail."""
    if emails:
        columns = {"subjects": list(emails), "emails": list(emails.values())}
        connection.execute(RELEASE, columns)
        connection.execute(DROP_UNWANTED, columns)


def prune(connection: sa.Connection, days: float) -> None:
    """Delete some of the notifications that have not changed for `days`, whatever became of them."""
    connection.execute(PRUNE, {"seconds": days * 86_400})


def erase(connection: sa.Connection, keys: Sequence[str]) -> tuple[int, int]:
    """Blank whom mails about orders went to, and what they said; return how many, and how many are at no end yet."""
    erased = connection.execute(ERASE, {"subjects": list(keys)}).rowcount
    return erased, int(connection.execute(COUNT_OPEN, {"subjects": list(keys)}).scalar_one())


def find(connection: sa.Connection, notification_id: str) -> Notification | None:
    """Return one notification."""
    row = connection.execute(_SELECT.where(_table.c.id == notification_id)).first()
    return None if row is None else _notification(row)


def page(connection: sa.Connection, filters: Mapping[str, str], *, after: str | None, limit: int) -> list[Notification]:
    """Return notifications, the newest first.

    Args:
        connection: the transaction.
        filters: column → the value that it must have.
        after: id of the last row of the page before.
        limit: rows at most.

    """
    wanted: list[sa.ColumnElement[Any]] = [_table.c[column] == value for column, value in filters.items()]
    if after is not None:
        wanted.append(_table.c.id < after)
    query = _SELECT.where(*wanted).order_by(_table.c.id.desc()).limit(limit)
    return [_notification(row) for row in connection.execute(query)]


def _notification(row: sa.Row[Any]) -> Notification:
    typed = {
        "kind": SubjectKind(row.kind),
        "audience": Audience(row.audience),
        "template": Template(row.template),
        "status": NotificationStatus(row.status),
    }
    return Notification(**{**row._asdict(), **typed})


def _columns(mails: Sequence[QueuedMail]) -> dict[str, object]:
    return {
        "channel": _EMAIL,
        "ids": _array(row.id for row in mails),
        "subjects": [row.subject for row in mails],
        "event_ids": _array(row.event_id for row in mails),
        "audiences": _array(row.mail.audience for row in mails),
        "templates": _array(row.mail.template for row in mails),
        "recipients": [row.mail.recipient for row in mails],
        "facts": [to_json(row.mail.facts).decode() for row in mails],
        "correlation_ids": [row.correlation_id for row in mails],
        "traceparents": [row.traceparent for row in mails],
        "statuses": _array(row.mail.status for row in mails),
    }


def _array(values: Iterable[str]) -> str:
    """Return an array of ids or of our own codes, which need no quoting: for the driver far cheaper than a list."""
    return "{" + ",".join(values) + "}"
