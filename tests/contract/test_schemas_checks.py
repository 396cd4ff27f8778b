"""Every check of `python -m schemas check`, seen to fail, with a message that names the offender."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.schema_folder import CONTRACT, SchemaFolder, field

Schema = dict[str, Any]


@pytest.fixture
def folder(tmp_path: Path) -> SchemaFolder:
    return SchemaFolder.unreleased(tmp_path)


def complaint(folder: SchemaFolder, *words: str) -> str:
    """Return the one finding that holds all the words."""
    found = [problem for problem in folder.check() if all(word in problem for word in words)]
    assert len(found) == 1, f"{words} in {folder.check()}"
    return found[0]


def after(folder: SchemaFolder, event: str, change: Callable[[Schema], object]) -> SchemaFolder:
    """Change a schema and bring the generated files up to date, so that only the change itself is wrong."""
    folder.edit(folder.schema(event), change)
    folder.generate()
    return folder


def test_the_contract_of_this_repository_is_in_order() -> None:
    assert SchemaFolder(CONTRACT).check() == []


def test_a_fresh_copy_without_releases_is_in_order(folder: SchemaFolder) -> None:
    assert folder.check() == []


def test_generating_twice_writes_nothing_the_second_time(folder: SchemaFolder) -> None:
    folder.edit(folder.schema("order/OrderPlaced"), lambda schema: schema.update(doc="Placed, then."))
    assert folder.generate() == [folder.path / "contracts.py"]
    assert folder.generate() == []


def test_a_stale_contracts_module_is_named(folder: SchemaFolder) -> None:
    folder.edit_text("contracts.py", "order_number: str", "order_number: int")
    complaint(folder, "contracts.py", "is stale")


def test_a_stale_list_of_ids_is_named(folder: SchemaFolder) -> None:
    folder.edit(folder.schema("order/OrderPlaced"), lambda schema: field(schema, "locale").update(default="en-US"))
    complaint(folder, "ids.json", "is stale")


def test_a_file_that_is_no_schema_is_named(folder: SchemaFolder) -> None:
    folder.schema("order/OrderPlaced").write_text("{", encoding="utf-8")
    assert len(folder.check()) == 1
    complaint(folder, "OrderPlaced.avsc", "not a schema")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"type": ["string", "long"]}, "not one of the types"),
        ({"type": "double"}, "not a type of events"),
        ({"type": {"type": "long", "logicalType": "timestamp-millis"}}, "timestamp-millis"),
        ({"type": ["null", "string"]}, "has the default null"),
        ({"type": {"type": "array", "items": ["null", "string"]}}, "items of a list"),
        ({"pii": "yes"}, "pii is true or left out"),
        ({"pi": True}, "no property 'pi'"),
    ],
)
def test_a_field_of_a_kind_that_events_may_not_use_is_named(folder: SchemaFolder, change: Schema, problem: str) -> None:
    folder.edit(folder.schema("order/OrderPlaced"), lambda schema: field(schema, "locale").update(change))
    complaint(folder, "OrderPlaced.avsc", "OrderPlaced.locale", problem)


def test_a_record_a_field_and_an_enum_without_doc_are_named(folder: SchemaFolder) -> None:
    def silence(schema: Schema) -> None:
        schema["doc"] = ""
        del field(schema, "restock")["doc"]
        del field(schema, "reason")["type"]["doc"]

    after(folder, "order/OrderCancelled", silence)
    complaint(folder, "oms.order.OrderCancelled has no doc")
    complaint(folder, "OrderCancelled.restock has no doc")
    complaint(folder, "oms.order.OrderCancelledReason has no doc")


def test_personal_data_in_an_event_that_may_not_carry_it_is_named(folder: SchemaFolder) -> None:
    after(folder, "order/OrderConfirmed", lambda schema: field(schema, "customer_id").update(pii=True))
    complaint(folder, "OrderConfirmed.avsc", "OrderConfirmed.customer_id", "may not carry")


@pytest.mark.parametrize("name", ["customer_email", "phone", "address1", "last_name", "notes", "city", "ship_to"])
def test_a_field_that_is_personal_by_its_name_must_say_so(folder: SchemaFolder, name: str) -> None:
    folder.edit(folder.schema("order/OrderShipped"), lambda schema: field(schema, "carrier").update(name=name))
    complaint(folder, "OrderShipped.avsc", f"OrderShipped.{name}", "not marked")


@pytest.mark.parametrize("name", ["product_name", "variant_name", "notify_customer", "location", "customer_id"])
def test_a_field_that_is_not_personal_needs_no_mark(folder: SchemaFolder, name: str) -> None:
    folder.edit(
        folder.schema("notification/NotificationSent"), lambda schema: field(schema, "template").update(name=name)
    )
    assert not [problem for problem in folder.check() if "personal" in problem]


def test_a_field_whose_parts_are_personal_must_say_so(folder: SchemaFolder) -> None:
    def hide(schema: Schema) -> None:
        goes_to = field(schema, "ship_to")
        del goes_to["pii"]
        goes_to["name"] = "destination"

    folder.edit(folder.schema("order/OrderProcessingStarted"), hide)
    complaint(folder, "OrderProcessingStarted.destination", "not marked")


def test_a_key_that_is_personal_or_no_field_is_named(folder: SchemaFolder) -> None:
    after(folder, "order/OrderPlaced", lambda schema: schema.update(key=["customer_email", "lines"]))
    complaint(folder, "OrderPlaced.avsc", "key customer_email is personal data")
    complaint(folder, "OrderPlaced.avsc", "key lines is not a string field")


def test_an_event_without_a_key_is_named(folder: SchemaFolder) -> None:
    after(folder, "order/OrderPlaced", lambda schema: schema.pop("key"))
    complaint(folder, "OrderPlaced.avsc", "has no key")


def test_two_files_that_define_one_name_differently_are_named(folder: SchemaFolder) -> None:
    def borrow(schema: Schema) -> None:
        line = field(schema, "lines")["type"]["items"]
        line.update(name="OrderDeliveredLine", doc="Another one.")

    after(folder, "order/OrderShipped", borrow)
    complaint(folder, "OrderShipped.avsc", "OrderDeliveredLine", "differently", "OrderDelivered.avsc")


def test_one_event_in_two_files_is_named(folder: SchemaFolder) -> None:
    shutil.copyfile(folder.schema("order/OrderShipped"), folder.schema("order/OrderSent"))
    complaint(folder, "OrderShipped.avsc", "OrderSent.avsc", "defines oms.order.OrderShipped")


def test_two_events_that_would_be_one_class_are_named(folder: SchemaFolder) -> None:
    folder.schema("inventory/OrderShipped").write_text(
        folder.schema("order/OrderShipped").read_text(encoding="utf-8").replace("oms.order", "oms.inventory"),
        encoding="utf-8",
    )
    folder.generate()
    complaint(folder, "oms.order.OrderShipped and oms.inventory.OrderShipped would be one class")


def test_a_nested_record_that_is_not_named_after_its_event_is_named(folder: SchemaFolder) -> None:
    after(folder, "order/OrderShipped", lambda schema: field(schema, "lines")["type"]["items"].update(name="Line"))
    complaint(folder, "OrderShipped.avsc", "oms.order.Line is not named after its event")


def test_a_schema_in_the_wrong_place_is_named(folder: SchemaFolder) -> None:
    folder.schema("order/OrderShipped").rename(folder.schema("order/OrderSent"))
    complaint(folder, "OrderSent.avsc", "its place says oms.order.OrderSent")


def test_an_enum_without_default_is_named(folder: SchemaFolder) -> None:
    after(folder, "order/OrderCancelled", lambda schema: field(schema, "reason")["type"].pop("default"))
    complaint(folder, "OrderCancelled.avsc", "oms.order.OrderCancelledReason has no default")


def test_names_and_symbols_in_another_style_are_named(folder: SchemaFolder) -> None:
    def shout(schema: Schema) -> None:
        field(schema, "restock")["name"] = "reStock"
        field(schema, "reason")["type"]["symbols"].append("NO_MONEY")

    folder.edit(folder.schema("order/OrderCancelled"), shout)
    complaint(folder, "OrderCancelled.reStock is not a usable name")
    complaint(folder, "the symbol NO_MONEY is not lower case")


@pytest.mark.parametrize("name", ["at", "data", "key", "read_long", "to_bytes"])
def test_a_name_that_the_generated_class_needs_is_refused(folder: SchemaFolder, name: str) -> None:
    folder.edit(folder.schema("order/OrderCancelled"), lambda schema: field(schema, "restock").update(name=name))
    complaint(folder, f"OrderCancelled.{name} is not a usable name: the generated class needs it")


def test_a_missing_example_is_named(folder: SchemaFolder) -> None:
    folder.example("order/OrderShipped").unlink()
    complaint(folder, "OrderShipped.json", "is missing")
    assert folder.generate() == []


def test_an_example_that_belongs_to_no_event_is_named(folder: SchemaFolder) -> None:
    shutil.copyfile(folder.example("order/OrderShipped"), folder.example("order/OrderSent"))
    complaint(folder, "OrderSent.json", "belongs to no event")


@pytest.mark.parametrize(
    "change",
    [
        lambda example: example.pop("tracking_number"),
        lambda example: example.update(surprise=1),
        lambda example: example.update(complete="yes"),
        lambda example: example["lines"][0].update(quantity=1.5),
    ],
)
def test_an_example_that_does_not_fit_its_schema_is_named(
    folder: SchemaFolder, change: Callable[[Schema], object]
) -> None:
    folder.edit(folder.example("order/OrderShipped"), change)
    complaint(folder, "OrderShipped.json", "does not fit oms.order.OrderShipped")


def test_an_example_whose_bytes_are_not_its_json_is_named(folder: SchemaFolder) -> None:
    folder.edit(folder.example("order/OrderShipped"), lambda example: example.update(carrier="Another"))
    complaint(folder, "OrderShipped.json", "OrderShipped.hex", "are not those of its JSON")


def test_missing_bytes_of_an_example_are_named(folder: SchemaFolder) -> None:
    folder.example("order/OrderShipped").with_suffix(".hex").unlink()
    complaint(folder, "OrderShipped.hex", "is missing")


def test_an_unreadable_bytes_file_is_named(folder: SchemaFolder) -> None:
    folder.example("order/OrderShipped").with_suffix(".hex").write_text("no hex", encoding="ascii")
    complaint(folder, "OrderShipped.hex", "not bytes in hex")


def test_an_event_that_no_topic_lists_is_named(folder: SchemaFolder) -> None:
    folder.edit_text("topics.yaml", "      - OrderShipped\n", "")
    complaint(folder, "OrderShipped.avsc", "no topic of")


def test_an_event_of_a_topic_without_schema_is_named(folder: SchemaFolder) -> None:
    folder.edit_text("topics.yaml", "      - OrderShipped\n", "      - OrderShipped\n      - OrderLost\n")
    complaint(folder, "topics.yaml: order.events.v1", "lists oms.order.OrderLost, which has no schema")


def test_an_event_that_names_another_topic_is_named(folder: SchemaFolder) -> None:
    after(folder, "order/OrderShipped", lambda schema: schema.update(topic="inventory.events.v1"))
    complaint(folder, "order.events.v1", "oms.order.OrderShipped", "'inventory.events.v1'")


def test_an_event_listed_twice_is_named(folder: SchemaFolder) -> None:
    folder.edit_text("topics.yaml", "      - OrderShipped\n", "      - OrderShipped\n      - OrderShipped\n")
    complaint(folder, "topics.yaml: oms.order.OrderShipped is listed 2 times")


def test_order_and_inventory_events_with_unequal_partitions_are_named(folder: SchemaFolder) -> None:
    folder.edit_text("topics.yaml", "partitions: 12                     # as inv", "partitions: 24  # as inv")
    complaint(folder, "topics.yaml", "order.events.v1 has 24", "inventory.events.v1 has 12")


def test_a_delete_topic_without_segment_age_is_named(folder: SchemaFolder) -> None:
    folder.edit_text("topics.yaml", "      segment.ms:", "      segment.bytes:")
    complaint(folder, "order.requests.v1", "has no segment.ms")


def test_an_id_given_twice_is_named(folder: SchemaFolder) -> None:
    folder.edit(folder.path / "ids.json", lambda lines: lines[1].update(id=lines[0]["id"]))
    complaint(folder, "ids.json", "has the id 1073741824, which oms.inventory.BackInStock version 1 has already")


def test_an_id_out_of_line_is_named(folder: SchemaFolder) -> None:
    folder.edit(folder.path / "ids.json", lambda lines: lines[-1].update(id=7))
    complaint(folder, "ids.json", folder.last_id()["fullname"], "has the id 7 where")


def test_an_id_without_schema_is_named(folder: SchemaFolder) -> None:
    folder.schema("order/OrderShipped").unlink()
    complaint(folder, "ids.json", "oms.order.OrderShipped version 1 has no current schema")


def test_a_list_of_ids_that_is_none_is_named(folder: SchemaFolder) -> None:
    (folder.path / "ids.json").write_text(json.dumps([{"id": 1}]), encoding="utf-8")
    complaint(folder, "ids.json", "not a list of ids")


def test_a_topics_file_that_is_none_is_named(folder: SchemaFolder) -> None:
    folder.edit_text("topics.yaml", "owner: order", "owned_by: order")
    complaint(folder, "topics.yaml", "not a list of topics")
