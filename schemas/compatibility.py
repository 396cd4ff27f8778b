"""Evolution inside a major version: every version reads every other one (FULL_TRANSITIVE), with equal values.

Avro's resolution only fails while a record is read, and its rules let values change silently (a removed enum
symbol becomes the default, a changed default rewrites the past). So two independent nets: the rules of
`differences` compare two schemas without data, and `misreadings` reads the golden examples and compares what
comes out. Apache's own checker (`avro.compatibility`) was looked at: it accepts promotions, removed symbols
and changed logical types, and loses the place of what it refuses.
"""

from collections.abc import Iterator
from typing import Any, Final

from fastavro.read import SchemaResolutionError

from schemas.catalog import Catalog, Schema
from schemas.examples import decode, from_hex, read_json
from schemas.identities import fingerprint
from schemas.model import Array, Enum, Field, Map, Nullable, Primitive, Record, Type

READ_ERRORS: Final = (SchemaResolutionError, ValueError, EOFError, IndexError, TypeError)


def incompatibilities(catalog: Catalog) -> Iterator[str]:
    """Say what keeps a current schema and any released version of it from reading each other."""
    for (fullname, version), released in catalog.released.items():
        current = catalog.events.get(fullname)
        if current is None:
            continue
        for problem in _between(released, current):
            yield f"{current.path}: against released version {version}: {problem}"


def _between(old: Schema, new: Schema) -> Iterator[str]:
    if (old.topic, old.key) != (new.topic, new.key):
        yield "topic or key changed; a moved event is a new topic version"
    yield from differences(old.record, new.record)


def differences(old: Record, new: Record) -> Iterator[str]:
    """Say what keeps two versions of a record from reading each other, each with the field's path."""
    yield from _types(old, new, new.name)


def _types(old: Type, new: Type, path: str) -> Iterator[str]:
    match old, new:
        case (Nullable(of=before), Nullable(of=after)):
            yield from _types(before, after, path)
        case (Array(items=before), Array(items=after)):
            yield from _types(before, after, f"{path}[]")
        case (Map(values=before), Map(values=after)):
            yield from _types(before, after, f"{path}{{}}")
        case (Record(), Record()) if old.fullname == new.fullname:
            yield from _records(old, new, path)
        case (Enum(), Enum()) if old.fullname == new.fullname:
            yield from _enums(old, new, path)
        case (Primitive(), Primitive()) if old == new:
            return
        case _:
            yield f"{path} changed its type from {_name(old)} to {_name(new)}"


def _records(old: Record, new: Record, path: str) -> Iterator[str]:
    for before in old.fields:
        after = new.field(before.name)
        if after is not None:
            yield from _types(before.type, after.type, f"{path}.{before.name}")
        elif not before.has_default:
            yield f"{path}.{before.name} was removed, and older readers have no default for it"
    for after in new.fields:
        if old.field(after.name) is None and not after.has_default:
            yield f"{path}.{after.name} was added without a default{_alias_hint(after, old)}"


def _alias_hint(field: Field, old: Record) -> str:
    renamed = [alias for alias in field.aliases if old.field(alias) is not None]
    return f"; an alias does not help readers that know it as {renamed[0]}" if renamed else ""


def _enums(old: Enum, new: Enum, path: str) -> Iterator[str]:
    for symbol in old.symbols:
        if symbol not in new.symbols:
            yield f"{path} lost the symbol {symbol}: old events would read as {new.default}"
    if old.default != new.default:
        yield f"{path} changed its enum default from {old.default} to {new.default}"


def _name(kind: Type) -> str:
    match kind:
        case Nullable(of=of):
            return f"nullable {_name(of)}"
        case Array(items=items):
            return f"list of {_name(items)}"
        case Map(values=values):
            return f"map of {_name(values)}"
        case Primitive(name=name, logical=logical):
            return f"{name} ({logical})" if logical else name
        case Enum() | Record():
            return kind.fullname


def misreadings(catalog: Catalog) -> Iterator[str]:
    """Say where a golden example of a released version is read differently by a later schema.

    Each example is read by its own schema and then by every later one in turn; a field that two successive
    readings share has one value. So a later version may add fields, and what it adds may not change again.
    The current example is read by every released schema too, since old readers meet new events.
    """
    for fullname, current in catalog.events.items():
        chain = _chain(catalog, fullname, current)
        for position, (version, writer) in enumerate(chain):
            if version == "current":
                continue
            yield from _read_by_all(catalog, fullname, chain[position:])
            yield from _read_by_older(catalog, current, version, writer)


def _chain(catalog: Catalog, fullname: str, current: Schema) -> list[tuple[str, Schema]]:
    """Return an event's versions, oldest first; the current file last if it is not released as it is."""
    chain = [(str(version), schema) for (name, version), schema in catalog.released.items() if name == fullname]
    if not chain or fingerprint(chain[-1][1]) != fingerprint(current):
        chain.append(("current", current))
    return chain


def _read_by_all(catalog: Catalog, fullname: str, readers: list[tuple[str, Schema]]) -> Iterator[str]:
    version, writer = readers[0]
    example = catalog.folder / "released" / fullname / f"{version}.json"
    frame, expected = from_hex(example.with_suffix(".hex")), read_json(example)
    for name, reader in readers:
        try:
            found = decode(frame, writer=writer, reader=reader)
        except READ_ERRORS as error:
            yield f"{example}: {reader.path} ({name}) cannot read it: {error}"
            continue
        for path, before, after in _unequal(expected, found, writer.record.name):
            yield f"{example}: {reader.path} ({name}) reads {path} as {after!r} instead of {before!r}"
        expected = found


def _read_by_older(catalog: Catalog, current: Schema, version: str, reader: Schema) -> Iterator[str]:
    example = catalog.example_json(current)
    frame = from_hex(example.with_suffix(".hex"))
    try:
        decode(frame, writer=current, reader=reader)
    except READ_ERRORS as error:
        yield f"{example}: readers of version {version} cannot read it: {error}"


def _unequal(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Yield path and both values where two readings differ; fields of only one of them are not compared."""
    match before, after:
        case (dict(), dict()):
            for name in (shared for shared in before if shared in after):
                yield from _unequal(before[name], after[name], f"{path}.{name}")
        case (list(), list()) if len(before) == len(after):
            for number, (left, right) in enumerate(zip(before, after, strict=True)):
                yield from _unequal(left, right, f"{path}[{number}]")
        case _ if type(before) is not type(after) or before != after:
            yield path, before, after
