"""The breaker: many keys parked with one fingerprint in a short time are a bad deploy, and consuming stops."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis import breaker
from services.chassis.breaker import SuspectedBadDeploy
from services.chassis.database import transaction
from services.chassis.events import Record, new_id
from services.chassis.runtime import Runtime
from tests.support.ledger import TABLES, Ledger, LedgerUnitOfWork
from tests.support.noted import counted
from tests.support.services import World, world_of

KEYS = 5


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    settings = {"park_breaker_keys": KEYS, "park_breaker_seconds": 60, "build_id": "good", "park_backoff_seconds": 60}
    with world_of(ledger.service, postgres_server, **settings) as world:
        yield world


def fail(received: Any, _uow: LedgerUnitOfWork) -> None:
    if received.event.order_number == "poison":
        raise ValueError("a bug")
    if received.event.order_number == "another poison":
        raise KeyError("another bug")


def poison(ledger: Ledger, world: World, number: int, note: str = "poison") -> None:
    """Deliver `number` poisonous events, each of a key of its own, one by one."""
    ledger.before = fail
    for _ in range(number):
        world.deliver(ledger.confirmed(new_id(), note))


def resume(world: World, reason: str = "the cause is repaired") -> bool:
    with transaction(world.runtime.engine) as connection:
        return breaker.resume(connection, world.subscription.consumer, reason=reason, actor="ada")


def processor_of(runtime: Runtime[Any, Any]) -> Any:
    processor = runtime.processor(runtime.subscriptions[0])
    processor.prepare()
    return processor


def test_the_breaker_opens_at_its_number_of_keys_and_nothing_more_is_parked_or_handled(
    ledger: Ledger, world: World
) -> None:
    poison(ledger, world, KEYS)
    before = world.snapshot(*TABLES)
    assert len(before["parked_keys"]) == KEYS

    for event in (ledger.confirmed("X", "poison"), ledger.confirmed("Y", "good")):
        with pytest.raises(SuspectedBadDeploy, match=r"many keys of order.events.v1 were parked with ValueError"):
            world.deliver(event)
    with pytest.raises(SuspectedBadDeploy):
        world.processor.retries.retry_due()

    assert world.snapshot(*TABLES) == before


def test_an_open_breaker_does_not_hide_how_far_the_topic_was_read(ledger: Ledger, world: World) -> None:
    (record,) = world.deliver(ledger.confirmed("A"))
    poison(ledger, world, KEYS)
    with pytest.raises(SuspectedBadDeploy):
        world.processor.retries.retry_due({(record.topic, record.partition): 10.0})
    age = world.one("SELECT extract(epoch FROM clock_timestamp() - caught_up_at) FROM consumer_progress")
    assert 10.0 <= age < 20.0


def test_a_batch_full_of_poison_parks_no_more_keys_than_open_the_breaker(ledger: Ledger, world: World) -> None:
    ledger.before = fail
    records = world.records([ledger.confirmed(f"K{n}", "poison") for n in range(100)])
    for _ in range(3):
        with pytest.raises(SuspectedBadDeploy):
            world.processor.handle(records)
    assert world.one("SELECT count(*) FROM parked_keys") == KEYS
    assert world.position() == {(records[0].topic, 0): records[KEYS - 1].offset + 1}

    ledger.before = lambda *_: None
    resume(world)
    world.processor.handle(records)

    assert world.one("SELECT count(*) FROM entries") == 100 - KEYS


def test_a_batch_that_comes_again_while_it_is_open_claims_nothing(ledger: Ledger, world: World) -> None:
    """Claims that are rolled back leave dead rows, and the consumer tries every two seconds."""
    poison(ledger, world, KEYS)
    processor, records = processor_of(world.runtime), world.records([ledger.confirmed("Y", "good")])
    with pytest.raises(SuspectedBadDeploy):
        processor.handle(records)
    with counted(world.runtime.engine) as statements, pytest.raises(SuspectedBadDeploy):
        processor.handle(records)
    assert len(statements) == 1
    assert "FROM breakers" in statements[0]

    ledger.before = lambda *_: None
    resume(world)
    processor.handle(records)
    with counted(world.runtime.engine) as statements:
        processor.handle(world.records([ledger.confirmed("Z", "good")]))
    assert "INTO inbox" in statements[0]
    assert world.one("SELECT count(*) FROM entries") == 2


def unreadable(ledger: Ledger, world: World, number: int) -> list[Record]:
    return [record._replace(value=b"x") for record in world.records([ledger.confirmed(f"K{n}") for n in range(number)])]


@pytest.mark.parametrize("number", [KEYS + 1, 2 * KEYS, 100])
def test_a_batch_full_of_what_nobody_can_read_opens_the_breaker_for_all_to_see(
    ledger: Ledger, world: World, number: int
) -> None:
    records = unreadable(ledger, world, number)
    for _ in range(3):
        with pytest.raises(SuspectedBadDeploy, match="undecodable"):
            world.processor.handle(records)
    assert world.one("SELECT count(*) FROM parked_keys") == KEYS
    assert world.position() == {(records[0].topic, 0): records[KEYS - 1].offset + 1}
    assert world.rows("SELECT fingerprint FROM breakers WHERE resumed_at IS NULL") == ["undecodable"]


def test_a_consumer_that_is_resumed_goes_on_behind_the_batch_that_stopped_it(ledger: Ledger, world: World) -> None:
    records = [*unreadable(ledger, world, KEYS + 1), world.record(ledger.confirmed("good"))]
    with pytest.raises(SuspectedBadDeploy):
        world.processor.handle(records)
    assert resume(world)
    world.processor.handle(records)
    assert world.one("SELECT count(*) FROM parked_keys") == KEYS + 1
    assert world.one("SELECT count(*) FROM entries") == 1


def test_a_batch_that_defers_for_a_fault_opens_the_breaker_too(ledger: Ledger, world: World) -> None:
    ledger.before = lambda received, uow: uow.tx.defer(received, "cannot_be")
    records = world.records([ledger.confirmed(f"K{n}") for n in range(3 * KEYS)])
    with pytest.raises(SuspectedBadDeploy, match="cannot_be"):
        world.processor.handle(records)
    assert world.one("SELECT count(*) FROM parked_keys") == KEYS
    assert resume(world)


def test_another_instance_sees_the_open_breaker(ledger: Ledger, world: World) -> None:
    other = processor_of(world.process())
    poison(ledger, world, KEYS)
    with pytest.raises(SuspectedBadDeploy):
        other.handle([world.record(ledger.confirmed("X"))])


def test_the_keys_that_several_instances_park_are_counted_together(ledger: Ledger, world: World) -> None:
    other = processor_of(world.process())
    poison(ledger, world, KEYS - 1)
    other.handle([world.record(ledger.confirmed("last", "poison"))])
    with pytest.raises(SuspectedBadDeploy):
        world.deliver(ledger.confirmed("X"))


def test_faults_with_other_fingerprints_do_not_add_up(ledger: Ledger, world: World) -> None:
    poison(ledger, world, KEYS - 1)
    poison(ledger, world, KEYS - 1, "another poison")
    world.deliver(ledger.confirmed("X"))
    assert world.one("SELECT count(DISTINCT fingerprint) FROM parked_keys") == 2


def test_keys_that_were_parked_long_ago_do_not_count(ledger: Ledger, world: World) -> None:
    poison(ledger, world, KEYS - 1)
    world.rows("UPDATE parked_keys SET parked_at = now() - interval '61 seconds'")
    poison(ledger, world, KEYS - 1)
    world.deliver(ledger.confirmed("X"))


def test_many_events_of_one_key_count_once(ledger: Ledger, world: World) -> None:
    ledger.before = fail
    for _ in range(2 * KEYS):
        world.deliver(ledger.confirmed("A", "poison"))
    world.deliver(ledger.confirmed("X"))
    assert world.one("SELECT count(*) FROM parked_events") == 2 * KEYS


def test_waits_that_are_expected_do_not_count(ledger: Ledger, world: World) -> None:
    ledger.before = lambda received, uow: uow.tx.defer(received, "something_missing", 60.0)
    world.deliver(*[ledger.confirmed(f"K{n}") for n in range(2 * KEYS)])
    ledger.before = lambda *_: None
    world.deliver(ledger.confirmed("X"))


def test_an_operator_resumes_with_a_reason_and_the_keys_of_before_count_no_more(ledger: Ledger, world: World) -> None:
    poison(ledger, world, KEYS)
    assert resume(world)
    assert not resume(world)
    assert world.one("SELECT reason, actor FROM breakers") == ("the cause is repaired", "ada")
    world.deliver(ledger.confirmed("X"))
    poison(ledger, world, KEYS - 1)
    world.deliver(ledger.confirmed("Y"))
    poison(ledger, world, 1)
    with pytest.raises(SuspectedBadDeploy):
        world.deliver(ledger.confirmed("Z"))


def test_the_same_build_starts_with_the_breaker_open_and_a_new_one_lifts_it(ledger: Ledger, world: World) -> None:
    poison(ledger, world, KEYS)
    with pytest.raises(SuspectedBadDeploy):
        processor_of(world.process()).handle([world.record(ledger.confirmed("X"))])

    repaired = processor_of(world.process(build_id="better"))
    repaired.handle([world.record(ledger.confirmed("X"))])

    assert world.rows("SELECT note FROM entries") == [""]
    assert world.one("SELECT reason, actor FROM breakers") == ("new build", "better")


def test_each_of_two_builds_that_run_side_by_side_is_stopped_for_its_own_faults(ledger: Ledger, world: World) -> None:
    poison(ledger, world, KEYS)
    better = processor_of(world.process(build_id="better"))
    poison(ledger, world, KEYS)
    better.handle([world.record(ledger.confirmed("X"))])
    with pytest.raises(SuspectedBadDeploy):
        world.deliver(ledger.confirmed("Y"))

    better.handle([world.record(ledger.confirmed("Z", "poison"))])

    with pytest.raises(SuspectedBadDeploy):
        better.handle([world.record(ledger.confirmed("X"))])
