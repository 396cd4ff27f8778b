"""Golden examples: an event as JSON and as the exact bytes that go over the wire.

The JSON is the record as an Avro codec without logical types reads it: times are whole microseconds, null is
null, every field is spelled out. The bytes are the Confluent wire format (0, schema id as 4 bytes big-endian,
Avro), kept as hex so that a change shows in a diff; `xxd -r -p` turns them into a message's value.
"""

import io
import json
import textwrap
from pathlib import Path
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.validation import ValidationError, validate

from schemas.catalog import Schema
from schemas.errors import SchemaFolderError

MAGIC = b"\x00"
FRAME_BYTES = 5
HEX_LINE = 64


def read_json(path: Path) -> dict[str, Any]:
    """Read an example. Raises SchemaFolderError if it is missing or no JSON object."""
    if not path.exists():
        raise SchemaFolderError(path, "is missing; every version of an event has a golden example")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SchemaFolderError(path, f"not an example: {error}") from error
    if not isinstance(value, dict):
        raise SchemaFolderError(path, "not an example: an event is a JSON object")
    return value


def encode(schema: Schema, example: Path, schema_id: int) -> bytes:
    """Encode and frame an example's JSON.

    Raises SchemaFolderError if it cannot be read or has a field that is missing, unknown or of another type.
    """
    value = read_json(example)
    parsed = parse_schema(without_logical_types(schema.source))
    body = io.BytesIO()
    try:
        validate(value, parsed)
        schemaless_writer(body, parsed, value, strict=True)
    except (ValidationError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SchemaFolderError(example, f"does not fit {schema.fullname}: {reason}") from error
    return MAGIC + schema_id.to_bytes(4, "big") + body.getvalue()


def mismatch(schema: Schema, example: Path, schema_id: int) -> str | None:
    """Say what keeps an example's JSON and its bytes from being the same record; None if they are."""
    try:
        same = encode(schema, example, schema_id) == from_hex(example.with_suffix(".hex"))
    except SchemaFolderError as error:
        return str(error)
    return None if same else f"{example}: its bytes ({example.stem}.hex) are not those of its JSON and id {schema_id}"


def decode(frame: bytes, *, writer: Schema, reader: Schema) -> dict[str, Any]:
    """Read a framed record that was written with one schema as another one sees it."""
    record = schemaless_reader(
        io.BytesIO(frame[FRAME_BYTES:]),
        parse_schema(without_logical_types(writer.source)),
        parse_schema(without_logical_types(reader.source)),
    )
    if not isinstance(record, dict):
        raise TypeError(f"{writer.fullname} is not a record")
    return record


def without_logical_types(schema: Any) -> Any:
    """Return a copy of a schema whose values are plain strings and numbers to every codec."""
    if isinstance(schema, dict):
        return {name: without_logical_types(part) for name, part in schema.items() if name != "logicalType"}
    if isinstance(schema, list):
        return [without_logical_types(part) for part in schema]
    return schema


def to_hex(frame: bytes) -> str:
    """Return bytes as lines of 32 bytes in hex."""
    return "\n".join(textwrap.wrap(frame.hex(), HEX_LINE)) + "\n"


def from_hex(path: Path) -> bytes:
    """Read bytes that `to_hex` wrote. Raises SchemaFolderError if they are missing or not hex."""
    if not path.exists():
        raise SchemaFolderError(path, "is missing; `python -m schemas generate` (make schemas) writes it")
    try:
        return bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError as error:
        raise SchemaFolderError(path, f"not bytes in hex: {error}") from error
