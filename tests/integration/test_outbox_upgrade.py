"""A database is migrated while a build that is older goes on publishing and emitting."""

from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from services.chassis import migrate
from tests.support.eventually import eventually
from tests.support.kafka_log import read_topic, sequences
from tests.support.ledger import Ledger
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running

BEFORE = "ALTER TABLE outbox ALTER COLUMN headers TYPE jsonb USING headers::text::jsonb"
# As the build before wrote it.
OLD_INSERT = """
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, headers, sequence)
SELECT * FROM unnest($1 ::uuid[], $2 ::text[], $3 ::text[], $4 ::text[], $5 ::bytea[], $6 ::text[], $7 ::jsonb[],
                     $8 ::bigint[])
"""
OLD_CALL = """
EXECUTE old_insert ('{01a22970-414a-76d8-be5a-e7e8072589f7}', '{ledger}', '{B}', '{oms.inventory.StockReleased}',
                    '{"\\\\x00"}', :topics, '{"{}"}', '{1}')
"""


@pytest.fixture
def topic(kafka_server: str) -> Iterator[str]:
    with fresh_topics(kafka_server, "ledger") as (name,):
        yield name


@pytest.fixture
def ledger(topic: str) -> Ledger:
    return Ledger(writes=topic)


@pytest.fixture
def world(ledger: Ledger, kafka_server: str, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server, kafka_bootstrap_servers=kafka_server) as world:
        yield world


def test_a_relay_with_a_plan_of_the_old_headers_goes_on_after_the_migration(
    ledger: Ledger, world: World, topic: str, kafka_server: str
) -> None:
    world.rows(BEFORE)
    world.rows("UPDATE alembic_version_chassis SET version_num = 'chassis_0003'")
    with running(world.runtime.relay().run):
        for _ in range(8):  # more than it takes to prepare a plan
            world.deliver(ledger.confirmed("A"))
            eventually(world.outbox_is_empty, within=20)
        migrate.upgrade(world.runtime.engine, ledger.service.migrations, "folder")
        for _ in range(8):
            world.deliver(ledger.confirmed("A"))
        eventually(world.outbox_is_empty, within=20)
    assert sequences(read_topic(kafka_server, topic)) == {"A": list(range(1, 17))}
    assert world.one("SELECT pg_typeof(headers)::text FROM outbox RIGHT JOIN (SELECT) once ON true") == "json"


def test_a_plan_that_writes_headers_of_the_old_type_goes_on_after_the_migration(
    ledger: Ledger, world: World, topic: str
) -> None:
    world.rows(BEFORE)
    world.rows("UPDATE alembic_version_chassis SET version_num = 'chassis_0003'")
    with world.runtime.engine.connect() as connection:
        connection.exec_driver_sql(f"PREPARE old_insert AS {OLD_INSERT}")
        connection.commit()
        migrate.upgrade(world.runtime.engine, ledger.service.migrations, "folder")
        connection.exec_driver_sql(OLD_CALL.replace(":topics", f"'{{{topic}}}'"))
        connection.commit()
    assert world.one("SELECT headers, aggregateid FROM outbox") == ({}, "B")
