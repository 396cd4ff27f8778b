"""The outbox: events wait here, encoded, in the transaction that made them true, until the relay has them acknowledged.

Columns are those that Debezium's outbox router expects, so that it could stand in for our relay.
Invariant: a key's rows are drawn (`seq`) in the order of `ce_sequence`, since whoever emits has locked the row
that counts it. `headers` holds what only the moment of emission knows; the relay adds the constant ones.
"""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from pydantic_core import to_json

from services.chassis.avro import Codec
from services.chassis.connection import Connection
from services.chassis.errors import EventTooLarge
from services.chassis.events import Cause, Event, new_id, new_traceparent
from services.chassis.statements import appended, deferred, often, sql

CHANNEL = "outbox"

INSERT_OUTBOX = appended(
    "outbox",
    {
        "id": "uuid",
        "aggregatetype": "text",
        "aggregateid": "text",
        "type": "text",
        "payload": "bytea",
        "topic": "text",
        "headers": "json",
        "sequence": "bigint",
    },
)
# Wakes the relay, and others, once the transaction commits.
NOTIFY = deferred("SELECT pg_notify(channel, '') FROM unnest(:channels ::text[]) channel")
# Two looks at the index; only a span that could be too many is counted, up to the limit.
SPAN = often("SELECT coalesce(max(seq) - min(seq) + 1, 0) FROM outbox")
COUNT = sql("SELECT count(*) FROM (SELECT FROM outbox LIMIT :most) waiting")
OLDEST_AGE = sql("""
SELECT coalesce((SELECT extract(epoch FROM clock_timestamp() - created_at)::float8 FROM outbox ORDER BY seq LIMIT 1), 0)
""")


class OutboxRow(NamedTuple):
    """One event to be published; fields as the table's columns."""

    id: str
    aggregateid: str
    type: str
    payload: bytes
    topic: str
    headers: str
    sequence: int


class Outbox:
    """Stages the events of one transaction and writes them together.

    Args:
        codec: encodes the events.
        aggregatetype: the producing service.
        max_event_bytes: what the broker takes; a larger event is refused here, where its cause can be parked,
            and not by the broker, where it would stop the relay.

    """

    def __init__(self, codec: Codec, aggregatetype: str, max_event_bytes: int) -> None:
        self._codec = codec
        self._aggregatetype = aggregatetype
        self._max_event_bytes = max_event_bytes
        self._rows: list[OutboxRow] = []

    def add(self, event: Event, sequence: int, cause: Cause, now: datetime) -> str:
        """Stage an event and return its id.

        Raises:
            EventTooLarge: the encoded event exceeds `max_event_bytes`.

        """
        payload = self._codec.encode(event)
        if len(payload) > self._max_event_bytes:
            raise EventTooLarge(f"{event.FULLNAME} has {len(payload)} bytes, at most {self._max_event_bytes} are taken")
        headers = {
            "ce_time": _rfc3339(now),
            "ce_correlationid": cause.correlation_id,
            "traceparent": cause.traceparent or new_traceparent(),
        }
        if cause.causation_id is not None:
            headers["ce_causationid"] = cause.causation_id
        row = OutboxRow(new_id(), event.key, event.FULLNAME, payload, event.TOPIC, to_json(headers).decode(), sequence)
        self._rows.append(row)
        return row.id

    def write(self, connection: Connection, wake: Sequence[str] = ()) -> None:
        """Insert what was staged.

        Args:
            connection: the transaction; when it commits, the relay is woken if there is something to publish.
            wake: channels whose listeners are woken too.

        """
        if self._rows:
            connection.execute(INSERT_OUTBOX, _columns(self._aggregatetype, self._rows))
        if channels := [*([CHANNEL] if self._rows else []), *wake]:
            connection.execute(NOTIFY, {"channels": channels})


@lru_cache(maxsize=16)
def _rfc3339(now: datetime) -> str:
    # Cached: all events of a transaction have its time.
    return now.isoformat().replace("+00:00", "Z")


def _columns(aggregatetype: str, rows: Sequence[OutboxRow]) -> dict[str, object]:
    ids, aggregateids, types, payloads, topics, headers, sequences = map(list, zip(*rows, strict=True))
    return {
        "id": ids,
        "aggregatetype": [aggregatetype] * len(rows),
        "aggregateid": aggregateids,
        "type": types,
        "payload": payloads,
        "topic": topics,
        "headers": headers,
        "sequence": sequences,
    }


def is_full(connection: Connection, most: int) -> bool:
    """Return whether at least `most` events wait to be published."""
    span: int = connection.execute(SPAN).scalar_one()
    return span >= most and bool(connection.execute(COUNT, {"most": most}).scalar_one() >= most)


def oldest_age(connection: Connection) -> float:
    """Return the age in seconds of the event that has waited longest, 0 where none waits."""
    return float(connection.execute(OLDEST_AGE).scalar_one())
