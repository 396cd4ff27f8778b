"""Retries, operators and the consumer at a parked key at once: the order of the key stays that of the log."""

import random
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis import operators, parking
from services.chassis.database import transaction
from services.chassis.operators import Filter
from tests.support.eventually import eventually
from tests.support.ledger import Ledger, LedgerUnitOfWork
from tests.support.services import World, world_of


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server, max_attempts=100) as world:
        yield world


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


class Pause:
    """A script that stops at the events with a note until it is let go; the others pass."""

    def __init__(self, note: str) -> None:
        self._note = note
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, received: Any, _uow: LedgerUnitOfWork) -> None:
        if received.event.order_number == self._note:
            self.reached.set()
            assert self.go_on.wait(20)


def park(ledger: Ledger, world: World, *events: Any) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("a bug")

    ledger.before = fail
    world.deliver(*events)
    ledger.before = lambda *_: None


def entries(world: World, key: str) -> list[str]:
    return world.rows("SELECT note FROM entries WHERE key = :key ORDER BY position", key=key)


def someone_waits_for_a_lock(world: World) -> None:
    query = """SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"""
    assert world.one(query) == 1


def test_a_follower_that_comes_while_its_head_is_retried_is_handled_behind_it(
    ledger: Ledger, world: World, pool: ThreadPoolExecutor
) -> None:
    park(ledger, world, ledger.confirmed("A", "1"))
    ledger.before = pause = Pause("1")
    retry = pool.submit(world.processor.retries.retry, (ledger.reads, "A"))
    assert pause.reached.wait(10)
    consume = pool.submit(world.deliver, ledger.confirmed("A", "2"))
    eventually(lambda: someone_waits_for_a_lock(world), within=10)
    assert not consume.done()
    pause.go_on.set()
    assert retry.result(10)
    consume.result(10)
    assert entries(world, "A") == ["1", "2"]
    assert world.rows("SELECT FROM parked_keys") == []


def test_a_follower_that_is_being_appended_is_not_left_behind_by_a_retry_that_frees_the_key(
    ledger: Ledger, world: World, pool: ThreadPoolExecutor
) -> None:
    park(ledger, world, ledger.confirmed("A", "1"))
    ledger.before = pause = Pause("other")
    consume = pool.submit(world.deliver, ledger.confirmed("A", "2"), ledger.confirmed("B", "other"))
    assert pause.reached.wait(10)  # the batch holds the parked key's row and has not appended yet
    retry = pool.submit(world.processor.retries.retry, (ledger.reads, "A"))
    eventually(lambda: someone_waits_for_a_lock(world), within=10)
    assert not retry.done()
    pause.go_on.set()
    consume.result(10)
    assert retry.result(10)
    assert world.processor.retries.retry_due()
    assert entries(world, "A") == ["1", "2"]
    assert world.rows("SELECT FROM parked_keys") == []


def test_a_key_that_is_being_retried_is_left_alone_by_other_instances(
    ledger: Ledger, world: World, pool: ThreadPoolExecutor
) -> None:
    park(ledger, world, ledger.confirmed("A", "1"), ledger.confirmed("B", "1"))
    world.rows("UPDATE parked_keys SET due_at = now()")
    other = world.process()
    ledger.before = pause = Pause("1")
    retry = pool.submit(world.processor.retries.retry, (ledger.reads, "A"))
    assert pause.reached.wait(10)
    ledger.before = lambda *_: None
    assert other.processor(other.subscriptions[0]).retries.retry_due()
    assert (entries(world, "A"), entries(world, "B")) == ([], ["1"])
    pause.go_on.set()
    assert retry.result(10)


def test_a_due_key_that_another_instance_took_meanwhile_is_passed_over_at_once(
    ledger: Ledger, world: World, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked at the same moment: who comes second neither waits for the first one's handler nor fails."""
    park(ledger, world, ledger.confirmed("A", "1"), ledger.confirmed("B", "2"))
    world.rows("UPDATE parked_keys SET due_at = now() - interval '1 s' * (CASE key WHEN 'A' THEN 2 ELSE 1 END)")
    other, retries = world.process(), world.processor.retries
    attempt = retries._attempt
    ledger.before = pause = Pause("1")
    firsts: list[Future[bool]] = []

    def attempt_behind_the_other(key: parking.Key, **how: bool) -> bool:
        if not firsts:
            firsts.append(pool.submit(other.processor(other.subscriptions[0]).retries.retry_due))
            assert pause.reached.wait(10)
        return attempt(key, **how)

    monkeypatch.setattr(retries, "_attempt", attempt_behind_the_other)
    for _ in range(2):  # A, which the other has, and B
        assert pool.submit(retries.retry_due).result(5)
    assert not pool.submit(retries.retry_due).result(5)
    assert (entries(world, "A"), entries(world, "B")) == ([], ["2"])
    pause.go_on.set()
    assert firsts[0].result(10)
    assert entries(world, "A") == ["1"]
    assert world.rows("SELECT FROM parked_keys") == []


def test_a_key_whose_try_just_failed_elsewhere_is_not_tried_again_before_its_pause(
    ledger: Ledger, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two instances look for due keys at the same moment: the pause and the tries are those of the key."""
    park(ledger, world, ledger.confirmed("A", "1"))
    world.rows("UPDATE parked_keys SET due_at = now()")
    other, attempt = world.process(), world.processor.retries._attempt

    def fail(*_: Any) -> None:
        raise ValueError("a bug")

    def attempt_behind_the_other(key: parking.Key, **how: bool) -> bool:
        assert other.processor(other.subscriptions[0]).retries.retry_due()
        return attempt(key, **how)

    ledger.before = fail
    monkeypatch.setattr(world.processor.retries, "_attempt", attempt_behind_the_other)
    world.processor.retries.retry_due()
    assert world.rows("SELECT attempts FROM parked_keys") == [2]


def test_a_discard_while_the_head_is_retried_gives_up_the_next_event_or_nothing(
    ledger: Ledger, world: World, pool: ThreadPoolExecutor
) -> None:
    park(ledger, world, ledger.confirmed("A", "1"))
    with transaction(world.runtime.engine) as connection:
        (parked,) = operators.find(connection, Filter(key="A"))
    ledger.before = pause = Pause("1")
    retry = pool.submit(world.processor.retries.retry, (ledger.reads, "A"))
    assert pause.reached.wait(10)
    engine, codec = world.runtime.engine, world.runtime.codec
    discard = pool.submit(operators.discard_head, engine, parked, codec, reason="lost", actor="ada")
    eventually(lambda: someone_waits_for_a_lock(world), within=10)
    pause.go_on.set()
    assert retry.result(10)
    assert discard.result(10) is None
    assert entries(world, "A") == ["1"]
    assert world.rows("SELECT FROM dead_events") == []


def test_retries_from_everywhere_and_the_consumer_keep_every_key_in_order(
    ledger: Ledger, world: World, pool: ThreadPoolExecutor
) -> None:
    """A handler that fails at random, one consumer, three that retry: each event once, in the order of the log."""
    keys, number = [f"K{n}" for n in range(6)], 40
    chance = random.Random(7)
    done = threading.Event()

    def fail_at_random(*_: Any) -> None:
        if chance.random() < 0.2:
            raise ValueError("a bug")

    def retry() -> None:
        runtime = world.process()
        processor, own = runtime.processor(runtime.subscriptions[0]), random.Random(3)
        while not done.is_set():
            processor.retries.retry((ledger.reads, own.choice(keys)))

    ledger.before = fail_at_random
    retries = [pool.submit(retry) for _ in range(3)]
    records = world.records([ledger.confirmed(key, str(n)) for n in range(number) for key in keys])
    runtime = world.process(park_breaker_keys=10_000)
    consumer = runtime.processor(runtime.subscriptions[0])
    while records:
        size = chance.randint(1, 12)
        consumer.handle(records[:size])
        del records[:size]

    eventually(lambda: nothing_parked(world), within=30)
    done.set()
    for finished in retries:
        finished.result(10)
    for key in keys:
        assert entries(world, key) == [str(n) for n in range(number)]
    assert world.rows("SELECT sequence FROM outbox WHERE aggregateid = 'K0' ORDER BY seq") == list(range(1, number + 1))


def nothing_parked(world: World) -> None:
    assert world.rows("SELECT FROM parked_keys") == []
