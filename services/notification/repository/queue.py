"""The mailer's side of the notifications: claim, settle, and find what nobody settled.

Invariant: a mail is sent only under a claim that was committed before, and a result is written only by the holder of
the claim; so several mailers may run, and one that comes back from a long sleep settles nothing that is not its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from services.chassis.connection import Connection
from services.chassis.events import new_id
from services.chassis.results import Row
from services.chassis.statements import often, sql
from services.notification.domain.deliveries import Delivery, UnknownOutcome, Verdict
from services.notification.domain.notifications import Audience, SubjectKind, Template

CLAIM = often("""
WITH due AS (
    SELECT id FROM notifications WHERE status = 'queued' AND due_at <= now()
    ORDER BY due_at, id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED),
taken AS (
    UPDATE notifications n SET status = 'sending', claim = :claim ::uuid,
        due_at = now() + make_interval(secs => :lease), updated_at = now()
    FROM due WHERE n.id = due.id RETURNING n.*)
SELECT taken.id::text, taken.subject, s.kind, taken.event_id::text, taken.template, taken.audience, taken.recipient,
       taken.facts, taken.attempts, taken.created_at, taken.correlation_id, taken.traceparent, s.locale,
       s.facts AS subject_facts
FROM taken JOIN subjects s ON s.key = taken.subject ORDER BY taken.created_at, taken.id
""")
# Counts the event that tells of it, and tells the time, too: each mail has a transaction of its own, so each round
# trip that is saved is saved for each mail.
SETTLE = often("""
WITH settled AS (
    UPDATE notifications SET status = :status, attempts = :attempts, failure = :failure, smtp_status = :smtp_status,
        claim = NULL, due_at = now() + make_interval(secs => :pause), updated_at = now(),
        sent_at = CASE WHEN :status = 'sent' THEN now() END
    WHERE id = :id ::uuid AND claim = :claim ::uuid RETURNING subject),
counted AS (
    UPDATE subjects s SET events = s.events + 1, updated_at = now() FROM settled
    WHERE s.key = settled.subject AND :told ::boolean RETURNING s.events)
SELECT now(), counted.events FROM settled LEFT JOIN counted ON true
""")
UNCLAIM = sql("""
UPDATE notifications SET status = 'queued', claim = NULL, due_at = now(), updated_at = now()
WHERE id = ANY(:ids ::uuid[]) AND claim = :claim ::uuid
""")
# Overdue are those whose claim ended without a result: the mailer died, or lost the mail server's answer.
HOLD_OVERDUE = often("""
WITH overdue AS (
    SELECT id FROM notifications WHERE status = 'sending' AND due_at < now() LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE notifications n SET status = 'held', claim = NULL, failure = 'outcome_unknown', updated_at = now()
FROM overdue WHERE n.id = overdue.id RETURNING n.id::text, n.template
""")
REQUEUE_OVERDUE = often("""
WITH overdue AS (
    SELECT id FROM notifications WHERE status = 'held' OR (status = 'sending' AND due_at < now())
    LIMIT 500 FOR NO KEY UPDATE SKIP LOCKED)
UPDATE notifications n SET status = 'queued', claim = NULL, due_at = now(), failure = 'outcome_unknown',
    updated_at = now()
FROM overdue WHERE n.id = overdue.id RETURNING n.id::text, n.template
""")


@dataclass(frozen=True, slots=True)
class Claim:
    """Mails that one mailer may send now.

    Args:
        id: tells this claim from any other of the same mails.
        deliveries: the oldest first.

    """

    id: str
    deliveries: tuple[Delivery, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """That a result was written down.

    Args:
        at: when.
        sequence: of the event that tells the world of it; None where none does.

    """

    at: datetime
    sequence: int | None


@dataclass(frozen=True, slots=True)
class Overdue:
    """A notification that was found with its outcome unknown, and what was done with it."""

    id: str
    template: str


def claim(connection: Connection, limit: int, lease_seconds: float) -> Claim:
    """Claim up to `limit` mails that are due, for `lease_seconds`."""
    claim_id = new_id()
    rows = connection.execute(CLAIM, {"claim": claim_id, "limit": limit, "lease": lease_seconds})
    return Claim(claim_id, tuple(_delivery(row) for row in rows))


def settle(connection: Connection, claim_id: str, delivery: Delivery, verdict: Verdict) -> Settled | None:
    """Write what became of a mail, and count the event that tells of it; None where the claim was no longer ours."""
    row = {
        "id": delivery.id,
        "claim": claim_id,
        "status": verdict.status.value,
        "attempts": verdict.attempts,
        "failure": verdict.failure,
        "smtp_status": verdict.smtp_status,
        "pause": verdict.pause_seconds or 0.0,
        "told": verdict.is_final,
    }
    found = connection.execute(SETTLE, row).first()
    return None if found is None else Settled(*found)


def unclaim(connection: Connection, claim_id: str, deliveries: Sequence[Delivery]) -> None:
    """Give back mails that were claimed and not tried."""
    connection.execute(UNCLAIM, {"claim": claim_id, "ids": [delivery.id for delivery in deliveries]})


def settle_overdue(connection: Connection, policy: UnknownOutcome) -> list[Overdue]:
    """Hold, or queue once more, what was being sent when its claim ended; a change of policy frees what was held."""
    rows = connection.execute(HOLD_OVERDUE if policy is UnknownOutcome.HOLD else REQUEUE_OVERDUE)
    return [Overdue(row.id, row.template) for row in rows]


def _delivery(row: Row) -> Delivery:
    typed = {
        "kind": SubjectKind(row.kind),
        "template": Template(row.template),
        "audience": Audience(row.audience),
    }
    return Delivery(**{**row._asdict(), **typed})
