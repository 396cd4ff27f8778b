"""The part of Avro that the events use, as types.

Everything that looks into a schema (code generation, lint, compatibility, ids) works on these, so that
what is not understood is refused in one place: `parse_record`. Left out on purpose, because a reader in
some language gets it wrong or because it cannot evolve: unions other than ["null", X] with default null,
fixed, bytes, float and double, recursive records.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

PRIMITIVES: Final = ("string", "long", "int", "boolean")
FIELD_PROPERTIES: Final = frozenset({"name", "type", "doc", "default", "aliases", "pii"})
LOGICAL: Final = {"timestamp-micros": "long", "uuid": "string"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Primitive:
    """`string`, `long`, `int` or `boolean`, perhaps with a logical type of LOGICAL."""

    name: str
    logical: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Nullable:
    """The union ["null", of]."""

    of: "Type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Array:
    """A list of items."""

    items: "Primitive | Enum | Record"


@dataclass(frozen=True, slots=True, kw_only=True)
class Map:
    """Values by string."""

    values: Primitive


@dataclass(frozen=True, slots=True, kw_only=True)
class Enum:
    """A closed set of symbols; a reader takes `default` for a symbol newer than itself."""

    fullname: str
    doc: str
    symbols: tuple[str, ...]
    default: str | None
    aliases: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name without its namespace."""
        return self.fullname.rpartition(".")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a record. `default` is only meaningful with `has_default`."""

    name: str
    type: "Type"
    doc: str
    pii: bool
    has_default: bool
    default: Any
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record: an event, or a part of one."""

    fullname: str
    doc: str
    fields: tuple[Field, ...]
    aliases: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name without its namespace."""
        return self.fullname.rpartition(".")[2]

    def field(self, name: str) -> Field | None:
        """Return the field of that name, or None."""
        return next((field for field in self.fields if field.name == name), None)


Type = Primitive | Nullable | Array | Map | Enum | Record


def parse_record(schema: dict[str, Any]) -> Record:
    """Turn a schema, as JSON, into a record. Raises ValueError naming the place of what is not allowed."""
    if schema.get("type") != "record":
        raise ValueError("an event is a record")
    return _parse_record(schema, namespace="", known={}, path=str(schema.get("name")))


def _parse(schema: Any, *, namespace: str, known: dict[str, Enum | Record], path: str) -> Type:
    match schema:
        case str():
            return _parse_name(schema, namespace=namespace, known=known, path=path)
        case ["null", inner]:
            return Nullable(of=_parse(inner, namespace=namespace, known=known, path=path))
        case {"type": "array" | "map"}:
            return _parse_container(schema, namespace=namespace, known=known, path=path)
        case {"type": "enum"}:
            return _parse_enum(schema, namespace=namespace, known=known)
        case {"type": "record"}:
            return _parse_record(schema, namespace=namespace, known=known, path=path)
        case {"type": str(name)} if name in PRIMITIVES:
            return _parse_primitive(schema, path=path)
    raise ValueError(f"{path}: {schema!r} is not one of the types that events may use")


def _parse_container(
    schema: dict[str, Any], *, namespace: str, known: dict[str, Enum | Record], path: str
) -> Array | Map:
    if schema["type"] == "array":
        items = _parse(schema["items"], namespace=namespace, known=known, path=f"{path}[]")
        if isinstance(items, Primitive | Enum | Record):
            return Array(items=items)
        raise ValueError(f"{path}: the items of a list are primitives, enums or records")
    values = _parse(schema["values"], namespace=namespace, known=known, path=f"{path}{{}}")
    if isinstance(values, Primitive):
        return Map(values=values)
    raise ValueError(f"{path}: the values of a map are primitives")


def _parse_name(name: str, *, namespace: str, known: dict[str, Enum | Record], path: str) -> Type:
    if name in PRIMITIVES:
        return Primitive(name=name)
    fullname = _qualify(name, namespace)
    if fullname not in known:
        raise ValueError(f"{path}: {name!r} is not a type of events, nor defined before its use")
    return known[fullname]


def _parse_primitive(schema: dict[str, Any], *, path: str) -> Primitive:
    logical = schema.get("logicalType")
    if logical is not None and LOGICAL.get(logical) != schema["type"]:
        raise ValueError(f"{path}: logicalType {logical!r} on a {schema['type']} is not one that events may use")
    return Primitive(name=schema["type"], logical=logical)


def _parse_enum(schema: dict[str, Any], *, namespace: str, known: dict[str, Enum | Record]) -> Enum:
    enum = Enum(
        fullname=_qualify(schema["name"], schema.get("namespace", namespace)),
        doc=schema.get("doc", ""),
        symbols=tuple(schema["symbols"]),
        default=schema.get("default"),
        aliases=tuple(schema.get("aliases", ())),
    )
    known[enum.fullname] = enum
    return enum


def _parse_record(schema: dict[str, Any], *, namespace: str, known: dict[str, Enum | Record], path: str) -> Record:
    namespace = schema.get("namespace", namespace)
    record = Record(
        fullname=_qualify(schema["name"], namespace),
        doc=schema.get("doc", ""),
        fields=tuple(
            _parse_field(field, namespace=namespace, known=known, path=f"{path}.{field['name']}")
            for field in schema["fields"]
        ),
        aliases=tuple(schema.get("aliases", ())),
    )
    known[record.fullname] = record
    return record


def _parse_field(field: dict[str, Any], *, namespace: str, known: dict[str, Enum | Record], path: str) -> Field:
    parsed = _parse(field["type"], namespace=namespace, known=known, path=path)
    problem = _field_problem(field, parsed)
    if problem:
        raise ValueError(f"{path}: {problem}")
    return Field(
        name=field["name"],
        type=parsed,
        doc=field.get("doc", ""),
        pii="pii" in field,
        has_default="default" in field,
        default=field.get("default"),
        aliases=tuple(field.get("aliases", ())),
    )


def _field_problem(field: dict[str, Any], parsed: Type) -> str:
    unknown = sorted(set(field) - FIELD_PROPERTIES)
    if unknown:
        return f"fields have no property {unknown[0]!r}"
    if field.get("pii", True) is not True:
        return "pii is true or left out"
    if isinstance(parsed, Nullable) and ("default" not in field or field["default"] is not None):
        return "a nullable field has the default null"
    if "default" in field and isinstance(parsed, Array | Map) and field["default"]:
        return "the default of a list or map is an empty one"
    if "default" in field and isinstance(parsed, Record):
        return "a record has no default; make the field nullable"
    return ""


def _qualify(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"


def walk(record: Record) -> Iterator[tuple[str, Record, Field]]:
    """Yield every field with its path (`OrderPlaced.lines[].sku`) and the record that it belongs to."""
    yield from _walk(record, path=record.name)


def _walk(record: Record, *, path: str) -> Iterator[tuple[str, Record, Field]]:
    for field in record.fields:
        here = f"{path}.{field.name}"
        yield here, record, field
        inner, suffix = innermost(field.type)
        if isinstance(inner, Record):
            yield from _walk(inner, path=here + suffix)


def innermost(kind: Type) -> tuple[Primitive | Enum | Record, str]:
    """Look through null, lists and maps. Returns what is inside and the path to it (`[]`, `{}`)."""
    match kind:
        case Nullable(of=of):
            return innermost(of)
        case Array(items=items):
            inner, suffix = innermost(items)
            return inner, "[]" + suffix
        case Map(values=values):
            inner, suffix = innermost(values)
            return inner, "{}" + suffix
        case Primitive() | Enum() | Record():
            return kind, ""


def named_types(record: Record) -> dict[str, Enum | Record]:
    """Return every record and enum of an event by fullname, each after what it is made of, itself last."""
    found: dict[str, Enum | Record] = {}
    for field in record.fields:
        inner, _ = innermost(field.type)
        if isinstance(inner, Record):
            found.update({name: kind for name, kind in named_types(inner).items() if name not in found})
        elif isinstance(inner, Enum):
            found.setdefault(inner.fullname, inner)
    found.setdefault(record.fullname, record)
    return found
