"""The inbox: which events a consumer has taken, and how far it has read each partition.

Invariant: a claim commits with everything that its event changed, so an `event_id` is handled once, however often
Kafka delivers it. `caught_up_at` is the moment at which the end of a partition was looked up that has since been
reached: what was in the log by then has been handled or parked (deadlines rely on it).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.chassis.connection import Connection
from services.chassis.statements import deferred, often, sql

CLAIM = often("""
INSERT INTO inbox (consumer, event_id) SELECT :consumer, u FROM unnest(:ids ::uuid[]) u
ON CONFLICT DO NOTHING RETURNING event_id::text, now()
""")
ADVANCE = deferred("""
INSERT INTO consumer_progress AS p (consumer, topic, partition, next_offset)
SELECT :consumer, * FROM unnest(:topics ::text[], :partitions ::int[], :offsets ::bigint[])
ON CONFLICT (consumer, topic, partition) DO UPDATE SET next_offset = greatest(p.next_offset, excluded.next_offset)
""")
ASSIGNED = sql("""
INSERT INTO consumer_progress (consumer, topic, partition, next_offset)
SELECT :consumer, * FROM unnest(:topics ::text[], :partitions ::int[], :offsets ::bigint[])
ON CONFLICT DO NOTHING
""")
# A part of a consumer's look (`retries`); see `caught_up`.
CAUGHT_UP = """
UPDATE consumer_progress p SET caught_up_at = clock_timestamp() - make_interval(secs => d.age)
FROM unnest(:topics ::text[], :partitions ::int[], :ages ::float8[]) d(topic, partition, age)
WHERE p.consumer = :consumer AND p.topic = d.topic AND p.partition = d.partition
"""
READ_PROGRESS = sql("SELECT topic, partition, next_offset FROM consumer_progress WHERE consumer = :consumer")
PRUNE = sql("""
DELETE FROM inbox WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM inbox WHERE claimed_at < now() - make_interval(secs => :days * 86400) LIMIT :step))
""")


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the log: the next offset to read of a partition."""

    topic: str
    partition: int
    offset: int


def claim(connection: Connection, consumer: str, event_ids: Iterable[str]) -> tuple[set[str], datetime | None]:
    """Claim events and return the ids that nobody had claimed, and the transaction's time if there are any.

    The ids are sorted, so that two holders of the same events wait for each other instead of deadlocking.
    """
    ids = sorted(event_ids)
    if not ids:
        return set(), None
    claimed = connection.execute(CLAIM, {"consumer": consumer, "ids": ids}).all()
    return {event_id for event_id, _ in claimed}, claimed[0].now if claimed else None


def advance(connection: Connection, consumer: str, positions: Sequence[Position]) -> None:
    """Record how far a consumer has read; a position never goes back."""
    if positions:
        connection.execute(ADVANCE, _columns(consumer, positions))


def note_partitions(connection: Connection, consumer: str, positions: Sequence[Position]) -> None:
    """Make a row for each partition that has none, so that one that nobody reads is not overlooked."""
    if positions:
        connection.execute(ASSIGNED, _columns(consumer, positions))


def caught_up(ages: Mapping[tuple[str, int], float]) -> dict[str, object]:
    """Return the parameters of `CAUGHT_UP`.

    Args:
        ages: (topic, partition) → how many seconds ago the end was looked up that is now reached.

    """
    keys = sorted(ages)
    return {
        "topics": [topic for topic, _ in keys],
        "partitions": [partition for _, partition in keys],
        "ages": [ages[key] for key in keys],
    }


def read_progress(connection: Connection, consumer: str) -> dict[tuple[str, int], int]:
    """Return the next offset of each (topic, partition) that the consumer has read."""
    rows = connection.execute(READ_PROGRESS, {"consumer": consumer})
    return {(row.topic, row.partition): row.next_offset for row in rows}


def prune(connection: Connection, days: float, step: int = 5000) -> bool:
    """Delete at most `step` claims older than `days` and return whether there may be more."""
    return connection.execute(PRUNE, {"days": days, "step": step}).rowcount == step


def _columns(consumer: str, positions: Sequence[Position]) -> dict[str, object]:
    ordered = sorted(positions, key=lambda place: (place.topic, place.partition))
    return {
        "consumer": consumer,
        "topics": [place.topic for place in ordered],
        "partitions": [place.partition for place in ordered],
        "offsets": [place.offset for place in ordered],
    }
