"""What an operator may do about parked keys: look, try again, give an event up, resume after a suspected bad deploy.

Invariant: nobody sees personal data here: of an event's value only the fields that its schema does not mark as
`pii` are shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from services.chassis import logs, parking
from services.chassis.database import transaction

FIND = sa.text("""
SELECT consumer, topic, key, state, attempts, due_at, fingerprint, error, parked_at,
       (SELECT count(*) FROM parked_events e
        WHERE e.consumer = p.consumer AND e.topic = p.topic AND e.key = p.key) AS events
FROM parked_keys p
WHERE (:fingerprint ::text IS NULL OR fingerprint = :fingerprint)
  AND (:topic ::text IS NULL OR topic = :topic) AND (:key ::text IS NULL OR key = :key)
ORDER BY parked_at, consumer, topic, key
""")
EVENTS = sa.text("""
SELECT id, partition, "offset", event_id::text, octet_length(value) AS bytes, headers, parked_at
FROM parked_events WHERE consumer = :consumer AND topic = :topic AND key = :key ORDER BY id
""")
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which parked keys are meant; None means any."""

    fingerprint: str | None = None
    topic: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """A parked key as operators see it; `due_at` and `parked_at` are RFC 3339."""

    consumer: str
    topic: str
    key: str
    state: str
    attempts: int
    events: int
    fingerprint: str
    error: str
    due_at: str
    parked_at: str


def find(connection: sa.Connection, which: Filter) -> list[ParkedKey]:
    """Return the parked keys that fit, oldest first."""
    parameters = {"fingerprint": which.fingerprint, "topic": which.topic, "key": which.key}
    return [
        ParkedKey(
            consumer=row.consumer,
            topic=row.topic,
            key=row.key,
            state=row.state,
            attempts=row.attempts,
            events=row.events,
            fingerprint=row.fingerprint,
            error=row.error,
            due_at=row.due_at.isoformat(),
            parked_at=row.parked_at.isoformat(),
        )
        for row in connection.execute(FIND, parameters)
    ]


def events_of(connection: sa.Connection, parked: ParkedKey) -> list[Mapping[str, object]]:
    """Return the events that wait under a key, first one first: where they stand in the log and what they are."""
    place = {"consumer": parked.consumer, "topic": parked.topic, "key": parked.key}
    return [_event(row) for row in connection.execute(EVENTS, place)]


def discard_head(engine: sa.Engine, parked: ParkedKey, *, reason: str, actor: str) -> str | None:
    """Give up the first event of a parked key; its bytes are kept as a dead event and its followers run.

    Its id stays claimed in the inbox, so a replay cannot revive it.

    Returns:
        The id of the event, or None where nothing was parked under the key any more.

    """
    key = (parked.topic, parked.key)
    with transaction(engine) as connection:
        if parking.lock_key(connection, parked.consumer, key) is None:
            return None
        head = parking.head(connection, parked.consumer, key)
        if head is None:
            return None
        error = f"discarded: {reason} (was: {parked.error})"
        parking.bury(connection, parked.consumer, head.event_id, head.record, error=error, actor=actor)
        parking.release_head(connection, parked.consumer, key, head)
    log.info("parked_event_discarded", event_id=head.event_id, topic=parked.topic, reason=reason, actor=actor)
    return head.event_id


def _event(row: sa.Row[Any]) -> Mapping[str, object]:
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in _headers(row.headers)}
    shown = {name: value for name, value in headers.items() if name.startswith("ce_")}
    place = {"partition": row.partition, "offset": row.offset, "bytes": row.bytes or 0}
    return {"event_id": row.event_id, **place, "parked_at": row.parked_at.isoformat(), "headers": shown}


def _headers(stored: Sequence[tuple[str, str | None]]) -> Sequence[tuple[str, bytes | None]]:
    return parking.headers_from_json(stored)
