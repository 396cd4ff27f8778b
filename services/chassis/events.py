"""The vocabulary of messages: a record as Kafka gave it, an event as a handler gets it, and what caused it.

Named tuples, not frozen dataclasses: three are made for every record, at a fifth of the cost.

Identity: a record's event id is `ce_id` if that is a UUID, else a UUID derived from (`ce_source`,
`ce_id`), else one derived from its place in the log; so every record has one, and a redelivery has the same.
"""

import os
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import ClassVar, Generic, NamedTuple, Protocol, TypeVar
from uuid import UUID, uuid5

import uuid_utils

# Namespace of the ids that we derive for foreign records (RFC 9562, version 5).
DERIVED_IDS = UUID("5f3dd2a6-0e62-5c9c-9d4f-0d6c3b1f4a11")
# W3C Trace Context, version 00: the trace's id, the parent's id, the flags.
TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")
# What we write ourselves; parsing it would cost ten times as much as looking at it.
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Characters of a key that is kept as it is, and of the beginning that is shown of a longer one.
_KEY_MAX, _KEY_SHOWN = 400, 64


class Event(Protocol):
    """A generated dataclass of `schemas/contracts.py`."""

    FULLNAME: ClassVar[str]
    TOPIC: ClassVar[str]

    @property
    def key(self) -> str:
        """The Kafka key: the id of what the event is about."""

    def to_avro(self) -> dict[str, object]:
        """Return the record as a dictionary, as an Avro codec takes it."""

    def to_bytes(self) -> bytes:
        """Return the record in Avro's binary encoding."""


E_co = TypeVar("E_co", covariant=True)


class Cause(NamedTuple):
    """Why something happens: copied into the headers of whatever it makes us emit.

    Args:
        correlation_id: shared by all events of one saga: the order's id, or of what has none the causation id.
        causation_id: id of the event that is being handled, or one that we made for the HTTP request.
        traceparent: W3C trace context, passed on as it came; None begins a new trace.
        request_id: of the HTTP request, in its caller's words: for the log, and in no header.

    """

    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None
    request_id: str | None = None


class Record(NamedTuple):
    """A Kafka record, untouched. `key` and `value` are None where the log holds none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    timestamp_ms: int

    def header(self, name: str) -> str | None:
        """Return the last header of that name as text, or None; what PostgreSQL cannot keep as text is replaced."""
        for key, value in reversed(self.headers):
            if key == name and value is not None:
                return header_text(value)
        return None

    @property
    def key_text(self) -> str:
        """The key as text that PostgreSQL can keep and index; a record without one has a key of its own."""
        if self.key is None:
            return f"{self.topic}/{self.partition}/{self.offset}"
        text = self.key.decode("utf-8", "backslashreplace").replace("\x00", "\\x00")
        # A stranger's key may have any length, an index entry may not.
        return text if len(text) <= _KEY_MAX else f"{text[:_KEY_SHOWN]}...{sha256(self.key).hexdigest()}"


class Received(NamedTuple, Generic[E_co]):
    """An event as a handler gets it.

    Args:
        event: the decoded event.
        event_id: see the module's docstring.
        key: the record's key.
        cause: to be handed on to whatever is emitted because of this event.
        sequence: `ce_sequence`, or None where the producer sends none.
        time_ms: Kafka's timestamp of the record, milliseconds since the epoch.
        waiting_since: when the event was parked first, None on its first delivery.
        record: where it came from.

    """

    event: E_co
    event_id: str
    key: str
    cause: Cause
    sequence: int | None
    time_ms: int
    waiting_since: datetime | None
    record: Record


def header_text(value: bytes) -> str:
    """Return a header's value as text; what PostgreSQL cannot keep as text is replaced."""
    return value.decode("utf-8", "replace").replace("\x00", "\ufffd")


def event_id_of(record: Record, ce_id: str | None) -> str:
    """Return the id under which the inbox knows a record, given its `ce_id` header."""
    if ce_id is not None:
        if _CANONICAL_UUID.fullmatch(ce_id):
            return ce_id
        try:
            return str(UUID(ce_id))
        except ValueError:
            return str(uuid5(DERIVED_IDS, f"{record.header('ce_source') or ''}\n{ce_id}"))
    return str(uuid5(DERIVED_IDS, f"{record.topic}/{record.partition}/{record.offset}"))


def new_id() -> str:
    """Return a UUIDv7 (RFC 9562): unique, and sorted by the time it was made."""
    return str(uuid_utils.uuid7())


def new_traceparent() -> str:
    """Return the context of a trace that begins here and that nobody records (W3C Trace Context, version 00)."""
    random = os.urandom(24).hex()
    return f"00-{random[:32]}-{random[32:]}-00"


def to_micros(moment: datetime) -> int:
    """Return microseconds since the epoch, as events carry times."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


@lru_cache(maxsize=256)
def from_micros(micros: int) -> datetime:
    """Return the UTC time of `micros` microseconds since the epoch."""
    return _EPOCH + timedelta(microseconds=micros)
