"""A database is migrated while a build that is older goes on publishing and emitting."""

from collections.abc import Iterator

import psycopg2
import pytest

from deploy.local.databases import Databases
from services.chassis import migrate, sending
from services.chassis.database import RELAY_LOCK, session, try_session_lock
from services.chassis.statements import sql
from tests.support.election import leaders
from tests.support.eventually import eventually
from tests.support.kafka_log import read_topic, sequences
from tests.support.ledger import Ledger
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running

BEFORE = """
ALTER TABLE outbox ALTER COLUMN headers TYPE jsonb USING headers::text::jsonb;
UPDATE alembic_version_chassis SET version_num = 'chassis_0003'
"""
# As the build before wrote events.
OLD_INSERT = """
PREPARE old_insert AS
WITH added AS (
    INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, headers, sequence)
    SELECT * FROM unnest($1 ::uuid[], $2 ::text[], $3 ::text[], $4 ::text[], $5 ::bytea[], $6 ::text[], $7 ::jsonb[],
                         $8 ::bigint[]))
SELECT pg_notify(channel, '') FROM unnest($9 ::text[]) channel
"""
OLD_CALL = """
EXECUTE old_insert ('{01a22970-414a-76d8-be5a-e7e8072589f7}', '{ledger}', '{B}', '{oms.inventory.StockReleased}',
                    '{"\\\\x00"}', '{ledger}', '{"{}"}', '{1}', '{outbox}')
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
    ledger: Ledger, world: World, topic: str, kafka_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "_LIVES_SECONDS", 60.0)  # or the plan might be let go just before the migration
    world.rows(BEFORE)
    with running(world.runtime.relay().run):
        for _ in range(8):  # more than it takes to make a plan
            world.deliver(ledger.confirmed("A"))
            eventually(world.outbox_is_empty, within=20)
        led = leaders(world)
        migrate.upgrade(world.runtime.engine, ledger.service.migrations, "folder")
        for _ in range(8):
            world.deliver(ledger.confirmed("A"))
        eventually(world.outbox_is_empty, within=20)
        assert len(led) == 1
        assert leaders(world) != led
    assert sequences(read_topic(kafka_server, topic)) == {"A": list(range(1, 17))}


def test_the_migration_does_not_wait_for_a_relay_that_waits_for_the_broker(ledger: Ledger, world: World) -> None:
    world.rows(BEFORE)
    world.deliver(ledger.confirmed("A"))
    with session(world.runtime.engine) as relay:
        assert try_session_lock(relay, RELAY_LOCK)
        relay.execute(sql("DELETE FROM outbox"))
        migrate.upgrade(world.process().engine, ledger.service.migrations, "folder")
        with pytest.raises(psycopg2.OperationalError):
            relay.execute(sql("SELECT"))
    assert world.rows("SELECT count(*) FROM outbox") == [1]


def test_a_plan_that_writes_headers_of_the_old_type_goes_on_after_the_migration(ledger: Ledger, world: World) -> None:
    world.rows(BEFORE)
    with world.runtime.engine.connect() as connection:
        connection.execute(sql(OLD_INSERT))
        connection.execute(sql(OLD_CALL))
        connection.commit()
        migrate.upgrade(world.runtime.engine, ledger.service.migrations, "folder")
        connection.execute(sql(OLD_CALL))
        connection.commit()
    assert world.rows("SELECT headers, pg_typeof(headers)::text FROM outbox") == [({}, "json")] * 2
