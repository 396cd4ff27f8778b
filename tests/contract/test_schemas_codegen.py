"""Every shape that a schema may have becomes a class that carries its values, whatever today's events use."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from schemas.catalog import load
from schemas.examples import FRAME_BYTES, decode, from_hex
from tests.contract.schema_folder import SchemaFolder

DOC = {"doc": 'Made up, with a \\ and """ and a "quote"'}
COLOUR = {"type": "enum", "name": "EverythingColour", "symbols": ["unknown", "red"], "default": "unknown", **DOC}
POINT = {
    "type": "record",
    "name": "EverythingPoint",
    "fields": [
        {"name": "x", "type": "int", **DOC},
        {"name": "colour", "type": ["null", "EverythingColour"], "default": None, **DOC},
    ],
    **DOC,
}
PATH = {
    "type": "record",
    "name": "EverythingPath",
    "fields": [{"name": "points", "type": {"type": "array", "items": "EverythingPoint"}, **DOC}],
    **DOC,
}
EVERYTHING = {
    "type": "record",
    "name": "Everything",
    "namespace": "oms.order",
    "topic": "order.events.v1",
    "key": ["id"],
    "fields": [
        {"name": "id", "type": "string", **DOC},
        {"name": "colour", "type": COLOUR, "default": "red", **DOC},
        {"name": "colours", "type": {"type": "array", "items": "EverythingColour"}, "default": [], **DOC},
        {"name": "origin", "type": POINT, **DOC},
        {"name": "target", "type": ["null", "EverythingPoint"], "default": None, **DOC},
        {"name": "paths", "type": {"type": "array", "items": PATH}, **DOC},
        {"name": "tags", "type": ["null", {"type": "array", "items": "string"}], "default": None, **DOC},
        {"name": "counts", "type": {"type": "map", "values": "long"}, "default": {}, **DOC},
        {"name": "sure", "type": "boolean", "default": False, **DOC},
        {"name": "word", "type": "string", "default": "it's", **DOC},
    ],
    **DOC,
}
EXAMPLE = {
    "id": "everything-1",
    "colour": "red",
    "colours": ["red", "unknown"],
    "origin": {"x": 1, "colour": "red"},
    "target": {"x": 2, "colour": None},
    "paths": [{"points": [{"x": 3, "colour": "red"}, {"x": 4, "colour": None}]}, {"points": []}],
    "tags": ["a", "b"],
    "counts": {"a": 1},
    "sure": True,
    "word": "yes",
}


@pytest.fixture
def folder(tmp_path: Path) -> SchemaFolder:
    folder = SchemaFolder.unreleased(tmp_path)
    for path, value in (
        (folder.schema("order/Everything"), EVERYTHING),
        (folder.example("order/Everything"), EXAMPLE),
    ):
        path.write_text("{}", encoding="utf-8")
        folder.edit(path, lambda content, value=value: content.update(value))
    folder.edit_text("topics.yaml", "      - OrderPlaced\n", "      - OrderPlaced\n      - Everything\n")
    folder.generate()
    return folder


@pytest.fixture
def contracts(folder: SchemaFolder) -> Iterator[ModuleType]:
    name = "contracts_with_everything"
    spec = importlib.util.spec_from_file_location(name, folder.path / "contracts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    yield module
    del sys.modules[name]


def test_a_folder_with_such_an_event_is_in_order(folder: SchemaFolder) -> None:
    assert folder.check() == []


@pytest.mark.parametrize("change", [{}, {"target": None, "tags": None, "colours": [], "counts": {}, "paths": []}])
def test_such_an_event_keeps_its_values_from_the_wire_and_back(
    folder: SchemaFolder, contracts: ModuleType, change: dict[str, Any]
) -> None:
    folder.edit(folder.example("order/Everything"), lambda example: example.update(change))
    folder.generate()
    schema = load(folder.path).events["oms.order.Everything"]
    frame = from_hex(folder.example("order/Everything").with_suffix(".hex"))
    event = contracts.Everything.from_avro(decode(frame, writer=schema, reader=schema))
    assert event.to_avro() == {**EXAMPLE, **change}
    assert event.to_bytes() == frame[FRAME_BYTES:]
    assert contracts.Everything.read(frame, FRAME_BYTES) == (event, len(frame))


def test_values_inside_are_of_the_generated_types(contracts: ModuleType) -> None:
    event = contracts.Everything.from_avro(EXAMPLE)
    red, unknown = contracts.EverythingColour.RED, contracts.EverythingColour.UNKNOWN
    assert event.colours == (red, unknown)
    assert event.paths[0].points == (
        contracts.EverythingPoint(x=3, colour=red),
        contracts.EverythingPoint(x=4, colour=None),
    )
    assert event.tags == ("a", "b")


def test_left_out_fields_have_the_defaults_of_the_schema(contracts: ModuleType) -> None:
    event = contracts.Everything(id="everything-1", origin=contracts.EverythingPoint(x=1), paths=())
    assert (event.colour, event.colours, event.target, event.tags) == (
        contracts.EverythingColour.RED,
        (),
        None,
        None,
    )
    assert (event.counts, event.sure, event.word) == ({}, False, "it's")


def test_a_doc_keeps_its_quotes_and_backslashes(contracts: ModuleType) -> None:
    assert DOC["doc"] in contracts.Everything.__doc__
    assert contracts.EverythingColour.__doc__ == DOC["doc"]
