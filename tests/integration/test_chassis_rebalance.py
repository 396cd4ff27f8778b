"""Consumers that share a topic: a rebalance, at whatever moment, loses nothing and doubles nothing."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from confluent_kafka import Consumer

from deploy.local.databases import Databases
from services.chassis import kafka
from services.chassis.events import Record, new_id
from services.chassis.health import Reason
from services.chassis.runtime import Runtime
from tests.support.eventually import eventually
from tests.support.groups import committed, consumer_of, members
from tests.support.kafka_log import write_records
from tests.support.ledger import Ledger
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running

PARTITIONS = 6


@pytest.fixture
def topic(kafka_server: str) -> Iterator[str]:
    with fresh_topics(kafka_server, "ledger", partitions=PARTITIONS) as (name,):
        yield name


@pytest.fixture
def ledger(topic: str) -> Ledger:
    return Ledger(reads=topic, consumer=f"ledger-{new_id()}")


@pytest.fixture
def world(ledger: Ledger, kafka_server: str, postgres_server: Databases) -> Iterator[World]:
    settings = {"kafka_bootstrap_servers": kafka_server, "consumer_batch_max": 20}
    with world_of(ledger.service, postgres_server, **settings) as world:
        yield world


class Writer:
    """Keeps writing events of a few keys to the topic, in order, until told to stop."""

    def __init__(self, ledger: Ledger, world: World, bootstrap_servers: str) -> None:
        self._ledger, self._world, self._bootstrap_servers = ledger, world, bootstrap_servers
        self.written = 0

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(0.02):
            numbers = range(self.written, self.written + 15)
            write_records(self._bootstrap_servers, [self._record(n) for n in numbers])
            self.written += 15

    def _record(self, n: int) -> Record:
        event = self._ledger.confirmed(f"key {n % 13}", f"{n:06d}")
        return self._world.record(event, partition=n % 13 % PARTITIONS)


def all_written(world: World, number: int) -> None:
    assert world.one("SELECT count(*) FROM entries") == number


def each_once_and_in_order(world: World, number: int) -> None:
    notes = world.rows("SELECT key, note FROM entries ORDER BY key, position")
    assert notes == sorted({(f"key {n % 13}", f"{n:06d}") for n in range(number)})
    assert world.rows("SELECT FROM parked_keys") == []


def shared_by(kafka_server: str, ledger: Ledger, number: int) -> None:
    found = members(kafka_server, ledger.consumer)
    assert len(found) == number
    assert sum(found.values()) == PARTITIONS
    assert min(found.values()) >= 1


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_consumers_that_come_and_go_lose_and_double_nothing(
    ledger: Ledger, world: World, kafka_server: str, protocol: str
) -> None:
    writer = Writer(ledger, world, kafka_server)
    processes = [world.process(kafka_group_protocol=protocol) for _ in range(3)]
    with running(consumer_of(processes[0]).run):
        with running(writer.run):
            eventually(lambda: shared_by(kafka_server, ledger, 1), within=20)
            with running(consumer_of(processes[1]).run, consumer_of(processes[2]).run):
                eventually(lambda: shared_by(kafka_server, ledger, 3), within=20)
            eventually(lambda: shared_by(kafka_server, ledger, 1), within=20)
        eventually(lambda: all_written(world, writer.written), within=20)
    each_once_and_in_order(world, writer.written)
    assert sum(committed(kafka_server, ledger.consumer).values()) == writer.written


def test_a_rebalance_while_the_database_is_away_loses_and_doubles_nothing(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    """Both wait with a batch when one of them is stopped: the other gets its partitions, paused, and drops nothing."""
    writer = Writer(ledger, world, kafka_server)
    stays, goes = world.process(), world.process()
    consumer = consumer_of(stays)
    with running(consumer.run):
        with running(writer.run):
            with world_away_after_stopping(world, kafka_server, ledger, goes):
                eventually(lambda: has_every_partition(consumer), within=20)
                written = writer.written
                eventually(lambda: more_is_written(writer, written + 100), within=20)
                assert len(consumer._pending) <= 20  # of a batch; nothing is taken from paused partitions
                not_ready(stays, Reason.DATABASE_UNREACHABLE)
            eventually(lambda: not_ready(stays), within=20)
        eventually(lambda: all_written(world, writer.written), within=20)
    each_once_and_in_order(world, writer.written)
    assert sum(committed(kafka_server, ledger.consumer).values()) == writer.written


@contextmanager
def world_away_after_stopping(
    world: World, kafka_server: str, ledger: Ledger, goes: Runtime[Any, Any]
) -> Iterator[None]:
    """Let the database go away while two consumers run, stop one of them, and lend the time until it is back."""
    with ExitStack() as outage:
        with running(consumer_of(goes).run):
            eventually(lambda: shared_by(kafka_server, ledger, 2), within=20)
            outage.enter_context(world.database_away())
            eventually(lambda: not_ready(goes, Reason.DATABASE_UNREACHABLE), within=15)
        yield


def more_is_written(writer: Writer, number: int) -> None:
    assert writer.written > number


def has_every_partition(consumer: Any) -> None:
    assert len(consumer._kafka.assignment()) == PARTITIONS


def not_ready(runtime: Runtime[Any, Any], *reasons: str) -> None:
    found: Any = runtime.health.readyz().body["reasons"]
    assert [row["reason"] for row in found] == list(reasons)


@pytest.mark.parametrize("batch_max", [1, 20])
def test_a_consumer_stays_in_its_group_while_the_database_is_away(
    ledger: Ledger, world: World, kafka_server: str, batch_max: int
) -> None:
    process = world.process(consumer_batch_max=batch_max)
    write_records(kafka_server, [world.record(ledger.confirmed("A", "0"))])
    with running(consumer_of(process).run):
        eventually(lambda: all_written(world, 1), within=20)
        before = members(kafka_server, ledger.consumer)
        with world.database_away():
            write_records(kafka_server, [world.record(ledger.confirmed("A", str(n))) for n in range(1, 9)])
            eventually(lambda: not_ready(process, Reason.DATABASE_UNREACHABLE), within=15)
            assert members(kafka_server, ledger.consumer) == before
        eventually(lambda: all_written(world, 9), within=20)
        assert members(kafka_server, ledger.consumer) == before
    assert world.rows("SELECT note FROM entries ORDER BY position") == list("012345678")


class LeakyConsumer(Consumer):
    """A real consumer whose partitions cannot be paused: it goes on returning records."""

    def pause(self, partitions: list[Any]) -> None:
        """Do nothing."""


def test_whatever_the_client_returns_while_it_is_paused_is_kept_for_the_next_batch(
    ledger: Ledger, world: World, kafka_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discarded, it would be skipped for ever."""
    monkeypatch.setattr(kafka, "Consumer", LeakyConsumer)
    process = world.process(consumer_batch_max=3)
    write_records(kafka_server, [world.record(ledger.confirmed("A", "000"))])
    consumer = consumer_of(process)
    with running(consumer.run):
        eventually(lambda: all_written(world, 1), within=20)
        with world.database_away():
            write_records(kafka_server, [world.record(ledger.confirmed("A", f"{n:03d}")) for n in range(1, 40)])
            eventually(lambda: more_than_a_batch_is_pending(consumer), within=15)
        eventually(lambda: all_written(world, 40), within=20)
    assert world.rows("SELECT note FROM entries ORDER BY position") == [f"{n:03d}" for n in range(40)]


def more_than_a_batch_is_pending(consumer: Any) -> None:
    assert len(consumer._pending) > 5


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_partitions_that_went_while_they_were_paused_are_read_when_they_come_back(
    ledger: Ledger, world: World, kafka_server: str, protocol: str
) -> None:
    """The client would go on pausing them: nothing of them would be read until this process ends."""
    process = world.process(kafka_group_protocol=protocol)
    consumer = consumer_of(process)
    with running(consumer.run):
        write_round(ledger, world, kafka_server, 0)
        eventually(lambda: all_written(world, PARTITIONS), within=20)
        with world.database_away():
            write_round(ledger, world, kafka_server, 1)
            eventually(lambda: not_ready(process, Reason.DATABASE_UNREACHABLE), within=15)
            guest = kafka.make_consumer(process.settings, ledger.consumer, lambda _: None)
            guest.subscribe([ledger.reads])
            eventually(lambda: has_some_partitions(guest), within=20)
        eventually(lambda: not_ready(process), within=20)
        guest.close()
        eventually(lambda: has_every_partition(consumer), within=20)
        write_round(ledger, world, kafka_server, 2)
        eventually(lambda: all_written(world, 3 * PARTITIONS), within=20)


def write_round(ledger: Ledger, world: World, kafka_server: str, n: int) -> None:
    """Write an event to each partition."""
    events = [(ledger.confirmed(f"key {partition}", f"{n:06d}"), partition) for partition in range(PARTITIONS)]
    write_records(kafka_server, [world.record(event, partition=partition) for event, partition in events])


def has_some_partitions(guest: Consumer) -> None:
    guest.poll(0.1)
    assert guest.assignment()
