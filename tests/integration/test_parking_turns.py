"""Who has a turn while parked keys fail again and again: the other parked keys, and what comes fresh."""

import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis.breaker import SuspectedBadDeploy
from services.chassis.events import new_id
from tests.support.eventually import eventually
from tests.support.groups import consumer_of
from tests.support.kafka_log import write_records
from tests.support.ledger import Ledger, LedgerUnitOfWork
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running


@pytest.fixture
def topic(kafka_server: str) -> Iterator[str]:
    with fresh_topics(kafka_server, "ledger", partitions=1) as (name,):
        yield name


@pytest.fixture
def ledger(topic: str) -> Ledger:
    return Ledger(reads=topic, consumer=f"ledger-{new_id()}")


@pytest.fixture
def world(ledger: Ledger, kafka_server: str, postgres_server: Databases) -> Iterator[World]:
    settings = {"kafka_bootstrap_servers": kafka_server, "park_breaker_keys": 1000, "max_attempts": 100}
    with world_of(ledger.service, postgres_server, **settings) as world:
        yield world


def written(world: World, *notes: str) -> None:
    assert world.rows("SELECT note FROM entries ORDER BY note") == sorted(notes)


def parked(world: World, number: int) -> None:
    assert world.one("SELECT count(*) FROM parked_keys") == number


def fails(received: Any, _uow: LedgerUnitOfWork) -> None:
    if received.event.order_number == "fails":
        raise ValueError("a bug")


def waits(received: Any, uow: LedgerUnitOfWork) -> None:
    if received.event.order_number == "waits":
        uow.tx.defer(received, "something_missing", 1.0)


@pytest.mark.parametrize("bad", [fails, waits])
def test_a_good_parked_key_is_not_kept_waiting_by_those_before_it_that_fail_again(
    ledger: Ledger, world: World, bad: Any
) -> None:
    ledger.before = lambda received, uow: uow.tx.defer(received, "something_missing", 3600.0)
    world.deliver(*[ledger.confirmed(f"bad {n}", bad.__name__) for n in range(60)], ledger.confirmed("good", "good"))
    ledger.before = bad
    world.rows("UPDATE parked_keys SET due_at = now() - make_interval(secs => CASE key WHEN 'good' THEN 0 ELSE 9 END)")

    with running(consumer_of(world.runtime).run):
        eventually(lambda: written(world, "good"), within=6)

    parked(world, 60)


def test_fresh_records_have_their_turn_while_a_parked_key_is_always_due(
    ledger: Ledger, world: World, kafka_server: str
) -> None:
    def never_rests(received: Any, uow: LedgerUnitOfWork) -> None:
        if received.event.order_number == "waits":
            uow.tx.defer(received, "something_missing", 0.0)

    ledger.before = never_rests
    world.deliver(ledger.confirmed("A", "waits"))
    with running(consumer_of(world.runtime).run):
        for note in ("1", "2"):
            write_records(kafka_server, [world.record(ledger.confirmed("B", note), partition=0)])
            eventually(lambda note=note: written(world, *"12"[: int(note)]), within=10)  # type: ignore[misc]
    parked(world, 1)


def test_what_is_transient_ends_the_look_at_once(world: World) -> None:
    consumer, looks = consumer_of(world.runtime), []

    def away(_caught_up: object) -> bool:
        looks.append(time.monotonic())
        raise SuspectedBadDeploy("ledger", "ValueError")

    consumer._processor.retries.retry_due = away  # type: ignore[method-assign]
    with running(consumer.run):
        eventually(lambda: looked(looks, 3), within=20)
    assert min(later - sooner for sooner, later in pairwise(looks)) >= 0.5


def looked(looks: list[float], times: int) -> None:
    assert len(looks) >= times
