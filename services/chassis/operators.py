"""What an operator may do about parked keys: look, try again, give an event up, resume after a suspected bad deploy.

Invariant: nobody sees personal data here: of an event's value only the fields that its schema does not mark as
`pii` are shown, of its headers only those that hold none by contract, and both bounded in length.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from services.chassis import log_fields, logs, parking
from services.chassis.avro import Codec, SchemaSource
from services.chassis.connection import Connection, Engine
from services.chassis.database import transaction
from services.chassis.errors import UndecodableEvent
from services.chassis.events import Event, Record
from services.chassis.masking import masked, shortened
from services.chassis.statements import sql

FIND = sql("""
SELECT consumer, topic, key, state, attempts, due_at, fingerprint, error, parked_at,
       (SELECT count(*) FROM parked_events e
        WHERE e.consumer = p.consumer AND e.topic = p.topic AND e.key = p.key) AS events
FROM parked_keys p
WHERE (:fingerprint ::text IS NULL OR fingerprint = :fingerprint)
  AND (:topic ::text IS NULL OR topic = :topic) AND (:key ::text IS NULL OR key = :key)
  AND (:consumer ::text IS NULL OR consumer = :consumer) AND (:state ::text IS NULL OR state = :state)
  AND (:after_time ::timestamptz IS NULL
       OR (parked_at, consumer, topic, key) > (:after_time, :after_consumer, :after_topic, :after_key))
ORDER BY parked_at, consumer, topic, key LIMIT :most
""")
# A stranger may send any others.
SHOWN_HEADERS = ("ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_sequence", "ce_dataschema")
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Filter:
    """Which parked keys are meant; None means any."""

    fingerprint: str | None = None
    topic: str | None = None
    key: str | None = None
    consumer: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """A parked key as operators see it."""

    consumer: str
    topic: str
    key: str
    state: str
    attempts: int
    events: int
    fingerprint: str
    error: str
    due_at: datetime
    parked_at: datetime


def find(
    connection: Connection, which: Filter, after: Sequence[object] | None = None, most: int | None = None
) -> list[ParkedKey]:
    """Return the parked keys that fit, oldest first.

    Args:
        connection: the transaction.
        which: filters.
        after: (parked_at, consumer, topic, key) of the last one of the page before.
        most: how many at most.

    """
    time, consumer, topic, key = after or (None, None, None, None)
    place = {"after_time": time, "after_consumer": consumer, "after_topic": topic, "after_key": key}
    rows = connection.execute(FIND, {**asdict(which), **place, "most": most})
    return [ParkedKey(**row._asdict()) for row in rows]


def events_of(
    connection: Connection, parked: ParkedKey, codec: Codec, schemas: SchemaSource
) -> list[Mapping[str, object]]:
    """Return the events that wait under a key, first one first: where they stand in the log and what they say.

    What cannot be decoded has `undecodable`, the reason, instead of `event`.
    """
    waiting = parking.events(connection, parked.consumer, (parked.topic, parked.key))
    return [_shown(event, codec, schemas) for event in waiting]


def discard_head(engine: Engine, parked: ParkedKey, codec: Codec, *, reason: str, actor: str) -> str | None:
    """Give up the first event of a parked key; its bytes are kept as a dead event and its followers run.

    Its id stays claimed in the inbox, so a replay cannot revive it.

    Args:
        engine: the service's database.
        parked: the key.
        codec: reads what the log says of the event.
        reason: why; kept and logged.
        actor: who.

    Returns:
        The id of the event, or None where nothing was parked under the key any more.

    """
    with transaction(engine) as connection:
        head = discard(connection, parked, reason=reason, actor=actor)
    if head is None:
        return None
    log_discarded(head, parked, codec, reason=reason, actor=actor)
    return head.event_id


def discard(connection: Connection, parked: ParkedKey, *, reason: str, actor: str) -> parking.ParkedEvent | None:
    """Give up the head as `discard_head` does, inside a transaction; the caller logs it once that stands."""
    key = (parked.topic, parked.key)
    if parking.lock_key(connection, parked.consumer, key) is None:
        return None
    head = parking.head(connection, parked.consumer, key)
    if head is None:
        return None
    error = f"discarded: {reason} (was: {parked.error})"
    parking.bury(connection, parked.consumer, head.event_id, head.record, error=error, actor=actor)
    parking.release_head(connection, parked.consumer, key, head)
    return head


def log_discarded(head: parking.ParkedEvent, parked: ParkedKey, codec: Codec, *, reason: str, actor: str) -> None:
    """Write down who gave an event up, and why."""
    about = log_fields.of_event(_decoded(head.record, codec), head.record, head.event_id, attempt=parked.attempts)
    log.info("parked_event_discarded", **about, reason=reason, actor=actor)


def _shown(parked: parking.ParkedEvent, codec: Codec, schemas: SchemaSource) -> Mapping[str, object]:
    record = parked.record
    headers = {name: shortened(text) for name in SHOWN_HEADERS if (text := record.header(name)) is not None}
    place = {"partition": record.partition, "offset": record.offset, "bytes": len(record.value or b"")}
    content: dict[str, object]
    try:
        event = codec.decode(record.value, record.header("ce_type"))
    except UndecodableEvent as error:
        content = {"undecodable": shortened(str(error))}
    else:
        content = {"event": masked(event.to_avro(), schemas.current(event.FULLNAME).schema)}
    return {
        "event_id": parked.event_id,
        **place,
        "parked_at": parked.parked_at.isoformat(),
        "headers": headers,
        **content,
    }


def _decoded(record: Record, codec: Codec) -> Event | None:
    try:
        return codec.decode(record.value, record.header("ce_type"))
    except UndecodableEvent:
        return None
