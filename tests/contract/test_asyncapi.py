"""The AsyncAPI document is valid, and says what goes over the wire.

It is held against the specification's own JSON Schema, bindings included, which npm has and PyPI has not.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
from io import BytesIO
from typing import Any

import fastavro
import jsonschema_rs
import pytest

from deploy.documents import SERVICES, documents, event_readers
from schemas.catalog import load
from schemas.contracts import EVENTS, OrderPlaced
from schemas.examples import FRAME_BYTES, from_hex, read_json, without_logical_types
from services.chassis.avro import Codec, FolderSchemas
from services.chassis.connection import Engine
from services.chassis.events import Cause, from_micros
from services.chassis.health import Health
from services.chassis.outbox import Outbox
from services.chassis.relay import Relay, Waiting
from services.chassis.window import Window
from tests.contract.schema_folder import CONTRACT
from tests.support.references import references, resolve

Json = dict[str, Any]
DOCUMENT: Json = json.loads(documents()["asyncapi.json"])
CATALOG = load(CONTRACT)
SPECIFICATION = "@asyncapi/specs@6.11.1"
SPECIFICATION_SHA512 = "A3WBLqAKGoJ2+6FWFtpjBlCQ1oFCcs4GxF7zsIGvNqp/klGUHjlA3aAcZ9XMMpLGE8zPeYDz2x9FmO6DSuKraQ=="
NPM = shutil.which("npm")
MESSAGES: dict[str, Json] = DOCUMENT["components"]["messages"]
OPERATIONS: dict[str, Json] = DOCUMENT["operations"]
each_message = pytest.mark.parametrize("name", MESSAGES)


@pytest.fixture(scope="module")
def specification(tmp_path_factory: pytest.TempPathFactory) -> Json:
    if NPM is None:
        if os.environ.get("REQUIRE_NPM"):
            pytest.fail("npm is not here, and REQUIRE_NPM says that it has to be")
        pytest.skip("npm is not here, from which the specification's schema comes")
    folder = tmp_path_factory.mktemp("asyncapi")
    packed = subprocess.run([NPM, "pack", SPECIFICATION, "--silent"], cwd=folder, check=True, capture_output=True)
    package = folder / packed.stdout.decode().strip()
    assert base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode() == SPECIFICATION_SHA512
    with tarfile.open(package) as files:
        found = files.extractfile("package/schemas/3.0.0-without-$id.json")
        assert found is not None
        schema: Json = json.load(found)
    return schema


def test_the_document_fits_the_specification(specification: Json) -> None:
    faults = jsonschema_rs.validator_for(specification).iter_errors(DOCUMENT)

    assert [(fault.instance_path, fault.message[:200]) for fault in faults] == []


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))

    assert len(found) > len(MESSAGES)
    assert all(resolve(DOCUMENT, reference) for reference in found)


def test_every_event_is_a_message_of_its_topic_and_of_no_other() -> None:
    told = {
        (topic, name)
        for topic, channel in DOCUMENT["channels"].items()
        for name, reference in channel["messages"].items()
        if resolve(DOCUMENT, reference["$ref"])["name"] == name
    }

    assert told == {(event.TOPIC, fullname) for fullname, event in EVENTS.items()}
    assert set(MESSAGES) == set(EVENTS)


def test_every_operation_is_about_messages_of_its_own_channel() -> None:
    for operation in OPERATIONS.values():
        channel = operation["channel"]["$ref"]
        assert operation["messages"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")


def about(action: str) -> set[tuple[str, str]]:
    """Return (participant, event) of the operations of one kind."""
    return {
        (operation["tags"][0]["name"], message["$ref"].rpartition("/")[2])
        for operation in OPERATIONS.values()
        for message in operation["messages"]
        if operation["action"] == action
    }


def test_every_event_is_sent_by_its_producer() -> None:
    assert about("send") == {(fullname.split(".")[1], fullname) for fullname in EVENTS}


def test_every_service_receives_what_it_handles() -> None:
    assert about("receive") == {
        (reader.service, fullname) for reader in event_readers() for fullname in reader.reactions
    }
    assert {service.name for service in SERVICES} == {who for who, _ in about("receive")}


@each_message
def test_a_payload_decodes_the_golden_bytes_into_its_example(name: str) -> None:
    message = MESSAGES[name]
    frame = from_hex(CATALOG.example_json(CATALOG.events[name]).with_suffix(".hex"))
    (example,) = message["examples"]

    fastavro.parse_schema(message["payload"]["schema"])
    plain = fastavro.parse_schema(without_logical_types(message["payload"]["schema"]))
    decoded = fastavro.schemaless_reader(BytesIO(frame[FRAME_BYTES:]), plain)

    assert decoded == example["payload"]
    assert int.from_bytes(frame[1:FRAME_BYTES]) == message["x-schema-id"]


def headers_of(cause: Cause) -> dict[str, str]:
    """Return the headers that the relay would send with an OrderPlaced."""
    event = OrderPlaced.from_avro(read_json(CATALOG.example_json(CATALOG.events[OrderPlaced.FULLNAME])))
    outbox = Outbox(Codec(EVENTS, FolderSchemas(CONTRACT)), "order", 1_000_000)
    outbox.add(event, 7, cause, from_micros(1_772_442_904_231_077))
    (row,) = outbox._rows
    relay = Relay(
        engine=Engine("postgresql+psycopg2://nobody@nowhere/nothing", 1, "nobody"),
        producer=lambda: None,  # type: ignore[arg-type, return-value]
        source="/oms/order",
        health=Health(),
        window=Window(0.0),
        batch_max=1,
        flush_seconds=1,
    )
    columns = {**row._asdict(), "payload": memoryview(row.payload), "headers": json.loads(row.headers)}
    return {name: str(value) for name, value in relay._headers(Waiting(seq=1, **columns))}


def headers_schema(name: str) -> Json:
    """Return the schema of a message's headers, closed: a header that is not documented does not fit."""
    return {**MESSAGES[name]["headers"], "components": DOCUMENT["components"], "unevaluatedProperties": False}


@pytest.mark.parametrize("causation_id", [None, "019cadd4-669a-7c3e-91d5-0b7a4f2c6e89"])
def test_the_headers_that_the_relay_sends_are_those_of_the_document(causation_id: str | None) -> None:
    sent = headers_of(Cause(correlation_id="019cadd4-669a-7c3e-91d5-0b7a4f2c6e89", causation_id=causation_id))
    fits = jsonschema_rs.Draft202012Validator(headers_schema("oms.order.OrderPlaced"), validate_formats=True)

    assert [fault.message for fault in fits.iter_errors(sent)] == []
    for name in sent.keys() - {"ce_causationid"}:
        assert not fits.is_valid({key: value for key, value in sent.items() if key != name}), name
    assert not fits.is_valid({**sent, "ce_type": "oms.order.OrderShipped"})


def test_who_writes_from_outside_may_leave_all_headers_out() -> None:
    assert jsonschema_rs.Draft202012Validator(headers_schema("oms.storefront.OrderRequested")).is_valid({})


@pytest.mark.parametrize("topic", CATALOG.topics, ids=lambda topic: topic.name)
def test_the_consumers_that_a_topic_names_are_the_services_that_read_it(topic: Any) -> None:
    services = {service.name for service in SERVICES}

    assert {reader.service for reader in event_readers() if reader.topic == topic.name} == (
        services & set(topic.consumers)
    )
