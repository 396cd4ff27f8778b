"""An independent reader of the topics: what is in the log, whoever wrote it and whatever the databases say.

Invariant that it proves (EVENTS 2): the first occurrences of a key's events are in sequence, 1 … n without a hole;
duplicates may follow anywhere.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

_SCHEMAS = Path(__file__).parents[2] / "schemas"
_FRAME_BYTES = 5
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
    bodies = _Bodies()
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
                    yield _sighting(message, bodies)
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread -= 1
                else:
                    raise KafkaException(error)
    finally:
        consumer.close()


class _Bodies:
    """Decodes framed Avro with nothing but the schema files."""

    def __init__(self) -> None:
        entries = json.loads((_SCHEMAS / "ids.json").read_text(encoding="utf-8"))
        self._names = {entry["id"]: entry["fullname"] for entry in entries}
        self._parsed: dict[str, Any] = {}

    def decode(self, value: bytes) -> tuple[str, Mapping[str, Any]]:
        """Return the fullname that the frame's schema id stands for, and the record."""
        name = self._names[int.from_bytes(value[1:_FRAME_BYTES])]
        if name not in self._parsed:
            _, producer, event = name.split(".")
            file = _SCHEMAS / producer / f"{event}.avsc"
            self._parsed[name] = fastavro.parse_schema(json.loads(file.read_text(encoding="utf-8")))
        record: Any = fastavro.schemaless_reader(BytesIO(value[_FRAME_BYTES:]), self._parsed[name], None)
        return name, record


def _sighting(message: Any, bodies: _Bodies) -> Sighting:
    headers = dict(message.headers())
    kind, record = bodies.decode(message.value())
    return Sighting(
        key=message.key().decode(),
        event_id=headers["ce_id"].decode(),
        kind=kind,
        sequence=int(headers["ce_sequence"]),
        order_id=str(record["order_id"]),
    )
