"""Registry mode: ids come from a registry, known before anything is written."""

import json
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.local.databases import Databases
from schemas import contracts
from schemas.examples import from_hex
from services.chassis import migrate
from services.chassis.avro import Codec, FolderSchemas
from services.chassis.connection import Engine
from services.chassis.database import transaction
from services.chassis.errors import (
    RegistryUnavailable,
    SchemaMismatch,
    SettingsError,
    UndecodableEvent,
)
from services.chassis.registry import RegistrySchemas
from tests.contract.schema_folder import CONTRACT, SchemaFolder
from tests.support.ledger import Ledger
from tests.support.registry import folder_served
from tests.support.services import World, world_of
from tests.support.stub_registry import (
    EVENT,
    FOREIGN_ID,
    StubRegistry,
    framed,
    knowing,
    looked_up,
    registry_of,
    self_signed,
)
from tests.support.writing import write

NOWHERE = "http://127.0.0.1:1"
SHIPPED = contracts.OrderShipped.FULLNAME
SHIFT = 1000


@pytest.fixture
def stub() -> Iterator[StubRegistry]:
    with StubRegistry(looked_up) as stub:
        yield stub


def test_events_are_written_and_read_under_the_ids_of_the_registry(tmp_path: Path) -> None:
    folder = SchemaFolder.copy(tmp_path)
    folder.edit(folder.path / "ids.json", lambda lines: [line.update(id=line["id"] - SHIFT) for line in lines])
    with folder_served(folder.path) as url:
        schemas = registry_of(url)
        schemas.prepare()
    codec = Codec(contracts.EVENTS, schemas)
    wanted = FolderSchemas(CONTRACT).current(SHIPPED).id - SHIFT

    value = codec.encode(EVENT)

    assert value == framed(wanted)
    assert codec.type_of(value) == SHIPPED
    assert codec.decode(value, SHIPPED) == EVENT


def test_once_the_ids_are_known_writing_asks_the_registry_nothing(stub: StubRegistry) -> None:
    schemas = registry_of(stub.url)
    schemas.prepare()
    assert len(stub.asked) == len(contracts.EVENTS)
    schemas.prepare()
    codec = Codec(contracts.EVENTS, schemas)
    assert codec.decode(codec.encode(EVENT), None) == EVENT
    assert len(stub.asked) == len(contracts.EVENTS)


def test_schemas_that_are_not_registered_are_named_with_what_to_do(tmp_path: Path) -> None:
    folder = SchemaFolder.copy(tmp_path)
    folder.edit(folder.path / "ids.json", lambda lines: lines.pop())
    with folder_served(folder.path) as url, pytest.raises(SchemaMismatch) as refused:
        registry_of(url).prepare()
    assert "lacks order.requests.v1-oms.storefront.PaymentReported as in this build" in str(refused.value)
    assert "make schemas-register" in str(refused.value)


def test_what_a_newer_producer_wrote_is_fetched_once(tmp_path: Path) -> None:
    folder = SchemaFolder.released(tmp_path)
    field = {"name": "weight_grams", "type": ["null", "long"], "default": None, "doc": "Weight."}
    folder.edit(folder.schema("order/OrderShipped"), lambda schema: schema["fields"].append(field))
    folder.edit(folder.example("order/OrderShipped"), lambda example: example.update(weight_grams=1200))
    folder.generate()
    newer = from_hex(folder.example("order/OrderShipped").with_suffix(".hex"))
    with folder_served(folder.path) as url:
        schemas = registry_of(url)
        schemas.prepare()
        codec = Codec(contracts.EVENTS, schemas)
        assert codec.decode(newer, SHIPPED) == EVENT
    assert codec.decode(newer, SHIPPED) == EVENT  # the registry is away now


def test_an_id_that_nobody_registered_is_undecodable_and_asked_for_again_only_later(stub: StubRegistry) -> None:
    now = 100.0
    schemas = RegistrySchemas(CONTRACT, {"url": stub.url}, clock=lambda: now)
    codec = Codec(contracts.EVENTS, schemas)
    for _ in range(3):
        with pytest.raises(UndecodableEvent, match=f"nobody registered schema id {FOREIGN_ID}"):
            codec.decode(framed(FOREIGN_ID), None)
    assert len(stub.asked) == 1
    stub.answers = knowing(json.loads((CONTRACT / "order/OrderShipped.avsc").read_text(encoding="utf-8")))
    now += 11
    assert codec.decode(framed(FOREIGN_ID), None) == EVENT


@pytest.mark.parametrize(
    "schema",
    [
        "no JSON",
        "[" * 100_000,
        '"string"',
        {"type": "record", "name": "OrderShipped"},
        {"type": "record", "name": "A", "fields": [{"name": "a", "type": "Nobody"}]},
        {"type": "record", "namespace": "oms.order", "name": "OrderShipped", "fields": []},
        {"type": "record", "name": "Stranger", "fields": []},
    ],
)
def test_a_schema_that_is_none_of_our_events_is_undecodable(stub: StubRegistry, schema: object) -> None:
    stub.answers = knowing(schema)
    with pytest.raises(UndecodableEvent):
        Codec(contracts.EVENTS, registry_of(stub.url)).decode(framed(FOREIGN_ID), None)


def test_a_type_header_that_is_not_the_registered_schema_s_is_refused(stub: StubRegistry) -> None:
    stub.answers = knowing(json.loads((CONTRACT / "order/OrderShipped.avsc").read_text(encoding="utf-8")))
    with pytest.raises(UndecodableEvent, match=r"ce_type says oms\.order\.OrderPlaced"):
        Codec(contracts.EVENTS, registry_of(stub.url)).decode(framed(FOREIGN_ID), "oms.order.OrderPlaced")


def test_credentials_are_sent_and_their_refusal_ends_the_start(stub: StubRegistry) -> None:
    access = {"basic.auth.user.info": "ada:secret"}
    registry_of(stub.url, **access).prepare()
    assert set(stub.authorizations) == {"Basic " + b64encode(b"ada:secret").decode()}
    stub.answers = lambda _path: (401, {"error_code": 40101, "message": "User cannot access"})
    with pytest.raises(SettingsError, match=r"401 \(SCHEMA_REGISTRY_USERNAME.*\): User cannot"):
        registry_of(stub.url, **access).prepare()


def test_an_authority_that_is_not_there_ends_the_start() -> None:
    with pytest.raises(SettingsError, match="SCHEMA_REGISTRY_"):
        registry_of(NOWHERE, **{"ssl.ca.location": "/nowhere/ca.pem"}).prepare()


def test_a_registry_behind_tls_is_trusted_by_the_authority_that_is_named(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path / "registry.pem")
    with StubRegistry(looked_up, certificate) as stub:
        with pytest.raises(RegistryUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            registry_of(stub.url).prepare()
        registry_of(stub.url, **{"ssl.ca.location": str(certificate)}).prepare()


# --- in a service


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    """A database that was begun in folder mode."""
    with world_of(ledger.service, postgres_server) as world:
        yield world


def test_a_process_of_the_other_mode_is_refused(world: World, stub: StubRegistry) -> None:
    world.runtime.require_schema()
    with pytest.raises(SchemaMismatch) as refused:
        world.process(schema_registry_url=stub.url).require_schema()
    for words in ("from the folder", "from a registry", "SCHEMA_REGISTRY_URL", "new databases and topics"):
        assert words in str(refused.value)


def test_a_database_begun_with_a_registry_takes_no_ids_of_the_folder(world: World, stub: StubRegistry) -> None:
    world.rows("UPDATE facts SET value = 'registry' WHERE name = 'schema_mode' RETURNING value")
    world.process(schema_registry_url=stub.url).require_schema()
    with pytest.raises(SchemaMismatch, match="begun with schema ids from a registry"):
        world.runtime.require_schema()


def test_an_api_whose_database_was_away_at_its_start_writes_nothing_in_the_wrong_mode(
    world: World, stub: StubRegistry
) -> None:
    commands = world.process(schema_registry_url=stub.url).commands()
    with pytest.raises(SchemaMismatch):
        write(commands, "A", "one")
    assert world.rows("SELECT FROM outbox") == []


def test_of_two_first_migrations_in_different_modes_one_is_refused(postgres_server: Databases) -> None:
    database = postgres_server.ensure_database("modes_race", owner="modes_race")
    engine = Engine(database.url, 8, "test")
    migrations = Ledger().service.migrations

    def begin(mode: str) -> str:
        migrate.upgrade(engine, migrations, mode)
        with transaction(engine) as connection:
            try:
                migrate.ModeGuard(mode).require(connection)
            except SchemaMismatch:
                return "refused"
            return "begun"

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(begin, ["folder", "registry"] * 4))
    engine.dispose()
    postgres_server.drop_database(database.name)
    assert sorted(outcomes) == ["begun"] * 4 + ["refused"] * 4
    assert len(set(outcomes[::2])) == len(set(outcomes[1::2])) == 1
