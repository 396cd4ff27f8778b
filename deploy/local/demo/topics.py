"""Topics read from their beginning by a consumer that commits nothing: the log as anybody may read it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from deploy.local.demo.frames import SchemaFolder
from deploy.local.demo.promises import StoryBroken

_ANSWER_SECONDS = 10.0
_BATCH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A record of a topic.

    `type` is its Avro fullname and empty where the bytes are no Avro of ours; `id` and `sequence` are the CloudEvents
    headers `ce_id` and `ce_sequence` (0 without one).
    """

    topic: str
    partition: int
    offset: int
    key: str
    id: str
    sequence: int
    type: str
    fields: Mapping[str, Any]
    value: bytes

    @property
    def name(self) -> str:
        """Return the last part of the fullname, such as OrderPlaced."""
        return self.type.rpartition(".")[2]


class TopicLog:
    """Everything in some topics; `events` holds what was read so far, in order of each partition."""

    def __init__(self, bootstrap_servers: str, topics: Sequence[str], schemas: SchemaFolder) -> None:
        self.events: list[Event] = []
        self._schemas = schemas
        # Without the client's own messages: when the stack ends, it ends under them.
        client: dict[str, str | int | float | bool] = {"bootstrap.servers": bootstrap_servers, "log_level": 0}
        self._consumer = Consumer({**client, "group.id": "demo-reader", "enable.auto.commit": False})
        # A client of its own for the ends: on the consumer's connection each question waits behind a long poll.
        self._admin = AdminClient(client)
        known = self._admin.list_topics(timeout=_ANSWER_SECONDS).topics
        self._next = {(topic, partition): 0 for topic in topics for partition in known[topic].partitions}
        self._consumer.assign([TopicPartition(*place, OFFSET_BEGINNING) for place in self._next])

    def close(self) -> None:
        """End reading."""
        self._consumer.close()

    def read(self, *, seconds: float) -> None:
        """Take what is there, waiting at most so long for a first record."""
        first = self._consumer.poll(seconds)
        if first is None:
            return
        for message in [first, *self._consumer.consume(_BATCH, timeout=0)]:
            error = message.error()
            if error is not None:
                raise StoryBroken(f"reading {message.topic()}: {error.str()}")
            event = self._event(message)
            self._next[event.topic, event.partition] = event.offset + 1
            self.events.append(event)

    def read_to_end(self) -> None:
        """Take everything that was written until now; raise StoryBroken when the broker does not give it."""
        ends = self._ends()
        empty_handed = 0
        while any(self._next[place] < end for place, end in ends.items()):
            before = len(self.events)
            self.read(seconds=0.5)
            empty_handed = 0 if len(self.events) > before else empty_handed + 1
            if empty_handed > 2 * _ANSWER_SECONDS:
                raise StoryBroken("the broker stopped giving records before the end of the topics")

    def _ends(self) -> dict[tuple[str, int], int]:
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client does not annotate it
        asked = self._admin.list_offsets(
            {TopicPartition(*place): latest for place in self._next}, request_timeout=_ANSWER_SECONDS
        )
        try:
            return {(place.topic, place.partition): answer.result().offset for place, answer in asked.items()}
        except KafkaException as error:
            raise StoryBroken(f"reading the ends of the topics: {error}") from error

    def _event(self, message: Message) -> Event:
        headers = {str(header[0]): header[1] for header in message.headers() or ()}
        value = _bytes(message.value())
        fullname, fields = self._schemas.decode(value) or ("", {})
        return Event(
            topic=message.topic() or "",
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            key=_text(message.key()),
            id=_text(headers.get("ce_id")),
            sequence=int(_text(headers.get("ce_sequence")) or 0),
            type=fullname,
            fields=fields,
            value=value,
        )


def _bytes(content: str | bytes | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""


def _text(content: str | bytes | None) -> str:
    return _bytes(content).decode()
