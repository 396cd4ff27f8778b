"""The broker is away, or silent, for a while: nothing is lost, and every key's first occurrences stay in sequence."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from deploy.local.stack import Stack, launch
from services.chassis.health import Reason
from tests.support.eventually import eventually
from tests.support.kafka_log import read_topic, sequences
from tests.support.ledger import Ledger
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running

pytestmark = pytest.mark.slow
FLUSH_SECONDS = 2
OLDEST_TRANSACTION = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8
FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Kafka that these tests may stop."""
    with launch(tmp_path_factory.mktemp("broker")) as stack:
        stack.kafka.start()
        yield stack


@pytest.fixture
def topic(broker: Stack) -> Iterator[str]:
    with fresh_topics(broker.kafka.bootstrap_servers, "ledger") as (name,):
        yield name


@pytest.fixture
def ledger(topic: str) -> Ledger:
    return Ledger(writes=topic)


@pytest.fixture
def world(ledger: Ledger, broker: Stack, postgres_server: Databases) -> Iterator[World]:
    settings = {"kafka_bootstrap_servers": broker.kafka.bootstrap_servers, "relay_flush_seconds": FLUSH_SECONDS}
    with world_of(ledger.service, postgres_server, **settings, relay_batch_max=100) as world:
        yield world


def keep_writing(ledger: Ledger, world: World, stop: threading.Event) -> None:
    """Write entries of a few keys until told to stop."""
    n = 0
    while not stop.wait(0.01):
        world.deliver(*[ledger.confirmed(f"key {k % 7}") for k in range(n, n + 5)])
        n += 5


def everything_is_in_sequence(world: World, broker: Stack, topic: str) -> None:
    counts = dict(world.rows("SELECT key, count(*)::int FROM entries GROUP BY key"))
    assert sum(counts.values()) > 100
    assert sequences(read_topic(broker.kafka.bootstrap_servers, topic)) == {
        key: list(range(1, count + 1)) for key, count in counts.items()
    }


def watch_transactions(world: World, seconds: float) -> None:
    """Look for so long that no transaction pins vacuum's horizon."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert world.one(OLDEST_TRANSACTION) < FLUSH_SECONDS + 1
        time.sleep(0.1)  # the pace of looking


def test_a_broker_that_crashed_under_load_gets_everything_in_order_when_it_is_back(
    ledger: Ledger, world: World, topic: str, broker: Stack
) -> None:
    with running(world.runtime.relay().run):
        with running(lambda stop: keep_writing(ledger, world, stop)):
            eventually(lambda: some_are_published(world), within=20)
            broker.processes.kill("kafka")
            eventually(lambda: world.not_ready_for(Reason.BROKER_UNREACHABLE), within=10)
            watch_transactions(world, 2)
            assert world.one("SELECT count(*) FROM outbox") > 0
            broker.start_again("kafka")
        eventually(world.outbox_is_empty, within=30)
        eventually(world.not_ready_for, within=5)
    everything_is_in_sequence(world, broker, topic)


def test_a_broker_that_was_frozen_under_load_leaves_no_hole_and_no_reordering(
    ledger: Ledger, world: World, topic: str, broker: Stack
) -> None:
    """Frozen twice as long as a batch may take: what was in flight may arrive late, behind what was sent anew."""
    with running(world.runtime.relay().run):
        with running(lambda stop: keep_writing(ledger, world, stop)):
            eventually(lambda: some_are_published(world), within=20)
            broker.processes.pause("kafka")
            eventually(lambda: world.not_ready_for(Reason.BROKER_UNREACHABLE), within=10)
            watch_transactions(world, 2 * FLUSH_SECONDS)
            broker.processes.resume("kafka")
        eventually(world.outbox_is_empty, within=30)
        eventually(world.not_ready_for, within=5)
    everything_is_in_sequence(world, broker, topic)


def some_are_published(world: World) -> None:
    assert world.one("SELECT count(*) FROM entries") > 100
    world.outbox_is_empty()


@pytest.mark.parametrize("flush_seconds", [10, 60])
def test_a_relay_that_is_stopped_while_the_broker_is_silent_ends_in_time(
    ledger: Ledger, world: World, broker: Stack, flush_seconds: float
) -> None:
    runtime = world.process(relay_flush_seconds=flush_seconds)
    with contextlib.ExitStack() as frozen:
        with running(runtime.relay().run, ends_within=5):
            world.deliver(ledger.confirmed("A"))
            eventually(world.outbox_is_empty, within=20)
            broker.processes.pause("kafka")
            frozen.callback(broker.processes.resume, "kafka")
            world.deliver(ledger.confirmed("A"))
            eventually(lambda: a_transaction_waits(world), within=5)
        assert world.one("SELECT count(*) FROM outbox") == 1


def a_transaction_waits(world: World) -> None:
    assert world.one(OLDEST_TRANSACTION) > 0.1
