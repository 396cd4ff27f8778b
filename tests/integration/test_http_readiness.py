"""When an API is ready: a database at its schema, a catalog that was read once, room in the outbox; never Kafka."""

import dataclasses
import re
from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from services.chassis.http.assembly import assemble
from services.chassis.incoming import Subscription
from tests.support.ledger import Ledger
from tests.support.services import World, world_of

SEEN = "INSERT INTO consumer_progress VALUES ('catalog', 'catalog', {partition}, 0, {at})"
EMITTED = """
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, headers, sequence)
SELECT gen_random_uuid(), 'a', 'k', 't', '', 'topic', '{}', 1 FROM generate_series(1, :count)
"""


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    subscriptions = [Subscription("catalog", {}, foreign={}, projection=True)]
    service = dataclasses.replace(Ledger().service, subscriptions=lambda _settings: subscriptions)
    with world_of(service, postgres_server, outbox_max_rows=3) as world:
        yield world


@pytest.fixture
def ready(world: World) -> World:
    """A world whose API is ready."""
    assemble(world.runtime)
    world.rows(SEEN.format(partition=0, at="now()"))
    world.not_ready_for()
    return world


def test_an_api_is_ready_once_its_catalog_was_read_to_the_end(world: World) -> None:
    client = assemble(world.runtime).test_client()
    world.not_ready_for("catalog_loading")
    world.rows(SEEN.format(partition=0, at="now()"))
    world.rows(SEEN.format(partition=1, at="NULL"))
    world.not_ready_for("catalog_loading")
    world.rows("UPDATE consumer_progress SET caught_up_at = now()")
    assert client.get("/readyz").get_json() == {"status": "ready", "reasons": []}


def test_a_catalog_that_falls_behind_is_still_a_catalog(ready: World) -> None:
    ready.rows("UPDATE consumer_progress SET caught_up_at = NULL")
    ready.not_ready_for()


def test_an_api_is_not_ready_while_its_database_is_away_and_again_afterwards(ready: World) -> None:
    with ready.database_away():
        ready.not_ready_for("database_unreachable")
    ready.not_ready_for()


def test_an_api_is_not_ready_on_a_schema_behind_its_build(world: World) -> None:
    world.rows(SEEN.format(partition=0, at="now()"))
    world.rows("DELETE FROM alembic_version_chassis")
    assemble(world.runtime)
    world.not_ready_for("migrations_pending", "catalog_loading")


def test_an_api_is_not_ready_while_its_outbox_is_full(ready: World) -> None:
    ready.rows(EMITTED, count=3)
    ready.not_ready_for("outbox_full")
    ready.rows("DELETE FROM outbox WHERE seq = (SELECT max(seq) FROM outbox)")
    ready.not_ready_for()


def test_gaps_in_the_numbers_of_the_outbox_do_not_fill_it(ready: World) -> None:
    ready.rows(EMITTED, count=9)
    ready.rows("DELETE FROM outbox WHERE seq NOT IN ((SELECT min(seq) FROM outbox), (SELECT max(seq) FROM outbox))")
    ready.not_ready_for()


def test_what_an_api_tells_of_its_own_stands_in_its_metrics(ready: World) -> None:
    client = assemble(ready.process()).test_client()
    told = client.get("/metrics").text
    assert re.search(r'^oms_build_info\{build_id=".+",service="ledger",version="0.1.0"\} 1.0$', told, re.MULTILINE)
    assert 'oms_db_pool_connections{state="idle"}' in told
