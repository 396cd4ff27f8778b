"""An independent reader of the topics: what is in the log, whoever wrote it and whatever the databases say.

Invariant that it proves: the first occurrences of a key's events are in sequence, 1 … n without a hole;
duplicates may follow anywhere.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from tests.support import wire

_READ_SECONDS = 5.0
_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Sighting:
    """One record of the log; `order_id` is what its Avro body says."""

    key: str
    event_id: str
    kind: str
    sequence: int
    order_id: str


@dataclass(slots=True)
class TopicLog:
    """What was read of one topic.

    Args:
        kinds: how many different events of each type there are.
        event_ids: of every event.
        repeated: records whose event was there before.
        faults: what contradicts the invariant, one line each.

    """

    kinds: Counter[str] = field(default_factory=Counter)
    event_ids: set[str] = field(default_factory=set)
    repeated: int = 0
    faults: list[str] = field(default_factory=list)


def examine(sightings: Iterable[Sighting]) -> TopicLog:
    """Look at the records of one topic, in the order of the log for each key."""
    log = TopicLog()
    last: dict[str, int] = {}
    for seen in sightings:
        if seen.event_id in log.event_ids:
            log.repeated += 1
            continue
        log.event_ids.add(seen.event_id)
        log.kinds[seen.kind] += 1
        expected = last.get(seen.key, 0) + 1
        if seen.sequence != expected:
            log.faults.append(f"{seen.kind} of {seen.key} has sequence {seen.sequence}, {expected} was next")
        if seen.order_id != seen.key:
            log.faults.append(f"{seen.kind} of {seen.key} is about {seen.order_id}")
        last[seen.key] = seen.sequence
    return log


def read(bootstrap_servers: str, topic: str) -> Iterator[Sighting]:
    """Yield every record of a topic, partition by partition in order of their offsets.

    Raises:
        KafkaException: the log cannot be read to its end.

    """
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap_servers,
            "group.id": "benchmark-reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=_READ_SECONDS).topics[topic].partitions
        consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for partition in partitions])
        unread = len(partitions)
        while unread:
            messages = consumer.consume(_AT_ONCE, _READ_SECONDS)
            if not messages:
                raise KafkaException(KafkaError(KafkaError._TIMED_OUT, f"{topic}: {unread} partitions not read"))
            for message in messages:
                error = message.error()
                if error is None:
                    yield _sighting(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread -= 1
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


def _sighting(message: Any) -> Sighting:
    headers = dict(message.headers())
    kind, record = wire.decoded(message.value())
    return Sighting(
        key=message.key().decode(),
        event_id=headers["ce_id"].decode(),
        kind=kind,
        sequence=int(headers["ce_sequence"]),
        order_id=record["order_id"],
    )
