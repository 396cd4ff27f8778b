"""Records as the contract describes them, read and written without the services' code: what an outsider would build.

Byte 0, the schema's id in four big-endian bytes, the Avro body; CloudEvents in the headers. Schemas and ids come
from the contract's own files.
"""

import json
import struct
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro

import schemas

_FOLDER = Path(schemas.__file__).parent
_HEAD = struct.Struct(">bI")


def encoded(fullname: str, record: dict[str, Any]) -> bytes:
    """Return a record's framed bytes."""
    buffer = BytesIO(_HEAD.pack(0, _ids()[fullname]))
    buffer.seek(_HEAD.size)
    fastavro.schemaless_writer(buffer, _schema(fullname), record)
    return buffer.getvalue()


def decoded(value: bytes) -> tuple[str, dict[str, Any]]:
    """Return the fullname and the content of framed bytes; times stay microseconds, ids stay text."""
    magic, schema_id = _HEAD.unpack_from(value)
    assert magic == 0, f"the first byte is {magic}"
    fullname = {known: name for name, known in _ids().items()}[schema_id]
    record: Any = fastavro.schemaless_reader(BytesIO(value[_HEAD.size :]), _schema(fullname), None)
    return fullname, record


@cache
def _ids() -> dict[str, int]:
    rows = json.loads((_FOLDER / "ids.json").read_text(encoding="utf-8"))
    newest = sorted(rows, key=lambda row: row["version"])
    return {row["fullname"]: row["id"] for row in newest}


@cache
def _schema(fullname: str) -> Any:
    _, producer, name = fullname.split(".")
    text = (_FOLDER / producer / f"{name}.avsc").read_text(encoding="utf-8")
    return fastavro.parse_schema(_plain(json.loads(text)))


def _plain(schema: Any) -> Any:
    """Take the logical types away, so that values are compared as they are in the bytes."""
    if isinstance(schema, dict):
        return {name: _plain(part) for name, part in schema.items() if name != "logicalType"}
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    return schema
