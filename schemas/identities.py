"""Schema ids: which number stands for which version of an event on the wire.

A record on a topic outlives every release of this folder, so an id once given is never given again:
`ids.json` only grows. Ids start at 2^30, far above what a schema registry gives out.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

from fastavro.schema import to_parsing_canonical_form

from schemas.catalog import Catalog, Identity, Schema
from schemas.model import Enum, Primitive, Record, innermost, named_types, walk

FIRST_ID: Final = 2**30


def fingerprint(schema: Schema) -> str:
    """Return the SHA-256, in hex, of everything in a schema that decides what a reader gets.

    Covers Avro's Parsing Canonical Form (names, types, fields and symbols, in order) and what that form
    drops although resolution depends on it: field defaults, enum defaults, aliases and logical types.
    Does not cover docs, `pii`, `topic` and `key`: changing these makes no new version.
    """
    canonical = to_parsing_canonical_form(schema.source)
    rest = json.dumps(list(_beyond_canonical(schema.record)), sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(f"{canonical}\n{rest}".encode()).hexdigest()


def _beyond_canonical(record: Record) -> Iterator[tuple[str, str, Any]]:
    for fullname, kind in named_types(record).items():
        if kind.aliases:
            yield fullname, "aliases", kind.aliases
        if isinstance(kind, Enum) and kind.default is not None:
            yield fullname, "default", kind.default
    for path, _, field in walk(record):
        if field.has_default:
            yield path, "default", field.default
        if field.aliases:
            yield path, "aliases", field.aliases
        inner, _ = innermost(field.type)
        if isinstance(inner, Primitive) and inner.logical:
            yield path, "logicalType", inner.logical


def assign(catalog: Catalog) -> tuple[Identity, ...]:
    """Return the lines of ids.json as they have to be for the current schemas.

    A schema whose newest version is not released yet stays that version, with a new hash if it changed; one
    that differs from its newest, released version becomes the next version with the next free id. No line is
    ever removed.
    """
    lines = list(catalog.identities)
    for fullname, event in catalog.events.items():
        digest = fingerprint(event)
        latest = catalog.latest_identity(fullname)
        if latest is not None and latest.sha256 == digest:
            continue
        if latest is not None and not latest.released:
            lines[lines.index(latest)] = _line(fullname, latest.version, digest, latest.id)
            continue
        next_id = max((line.id for line in lines), default=FIRST_ID - 1) + 1
        lines.append(_line(fullname, latest.version + 1 if latest else 1, digest, next_id))
    return tuple(lines)


def _line(fullname: str, version: int, digest: str, schema_id: int) -> Identity:
    return Identity(fullname=fullname, version=version, sha256=digest, id=schema_id, released=False)


def problems(catalog: Catalog) -> Iterator[str]:
    """Say what is wrong with ids.json itself: ids given twice or taken away, versions that do not count 1, 2, 3."""
    place = catalog.folder / "ids.json"
    for position, line in enumerate(catalog.identities):
        what = f"{place}: {line.fullname} version {line.version}"
        same = [other for other in catalog.identities[:position] if other.id == line.id]
        if same:
            yield f"{what} has the id {line.id}, which {same[0].fullname} version {same[0].version} has already"
        elif line.id != FIRST_ID + position:
            yield f"{what} has the id {line.id} where {FIRST_ID + position} is next: lines are only ever appended"
        earlier = [other for other in catalog.identities[:position] if other.fullname == line.fullname]
        if line.version != len(earlier) + 1:
            yield f"{what} follows version {len(earlier)}"
        if any(not other.released for other in earlier):
            yield f"{what} follows a version that is not released"
        if line.fullname not in catalog.events:
            yield f"{what} has no current schema"


def render(identities: tuple[Identity, ...]) -> str:
    """Return the text of ids.json: one line an id, in the order they were given."""
    lines = [
        json.dumps(
            {
                "fullname": line.fullname,
                "version": line.version,
                "sha256": line.sha256,
                "id": line.id,
                "released": line.released,
            }
        )
        for line in identities
    ]
    return "[\n" + ",\n".join(f"  {line}" for line in lines) + "\n]\n"
