"""The registry that serves the folder: what Confluent's own client and deserializer make of it, and what it refuses."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext
from flask.testing import FlaskClient

from schemas.catalog import load
from schemas.examples import from_hex, read_json
from schemas.serve import MIME, create_app
from schemas.subjects import subject_versions
from tests.contract.schema_folder import CONTRACT, SchemaFolder
from tests.support.registry import client_of, folder_served, plain

CATALOG = load(CONTRACT)
LINES = {line.fullname: line for line in CATALOG.identities}
SHIPPED = "order.events.v1-oms.order.OrderShipped"
NEWEST = LINES["oms.order.OrderShipped"].version
VERSIONS = list(range(1, NEWEST + 1))
REQUESTS = sorted(
    f"{event.topic}-{name}" for name, event in CATALOG.events.items() if event.topic == "order.requests.v1"
)


@pytest.fixture(scope="module")
def registry() -> Iterator[str]:
    with folder_served() as url:
        yield url


@pytest.fixture(scope="module")
def confluent(registry: str) -> Iterator[SchemaRegistryClient]:
    with client_of(registry) as client:
        yield client


@pytest.fixture
def http() -> FlaskClient:
    return create_app(subject_versions(CATALOG)).test_client()


@pytest.mark.parametrize("fullname", sorted(CATALOG.events))
def test_confluents_deserializer_reads_every_golden_example(confluent: SchemaRegistryClient, fullname: str) -> None:
    event = CATALOG.events[fullname]
    example = CATALOG.example_json(event)
    context = SerializationContext(event.topic, MessageField.VALUE)
    found = AvroDeserializer(confluent)(from_hex(example.with_suffix(".hex")), context)
    assert plain(found) == read_json(example)


def test_confluents_serializer_writes_the_golden_bytes(confluent: SchemaRegistryClient) -> None:
    """A storefront's producer as it comes, auto-registration included: what is there already needs no writing."""
    event = CATALOG.events["oms.storefront.OrderRequested"]
    example = CATALOG.example_json(event)
    serialize = AvroSerializer(
        confluent,
        json.dumps(event.source, indent=1),
        conf={"subject.name.strategy": lambda context, name: f"{context.topic}-{name}"},
    )
    context = SerializationContext(event.topic, MessageField.VALUE)
    assert serialize(read_json(example), context) == from_hex(example.with_suffix(".hex"))


def test_confluents_client_finds_everything(confluent: SchemaRegistryClient) -> None:
    line = LINES["oms.order.OrderShipped"]
    schema = confluent.get_schema(line.id)
    latest = confluent.get_latest_version(SHIPPED)
    assert json.loads(schema.schema_str) == CATALOG.events["oms.order.OrderShipped"].source
    assert (latest.subject, latest.version, latest.schema_id) == (SHIPPED, NEWEST, line.id)
    assert confluent.lookup_schema(SHIPPED, schema).schema_id == line.id
    assert confluent.get_versions(SHIPPED) == VERSIONS
    assert [(place.subject, place.version) for place in confluent.get_schema_versions(line.id)] == [(SHIPPED, NEWEST)]
    assert confluent.get_subjects_by_schema_id(line.id) == [SHIPPED]
    assert sorted(confluent.get_subjects()) == sorted(
        f"{event.topic}-{fullname}" for fullname, event in CATALOG.events.items()
    )
    assert confluent.get_config(SHIPPED).compatibility_level == "FULL_TRANSITIVE"


def test_confluents_client_is_told_that_nothing_can_be_written(confluent: SchemaRegistryClient) -> None:
    with pytest.raises(SchemaRegistryError, match="read-only") as refused:
        confluent.register_schema(SHIPPED, Schema('{"type": "record", "name": "New", "fields": []}', "AVRO"))
    assert (refused.value.http_status_code, refused.value.error_code) == (422, 42205)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("/", {}),
        ("/livez", {"status": "ok"}),
        ("/readyz", {"status": "ok"}),
        ("/mode", {"mode": "READONLY"}),
        (f"/mode/{SHIPPED}", {"mode": "READONLY"}),
        ("/config", {"compatibilityLevel": "FULL_TRANSITIVE"}),
        ("/schemas/types", ["AVRO"]),
        ("/contexts", ["."]),
        ("/subjects?subjectPrefix=order.requests", REQUESTS),
        ("/subjects?subjectPrefix=:*:order.requests", REQUESTS),
        (f"/subjects/{SHIPPED}/versions/", VERSIONS),
        (f"/subjects/{SHIPPED}/versions/1/referencedby", []),
    ],
)
def test_a_path_answers_as_confluents_does(http: FlaskClient, path: str, content: object) -> None:
    answer = http.get(path)
    assert (answer.status_code, answer.mimetype, json.loads(answer.text)) == (200, MIME, content)


@pytest.mark.parametrize("version", [str(NEWEST), "latest", "-1"])
def test_the_newest_version_is_shown_whole_and_raw(http: FlaskClient, version: str) -> None:
    event, line = CATALOG.events["oms.order.OrderShipped"], LINES["oms.order.OrderShipped"]
    shown = json.loads(http.get(f"/subjects/{SHIPPED}/versions/{version}").text)
    assert (shown["subject"], shown["version"], shown["id"]) == (SHIPPED, NEWEST, line.id)
    assert json.loads(shown["schema"]) == event.source
    assert json.loads(http.get(f"/subjects/{SHIPPED}/versions/{version}/schema").text) == event.source
    assert json.loads(http.get(f"/schemas/ids/{line.id}/schema").text) == event.source
    assert shown in json.loads(http.get("/schemas?latestOnly=true").text)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/subjects/none/versions", None, 404, 40401),
        ("GET", "/config/none", None, 404, 40401),
        ("POST", "/subjects/none", {"schema": '"string"'}, 404, 40401),
        ("GET", f"/subjects/{SHIPPED}/versions/{NEWEST + 1}", None, 404, 40402),
        ("GET", f"/subjects/{SHIPPED}/versions/0", None, 422, 42202),
        ("GET", f"/subjects/{SHIPPED}/versions/{'9' * 30}", None, 422, 42202),
        ("GET", f"/subjects/{SHIPPED}/versions/newest", None, 422, 42202),
        ("GET", "/schemas/ids/1", None, 404, 40403),
        ("GET", "/schemas/ids/1/versions", None, 404, 40403),
        ("POST", f"/subjects/{SHIPPED}", {"schema": '"string"'}, 404, 40403),
        ("POST", f"/subjects/{SHIPPED}", {"schema": '{"type": "record", "name": 1}'}, 404, 40403),
        ("POST", f"/subjects/{SHIPPED}", {"schema": "[" * 100_000}, 422, 42201),
        ("POST", f"/subjects/{SHIPPED}", {"schema": "no schema"}, 422, 42201),
        ("POST", f"/subjects/{SHIPPED}", {"schema": '"string"', "schemaType": "JSON"}, 422, 42201),
        ("POST", f"/subjects/{SHIPPED}", {}, 422, 42201),
        ("POST", f"/subjects/{SHIPPED}", "text", 422, 42201),
        ("POST", "/subjects/new-value/versions", {"schema": '"string"'}, 422, 42205),
        ("DELETE", f"/subjects/{SHIPPED}", None, 422, 42205),
        ("DELETE", f"/subjects/{SHIPPED}/versions/1", None, 422, 42205),
        ("PUT", "/config", {"compatibility": "NONE"}, 422, 42205),
        ("PUT", f"/mode/{SHIPPED}", {"mode": "READWRITE"}, 422, 42205),
        ("PUT", "/subjects", None, 405, 405),
        ("GET", "/nothing", None, 404, 404),
    ],
)
def test_a_refusal_says_why_in_confluents_codes(
    http: FlaskClient, *, method: str, path: str, body: object, status: int, code: int
) -> None:
    answer = http.open(path, method=method, json=body)
    content = json.loads(answer.text)
    assert (answer.status_code, answer.mimetype, content["error_code"]) == (status, MIME, code)
    assert content["message"]


def test_a_schema_is_found_however_it_is_written_down(http: FlaskClient) -> None:
    """Java's clients put properties of their own into it and leave docs out."""
    source = json.loads(json.dumps(CATALOG.events["oms.order.OrderShipped"].source))
    for field in source["fields"]:
        if field["type"] == "string":
            field["type"] = {"type": "string", "avro.java.string": "String"}
    del source["doc"]
    answer = http.post(f"/subjects/{SHIPPED}", json={"schema": json.dumps(source, sort_keys=True)})
    assert json.loads(answer.text)["id"] == LINES["oms.order.OrderShipped"].id


def test_a_schema_that_reads_differently_is_another_one(http: FlaskClient) -> None:
    source = json.loads(json.dumps(CATALOG.events["oms.order.OrderShipped"].source))
    source["fields"][-1]["default"] = 0
    assert http.post(f"/subjects/{SHIPPED}", json={"schema": json.dumps(source)}).status_code == 404


def test_every_version_is_served_and_a_released_one_as_it_was_released(tmp_path: Path) -> None:
    folder = SchemaFolder.released(tmp_path)
    path = folder.schema("order/OrderShipped")
    first = json.loads(path.read_text(encoding="utf-8"))
    field = {"name": "weight_grams", "type": ["null", "long"], "default": None, "doc": "Weight."}
    folder.edit(path, lambda schema: schema["fields"].append(field))
    folder.edit(folder.example("order/OrderShipped"), lambda example: example.update(weight_grams=1200))
    folder.generate()
    http = create_app(subject_versions(load(folder.path))).test_client()
    assert json.loads(http.get(f"/subjects/{SHIPPED}/versions").text) == [1, 2]
    assert json.loads(http.get(f"/subjects/{SHIPPED}/versions/1/schema").text) == first
    latest = json.loads(http.get(f"/subjects/{SHIPPED}/versions/latest").text)
    assert latest["id"] > LINES["oms.order.OrderShipped"].id
    looked_up = http.post(f"/subjects/{SHIPPED}", json={"schema": json.dumps(first)})
    assert json.loads(looked_up.text)["version"] == 1


def test_a_folder_whose_ids_are_stale_is_not_served(tmp_path: Path) -> None:
    folder = SchemaFolder.copy(tmp_path)
    folder.edit(folder.path / "released/oms.order.OrderShipped/1.avsc", lambda schema: schema["fields"].pop())
    with pytest.raises(Exception, match=r"ids.json: oms.order.OrderShipped version 1 has no such schema"):
        subject_versions(load(folder.path))
