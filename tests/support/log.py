"""An independent reader of the topics: no consumer group, none of the services' code.

It follows every partition from its first record, so a test asks what the log says instead of what a service
believes; and it checks the promise to consumers: *the first occurrences of a key's events are in sequence*.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from tests.support import wire

_SOURCES = ("/oms/order", "/oms/inventory", "/oms/notification")
Place = tuple[str, int]


@dataclass(frozen=True)
class Entry:
    """One record of the log; `headers` are text, the last of a name wins."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]

    @property
    def event_id(self) -> str:
        """The producer's id for it, empty where it sent none."""
        return self.headers.get("ce_id", "")

    @property
    def kind(self) -> str:
        """The event's name without its namespace."""
        return self.headers.get("ce_type", "").rpartition(".")[2]

    @property
    def is_ours(self) -> bool:
        """Whether one of the three services says that it wrote this."""
        return self.headers.get("ce_source") in _SOURCES

    @cached_property
    def event(self) -> dict[str, Any]:
        """The decoded content."""
        assert self.value is not None
        return wire.decoded(self.value)[1]


class Log:
    """Follows topics in a thread of its own until closed."""

    def __init__(self, bootstrap_servers: str, topics: Sequence[str]) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers})
        self._consumer = Consumer(
            {"bootstrap.servers": bootstrap_servers, "group.id": "an-independent-reader", "enable.auto.commit": False}
        )
        known = self._admin.list_topics(timeout=10).topics
        self._places: list[Place] = [(topic, number) for topic in topics for number in known[topic].partitions]
        self._consumer.assign([TopicPartition(topic, partition, 0) for topic, partition in self._places])
        self._entries: list[Entry] = []
        self._by_key: defaultdict[bytes | None, list[Entry]] = defaultdict(list)
        self._read = dict.fromkeys(self._places, 0)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="log")
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def of(self, key: str, topic: str | None = None) -> list[Entry]:
        """Return what was read so far under a key, in the order of its partition."""
        return [entry for entry in list(self._by_key.get(key.encode(), ())) if topic in (None, entry.topic)]

    def kinds(self, key: str, topic: str) -> list[str]:
        """Return the names of a key's events, each event once, in their order."""
        return [entry.kind for entry in first_occurrences(self.of(key, topic))]

    @property
    def entries(self) -> list[Entry]:
        """Everything that was read so far."""
        return list(self._entries)

    def settle(self, within: float = 20.0) -> None:
        """Wait until everything is read that is in the log now."""
        ends = self.ends()
        deadline = time.monotonic() + within
        while any(self._read[place] < end for place, end in ends.items()):
            assert time.monotonic() < deadline, "the reader does not keep up with the log"
            time.sleep(0.01)

    def ends(self, *, without: Sequence[str] = ()) -> dict[Place, int]:
        """Return the next offset to be written of every partition, but of those of some topics."""
        asked = self._admin.list_offsets({TopicPartition(*place): OffsetSpec.latest() for place in self._places})
        ends = {(place.topic, place.partition): answer.result().offset for place, answer in asked.items()}
        return {place: end for place, end in ends.items() if place[0] not in without}

    def _follow(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, 0.05):
                if message.error() is None:
                    entry = _entry(message)
                    self._entries.append(entry)
                    self._by_key[entry.key].append(entry)
                    self._read[entry.topic, entry.partition] = entry.offset + 1


def first_occurrences(entries: Iterable[Entry]) -> list[Entry]:
    """Return the entries without repeats of an event id."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        seen.setdefault((entry.topic, entry.event_id or f"{entry.partition}/{entry.offset}"), entry)
    return list(seen.values())


def sequence_faults(entries: Iterable[Entry]) -> list[str]:
    """Return every place where the first occurrences of a topic's key are not 1, 2, 3 …; none is good news."""
    numbers: dict[tuple[str, bytes | None], list[int]] = defaultdict(list)
    for entry in first_occurrences(entry for entry in entries if entry.is_ours):
        numbers[entry.topic, entry.key].append(int(entry.headers["ce_sequence"]))
    return [
        f"{topic} {key!r}: {found}"
        for (topic, key), found in numbers.items()
        if found != list(range(1, len(found) + 1))
    ]


def _entry(message: Message) -> Entry:
    whole: Any = message
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in whole.headers() or ()}
    return Entry(whole.topic(), whole.partition(), whole.offset(), whole.key(), whole.value(), headers)
