"""Registry mode, and a registry that gives no schema: which record waits, which one is parked, what is told."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from schemas import contracts
from services.chassis.avro import Codec
from services.chassis.errors import RegistryAccessDenied, RegistryUnavailable, TransientError, UndecodableEvent
from services.chassis.events import new_id
from services.chassis.health import Reason
from services.chassis.runtime import Runtime
from tests.contract.schema_folder import CONTRACT
from tests.support.eventually import eventually
from tests.support.groups import consumer_of
from tests.support.kafka_log import write_records
from tests.support.ledger import TABLES, Ledger
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.stub_registry import FOREIGN_ID, StubRegistry, framed, knowing, looked_up, registry_of
from tests.support.threads import running

SHIPPED = contracts.OrderShipped.FULLNAME


@pytest.fixture
def stub() -> Iterator[StubRegistry]:
    with StubRegistry(looked_up) as stub:
        yield stub


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server) as world:
        yield world


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error_code": 50001, "message": "Error in the backend data store"}),
        (503, b"<html>busy</html>"),
        (404, b"<html>a proxy's own</html>"),
        (404, {"message": "no Route matched with those values"}),
        (408, {"error_code": 408, "message": "Request Timeout"}),
        (429, {"error_code": 429, "message": "Too Many Requests"}),
        (200, b"no JSON"),
        (200, []),
    ],
)
def test_a_registry_that_cannot_answer_is_no_fault_of_the_event(stub: StubRegistry, answer: tuple[int, object]) -> None:
    schemas = registry_of(stub.url)
    schemas.prepare()
    stub.answers = lambda _path: answer
    with pytest.raises(RegistryUnavailable, match=f"the schema registry at {stub.url}"):
        Codec(contracts.EVENTS, schemas).decode(framed(FOREIGN_ID), None)


@pytest.mark.parametrize(
    ("status", "error_code", "message"),
    [
        (404, 404, "HTTP 404 Not Found"),
        (400, 40001, "Invalid schema id"),
        (410, 41001, "Schema was deleted for good"),
        (422, 42201, "Invalid schema"),
    ],
)
def test_a_refusal_that_stays_parks_the_event_with_the_registry_s_words(
    stub: StubRegistry, status: int, error_code: int, message: str
) -> None:
    codec = Codec(contracts.EVENTS, registry_of(stub.url))
    stub.answers = lambda _path: (status, {"error_code": error_code, "message": message})
    for _ in range(3):
        with pytest.raises(UndecodableEvent, match=f"answers {status} for schema id {FOREIGN_ID}: {message}"):
            codec.decode(framed(FOREIGN_ID), None)
        assert codec.type_of(framed(FOREIGN_ID)) is None
    assert len(stub.asked) == 1


@pytest.mark.parametrize("schema_id", [0, 2**31, 2**32 - 1])
def test_an_id_that_no_registry_gives_is_undecodable_without_a_question(stub: StubRegistry, schema_id: int) -> None:
    """A registry's ids are positive and signed; asked for others it answers as for a path that it does not have."""
    codec = Codec(contracts.EVENTS, registry_of(stub.url))
    stub.answers = lambda _path: (404, {"error_code": 404, "message": "HTTP 404 Not Found"})
    with pytest.raises(
        UndecodableEvent, match=f"nobody registered schema id {schema_id} .* the same SCHEMA_REGISTRY_URL"
    ):
        codec.decode(framed(schema_id), None)
    assert codec.type_of(framed(schema_id)) is None
    assert stub.asked == []


@pytest.mark.parametrize("status", [401, 403])
def test_credentials_that_are_refused_later_are_told_with_address_and_settings(stub: StubRegistry, status: int) -> None:
    """And without the credentials, wherever they stand."""
    schemas = registry_of(stub.url.replace("//", "//ada:secret@"))
    schemas.prepare()
    stub.answers = lambda _path: (status, {"error_code": status * 100 + 1, "message": "User cannot access " * 50})
    with pytest.raises(RegistryAccessDenied) as denied:
        Codec(contracts.EVENTS, schemas).decode(framed(FOREIGN_ID), None)
    told = str(denied.value)[:300]  # of which the log shows no more
    for words in (
        f"{stub.url} answers {status}",
        "SCHEMA_REGISTRY_USERNAME",
        "SCHEMA_REGISTRY_PASSWORD",
        "User cannot",
    ):
        assert words in told
    assert "secret" not in str(denied.value)


def test_credentials_that_are_refused_do_not_count_as_a_try_of_what_is_parked(stub: StubRegistry) -> None:
    """An operator's command asks for schemas only when it meets an event."""
    stub.answers = lambda _path: (401, {"error_code": 40101, "message": "User cannot access"})
    with pytest.raises(RegistryAccessDenied):
        registry_of(stub.url).current(SHIPPED)


def test_an_event_whose_schema_cannot_be_asked_for_waits_and_parks_nothing(
    ledger: Ledger, world: World, stub: StubRegistry
) -> None:
    runtime = world.process(schema_registry_url=stub.url)
    runtime.schemas.prepare()
    processor = runtime.processor(runtime.subscriptions[-1])
    records = [world.record(ledger.confirmed("A")), world.record(ledger.confirmed("B"), headers={"ce_type": None})]
    foreign = records[1]._replace(value=framed(FOREIGN_ID, (records[1].value or b"")[5:]))
    batch = [records[0]._replace(value=runtime.codec.encode(ledger.confirmed("A"))), foreign]
    before = world.snapshot(*TABLES, "inbox", "parked_keys")
    stub.answers = lambda _path: (503, {})
    for _ in range(2):
        with pytest.raises(TransientError):
            processor.handle(batch)
        assert world.snapshot(*TABLES, "inbox", "parked_keys") == before

    stub.answers = knowing(json.loads((CONTRACT / "order/OrderConfirmed.avsc").read_text(encoding="utf-8")))
    processor.handle(batch)

    assert world.rows("SELECT key FROM entries ORDER BY key") == ["A", "B"]
    assert world.rows("SELECT FROM parked_keys") == []


@pytest.mark.parametrize(
    ("schema_id", "error"),
    [
        (2**31, f"undecodable: nobody registered schema id {2**31}"),
        (FOREIGN_ID, f"answers 404 for schema id {FOREIGN_ID}: HTTP 404 Not Found"),
    ],
)
def test_a_record_under_an_id_that_the_registry_refuses_for_good_is_parked_and_others_flow(
    ledger: Ledger, world: World, stub: StubRegistry, schema_id: int, error: str
) -> None:
    runtime = world.process(schema_registry_url=stub.url)
    runtime.schemas.prepare()
    stub.answers = lambda _path: (404, {"error_code": 404, "message": "HTTP 404 Not Found"})
    good, foreign = world.records([ledger.confirmed("A"), ledger.confirmed("B")])
    good = good._replace(value=runtime.codec.encode(ledger.confirmed("A")))
    foreign = foreign._replace(value=framed(schema_id, (foreign.value or b"")[5:]))

    runtime.processor(runtime.subscriptions[-1]).handle([foreign, good])

    assert world.rows("SELECT key FROM entries") == ["A"]
    key, told = world.one("SELECT key, error FROM parked_keys")
    assert key == "B"
    assert error in told


def test_a_consumer_whose_credentials_are_refused_says_so_and_goes_on_once_they_are_taken(
    kafka_server: str, postgres_server: Databases, stub: StubRegistry
) -> None:
    with fresh_topics(kafka_server, "ledger", partitions=1) as (topic,):
        ledger = Ledger(reads=topic, consumer=f"ledger-{new_id()}")
        with world_of(ledger.service, postgres_server, kafka_bootstrap_servers=kafka_server) as world:
            process = world.process(schema_registry_url=stub.url)
            process.schemas.prepare()
            stub.answers = lambda _path: (403, {"error_code": 40301, "message": "User is denied"})
            record = world.record(ledger.confirmed("A"))
            write_records(kafka_server, [record._replace(value=framed(FOREIGN_ID, (record.value or b"")[5:]))])
            with running(consumer_of(process).run):
                eventually(lambda: not_ready(process, Reason.REGISTRY_ACCESS_DENIED), within=20)
                source = (CONTRACT / "order/OrderConfirmed.avsc").read_text(encoding="utf-8")
                stub.answers = knowing(json.loads(source))
                eventually(lambda: not_ready(process), within=20)
                assert world.rows("SELECT key FROM entries") == ["A"]
            assert world.rows("SELECT FROM parked_keys") == []


def not_ready(process: Runtime[Any, Any], *reasons: str) -> None:
    found: Any = process.health.readyz().body["reasons"]
    assert [row["reason"] for row in found] == list(reasons)
