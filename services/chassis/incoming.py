"""Records on their way to their handlers: what is subscribed to, what a record is, in which order they are taken."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

from services.chassis import parking
from services.chassis.avro import Codec
from services.chassis.errors import UndecodableEvent
from services.chassis.events import TRACEPARENT, Cause, Event, Received, Record, event_id_of, header_text
from services.chassis.unit_of_work import UnitOfWork

U = TypeVar("U", bound=UnitOfWork)
Handler = Callable[[Sequence[Received[Any]], U], None]
_SEQUENCE_DIGITS = 19
# A correlation id that is passed on. A stranger's may have any length and be somebody's address; ours would carry it
# through the whole saga.
_CORRELATION = re.compile(r"[0-9A-Za-z._:/-]{1,128}")


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Stands for an event whose bytes could not be read.

    On a foreign topic the service answers it; elsewhere its key is parked.
    """

    error: str


@dataclass(frozen=True, slots=True)
class Subscription(Generic[U]):
    """What a consumer reads and who handles it.

    Args:
        consumer: name of the consumer, of its Kafka group, and of its rows in the database.
        handlers: event class → handler; the order is that inside a wave (what frees stock stands first).
        foreign: topic → the handler that answers what cannot be decoded there. The events of such a topic come
            from outside, so their faults never count for the breaker.
        projection: the handlers keep the newest version of each key of compacted topics; no inbox is needed.
        after: name of a consumer whose topics must have been read to their end before this one starts.

    """

    consumer: str
    handlers: Mapping[type[Any], Handler[U]]
    foreign: Mapping[str, Handler[U]]
    projection: bool = False
    after: str | None = None

    @property
    def topics(self) -> list[str]:
        """The topics to subscribe to."""
        return sorted({event.TOPIC for event in self.handlers})


class Item(NamedTuple):
    """A record on its way through a batch.

    Args:
        received: what a handler gets.
        kind: the event's class.
        key: under which it would be parked.

    """

    received: Received[Any]
    kind: type[Any]
    key: parking.Key


class Reader:
    """Turns records into items.

    Args:
        codec: decodes their values.
        handled: the event classes that somebody handles.

    """

    def __init__(self, codec: Codec, handled: Mapping[type[Any], object]) -> None:
        self._codec = codec
        self._handled = {event.FULLNAME for event in handled}

    def read(self, record: Record, parked: parking.ParkedEvent | None = None) -> Item | None:
        """Return the record as an item, or None where it is of a type that nobody here handles.

        Args:
            record: as Kafka gave it, or as it was parked.
            parked: where it was parked.

        """
        headers = _Headers(record)
        ce_type = headers.text("ce_type")
        fullname = ce_type or self._codec.type_of(record.value)
        if fullname is not None and fullname not in self._handled:
            return None
        try:
            event: Event | Undecodable = self._codec.decode(record.value, ce_type)
        except UndecodableEvent as error:
            event = Undecodable(str(error))
        received = _received(event, record, headers, parked)
        return Item(received, type(event), (record.topic, received.key))


class _Headers:
    """A record's headers by name, the last of each; looked up several times for every record."""

    __slots__ = ("_values",)

    def __init__(self, record: Record) -> None:
        self._values = dict(record.headers)

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        return None if value is None else header_text(value)

    def matched(self, name: str, pattern: re.Pattern[str]) -> str | None:
        """Return a header that is handed on to what we emit, None where it is not of that form."""
        text = self.text(name)
        return text if text is not None and pattern.fullmatch(text) else None


def _received(
    event: Event | Undecodable, record: Record, headers: _Headers, parked: parking.ParkedEvent | None
) -> Received[Any]:
    event_id = parked.event_id if parked else event_id_of(record, headers.text("ce_id"))
    cause = Cause(
        correlation_id=headers.matched("ce_correlationid", _CORRELATION) or event_id,
        causation_id=event_id,
        traceparent=headers.matched("traceparent", TRACEPARENT),
    )
    return Received(
        event=event,
        event_id=event_id,
        key=record.key_text,
        cause=cause,
        sequence=_sequence(headers.text("ce_sequence")),
        time_ms=record.timestamp_ms,
        waiting_since=parked.parked_at if parked else None,
        record=record,
    )


def _sequence(text: str | None) -> int | None:
    # Python refuses to read a number of thousands of digits: a header of a stranger must not stop the consumer.
    return int(text) if text is not None and text.isdecimal() and len(text) <= _SEQUENCE_DIGITS else None


def waves(items: Sequence[Item]) -> list[list[Item]]:
    """Return the first event of every key, then the second of every key, and so on."""
    found: list[list[Item]] = []
    seen: Counter[parking.Key] = Counter()
    for item in items:
        depth = seen[item.key]
        seen[item.key] += 1
        if depth == len(found):
            found.append([])
        found[depth].append(item)
    return found
