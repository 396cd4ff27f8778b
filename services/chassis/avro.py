"""Avro in Confluent's wire format: byte 0, the schema id as four big-endian bytes, the body.

Invariant: what is decoded is what its headers and its schema id say, whole and with nothing behind it; anything
else is an `UndecodableEvent`. Ids come from a `SchemaSource`: the schema folder, or a registry (`registry`).
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import fastavro

from services.chassis.errors import SchemaMismatch, UndecodableEvent
from services.chassis.events import Event

_FRAME = struct.Struct(">bI")
# What the event classes and fastavro raise for bytes that are something else, or (the last two) for the schema of a
# stranger that cannot be read as ours.
_UNREADABLE = (
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
    fastavro.read.SchemaResolutionError,
    RecursionError,
)
# A schema as fastavro's `parse_schema` returns it.
Parsed = dict[str, Any]
# The first id of the schema folder; a registry gives out its own from 1 on.
FOLDER_IDS = 2**30


@dataclass(frozen=True, slots=True)
class WriterSchema:
    """A schema under which records are, or were, written.

    Args:
        id: the number in the records' frames.
        fullname: the Avro fullname.
        schema: parsed by fastavro, logical types stripped: times stay integers until someone reads them
            (decoding them to datetimes doubles the cost of a record).

    """

    id: int
    fullname: str
    schema: Parsed


class SchemaSource(Protocol):
    """Where schemas and their ids come from."""

    mode: str

    def prepare(self) -> None:
        """Learn the ids under which this build writes, before it does.

        Raises:
            TransientError: they cannot be had now.
            SchemaMismatch: one of them does not exist.

        """

    def current(self, fullname: str) -> WriterSchema:
        """Return the schema under which this build writes `fullname`."""

    def by_id(self, schema_id: int) -> WriterSchema:
        """Return the schema with that id.

        Raises:
            UndecodableEvent: there is none, or none that can be had; the message says why.
            TransientError: it cannot be told now.

        """


class EventClass(Protocol):
    """The class of an event, as generated."""

    FULLNAME: str
    TOPIC: str

    def from_avro(self, record: Mapping[str, object]) -> Event:
        """Build the event from a decoded Avro record."""

    def read(self, data: bytes, at: int) -> tuple[Event, int]:
        """Read the event from bytes that this build's schema wrote; return it, and the place behind it.

        A last text that is cut off is returned short, with a place behind the end of the bytes.
        """


@dataclass(frozen=True, slots=True)
class ContractVersion:
    """A version of an event in the contract's folder.

    Args:
        fullname: the Avro fullname.
        id: the folder's own number for it.
        subject: its name in a registry, `<topic>-<fullname>`.
        text: its schema as it is registered: the file's content without white space.
        schema: the same, parsed.

    """

    fullname: str
    id: int
    subject: str
    text: str
    schema: Parsed


def contract_versions(folder: Path) -> list[ContractVersion]:
    """Read the contract's folder: `ids.json`, `<producer>/<Event>.avsc`, `released/<fullname>/<n>.avsc`.

    Returns:
        Every version of every event, older ones first.

    Raises:
        SchemaMismatch: the folder lacks a schema that `ids.json` names.

    """
    entries = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
    return [_contract_version(folder, entry) for entry in sorted(entries, key=lambda entry: entry["version"])]


def _contract_version(folder: Path, entry: Mapping[str, Any]) -> ContractVersion:
    fullname, version = entry["fullname"], entry["version"]
    _, producer, name = fullname.split(".")
    path = folder / "released" / fullname / f"{version}.avsc"
    if not path.exists():
        path = folder / producer / f"{name}.avsc"
    if not path.exists():
        raise SchemaMismatch(f"{folder}/ids.json names {fullname} version {version}, but {path} is missing")
    source = json.loads(path.read_text(encoding="utf-8"))
    schema: Any = fastavro.parse_schema(stripped(source))
    return ContractVersion(
        fullname=fullname,
        id=entry["id"],
        subject=f"{source.get('topic')}-{fullname}",
        text=json.dumps(source, separators=(",", ":"), ensure_ascii=False),
        schema=schema,
    )


class FolderSchemas:
    """Schemas and ids of the contract's folder.

    Args:
        folder: the contract's folder.

    Raises:
        SchemaMismatch: the folder lacks a schema that `ids.json` names.

    """

    mode = "folder"

    def __init__(self, folder: Path) -> None:
        self._by_id: dict[int, WriterSchema] = {}
        self._current: dict[str, WriterSchema] = {}
        for found in contract_versions(folder):
            writer = WriterSchema(found.id, found.fullname, found.schema)
            self._current[found.fullname] = self._by_id[found.id] = writer

    def prepare(self) -> None:
        """Do nothing: all of it is known."""

    def current(self, fullname: str) -> WriterSchema:
        """Return the newest version of `fullname`."""
        try:
            return self._current[fullname]
        except KeyError:
            raise SchemaMismatch(f"no schema {fullname} in ids.json; it has {sorted(self._current)}") from None

    def by_id(self, schema_id: int) -> WriterSchema:
        """Return the schema with that id; raises as `SchemaSource.by_id`."""
        try:
            return self._by_id[schema_id]
        except KeyError:
            raise unregistered(schema_id) from None


def unregistered(schema_id: int) -> UndecodableEvent:
    """Return the error for an id that no schema has.

    It names the settings' likely fault: each database keeps the mode that it was begun in, but no service sees that of
    another, whose events it cannot read then.
    """
    return UndecodableEvent(
        f"nobody registered schema id {schema_id} (from {FOLDER_IDS} on they are the schema folder's, below a"
        " registry's; all services need the same SCHEMA_REGISTRY_URL, or none)"
    )


def stripped(schema: Any) -> Any:
    """Return a schema without logical types (see `WriterSchema`)."""
    if isinstance(schema, dict):
        return {name: stripped(part) for name, part in schema.items() if name != "logicalType"}
    if isinstance(schema, list):
        return [stripped(part) for part in schema]
    return schema


class Codec:
    """Encodes events of this build, decodes events of every version.

    Args:
        classes: fullname → event class.
        schemas: where ids come from.

    """

    def __init__(self, classes: Mapping[str, EventClass], schemas: SchemaSource) -> None:
        self._classes = classes
        self._schemas = schemas
        self._frames: dict[str, bytes] = {}

    def encode(self, event: Event) -> bytes:
        """Return the framed bytes of an event."""
        frame = self._frames.get(event.FULLNAME)
        if frame is None:
            writer = self._schemas.current(event.FULLNAME)
            frame = self._frames[event.FULLNAME] = _FRAME.pack(0, writer.id)
        return frame + event.to_bytes()

    def type_of(self, value: bytes | None) -> str | None:
        """Return the fullname that a record's schema id stands for, or None where there is no such schema."""
        try:
            return self._writer_of(value or b"").fullname
        except UndecodableEvent:
            return None

    def decode(self, value: bytes | None, ce_type: str | None) -> Event:
        """Return the event in a record's value.

        Args:
            value: the record's value; None is a tombstone, which no topic of ours holds an event in.
            ce_type: the record's `ce_type` header, or None where it has none.

        Raises:
            UndecodableEvent: with the reason, never with the bytes (they may hold personal data).
            TransientError: the schema of its id cannot be had now.

        """
        data = value or b""
        writer = self._writer_of(data)
        if ce_type is not None and ce_type != writer.fullname:
            raise UndecodableEvent(f"ce_type says {ce_type}, the schema id says {writer.fullname}")
        event_class = self._classes.get(writer.fullname)
        if event_class is None:
            raise UndecodableEvent(f"this build has no event {writer.fullname}")
        ours = self._schemas.current(writer.fullname)
        try:
            # Resolving costs several times a plain read, so only where the writer was another version.
            plain = ours.id == writer.id
            event, end = event_class.read(data, _FRAME.size) if plain else _resolved(event_class, data, writer, ours)
        except _UNREADABLE as error:
            raise UndecodableEvent(
                f"{writer.fullname}: the body does not fit its schema ({type(error).__name__})"
            ) from error
        if end != len(data):
            wrong = f"{len(data) - end} bytes too many" if end < len(data) else f"{end - len(data)} bytes are missing"
            raise UndecodableEvent(f"{writer.fullname}: {wrong}")
        return event

    def _writer_of(self, value: bytes) -> WriterSchema:
        if len(value) < _FRAME.size:
            raise UndecodableEvent(f"{len(value)} bytes are too few for a framed record")
        magic, schema_id = _FRAME.unpack_from(value)
        if magic != 0:
            raise UndecodableEvent(f"the first byte is {magic}, not 0")
        return self._schemas.by_id(schema_id)


def _resolved(event_class: EventClass, data: bytes, writer: WriterSchema, ours: WriterSchema) -> tuple[Event, int]:
    """Read an event that another version of its schema wrote; as `EventClass.read`."""
    body = BytesIO(data)
    body.seek(_FRAME.size)
    record = fastavro.schemaless_reader(body, writer.schema, ours.schema)
    return event_class.from_avro(record), body.tell()  # type: ignore[arg-type]  # fastavro's records are mappings here
