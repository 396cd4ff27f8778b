"""Subjects: what notifications are about; one row a key.

The consumer locks many, sorted, and then touches only notifications that wait; the mailer has one that is being sent
and then locks its subject. So neither can wait for the other in a circle.
"""

from collections.abc import Iterable, Mapping, Sequence

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.statements import deferred, often, sql
from services.notification.domain.notifications import Snapshot, Subject, SubjectKind

LOCK_SUBJECTS = often("""
SELECT key, kind, email, facts IS NOT NULL AS known FROM subjects
WHERE key = ANY(:keys ::text[]) ORDER BY key FOR NO KEY UPDATE
""")
INSERT_SUBJECTS = deferred("""
INSERT INTO subjects (key, kind, email, locale, facts)
SELECT unnest(:keys ::text[]), unnest(:kinds ::text[]), unnest(:emails ::text[]), unnest(:locales ::text[]),
       unnest(:facts ::jsonb[])
""")
# For orders of which only later events had come.
COMPLETE_SUBJECTS = sql("""
UPDATE subjects s SET email = d.email, locale = d.locale, facts = d.facts, updated_at = now()
FROM (SELECT unnest(:keys ::text[]) AS key, unnest(:emails ::text[]) AS email, unnest(:locales ::text[]) AS locale,
             unnest(:facts ::jsonb[]) AS facts) d
WHERE s.key = d.key
""")
ERASE = sql("UPDATE subjects SET email = NULL WHERE key = ANY(:keys ::text[]) AND email IS NOT NULL")
# SKIP LOCKED: rows are taken in no order here, so this must never wait for one.
PRUNE = sql("""
DELETE FROM subjects WHERE key = ANY(ARRAY(
    SELECT key FROM subjects s WHERE updated_at < now() - make_interval(secs => :seconds)
        AND NOT EXISTS (SELECT FROM notifications n WHERE n.subject = s.key)
    LIMIT 5000 FOR UPDATE SKIP LOCKED))
""")


def lock(connection: Connection, keys: Iterable[str]) -> dict[str, Subject]:
    """Lock subjects, sorted, and return those that exist."""
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    return {
        key: Subject(key=key, kind=SubjectKind(kind), email=email, known=known)
        for key, kind, email, known in connection.execute(LOCK_SUBJECTS, {"keys": wanted}).all()
    }


def insert(connection: Connection, subjects: Sequence[Subject], snapshots: Mapping[str, Snapshot]) -> None:
    """Add subjects that have no row yet; one without a snapshot is not known yet."""
    if subjects:
        kinds = [subject.kind.value for subject in subjects]
        connection.execute(INSERT_SUBJECTS, {"kinds": kinds, **_columns(subjects, snapshots)})


def complete(connection: Connection, subjects: Sequence[Subject], snapshots: Mapping[str, Snapshot]) -> None:
    """Write what became known of subjects whose rows are locked."""
    if subjects:
        connection.execute(COMPLETE_SUBJECTS, _columns(subjects, snapshots))


def erase(connection: Connection, keys: Sequence[str]) -> None:
    """Forget where the mails about subjects go whose rows are locked: there will be no more of them."""
    connection.execute(ERASE, {"keys": list(keys)})


def prune(connection: Connection, days: float) -> None:
    """Delete some of the subjects that nothing refers to and that have not changed for `days`."""
    connection.execute(PRUNE, {"seconds": days * 86_400})


def _columns(subjects: Sequence[Subject], snapshots: Mapping[str, Snapshot]) -> dict[str, object]:
    found = [snapshots.get(subject.key) for subject in subjects]
    return {
        "keys": [subject.key for subject in subjects],
        "emails": [subject.email for subject in subjects],
        "locales": [snapshot and snapshot.locale for snapshot in found],
        "facts": [None if snapshot is None else to_json(snapshot.facts).decode() for snapshot in found],
    }
