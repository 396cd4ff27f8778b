"""The relay on a real Kafka: a row leaves the outbox only after the broker acknowledged it."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from confluent_kafka import Producer

from deploy.local.databases import Databases
from services.chassis import kafka
from services.chassis import relay as relays
from services.chassis.events import new_id
from tests.support.crashes import backend_ended_at_commit
from tests.support.eventually import eventually
from tests.support.kafka_log import murmur2, murmur2_partition, read_topic, sequences
from tests.support.ledger import Ledger
from tests.support.relay_rows import put_row
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running

PARTITIONS = 5


@pytest.fixture
def topic(kafka_server: str) -> Iterator[str]:
    with fresh_topics(kafka_server, "ledger", partitions=PARTITIONS) as (name,):
        yield name


@pytest.fixture
def ledger(topic: str) -> Ledger:
    return Ledger(writes=topic)


@pytest.fixture
def world(ledger: Ledger, kafka_server: str, postgres_server: Databases) -> Iterator[World]:
    settings = {"kafka_bootstrap_servers": kafka_server, "relay_batch_max": 50}
    with world_of(ledger.service, postgres_server, **settings) as world:
        yield world


def test_rows_are_published_in_the_order_of_each_key(
    ledger: Ledger, world: World, topic: str, kafka_server: str
) -> None:
    for batch in range(10):
        world.deliver(*[ledger.confirmed(f"key {n % 13}") for n in range(batch, batch + 40)])
    with running(world.runtime.relay().run):
        eventually(world.outbox_is_empty, within=20)
    assert sequences(read_topic(kafka_server, topic)) == {
        key: list(range(1, count + 1))
        for key, count in world.rows("SELECT key, count(*)::int FROM entries GROUP BY key")
    }


def test_a_record_is_a_complete_cloud_event(ledger: Ledger, world: World, topic: str, kafka_server: str) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    cause = new_id()
    world.processor.handle(
        [
            world.record(
                ledger.confirmed("A"), event_id=cause, headers={"ce_correlationid": "saga", "traceparent": trace}
            )
        ]
    )
    event_id, written = world.one("SELECT id::text, created_at FROM outbox")
    ((_, _, event),) = world.emitted()
    with running(world.runtime.relay().run):
        eventually(world.outbox_is_empty, within=20)
    (entry,) = read_topic(kafka_server, topic)
    schema_id = int.from_bytes((entry.value or b"")[1:5])
    assert entry.key == b"A"
    assert world.runtime.codec.decode(entry.value, entry.headers["ce_type"]) == event
    assert entry.headers == {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_type": "oms.inventory.StockReleased",
        "ce_source": "/oms/ledger",
        "ce_subject": "A",
        "ce_time": written.isoformat().replace("+00:00", "Z"),
        "ce_dataschema": f"urn:oms:schema:{schema_id}",
        "content-type": "application/avro",
        "ce_correlationid": "saga",
        "ce_causationid": cause,
        "ce_sequence": "0000000001",
        "traceparent": trace,
    }


def test_the_schema_in_the_headers_is_that_of_the_bytes_also_where_another_build_wrote_them(
    world: World, topic: str, kafka_server: str
) -> None:
    older = 2**30 + 4711
    put_row(world, topic, "A", 1, b"\x00" + older.to_bytes(4) + b"body")
    with running(world.runtime.relay().run):
        eventually(world.outbox_is_empty, within=20)
    (entry,) = read_topic(kafka_server, topic)
    assert entry.headers["ce_dataschema"] == f"urn:oms:schema:{older}"


# From the tests of Kafka's own org.apache.kafka.common.utils.Utils.
JAVA_HASHES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


def test_a_key_goes_to_the_partition_that_java_would_choose(
    ledger: Ledger, world: World, topic: str, kafka_server: str
) -> None:
    assert {key: murmur2(key) for key in JAVA_HASHES} == {key: h % 2**32 for key, h in JAVA_HASHES.items()}
    keys = [*[key.decode() for key in JAVA_HASHES], "Größe 1", *[new_id() for _ in range(20)]]
    world.deliver(*[ledger.confirmed(key) for key in keys])
    with running(world.runtime.relay().run):
        eventually(world.outbox_is_empty, within=20)
    found = {entry.key: entry.partition for entry in read_topic(kafka_server, topic)}
    assert found == {key.encode(): murmur2_partition(key.encode(), PARTITIONS) for key in keys}


class HeldProducer(Producer):
    """A real producer whose `flush` waits until it is let go: what was produced counts as not acknowledged yet."""

    flushing, go_on = threading.Event(), threading.Event()

    def flush(self, *arguments: float) -> int:
        self.flushing.set()
        assert self.go_on.wait(20)
        return super().flush(*arguments)


def test_a_row_stays_until_the_broker_acknowledged_it(
    ledger: Ledger, world: World, topic: str, kafka_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kafka, "Producer", HeldProducer)
    world.deliver(*[ledger.confirmed(f"key {n}") for n in range(20)])
    with running(world.runtime.relay().run):
        assert HeldProducer.flushing.wait(10)
        assert world.one("SELECT count(*) FROM outbox") == 20
        HeldProducer.go_on.set()
        eventually(world.outbox_is_empty, within=20)
    assert sequences(read_topic(kafka_server, topic)) == {f"key {n}": [1] for n in range(20)}


def test_a_crash_between_the_acknowledgement_and_the_delete_sends_twice_and_loses_nothing(
    ledger: Ledger, world: World, topic: str, kafka_server: str
) -> None:
    world.deliver(*[ledger.confirmed(key) for key in "ABA"], *[ledger.cancelled(key) for key in "AB"])
    with (
        backend_ended_at_commit(world, world.runtime.engine, committed=False, of="DELETE FROM outbox"),
        running(world.runtime.relay().run),
    ):
        eventually(world.outbox_is_empty, within=20)
    log = read_topic(kafka_server, topic)
    assert len(log) == 10
    assert sequences(log) == {"A": [1, 2, 3], "B": [1, 2]}
    assert len({entry.event_id for entry in log}) == 5


def test_a_commit_wakes_the_relay(
    ledger: Ledger, world: World, topic: str, kafka_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "_POLL_SECONDS", 60)
    with running(world.runtime.relay().run) as stop:
        world.deliver(ledger.confirmed("before it listens, or right after"))
        eventually(world.outbox_is_empty, within=10)
        for n in range(5):
            world.deliver(ledger.confirmed(f"key {n}"))
            eventually(world.outbox_is_empty, within=20)
        end_a_long_wait(world, stop)
    assert len(read_topic(kafka_server, topic)) == 6


def end_a_long_wait(world: World, stop: threading.Event) -> None:
    """Tell a relay that would wait for a minute to end: it has to be told before it is woken, or it waits anew."""
    stop.set()
    world.rows("SELECT pg_notify('outbox', '')")


class CountingProducer(Producer):
    """A real producer that keeps how many bytes were handed to it between two flushes."""

    batches: list[int]

    def produce(self, topic: str, **record: Any) -> None:
        self.taken = getattr(self, "taken", 0) + len(record["value"])
        super().produce(topic, **record)

    def flush(self, *arguments: float) -> int:
        if taken := getattr(self, "taken", 0):
            self.batches.append(taken)
            self.taken = 0
        return super().flush(*arguments)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Bytes of each batch of a relay whose batches are large at a thousand."""
    batches: list[int] = []
    monkeypatch.setattr(relays, "_BATCH_BYTES", 1000)
    # Nothing but the fullness of a batch may lead to the next one.
    monkeypatch.setattr(relays, "_POLL_SECONDS", 60)
    monkeypatch.setattr(kafka, "Producer", CountingProducer)
    monkeypatch.setattr(CountingProducer, "batches", batches, raising=False)
    return batches


@pytest.mark.parametrize(
    ("sizes", "batches"),
    [
        ([400, 400, 400, 400, 400], [1200, 800]),
        ([5000, 10, 10], [5000, 20]),
        ([999, 1, 700], [1000, 700]),
        ([10] * 60, [500, 100]),
    ],
)
def test_a_batch_takes_no_more_rows_once_it_is_large_and_the_rest_follows_at_once(
    world: World, topic: str, counted: list[int], sizes: Sequence[int], batches: Sequence[int]
) -> None:
    for n, size in enumerate(sizes):
        put_row(world, topic, f"key {n}", 1, b"\x00".ljust(size, b"."))
    with running(world.runtime.relay().run) as stop:
        eventually(world.outbox_is_empty, within=10)
        end_a_long_wait(world, stop)
    assert counted == batches


def test_a_row_whose_notification_was_lost_is_found_by_polling(world: World, topic: str) -> None:
    with running(world.runtime.relay().run):
        for n in range(1, 4):
            put_row(world, topic, "A", n)
            eventually(world.outbox_is_empty, within=10)


def test_a_relay_that_is_stopped_finishes_what_it_began_and_leaves_the_rest(
    ledger: Ledger, world: World, topic: str, kafka_server: str
) -> None:
    world.deliver(*[ledger.confirmed(f"key {n}") for n in range(400)])
    with running(world.runtime.relay().run):
        eventually(lambda: some_rows_are_gone(world), within=10)
    left = world.one("SELECT count(*) FROM outbox")
    assert len(read_topic(kafka_server, topic)) == 400 - left
    with running(world.runtime.relay().run):
        eventually(world.outbox_is_empty, within=10)
    assert len(read_topic(kafka_server, topic)) == 400


def some_rows_are_gone(world: World) -> None:
    assert world.one("SELECT count(*) FROM outbox") < 400
