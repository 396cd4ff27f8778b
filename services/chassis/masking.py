"""A decoded event as an operator may see it: what its schema marks as personal (`pii`) is masked, all else shortened.

Invariant: when in doubt it is masked. What is not marked may still come from a stranger and have any length.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from services.chassis.avro import Parsed

MASK = "***"
_CHARACTERS, _ENTRIES = 200, 100


def masked(event: Mapping[str, object], schema: Parsed) -> object:
    """Return an event in types that JSON has.

    Args:
        event: as its Avro record.
        schema: its schema, with the `pii` of its fields.

    """
    return _shown(event, schema, dict(_named_types(schema)))


def shortened(text: str) -> str:
    """Return a text that is bounded in length, and shows where it was cut."""
    return text if len(text) <= _CHARACTERS else f"{text[:_CHARACTERS]}... ({len(text)} characters)"


def _shown(value: object, schema: Any, names: Mapping[str, Parsed]) -> object:
    kind = _resolved(schema, names)
    if isinstance(kind, list):
        return _shown_branch(value, kind, names)
    if isinstance(value, Mapping) and kind["type"] == "record":
        return {field["name"]: _shown_field(value.get(field["name"]), field, names) for field in kind["fields"]}
    if isinstance(value, Mapping) and kind["type"] == "map":
        pairs = list(value.items())[:_ENTRIES]
        return {shortened(name): _shown(part, kind["values"], names) for name, part in pairs}
    if isinstance(value, list | tuple) and kind["type"] == "array":
        return [_shown(part, kind["items"], names) for part in value[:_ENTRIES]]
    if isinstance(value, str):
        return shortened(value)
    return value if value is None or isinstance(value, bool | int | float) else MASK


def _shown_field(value: object, field: Mapping[str, Any], names: Mapping[str, Parsed]) -> object:
    if value is None:
        return None
    return MASK if field.get("pii") else _shown(value, field["type"], names)


def _shown_branch(value: object, branches: list[Any], names: Mapping[str, Parsed]) -> object:
    if not isinstance(value, Mapping | list | tuple):
        return _shown(value, "string", names)
    parts = [branch for branch in branches if _resolved(branch, names)["type"] in {"record", "map", "array"}]
    return _shown(value, parts[0], names) if len(parts) == 1 else MASK


def _resolved(schema: Any, names: Mapping[str, Parsed]) -> Any:
    """Return a schema as a union's list or as a mapping with a `type` that is a word."""
    if isinstance(schema, str):
        return names.get(schema, {"type": schema})
    if isinstance(schema, dict) and not isinstance(schema["type"], str):
        return _resolved(schema["type"], names)
    return schema


def _named_types(schema: Any) -> Iterator[tuple[str, Parsed]]:
    if isinstance(schema, list):
        for branch in schema:
            yield from _named_types(branch)
    elif isinstance(schema, dict):
        if "name" in schema:
            yield schema["name"], schema
        inner = [field["type"] for field in schema.get("fields", ())]
        for part in (*inner, *(schema.get(at) for at in ("type", "items", "values"))):
            yield from _named_types(part)
