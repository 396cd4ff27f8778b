"""What an operator sees of an event: nothing that its schema marks as personal, wherever it stands."""

from typing import Any

import fastavro
import pytest

from services.chassis.masking import masked


def record(name: str, *fields: dict[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": f"oms.test.{name}", "fields": list(fields)}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "doc": "a field", **more}


PERSON = record("Person", field("name", "string", pii=True), field("number", "long"))
SHOWN = {"name": "***", "number": 1}
ADA = {"name": "Ada", "number": 1}


def shown(value: Any, *kinds: Any) -> Any:
    """Return how the last of some fields with these types, the others being null, is shown."""
    fields = [field(f"f{n}", ["null", kind] if n < len(kinds) - 1 else kind) for n, kind in enumerate(kinds)]
    schema: Any = fastavro.parse_schema(record("Event", *fields))
    found: Any = masked({fields[-1]["name"]: value}, schema)
    return found[fields[-1]["name"]]


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (ADA, PERSON, SHOWN),
        (ADA, ["null", PERSON], SHOWN),
        (None, ["null", PERSON], None),
        ((ADA, ADA), {"type": "array", "items": PERSON}, [SHOWN, SHOWN]),
        ({"a": ADA}, {"type": "map", "values": ["null", PERSON]}, {"a": SHOWN}),
        ({"a": (ADA,)}, {"type": "map", "values": {"type": "array", "items": PERSON}}, {"a": [SHOWN]}),
        (ADA, [PERSON, {"type": "map", "values": "string"}], "***"),
        ("text", ["null", "string", "long"], "text"),
        (True, "boolean", True),
        (b"bytes", "bytes", "***"),
        ("A", {"type": "enum", "name": "oms.test.Enum", "symbols": ["A"]}, "A"),
        ("x" * 201, "string", "x" * 200 + "... (201 characters)"),
        (tuple(range(500)), {"type": "array", "items": "long"}, list(range(100))),
    ],
)
def test_what_is_personal_is_masked_wherever_it_stands_and_all_else_is_short(
    value: Any, kind: Any, expected: Any
) -> None:
    assert shown(value, kind) == expected


def test_a_type_that_is_named_again_is_masked_too() -> None:
    assert shown(ADA, PERSON, "oms.test.Person") == SHOWN
    assert shown((ADA,), PERSON, {"type": "array", "items": "oms.test.Person"}) == [SHOWN]


def test_a_field_that_is_personal_as_a_whole_is_masked_as_a_whole() -> None:
    schema: Any = fastavro.parse_schema(record("Event", field("person", PERSON, pii=True), field("none", "null")))
    assert masked({"person": ADA, "none": None}, schema) == {"person": "***", "none": None}
