"""What may follow a released version: readers old and new get equal values, or `check` says why not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from schemas.catalog import load
from schemas.examples import decode, from_hex, read_json
from tests.contract.schema_folder import SchemaFolder, field

Schema = dict[str, Any]
SHIPPED = "oms.order.OrderShipped"


@pytest.fixture
def folder(tmp_path: Path) -> SchemaFolder:
    return SchemaFolder.released(tmp_path)


def add(name: str, **properties: object) -> Callable[[Schema], object]:
    return lambda schema: schema["fields"].append({"name": name, "doc": "Made up for a test.", **properties})


def follow(folder: SchemaFolder, change: Callable[[Schema], object], **example: object) -> list[str]:
    """Make the next version of OrderShipped and of its example; return what `check` says about it."""
    folder.edit(folder.schema("order/OrderShipped"), change)
    folder.edit(folder.example("order/OrderShipped"), lambda value: value.update(example))
    folder.generate()
    return folder.check()


def rewrite_example(folder: SchemaFolder, change: Callable[[Schema], object]) -> None:
    folder.edit(folder.example("order/OrderShipped"), change)


def test_release_freezes_schema_example_and_bytes_of_every_event(tmp_path: Path) -> None:
    folder = SchemaFolder.unreleased(tmp_path)
    frozen = folder.release()
    events = load(folder.path).events
    assert [path.parent.name for path in frozen] == list(events)
    for fullname, event in events.items():
        released = folder.path / "released" / fullname / "1.avsc"
        example = folder.path / "examples" / event.path.parent.name / f"{event.record.name}.json"
        assert released.read_bytes() == event.path.read_bytes()
        assert released.with_suffix(".json").read_bytes() == example.read_bytes()
        assert released.with_suffix(".hex").read_bytes() == example.with_suffix(".hex").read_bytes()
    assert all(line.released for line in load(folder.path).identities)
    assert folder.check() == []


def test_a_second_release_changes_nothing(folder: SchemaFolder) -> None:
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    assert folder.release() == []
    assert folder.generate() == []
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before


def test_a_change_before_the_release_stays_version_one_under_its_id(tmp_path: Path) -> None:
    folder = SchemaFolder.unreleased(tmp_path)
    before = load(folder.path).latest_identity(SHIPPED)
    assert follow(folder, add("weight_grams", type=["null", "long"], default=None), weight_grams=1200) == []
    now = load(folder.path).latest_identity(SHIPPED)
    assert before is not None
    assert now is not None
    assert (now.version, now.id) == (1, before.id)
    assert now.sha256 != before.sha256


def test_a_change_after_the_release_is_the_next_version_with_the_next_id(folder: SchemaFolder) -> None:
    ids = [line.id for line in load(folder.path).identities]
    assert follow(folder, add("weight_grams", type=["null", "long"], default=None), weight_grams=1200) == []
    now = load(folder.path).latest_identity(SHIPPED)
    assert now is not None
    assert (now.version, now.id, now.released) == (2, max(ids) + 1, False)
    assert [line.id for line in load(folder.path).identities][:-1] == ids
    assert folder.release() == [folder.path / "released" / SHIPPED / "2.avsc"]
    assert folder.check() == []


def test_a_later_version_reads_the_old_example_with_equal_values(folder: SchemaFolder) -> None:
    def grow(schema: Schema) -> None:
        add("weight_grams", type=["null", "long"], default=None)(schema)
        add("labels", type={"type": "array", "items": "string"}, default=[])(schema)

    assert follow(folder, grow, weight_grams=1200, labels=["fragile"]) == []
    catalog = load(folder.path)
    old = catalog.released[SHIPPED, 1]
    example = old.path.with_suffix(".json")
    found = decode(from_hex(example.with_suffix(".hex")), writer=old, reader=catalog.events[SHIPPED])
    assert found == {**read_json(example), "weight_grams": None, "labels": []}


def test_a_new_symbol_reads_as_the_default_in_the_old_version(folder: SchemaFolder) -> None:
    def storm(schema: Schema) -> None:
        field(schema, "reason")["type"]["symbols"].append("storm")

    folder.edit(folder.schema("order/OrderCancelled"), storm)
    folder.edit(folder.example("order/OrderCancelled"), lambda example: example.update(reason="storm"))
    folder.generate()
    assert folder.check() == []
    catalog = load(folder.path)
    new = catalog.events["oms.order.OrderCancelled"]
    frame = from_hex(catalog.example_json(new).with_suffix(".hex"))
    found = decode(frame, writer=new, reader=catalog.released["oms.order.OrderCancelled", 1])
    assert found["reason"] == "unknown"


def test_a_change_of_docs_makes_no_new_version(folder: SchemaFolder) -> None:
    assert follow(folder, lambda schema: schema.update(doc="A shipment is on its way.")) == []
    assert folder.release() == []


@pytest.mark.parametrize(
    "change",
    [
        lambda schema: field(schema, "complete").update(default=True),
        lambda schema: field(schema, "carrier").update(aliases=["carrier_name"]),
        lambda schema: schema.update(aliases=["oms.order.OrderSent"]),
        lambda schema: field(schema, "shipped_at").update(type="long"),
    ],
)
def test_what_changes_a_reading_but_not_the_canonical_form_makes_a_new_version(
    folder: SchemaFolder, change: Callable[[Schema], object]
) -> None:
    follow(folder, change)
    now = load(folder.path).latest_identity(SHIPPED)
    assert now is not None
    assert now.version == 2


def test_a_changed_default_of_an_enum_makes_a_new_version_and_is_refused(folder: SchemaFolder) -> None:
    folder.edit(
        folder.schema("order/OrderCancelled"),
        lambda schema: field(schema, "reason")["type"].update(default="other"),
    )
    folder.generate()
    [problem] = folder.check()
    assert "OrderCancelled.reason changed its enum default from unknown to other" in problem


def test_a_field_added_without_default_is_named(folder: SchemaFolder) -> None:
    found = follow(folder, add("weight_grams", type="long"), weight_grams=1200)
    assert any("OrderShipped.weight_grams was added without a default" in problem for problem in found)
    assert any("1.json" in problem and "cannot read it" in problem for problem in found)


def test_a_removed_field_without_default_is_named(folder: SchemaFolder) -> None:
    rewrite_example(folder, lambda example: example.pop("carrier"))
    found = follow(folder, lambda schema: schema["fields"].remove(field(schema, "carrier")))
    assert any("OrderShipped.carrier was removed" in problem for problem in found)
    assert any("readers of version 1 cannot read it" in problem for problem in found)


def test_a_removed_field_that_every_version_has_a_default_for_is_fine(folder: SchemaFolder) -> None:
    rewrite_example(folder, lambda example: example.pop("tracking_number"))
    assert follow(folder, lambda schema: schema["fields"].remove(field(schema, "tracking_number"))) == []


def test_a_renamed_field_is_named_even_with_an_alias(folder: SchemaFolder) -> None:
    rewrite_example(folder, lambda example: example.update(haulier=example.pop("carrier")))
    found = follow(
        folder, lambda schema: field(schema, "carrier").update(name="haulier", aliases=["carrier"], default="")
    )
    assert any("OrderShipped.carrier was removed" in problem for problem in found)


@pytest.mark.parametrize(
    ("change", "example", "words"),
    [
        ({"type": ["null", "string"], "default": None}, "x", "from string to nullable string"),
        ({"type": "long"}, 1, "from string to long"),
        ({"type": {"type": "string", "logicalType": "uuid"}}, "x", "from string to string (uuid)"),
        ({"type": {"type": "array", "items": "string"}}, ["x"], "from string to list of string"),
        ({"type": {"type": "map", "values": "long"}}, {"x": 1}, "from string to map of long"),
    ],
)
def test_a_changed_type_is_named(folder: SchemaFolder, change: Schema, example: object, words: str) -> None:
    found = follow(folder, lambda schema: field(schema, "carrier").update(change), carrier=example)
    assert any(
        "OrderShipped.avsc" in problem and f"OrderShipped.carrier changed its type {words}" in problem
        for problem in found
    )


def test_a_changed_type_deep_inside_is_named_with_its_path(folder: SchemaFolder) -> None:
    def change(schema: Schema) -> None:
        field(field(schema, "lines")["type"]["items"], "quantity")["type"] = "int"

    found = follow(folder, change)
    assert any("OrderShipped.lines[].quantity changed its type from long to int" in problem for problem in found)


def test_a_removed_symbol_is_named(folder: SchemaFolder) -> None:
    folder.edit(
        folder.schema("order/OrderCancelled"),
        lambda schema: field(schema, "reason")["type"]["symbols"].remove("customer_request"),
    )
    folder.edit(folder.example("order/OrderCancelled"), lambda example: example.update(reason="other"))
    folder.generate()
    found = folder.check()
    assert any("OrderCancelled.reason lost the symbol customer_request" in problem for problem in found)
    assert any("reads OrderCancelled.reason as 'unknown' instead of 'customer_request'" in problem for problem in found)


def test_a_renamed_nested_record_is_named(folder: SchemaFolder) -> None:
    found = follow(folder, lambda schema: field(schema, "lines")["type"]["items"].update(name="OrderShippedPosition"))
    assert any("OrderShipped.lines[] changed its type" in problem for problem in found)


@pytest.mark.parametrize("change", [{"topic": "inventory.events.v1"}, {"key": ["shipment_id"]}])
def test_a_moved_event_is_named(folder: SchemaFolder, change: Schema) -> None:
    found = follow(folder, lambda schema: schema.update(change))
    assert any("topic or key changed" in problem and "OrderShipped.avsc" in problem for problem in found)


def test_a_change_that_only_an_older_version_cannot_bear_is_named(folder: SchemaFolder) -> None:
    assert follow(folder, add("weight_grams", type=["null", "long"], default=None), weight_grams=1) == []
    folder.release()
    rewrite_example(folder, lambda example: example.pop("weight_grams"))
    assert follow(folder, lambda schema: schema["fields"].remove(field(schema, "weight_grams"))) == []
    folder.release()
    found = follow(folder, add("weight_grams", type=["null", "int"], default=None), weight_grams=1)
    assert any("against released version 2: OrderShipped.weight_grams changed its type" in one for one in found)
    assert not any("against released version 3" in one for one in found)


def test_a_default_that_rewrites_the_past_is_named(folder: SchemaFolder) -> None:
    assert follow(folder, add("parcels", type="long", default=1), parcels=2) == []
    folder.release()
    found = follow(folder, lambda schema: field(schema, "parcels").update(default=0))
    assert [
        problem
        for problem in found
        if "1.json" in problem and "reads OrderShipped.parcels as 0 instead of 1" in problem
    ]


@pytest.mark.parametrize("suffix", [".avsc", ".json", ".hex"])
def test_a_removed_released_file_is_named(folder: SchemaFolder, suffix: str) -> None:
    (folder.path / "released" / SHIPPED / "1.avsc").with_suffix(suffix).unlink()
    assert any(f"{SHIPPED}/1{suffix}" in problem and "missing" in problem for problem in folder.check())


def test_an_edited_released_schema_is_named(folder: SchemaFolder) -> None:
    folder.edit(folder.path / "released" / SHIPPED / "1.avsc", add("parcels", type="long", default=1))
    assert any(f"{SHIPPED}/1.avsc: was changed after its release" in problem for problem in folder.check())


def test_an_edited_released_example_is_named(folder: SchemaFolder) -> None:
    released = folder.path / "released" / SHIPPED / "1.json"
    folder.edit(released, lambda example: example.update(carrier="Another"))
    assert any(f"{SHIPPED}/1.json" in problem and "1.hex" in problem for problem in folder.check())


def test_bytes_of_a_released_version_are_not_generated_again(folder: SchemaFolder) -> None:
    rewrite_example(folder, lambda example: example.update(carrier="Another"))
    assert folder.generate() == []
    assert any("OrderShipped.json: its bytes" in problem for problem in folder.check())


def test_a_removed_released_id_is_named(folder: SchemaFolder) -> None:
    last = folder.last_id()["fullname"]
    folder.edit(folder.path / "ids.json", lambda lines: lines.pop())
    folder.generate()
    assert any(f"ids.json has no released {last}" in problem for problem in folder.check())


def test_two_swapped_ids_are_named(folder: SchemaFolder) -> None:
    def swap(lines: list[Schema]) -> None:
        lines[0]["id"], lines[1]["id"] = lines[1]["id"], lines[0]["id"]

    folder.edit(folder.path / "ids.json", swap)
    found = folder.check()
    assert any("BackInStock" in problem and "id 1073741825" in problem for problem in found)
    assert any("LowStockReached" in problem and "id 1073741824" in problem for problem in found)


def test_a_released_event_that_loses_its_schema_is_named(folder: SchemaFolder) -> None:
    folder.schema("order/OrderShipped").unlink()
    assert any("oms.order.OrderShipped version 1 has no current schema" in problem for problem in folder.check())


def test_a_version_after_an_unreleased_one_is_named(folder: SchemaFolder) -> None:
    lines = json.loads((folder.path / "ids.json").read_text(encoding="utf-8"))
    lines[-1]["released"] = False
    lines.append({**lines[-1], "version": 2, "id": lines[-1]["id"] + 1})
    (folder.path / "ids.json").write_text(json.dumps(lines), encoding="utf-8")
    assert any("follows a version that is not released" in problem for problem in folder.check())


def test_a_stray_file_among_the_released_is_named(folder: SchemaFolder) -> None:
    stray = folder.path / "released" / SHIPPED
    shutil.copyfile(stray / "1.avsc", stray / "latest.avsc")
    [problem] = folder.check()
    assert "latest.avsc: a released schema is named <version>.avsc" in problem
