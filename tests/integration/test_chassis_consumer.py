"""The consumer on a real Kafka: where it begins, what it commits, and what a partition's new owner finds."""

import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis.database import transaction
from services.chassis.events import Record, new_id
from services.chassis.health import Health, Reason
from services.chassis.statements import sql
from tests.support.eventually import eventually
from tests.support.groups import commit, committed, consumer_of
from tests.support.kafka_log import write_records
from tests.support.ledger import TABLES, Ledger
from tests.support.raw_producer import write_with_header
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running

PARTITIONS = 4


@pytest.fixture
def topic(kafka_server: str) -> Iterator[str]:
    with fresh_topics(kafka_server, "ledger", partitions=PARTITIONS) as (name,):
        yield name


@pytest.fixture
def ledger(topic: str) -> Ledger:
    return Ledger(reads=topic, consumer=f"ledger-{new_id()}")


@pytest.fixture
def world(ledger: Ledger, kafka_server: str, postgres_server: Databases) -> Iterator[World]:
    settings = {"kafka_bootstrap_servers": kafka_server, "consumer_batch_max": 20, "park_breaker_keys": 3}
    with world_of(ledger.service, postgres_server, **settings) as world:
        yield world


def some_records(ledger: Ledger, world: World, number: int, start: int = 0) -> list[Record]:
    """Return events of eleven keys, each key in a partition of its own choice; the note counts up."""
    return [
        world.record(ledger.confirmed(f"key {n % 11}", f"{n:05d}"), partition=n % 11 % PARTITIONS)
        for n in range(start, start + number)
    ]


def all_written(world: World, number: int) -> None:
    assert world.one("SELECT count(*) FROM entries") == number


def each_once_and_in_order(world: World, number: int) -> None:
    """Every event is an entry, once, and the entries of each key are in the order of the log."""
    all_written(world, number)
    notes = world.rows("SELECT key, note FROM entries ORDER BY key, position")
    assert len(set(notes)) == number
    assert notes == sorted(notes)
    assert world.rows("SELECT FROM parked_keys") == []


def ends(topic: str, number: int) -> dict[tuple[str, int], int]:
    """Return where each partition ends after so many records of `some_records`."""
    counts = Counter(n % 11 % PARTITIONS for n in range(number))
    return {(topic, partition): counts[partition] for partition in range(PARTITIONS)}


def test_a_topic_is_read_from_its_beginning_and_a_stop_commits_what_was_handled(
    ledger: Ledger, world: World, topic: str, kafka_server: str
) -> None:
    write_records(kafka_server, some_records(ledger, world, 300))
    with running(consumer_of(world.runtime).run):
        eventually(lambda: all_written(world, 300), within=20)
    each_once_and_in_order(world, 300)
    assert world.position() == committed(kafka_server, ledger.consumer) == ends(topic, 300)
    assert max(len(keys) for _, keys in ledger.calls) <= 20


def test_a_stop_in_the_middle_leaves_position_and_offsets_at_what_was_handled(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    write_records(kafka_server, some_records(ledger, world, 300))
    ledger.before = lambda *_: time.sleep(0.002)  # the work that an event costs
    with running(consumer_of(world.runtime).run):
        eventually(lambda: some_written(world), within=20)
    written = world.one("SELECT count(*) FROM entries")
    assert written < 300
    assert sum(world.position().values()) == sum(committed(kafka_server, ledger.consumer).values()) == written
    with running(consumer_of(world.process()).run):
        eventually(lambda: all_written(world, 300), within=20)
    each_once_and_in_order(world, 300)


def some_written(world: World) -> None:
    assert world.one("SELECT count(*) FROM entries") > 0


def test_a_database_that_was_restored_from_yesterday_loses_nothing(
    ledger: Ledger, world: World, kafka_server: str, postgres_server: Databases
) -> None:
    """Kafka's offsets are ahead of the restored database's positions: the lower ones count."""
    write_records(kafka_server, some_records(ledger, world, 100))
    with running(consumer_of(world.runtime).run):
        eventually(lambda: all_written(world, 100), within=20)
    with world_of(ledger.service, postgres_server, kafka_bootstrap_servers=kafka_server) as restored:
        with running(consumer_of(restored.runtime).run):
            eventually(lambda: all_written(restored, 100), within=20)
            write_records(kafka_server, some_records(ledger, world, 10, start=100))
            eventually(lambda: all_written(restored, 110), within=20)
        each_once_and_in_order(restored, 110)


def test_offsets_that_kafka_lost_or_never_got_repeat_records_and_change_nothing(
    ledger: Ledger, world: World, topic: str, kafka_server: str
) -> None:
    """A crash between the database's commit and Kafka's: the lower offsets count again, the inbox drops repeats."""
    write_records(kafka_server, some_records(ledger, world, 100))
    with running(consumer_of(world.runtime).run):
        eventually(lambda: all_written(world, 100), within=20)
    before = world.snapshot(*TABLES)
    commit(kafka_server, ledger.consumer, {(topic, partition): 1 for partition in range(PARTITIONS)})
    with running(consumer_of(world.process()).run):
        eventually(lambda: caught_up_again(kafka_server, ledger, topic), within=20)
    assert world.snapshot(*TABLES) == before


def caught_up_again(kafka_server: str, ledger: Ledger, topic: str) -> None:
    assert committed(kafka_server, ledger.consumer) == ends(topic, 100)


def test_a_poison_message_parks_its_own_key_and_the_offsets_move_on(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    records = some_records(ledger, world, 100)
    bad = world.record(ledger.confirmed("key 4", "bad"), partition=0, value=b"\x00\x00")
    write_records(kafka_server, [*records[:50], bad, *records[50:]])
    of_key_4 = sum(r.key == b"key 4" for r in records[50:])
    with running(consumer_of(world.runtime).run):
        eventually(lambda: all_written(world, 100 - of_key_4), within=20)
        eventually(lambda: parked(world, of_key_4 + 1), within=10)
        world.not_ready_for()
    assert sum(committed(kafka_server, ledger.consumer).values()) == 101


def parked(world: World, number: int) -> None:
    assert world.one("SELECT count(*) FROM parked_events") == number


@pytest.mark.skipif(sys.platform != "linux", reason="finds the client's library as Linux shows it")
def test_a_header_whose_name_is_no_text_does_not_stop_the_consumer(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    """The broker takes it from any client; without readable headers the schema id tells the type."""
    event = ledger.confirmed("A", "odd")
    value = world.runtime.codec.encode(event)
    write_with_header(kafka_server, ledger.reads, key=b"A", value=value, header=b"\xff\xfe")
    with running(consumer_of(world.runtime).run):
        eventually(lambda: all_written(world, 1), within=20)
        write_records(kafka_server, [world.record(ledger.confirmed("B"))])
        eventually(lambda: all_written(world, 2), within=20)


def test_parked_keys_are_retried_by_the_consumer_when_they_are_due(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a bug")

    ledger.before = fail
    write_records(kafka_server, [world.record(ledger.confirmed("A", str(n))) for n in range(5)])
    with running(consumer_of(world.runtime).run):
        eventually(lambda: parked(world, 5), within=20)
        ledger.before = lambda *_: None
        eventually(lambda: all_written(world, 5), within=10)
    assert world.rows("SELECT note FROM entries ORDER BY position") == list("01234")


def test_an_open_breaker_makes_the_process_unready_and_alive_until_it_is_resumed(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a bug")

    ledger.before = fail
    world.runtime.health.expect(f"consumer:{ledger.consumer}", 5)
    write_records(kafka_server, [world.record(ledger.confirmed(f"key {n}", str(n))) for n in range(3)])
    with running(consumer_of(world.runtime).run):
        eventually(lambda: world.not_ready_for(Reason.SUSPECTED_BAD_DEPLOY), within=20)
        ledger.before = lambda *_: None
        write_records(kafka_server, [world.record(ledger.confirmed("good"))])
        until = time.monotonic() + 2
        while time.monotonic() < until:
            world.not_ready_for(Reason.SUSPECTED_BAD_DEPLOY)
            assert world.runtime.health.livez().status == 200
            all_written(world, 0)
        world.rows("UPDATE breakers SET resumed_at = clock_timestamp(), reason = 'repaired'")
        eventually(lambda: all_written(world, 4), within=10)
        eventually(world.not_ready_for, within=5)


def test_the_end_of_every_partition_is_noted_as_reached_once_it_is(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    """Empty partitions too; and the moment goes on while nothing comes."""
    write_records(kafka_server, some_records(ledger, world, 10)[:1])
    with running(consumer_of(world.runtime).run):
        eventually(lambda: fresh(world), within=10)
        first = world.one("SELECT min(caught_up_at) FROM consumer_progress")
        eventually(lambda: later(world, first), within=10)


def fresh(world: World) -> None:
    assert world.one("SELECT min(coalesce(caught_up_at, '1970-01-01')) > now() - interval '3 s' FROM consumer_progress")


def later(world: World, than: Any) -> None:
    assert world.one("SELECT min(caught_up_at) FROM consumer_progress") > than


@pytest.mark.timing
@pytest.mark.skipif(sys.platform != "linux", reason="counts a thread's waits as Linux shows them")
def test_a_consumer_to_which_nothing_comes_hardly_wakes(ledger: Ledger, world: World, kafka_server: str) -> None:
    """Twice a second: the end of its poll, and the answer to its look. The client's `poll` would wake five times."""
    consumer = consumer_of(world.runtime)
    threads: list[int] = []

    def run(stop: threading.Event) -> None:
        threads.append(threading.get_native_id())
        consumer.run(stop)

    write_records(kafka_server, some_records(ledger, world, 1))
    with running(run):
        eventually(lambda: fresh(world), within=10)
        before = waits(*threads)
        time.sleep(3)
        assert 3 <= waits(*threads) - before <= 12


def waits(thread: int) -> int:
    """Return how often a thread of this process has given up the processor by itself."""
    status = Path(f"/proc/self/task/{thread}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


def test_a_consumer_that_is_behind_notes_no_end_until_it_has_reached_it(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    write_records(kafka_server, [world.record(ledger.confirmed("A", str(n)), partition=1) for n in range(200)])
    ledger.before = lambda *_: time.sleep(0.01)  # the work that an event costs
    noted = "SELECT FROM consumer_progress WHERE partition = 1 AND caught_up_at IS NOT NULL"
    noted_too_early = f"SELECT count(*) < 200 AND EXISTS ({noted}) FROM entries"
    with running(consumer_of(world.runtime).run):
        while world.one("SELECT count(*) FROM entries") < 200:
            assert not world.one(noted_too_early)
        eventually(lambda: fresh(world), within=10)


def test_rows_that_somebody_holds_are_not_told_as_a_database_that_is_away(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    impatient = world.process(lock_seconds=0.05)
    write_records(kafka_server, [world.record(ledger.confirmed("A", "1"))])
    with running(consumer_of(impatient).run):
        eventually(lambda: all_written(world, 1), within=20)
        with transaction(world.runtime.engine) as holder:
            holder.execute(sql("SELECT FROM accounts FOR UPDATE"))
            write_records(kafka_server, [world.record(ledger.confirmed("A", "2"))])
            eventually(lambda: assert_reasons(impatient.health, Reason.TRANSACTION_CONFLICT), within=10)
        eventually(lambda: all_written(world, 2), within=10)
        eventually(lambda: assert_reasons(impatient.health), within=10)


def assert_reasons(health: Health, *reasons: Reason) -> None:
    found: Any = health.readyz().body["reasons"]
    assert [row["reason"] for row in found] == list(reasons)
