"""One relay an outbox: the leader holds an advisory lock on the session that deletes; others stand by."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from deploy.local.databases import Databases
from tests.support.election import leaders
from tests.support.eventually import eventually
from tests.support.kafka_log import read_topic, sequences
from tests.support.ledger import Ledger
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running


@pytest.fixture
def topic(kafka_server: str) -> Iterator[str]:
    with fresh_topics(kafka_server, "ledger") as (name,):
        yield name


@pytest.fixture
def ledger(topic: str) -> Ledger:
    return Ledger(writes=topic)


@pytest.fixture
def world(ledger: Ledger, kafka_server: str, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server, kafka_bootstrap_servers=kafka_server, relay_batch_max=10) as world:
        yield world


def leader(world: World) -> int:
    """Return the backend of the relay that leads."""
    (pid,) = leaders(world)
    return pid


def one_leads(world: World, *, not_any_more: int = 0) -> None:
    found = leaders(world)
    assert len(found) == 1
    assert found != [not_any_more]


def test_the_standby_takes_over_when_the_leaders_session_ends_and_the_order_stays(
    ledger: Ledger, world: World, topic: str, kafka_server: str
) -> None:
    """Three times, while rows come in: whoever leads, first occurrences are in sequence and nothing is lost."""
    other = world.process()
    with running(world.runtime.relay().run, other.relay().run):
        for _ in range(3):
            eventually(lambda: one_leads(world), within=10)
            led = leader(world)
            for n in range(10):
                world.deliver(*[ledger.confirmed(f"key {n % 5}") for n in range(n, n + 30)])
            world.terminate(led)
            eventually(lambda pid=led: one_leads(world, not_any_more=pid), within=10)
            world.deliver(ledger.confirmed("key 0"))
            eventually(world.outbox_is_empty, within=20)
        eventually(world.not_ready_for, within=5)
    counts = dict(world.rows("SELECT key, count(*)::int FROM entries GROUP BY key"))
    assert sum(counts.values()) == 903
    assert sequences(read_topic(kafka_server, topic)) == {key: list(range(1, n + 1)) for key, n in counts.items()}


def test_a_lone_relay_whose_session_ends_leads_again(ledger: Ledger, world: World) -> None:
    with running(world.runtime.relay().run):
        eventually(lambda: one_leads(world), within=10)
        led = leader(world)
        world.terminate(led)
        eventually(lambda: one_leads(world, not_any_more=led), within=10)
        world.deliver(ledger.confirmed("A"))
        eventually(world.outbox_is_empty, within=10)
        eventually(world.not_ready_for, within=5)


def test_a_relay_whose_connection_breaks_without_a_word_leads_again(world: World) -> None:
    """While it waits for a notification: nothing is executed then that would tell."""
    connections: list[Any] = []
    sa.event.listen(world.runtime.engine.pool, "connect", lambda driver, _record: connections.append(driver))
    with running(world.runtime.relay().run):
        for _ in range(5):
            eventually(lambda: one_leads(world), within=10)
            led = leader(world)
            (driver,) = [c for c in connections if not c.closed and c.info.backend_pid == led]
            with socket.socket(fileno=os.dup(driver.fileno())) as connection:
                connection.shutdown(socket.SHUT_RDWR)
            eventually(lambda pid=led: one_leads(world, not_any_more=pid), within=10)


def test_a_relay_that_stops_lets_the_standby_lead_at_once(ledger: Ledger, world: World) -> None:
    other = world.process()
    with running(other.relay().run):
        with running(world.runtime.relay().run):
            eventually(lambda: one_leads(world), within=10)
        world.deliver(ledger.confirmed("A"))
        eventually(world.outbox_is_empty, within=10)


def test_a_relay_whose_database_goes_away_waits_for_it(ledger: Ledger, world: World) -> None:
    with running(world.runtime.relay().run):
        eventually(lambda: one_leads(world), within=10)
        with world.database_away():
            eventually(lambda: world.not_ready_for("database_unreachable"), within=10)
        world.deliver(ledger.confirmed("A"))
        eventually(world.outbox_is_empty, within=10)
        eventually(world.not_ready_for, within=5)
