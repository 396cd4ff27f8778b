"""A record that the broker refuses for good holds its own topic only, visibly, and goes out after the repair."""

import contextlib
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from deploy.kafka.topics import Topic, create_missing
from deploy.local.databases import Databases
from services.chassis.events import new_id
from services.chassis.health import Reason
from tests.support.eventually import eventually
from tests.support.kafka_log import configure_topic, read_topic, sequences
from tests.support.ledger import Ledger
from tests.support.relay_rows import put_row
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running


@pytest.fixture
def topics(kafka_server: str) -> Iterator[list[str]]:
    with fresh_topics(kafka_server, "flows", "narrow") as names:
        yield names


@pytest.fixture
def ledger(topics: list[str]) -> Ledger:
    return Ledger(writes=topics[0])


@pytest.fixture
def world(ledger: Ledger, kafka_server: str, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server, kafka_bootstrap_servers=kafka_server) as world:
        yield world


@contextlib.contextmanager
def topic_made(bootstrap_servers: str, name: str) -> Iterator[None]:
    """Let a topic exist for the length of the block."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    create_missing(admin, [Topic(name=name, partitions=3, replication=1, config={})])
    yield
    for deletion in admin.delete_topics([name]).values():
        deletion.result()


def left(world: World, expected: dict[str, int]) -> None:
    assert dict(world.rows("SELECT topic, count(*)::int FROM outbox GROUP BY topic")) == expected


def test_a_topic_that_does_not_exist_holds_its_own_rows_only_until_it_is_made(
    ledger: Ledger, world: World, topics: list[str], kafka_server: str
) -> None:
    missing = f"missing.{new_id()}"
    for sequence in (1, 2, 3):
        put_row(world, missing, "A", sequence)
        world.deliver(ledger.confirmed("B"))
    with running(world.runtime.relay().run):
        eventually(lambda: left(world, {missing: 3}), within=20)
        world.not_ready_for(Reason.OUTBOX_REJECTED)
        world.deliver(ledger.confirmed("B"))
        eventually(lambda: left(world, {missing: 3}), within=20)
        with topic_made(kafka_server, missing):
            eventually(world.outbox_is_empty, within=30)
            eventually(world.not_ready_for, within=5)
            assert sequences(read_topic(kafka_server, missing)) == {"A": [1, 2, 3]}
    assert sequences(read_topic(kafka_server, topics[0])) == {"B": [1, 2, 3, 4]}


def test_a_record_that_is_too_large_for_its_topic_holds_it_until_the_topic_takes_it(
    ledger: Ledger, world: World, topics: list[str], kafka_server: str
) -> None:
    """Nothing is sent around the record, not even of other keys."""
    flows, narrow = topics
    configure_topic(kafka_server, narrow, "max.message.bytes", "1000")
    configure_topic(kafka_server, narrow, "compression.type", "uncompressed")
    incompressible = bytes(range(256)) * 40
    put_row(world, narrow, "A", 1)
    put_row(world, narrow, "A", 2, incompressible)
    put_row(world, narrow, "A", 3)
    put_row(world, narrow, "B", 1)
    world.deliver(ledger.confirmed("C"))
    with running(world.runtime.relay().run):
        eventually(lambda: left(world, {narrow: 3}), within=20)
        eventually(lambda: world.not_ready_for(Reason.OUTBOX_REJECTED), within=10)
        assert sequences(read_topic(kafka_server, narrow)) == {"A": [1]}
        configure_topic(kafka_server, narrow, "max.message.bytes", "1000000")
        eventually(world.outbox_is_empty, within=30)
        eventually(world.not_ready_for, within=5)
    assert sequences(read_topic(kafka_server, narrow)) == {"A": [1, 2, 3], "B": [1]}
    assert sequences(read_topic(kafka_server, flows)) == {"C": [1]}


def test_a_record_that_no_client_may_send_holds_its_topic_until_an_operator_takes_it_away(
    ledger: Ledger, world: World, topics: list[str], kafka_server: str
) -> None:
    flows, narrow = topics
    put_row(world, narrow, "A", 1, b"\x00" * 2_000_000)
    put_row(world, narrow, "A", 2)
    world.deliver(ledger.confirmed("C"))
    with running(world.runtime.relay().run):
        eventually(lambda: left(world, {narrow: 2}), within=20)
        world.not_ready_for(Reason.OUTBOX_REJECTED)
        world.rows("DELETE FROM outbox WHERE sequence = 1 AND aggregateid = 'A'")
        eventually(world.outbox_is_empty, within=20)
        eventually(world.not_ready_for, within=5)
    assert sequences(read_topic(kafka_server, narrow)) == {"A": [2]}
    assert sequences(read_topic(kafka_server, flows)) == {"C": [1]}


def test_two_topics_that_are_refused_are_held_and_let_go_each_for_itself(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    first, second = f"missing.{new_id()}", f"missing.{new_id()}"
    for name in (first, second, first):
        put_row(world, name, "A", 1)
    world.deliver(ledger.confirmed("C"))
    with running(world.runtime.relay().run):
        eventually(lambda: left(world, {first: 2, second: 1}), within=30)
        with topic_made(kafka_server, second):
            eventually(lambda: left(world, {first: 2}), within=30)
            world.not_ready_for(Reason.OUTBOX_REJECTED)
