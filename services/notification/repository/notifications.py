"""Notifications as consumers write them and admins read them; `queue` has the mailer's side."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.results import Row
from services.chassis.statements import deferred, sql
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
RELEASE = sql("""
UPDATE notifications n SET status = 'queued', recipient = d.email, due_at = clock_timestamp(), updated_at = now()
FROM unnest(:subjects ::text[], :emails ::text[]) d(subject, email)
WHERE n.subject = d.subject AND n.status = 'waiting' AND d.email IS NOT NULL
""")
DROP_UNWANTED = sql("""
DELETE FROM notifications n USING unnest(:subjects ::text[], :emails ::text[]) d(subject, email)
WHERE n.subject = d.subject AND n.status = 'waiting' AND d.email IS NULL
""")
PRUNE = sql("""
DELETE FROM notifications WHERE id = ANY(ARRAY(
    SELECT id FROM notifications WHERE updated_at < now() - make_interval(secs => :seconds)
    LIMIT 5000 FOR UPDATE SKIP LOCKED))
""")
# What is still to be sent, or may have been, keeps its address until it is at its end.
ERASE = sql("""
UPDATE notifications SET recipient = NULL, facts = '{}'
WHERE subject = ANY(:subjects ::text[]) AND audience = 'customer' AND status IN ('sent', 'failed')
    AND recipient IS NOT NULL
""")
COUNT_OPEN = sql("""
SELECT count(*) FROM notifications
WHERE subject = ANY(:subjects ::text[]) AND audience = 'customer' AND status NOT IN ('sent', 'failed')
""")
_SELECT = """
SELECT n.id::text, n.subject, n.event_id::text, n.channel, n.audience, n.template, n.recipient, n.status, n.due_at,
       n.attempts, n.failure, n.smtp_status, n.created_at, n.updated_at, n.sent_at, s.kind
FROM notifications n JOIN subjects s ON s.key = n.subject
"""
FIND = sql(f"{_SELECT} WHERE n.id = :id ::uuid")


@dataclass(slots=True, kw_only=True)
class QueuedMail:
    """A mail to be written down, with where it comes from."""

    id: str
    subject: str
    event_id: str
    mail: Mail
    correlation_id: str
    traceparent: str | None


def insert(connection: Connection, mails: Sequence[QueuedMail]) -> None:
    """Write mails down, each once an event and audience."""
    if mails:
        connection.execute(INSERT_NOTIFICATIONS, _columns(mails))


def release(connection: Connection, emails: Mapping[str, str | None]) -> None:
    """Queue what waited for these orders to become known; drop it where the customer wants no mail."""
    if emails:
        columns = {"subjects": list(emails), "emails": list(emails.values())}
        connection.execute(RELEASE, columns)
        connection.execute(DROP_UNWANTED, columns)


def prune(connection: Connection, days: float) -> None:
    """Delete some of the notifications that have not changed for `days`, whatever became of them."""
    connection.execute(PRUNE, {"seconds": days * 86_400})


def erase(connection: Connection, keys: Sequence[str]) -> tuple[int, int]:
    """Blank whom mails about orders went to, and what they said; return how many, and how many are at no end yet."""
    erased = connection.execute(ERASE, {"subjects": list(keys)}).rowcount
    return erased, int(connection.execute(COUNT_OPEN, {"subjects": list(keys)}).scalar_one())


def find(connection: Connection, notification_id: str) -> Notification | None:
    """Return one notification."""
    row = connection.execute(FIND, {"id": notification_id}).first()
    return None if row is None else _notification(row)


def page(connection: Connection, filters: Mapping[str, str], *, after: str | None, limit: int) -> list[Notification]:
    """Return notifications, the newest first.

    Args:
        connection: the transaction.
        filters: column (its name gets into the statement) → the value that it must have.
        after: id of the last row of the page before.
        limit: rows at most.

    """
    wanted = [f"n.{column} = :{column}" for column in filters]
    if after is not None:
        wanted.append("n.id < :after ::uuid")
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    query = sql(f"{_SELECT} {where} ORDER BY n.id DESC LIMIT :limit")
    return [_notification(row) for row in connection.execute(query, {**filters, "after": after, "limit": limit})]


def _notification(row: Row) -> Notification:
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
