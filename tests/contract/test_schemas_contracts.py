"""The generated classes carry every event to the wire and back, unchanged."""

import dataclasses
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import pytest
import yaml

from schemas import contracts
from schemas.catalog import Schema, load
from schemas.contracts import EVENTS, NotificationFailed, NotificationSent, OrderCancelled, OrderCancelledReason
from schemas.examples import FRAME_BYTES, decode, encode, from_hex, read_json, without_logical_types
from tests.contract.schema_folder import CONTRACT

CATALOG = load(CONTRACT)
each_event = pytest.mark.parametrize("schema", CATALOG.events.values(), ids=CATALOG.events)


def example_of(schema: Schema) -> dict[str, Any]:
    return read_json(CATALOG.example_json(schema))


def test_every_event_of_the_contract_has_its_class() -> None:
    assert list(EVENTS) == list(CATALOG.events)
    assert {event.TOPIC for event in EVENTS.values()} == {topic.name for topic in CATALOG.topics}


@each_event
def test_an_example_becomes_an_event_and_the_same_record_again(schema: Schema) -> None:
    example = example_of(schema)
    event = EVENTS[schema.fullname].from_avro(example)
    assert json.dumps(event.to_avro()) == json.dumps(example)
    assert schema.fullname == event.FULLNAME
    assert schema.topic == event.TOPIC


@each_event
def test_an_event_makes_exactly_the_bytes_of_its_example(schema: Schema) -> None:
    event = EVENTS[schema.fullname].from_avro(example_of(schema))
    body = BytesIO()
    fastavro.schemaless_writer(
        body, fastavro.parse_schema(without_logical_types(schema.source)), event.to_avro(), strict=True
    )
    golden = from_hex(CATALOG.example_json(schema).with_suffix(".hex"))[FRAME_BYTES:]
    assert body.getvalue() == event.to_bytes() == golden
    assert type(event).read(golden, 0) == (event, len(golden))


@each_event
def test_the_bytes_of_an_example_carry_its_id_and_make_the_same_event(schema: Schema) -> None:
    example = CATALOG.example_json(schema)
    frame = from_hex(example.with_suffix(".hex"))
    line = CATALOG.latest_identity(schema.fullname)
    assert line is not None
    assert frame[:FRAME_BYTES] == b"\0" + line.id.to_bytes(4, "big")
    assert encode(schema, example, line.id) == frame
    record = decode(frame, writer=schema, reader=schema)
    event_class = EVENTS[schema.fullname]
    assert event_class.from_avro(record) == event_class.from_avro(read_json(example))


@each_event
def test_an_event_is_frozen_slotted_and_has_no_positional_arguments(schema: Schema) -> None:
    event_class = EVENTS[schema.fullname]
    event = event_class.from_avro(example_of(schema))
    first = schema.record.fields[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(event, first, "other")
    assert not hasattr(event, "__dict__")
    with pytest.raises(TypeError):
        event_class("positional")


@each_event
def test_every_field_is_explained_in_its_class(schema: Schema) -> None:
    doc = " ".join((EVENTS[schema.fullname].__doc__ or "").split())
    for field in schema.record.fields:
        assert f"{field.name}: {' '.join(field.doc.split())}" in doc


@each_event
def test_the_key_of_an_event_is_its_first_key_field_that_is_not_null(schema: Schema) -> None:
    example = example_of(schema)
    event = EVENTS[schema.fullname].from_avro(example)
    assert event.key == next(example[name] for name in schema.key if example[name] is not None)


def test_a_notification_about_nothing_has_no_key() -> None:
    sent = CATALOG.events[NotificationSent.FULLNAME]
    event = NotificationSent.from_avro({**example_of(sent), "order_id": None, "sku": None})
    with pytest.raises(ValueError, match="NotificationSent needs one of: order_id, sku"):
        _ = event.key


def test_a_notification_about_stock_is_keyed_by_its_sku() -> None:
    failed = CATALOG.events[NotificationFailed.FULLNAME]
    assert NotificationFailed.from_avro(example_of(failed)).key == example_of(failed)["sku"]


def test_symbols_become_members_of_their_enum() -> None:
    cancelled = CATALOG.events[OrderCancelled.FULLNAME]
    event = OrderCancelled.from_avro(example_of(cancelled))
    assert event.reason is OrderCancelledReason.CUSTOMER_REQUEST


def test_every_reason_to_ask_for_a_cancellation_is_one_that_a_cancelled_order_has() -> None:
    asked = {reason.value for reason in contracts.OrderCancellationRequestedReason}
    assert asked < {reason.value for reason in OrderCancelledReason}


def test_a_refusal_from_before_requests_had_types_is_that_of_an_order() -> None:
    name = contracts.OrderRequestRejected.FULLNAME
    before, now = CATALOG.released[name, 1], CATALOG.events[name]
    frame = from_hex(before.path.with_suffix(".hex"))
    event = contracts.OrderRequestRejected.from_avro(decode(frame, writer=before, reader=now))
    assert (event.request_type, event.order_id) == (contracts.OrderRequestRejectedRequestType.ORDER, None)


def test_what_is_told_of_an_order_names_it_and_has_its_key() -> None:
    about_requests = contracts.OrderRequestRejected.FULLNAME
    for fullname, schema in CATALOG.events.items():
        if schema.topic == "order.events.v1" and fullname != about_requests:
            names = [field.name for field in schema.record.fields]
            assert names[:2] == ["order_id", "order_number"], fullname
            assert schema.key == ("order_id",), fullname


def test_defaults_of_the_schema_are_defaults_of_the_class() -> None:
    requested = contracts.OrderRequested(
        request_id="web-1",
        items=(contracts.OrderRequestedItem(sku="MUG-350", quantity=1),),
        shipping_address=contracts.OrderRequestedAddress(
            first_name="Mara",
            last_name="Beispiel",
            address1="Musterstraße 12",
            city="Berlin",
            postal_code="10115",
            country_code="DE",
        ),
    )
    assert (requested.metadata, requested.discounts, requested.billing_address) == ({}, (), None)
    assert contracts.OrderRequested.from_avro(requested.to_avro()) == requested


def test_every_id_that_we_make_is_a_uuid_of_version_7_in_the_examples() -> None:
    for schema in CATALOG.events.values():
        for name, value in example_of(schema).items():
            field = schema.record.field(name)
            assert field is not None
            if getattr(field.type, "logical", None) == "uuid":
                assert value[14] == "7", f"{schema.path}: {name}"


def test_topics_are_safe_to_lose_a_broker_and_run_on_a_single_one() -> None:
    declared = yaml.safe_load((Path(CONTRACT) / "topics.yaml").read_text(encoding="utf-8"))
    assert declared["local"] == {"replication": 1, "config": {"min.insync.replicas": 1}}
    for topic in CATALOG.topics:
        assert (topic.partitions, topic.replication) == (12, 3)
        assert topic.config["min.insync.replicas"] == 2
        assert topic.config["unclean.leader.election.enable"] is False
