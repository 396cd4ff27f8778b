"""Parked keys: an event that cannot be handled waits here with everything later of its key, in order.

Invariant: whoever appends to, retries or discards a parked key holds the lock of its `parked_keys` row, so the
order of `parked_events.id` is the order of the log. A parked event's id is claimed in the inbox: a redelivery or a
replay neither doubles nor revives it.
"""

import base64
import json
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.chassis.connection import Connection
from services.chassis.events import Record
from services.chassis.results import Row
from services.chassis.statements import sql

Key = tuple[str, str]

# A part of a batch's gate (`processor`).
LOCK_KEYS = """
SELECT p.topic, p.key FROM parked_keys p
JOIN unnest(:topics ::text[], :keys ::text[]) d(topic, key) ON p.topic = d.topic AND p.key = d.key
WHERE p.consumer = :consumer ORDER BY p.topic, p.key FOR NO KEY UPDATE OF p
"""
PARK_KEY = sql("""
INSERT INTO parked_keys (consumer, topic, key, state, attempts, due_at, fingerprint, error)
VALUES (:consumer, :topic, :key, :state, :attempts, now() + make_interval(secs => :due_in), :fingerprint, :error)
ON CONFLICT (consumer, topic, key) DO UPDATE SET state = excluded.state, attempts = excluded.attempts,
    due_at = excluded.due_at, fingerprint = excluded.fingerprint, error = excluded.error
""")
PARK_EVENTS = sql("""
INSERT INTO parked_events
    (consumer, topic, key, partition, "offset", event_id, record_key, value, headers, timestamp_ms)
SELECT :consumer, * FROM unnest(:topics ::text[], :keys ::text[], :partitions ::int[], :offsets ::bigint[],
    :event_ids ::uuid[], :record_keys ::bytea[], :values ::bytea[], :headers ::jsonb[], :timestamps ::bigint[])
ON CONFLICT (consumer, topic, partition, "offset") DO NOTHING
""")
# A part of a consumer's look (`retries`): the key that is due first and that nobody else holds.
FIRST_DUE = """
SELECT topic, key FROM parked_keys
WHERE consumer = :consumer AND state <> 'dead' AND due_at <= now()
ORDER BY due_at, topic, key LIMIT 1 FOR UPDATE SKIP LOCKED
"""
LOCK_KEY = sql("""
SELECT attempts FROM parked_keys WHERE consumer = :consumer AND topic = :topic AND key = :key FOR UPDATE
""")
# Who holds it tries it, or appends to it. Waited for, a handler that takes longer than our `lock_timeout` would look
# like a database that is away, and every other instance would stand still meanwhile.
LOCK_DUE_KEY = sql("""
SELECT attempts FROM parked_keys WHERE consumer = :consumer AND topic = :topic AND key = :key
    AND state <> 'dead' AND due_at <= now()
FOR UPDATE SKIP LOCKED
""")
EVENTS = sql("""
SELECT id, topic, partition, "offset", event_id::text, record_key, value, headers, timestamp_ms, parked_at
FROM parked_events WHERE consumer = :consumer AND topic = :topic AND key = :key ORDER BY id LIMIT :most
""")
MAKE_DUE = sql("""
UPDATE parked_keys SET state = 'retrying', attempts = 0, due_at = now()
WHERE consumer = :consumer AND topic = :topic AND key = :key
""")
DELETE_EVENT = sql("DELETE FROM parked_events WHERE id = :id")
# The head is gone: what waited behind it is due at once, or the key is free again.
ADVANCE_KEY = sql("""
WITH rest AS (SELECT EXISTS (SELECT FROM parked_events
                             WHERE consumer = :consumer AND topic = :topic AND key = :key) AS waits),
     freed AS (DELETE FROM parked_keys USING rest
               WHERE NOT rest.waits AND consumer = :consumer AND topic = :topic AND key = :key)
UPDATE parked_keys SET state = 'retrying', attempts = 0, due_at = now() FROM rest
WHERE rest.waits AND consumer = :consumer AND topic = :topic AND key = :key
""")
BURY = sql("""
INSERT INTO dead_events (consumer, topic, key, partition, "offset", event_id, value, headers, error, actor)
VALUES (:consumer, :topic, :key, :partition, :offset, :event_id ::uuid, :value, :headers ::jsonb, :error, :actor)
""")
PRUNE_DEAD = sql("""
DELETE FROM dead_events WHERE id = ANY(ARRAY(
    SELECT id FROM dead_events WHERE died_at < now() - make_interval(secs => :days * 86400) LIMIT :step))
""")


@dataclass(frozen=True, slots=True)
class ParkedEvent:
    """An event that waits under a parked key."""

    id: int
    event_id: str
    record: Record
    parked_at: datetime


@dataclass(frozen=True, slots=True)
class ParkingPolicy:
    """When a parked event is tried again, and when no more.

    Args:
        max_attempts: tries after which a key is dead and waits for an operator.
        backoff_seconds: the first pause, doubled with each try.
        backoff_max_seconds: the longest pause.

    """

    max_attempts: int
    backoff_seconds: float
    backoff_max_seconds: float

    def after(self, attempts: int) -> tuple[str, float]:
        """Return the state of a key after `attempts` failed tries, and the pause in seconds before the next."""
        pause = min(self.backoff_seconds * 2.0 ** (attempts - 1), self.backoff_max_seconds)
        return ("dead" if attempts >= self.max_attempts else "retrying"), pause


def park_key(
    connection: Connection,
    consumer: str,
    key: Key,
    *,
    state: str,
    attempts: int,
    due_in: float,
    fingerprint: str,
    error: str,
) -> None:
    """Mark a key as parked, or say how its last try ended; `due_in` is in seconds."""
    row = {"consumer": consumer, "topic": key[0], "key": key[1], "state": state, "attempts": attempts}
    connection.execute(PARK_KEY, {**row, "due_in": due_in, "fingerprint": fingerprint, "error": _storable(error)})


def append(connection: Connection, consumer: str, records: Sequence[tuple[str, Record]]) -> None:
    """Append (event id, record) pairs behind their parked keys, in order."""
    if not records:
        return
    columns = {
        "topics": [record.topic for _, record in records],
        "keys": [record.key_text for _, record in records],
        "partitions": [record.partition for _, record in records],
        "offsets": [record.offset for _, record in records],
        "event_ids": [event_id for event_id, _ in records],
        "record_keys": [record.key for _, record in records],
        "values": [record.value for _, record in records],
        "headers": [headers_to_json(record) for _, record in records],
        "timestamps": [record.timestamp_ms for _, record in records],
    }
    connection.execute(PARK_EVENTS, {"consumer": consumer, **columns})


def lock_key(connection: Connection, consumer: str, key: Key, *, only_due: bool = False) -> int | None:
    """Lock one parked key and return its failed tries; None where it is not parked.

    With `only_due` also None where another instance holds it, or has tried it meanwhile.
    """
    statement = LOCK_DUE_KEY if only_due else LOCK_KEY
    row = connection.execute(statement, {"consumer": consumer, "topic": key[0], "key": key[1]}).first()
    return row.attempts if row else None


def head(connection: Connection, consumer: str, key: Key) -> ParkedEvent | None:
    """Return the first event of a parked key."""
    return next(iter(events(connection, consumer, key, most=1)), None)


def events(connection: Connection, consumer: str, key: Key, *, most: int | None = None) -> list[ParkedEvent]:
    """Return the events of a parked key in order, the first `most` of them."""
    rows = connection.execute(EVENTS, {"consumer": consumer, "topic": key[0], "key": key[1], "most": most})
    return [ParkedEvent(row.id, row.event_id, _record(row), row.parked_at) for row in rows]


def make_due(connection: Connection, consumer: str, key: Key) -> None:
    """Let a parked key be tried at once and as often as a new one, also where it had been given up."""
    connection.execute(MAKE_DUE, {"consumer": consumer, "topic": key[0], "key": key[1]})


def release_head(connection: Connection, consumer: str, key: Key, parked: ParkedEvent) -> None:
    """Take the head off a parked key; what waited behind it is due at once."""
    connection.execute(DELETE_EVENT, {"id": parked.id})
    connection.execute(ADVANCE_KEY, {"consumer": consumer, "topic": key[0], "key": key[1]})


def bury(connection: Connection, consumer: str, event_id: str, record: Record, *, error: str, actor: str) -> None:
    """Keep the bytes of an event that will not be handled any more."""
    place = {"topic": record.topic, "key": record.key_text, "partition": record.partition, "offset": record.offset}
    facts = {"event_id": event_id, "value": record.value, "headers": headers_to_json(record)}
    connection.execute(BURY, {"consumer": consumer, **place, **facts, "error": _storable(error), "actor": actor})


def prune_dead(connection: Connection, days: float, step: int = 5000) -> bool:
    """Delete the bytes of at most `step` events that died more than `days` ago; return whether there may be more.

    It is the bound up to which we hold personal data.
    """
    return connection.execute(PRUNE_DEAD, {"days": days, "step": step}).rowcount == step


def fingerprint_of(error: BaseException) -> str:
    """Return what tells one fault from another: the error's type and the place in the code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__}@{place}"


def headers_to_json(record: Record) -> str:
    """Return a record's headers as JSON; values are any bytes, so they are in base64."""
    # Not `value and …`: an empty value is none of None, and bytes are none of JSON.
    texts = [(name, None if value is None else base64.b64encode(value).decode()) for name, value in record.headers]
    return json.dumps(texts)


def headers_from_json(headers: Sequence[tuple[str, str | None]]) -> tuple[tuple[str, bytes | None], ...]:
    """Return the headers that `headers_to_json` wrote, as PostgreSQL's jsonb gives them back."""
    return tuple((name, None if value is None else base64.b64decode(value)) for name, value in headers)


def _record(row: Row) -> Record:
    headers = headers_from_json(row.headers)
    place = (row.topic, row.partition, row.offset)
    return Record(*place, _bytes(row.record_key), _bytes(row.value), headers, row.timestamp_ms)


def _storable(text: str) -> str:
    """Return an error's text as PostgreSQL can keep it: it may quote whatever a stranger sent."""
    return text[:2000].encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def _bytes(value: memoryview | bytes | None) -> bytes | None:
    return None if value is None else bytes(value)
