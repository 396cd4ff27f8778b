"""What is wrong with a request, told all at once: pydantic's errors as rows with JSON Pointers and stable codes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from services.chassis.errors import Problem
from services.chassis.http.problems import refused
from services.chassis.http.shapes import words_for

Fault = Mapping[str, str]
Location = Sequence[str | int]
# More rows than a person reads, and than an answer should carry back for a small request.
_FAULTS_MAX = 50
_WRONG_TYPE = frozenset({"int_parsing", "float_parsing", "bool_parsing", "decimal_parsing", "int_from_float"})
_OUT_OF_RANGE = (
    "greater_than",
    "less_than",
    "too_long",
    "too_short",
    "string_too_long",
    "string_too_short",
    "multiple_of",
    "finite_number",
    "int_parsing_size",
    "decimal_max",
    "decimal_whole",
)

# What pydantic tells by the names that Python has for them.
_KINDS = {
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "timezone_aware": "must name its time zone, as 2026-01-31T12:00:00Z does",
}


class DescribesItself(Protocol):
    """A model class: `model_json_schema()` says which names it knows."""

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema."""


def body_faults(error: ValidationError, data: object, model: DescribesItself) -> list[Fault]:
    """Return the faults of a body.

    Args:
        error: what pydantic found.
        data: the body, parsed.
        model: the body's model.

    """
    schema = model.model_json_schema()
    rows: list[Fault] = []
    emptied: set[str] = set()
    for found in error.errors(include_url=False, include_input=False):
        place = _in_data(found, data)
        if found["type"] == "too_short":
            emptied.add(pointer(place))
        code = _code(found["type"], "field")
        valid = _names_at(schema, place[:-1]) if code == "unknown_field" else ()
        row = {"pointer": pointer(place), "code": code, "detail": _told(found, place, valid)}
        if row not in rows:
            rows.append(row)
    return [row for row in rows if not (row["pointer"] in emptied and _has_inner(row, rows))]


def _has_inner(row: Fault, rows: Sequence[Fault]) -> bool:
    """Tell whether a list only is too short because members that are faults themselves were not counted."""
    return any(other["pointer"].startswith(row["pointer"] + "/") for other in rows)


def parameter_faults(error: ValidationError, known: Sequence[str]) -> list[Fault]:
    """Return the faults of query or path parameters; `known` are the valid names."""
    return [
        {
            "parameter": str(found["loc"][0]) if found["loc"] else "",
            "code": _code(found["type"], "parameter"),
            "detail": _told(found, found["loc"], known),
        }
        for found in error.errors(include_url=False, include_input=False)
    ]


def parameter_fault(name: str, code: str, detail: str) -> Fault:
    """Return one fault of a parameter."""
    return {"parameter": name, "code": code, "detail": detail}


def invalid_request(faults: Sequence[Fault]) -> Problem:
    """Return the refusal that lists `faults`."""
    first = faults[0]
    detail = f"{first.get('parameter') or first.get('pointer') or 'body'}: {first['detail']}"
    if len(faults) > 1:
        detail += f" (and {len(faults) - 1} more, see errors)"
    return refused("invalid_request", detail, faults[:_FAULTS_MAX])


def nul_faults(data: object) -> Iterator[Fault]:
    """Yield a fault for each string, or name, with a NUL character: PostgreSQL stores none."""
    for place, text in _strings(data, ()):
        if "\x00" in text:
            yield {
                "pointer": pointer(place),
                "code": "invalid_value",
                "detail": "must not contain the NUL character (U+0000)",
            }


def pointer(place: Location) -> str:
    """Return the JSON Pointer (RFC 6901) of a place in a document."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in place)


def _in_data(found: ErrorDetails, data: object) -> Location:
    """Leave out of pydantic's location the names of union members, which are no part of the document."""
    place: list[str | int] = []
    node: Any = data
    for part in found["loc"]:
        missing = found["type"] == "missing" and isinstance(node, dict) and part == found["loc"][-1]
        if _holds(node, part):
            node = node[part]
        elif not missing:
            continue
        place.append(part)
    return place


def _holds(node: object, part: str | int) -> bool:
    if isinstance(node, dict):
        return part in node
    return isinstance(node, list) and isinstance(part, int) and part < len(node)


def _code(kind: str, part: str) -> str:
    if kind == "missing":
        return f"missing_{part}"
    if kind == "extra_forbidden":
        return f"unknown_{part}"
    if kind.startswith(_OUT_OF_RANGE):
        return "out_of_range"
    if kind.endswith("_type") or kind in _WRONG_TYPE:
        return "wrong_type"
    return "invalid_value"


def _told(found: ErrorDetails, place: Location, valid: Sequence[str]) -> str:
    if found["type"] == "extra_forbidden":
        return f"unknown name {str(place[-1])[:100]!r}; known here: {', '.join(valid) or 'none'}"
    if found["type"] == "missing":
        return "required, but missing"
    if found["type"] == "string_pattern_mismatch" and (words := words_for(found["ctx"]["pattern"])):
        return f"must be {words}"
    return _KINDS.get(found["type"]) or _counted(found) or found["msg"].removeprefix("Value error, ")


def _counted(found: ErrorDetails) -> str | None:
    """Return what a list of too few or too many items is told, None for other faults."""
    limits = {"too_short": ("at least", "min_length"), "too_long": ("at most", "max_length")}
    if found["type"] not in limits:
        return None
    bound, limit = limits[found["type"]]
    number, actual = found["ctx"][limit], found["ctx"]["actual_length"]
    # Of a map pydantic does not say how many it has.
    has = "more" if actual is None else actual
    return f"must have {bound} {number} {'entry' if number == 1 else 'entries'}, has {has}"


def _names_at(schema: dict[str, Any], place: Location) -> list[str]:
    """Return the names that the objects at a place of the document may have."""
    nodes = _objects(schema, schema)
    for part in place:
        # Of a union only some members are arrays: one that may be null has null beside it.
        children = [node.get("items", {}) if isinstance(part, int) else _member(node, part) for node in nodes]
        nodes = [found for child in children for found in _objects(child, schema)]
    return sorted({name for node in nodes for name in node.get("properties", {})})


def _member(node: dict[str, Any], name: str) -> dict[str, Any]:
    member = node.get("properties", {}).get(name, node.get("additionalProperties"))
    return member if isinstance(member, dict) else {}


def _objects(node: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas that a node stands for: itself, what it refers to, and the members of a union."""
    if "$ref" in node:
        return _objects(schema["$defs"][node["$ref"].rpartition("/")[2]], schema)
    members = [member for kind in ("anyOf", "oneOf", "allOf") for member in node.get(kind, ())]
    return [found for member in members for found in _objects(member, schema)] or [node]


def _strings(data: object, place: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    if isinstance(data, str):
        yield place, data
    elif isinstance(data, dict):
        for name, value in data.items():
            yield (*place, name), name
            yield from _strings(value, (*place, name))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _strings(value, (*place, index))
