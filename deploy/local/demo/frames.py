"""Records in Confluent's wire format, from the schema folder alone: what a storefront or a warehouse needs.

A value is byte 0, the schema's id as four big-endian bytes, and the Avro body. `schemas/ids.json` says which id
stands for which schema.
"""

import io
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fastavro

from deploy.local.services import ROOT

_HEAD = struct.Struct(">bI")


class SchemaFolder:
    """Encodes and decodes records by the newest version of each schema."""

    def __init__(self, folder: Path = ROOT / "schemas") -> None:
        entries = json.loads((folder / "ids.json").read_text(encoding="utf-8"))
        newest = {entry["fullname"]: entry for entry in sorted(entries, key=lambda entry: entry["version"])}
        self._ids: dict[str, int] = {fullname: entry["id"] for fullname, entry in newest.items()}
        self._names = {number: fullname for fullname, number in self._ids.items()}
        self._schemas = {fullname: _schema(folder, fullname) for fullname in newest}

    def encode(self, fullname: str, fields: Mapping[str, object]) -> bytes:
        """Return the framed bytes of a record."""
        buffer = io.BytesIO()
        buffer.write(_HEAD.pack(0, self._ids[fullname]))
        fastavro.schemaless_writer(buffer, self._schemas[fullname], fields)
        return buffer.getvalue()

    def decode(self, value: bytes) -> tuple[str, dict[str, Any]] | None:
        """Return the fullname and the fields of a record, or None for bytes that have no known schema's frame."""
        if len(value) < _HEAD.size:
            return None
        magic, number = _HEAD.unpack_from(value)
        fullname = self._names.get(number)
        if magic != 0 or fullname is None:
            return None
        fields: Any = fastavro.schemaless_reader(io.BytesIO(value[_HEAD.size :]), self._schemas[fullname], None)
        return fullname, fields


def _schema(folder: Path, fullname: str) -> Any:
    _, producer, name = fullname.split(".")
    return fastavro.parse_schema(json.loads((folder / producer / f"{name}.avsc").read_text(encoding="utf-8")))
