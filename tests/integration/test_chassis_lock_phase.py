"""The lock phase: whatever meets over a few SKUs at once, nobody ever waits in a circle.

Handlers that lock for themselves deadlock as soon as two run in one transaction. Here two consumers, two groups of
commands, retries and deadlines work on the same few rows as fast as they can; PostgreSQL counts its deadlocks.
Runs for LOCK_PHASE_SECONDS (20 by default, 60 in CI at most).
"""

import os
import random
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis import inbox
from services.chassis.commands import Commands
from services.chassis.database import transaction
from services.chassis.events import Cause, Record, new_id
from services.chassis.idempotency import Answer
from services.inventory import bootstrap as inventory
from services.inventory.domain.commands import AdjustStock
from services.inventory.domain.stock import Because
from tests.support import shop
from tests.support.services import World, world_of
from tests.support.stock import put_stock, receipt, variant
from tests.support.threads import running

SECONDS = min(float(os.environ.get("LOCK_PHASE_SECONDS", "20")), 60)
SKUS = [f"S{n}" for n in range(5)]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 120)]


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    settings = {
        "deadline_poll_seconds": 0.01,
        "deadline_grace_max_seconds": 0.01,
        "park_breaker_keys": 1_000_000,
        "park_backoff_seconds": 0.05,
        "park_backoff_max_seconds": 0.05,
    }
    with world_of(inventory.SERVICE, postgres_server, **settings) as world:
        put_stock(world, dict.fromkeys(SKUS, 200))
        yield world


class Feeder:
    """A consumer with partitions of its own: random batches of orders that are placed, confirmed, cancelled, shipped.

    Now and then an order is confirmed or shipped before it is placed, or everything comes twice.
    """

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._runtime = world.process()
        self._processor = self._runtime.processor(self._runtime.subscriptions[0])
        self._chance = random.Random(seed)
        self._open: deque[tuple[str, dict[str, int]]] = deque(maxlen=60)
        self._last: list[Record] = []
        self.batches = 0

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            if self._last and self._chance.random() < 0.05:
                self._processor.handle(self._last)
            self._last = self._world.records(
                event for _ in range(self._chance.randint(1, 25)) for event in self._step()
            )
            self._processor.handle(self._last)
            self._processor.retries.retry_due()
            self.batches += 1

    def _step(self) -> list[Any]:
        if len(self._open) < 5 or self._chance.random() < 0.4:
            return self._new_order()
        order_id, items = self._chance.choice(self._open)
        choice = self._chance.random()
        if choice < 0.4:
            return [shop.confirmed(order_id)]
        return [shop.cancelled(order_id)] if choice < 0.7 else [shop.shipped(order_id, items)]

    def _new_order(self) -> list[Any]:
        order_id = new_id()
        skus = self._chance.sample(SKUS, self._chance.randint(1, len(SKUS)))
        items = {sku: self._chance.randint(1, 3) for sku in skus}
        self._open.append((order_id, items))
        events = [shop.placed(order_id, items, hold_seconds=self._chance.choice([1, 900])), shop.confirmed(order_id)]
        return events[:: self._chance.choice([1, 1, 1, -1])][: self._chance.choice([1, 2])]


class Clerk:
    """A caller of the API that receives, corrects and publishes one SKU after the other."""

    def __init__(self, commands: Commands[Any], seed: int) -> None:
        self._commands, self._chance = commands, random.Random(seed)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            sku = self._chance.choice(SKUS)
            because = Because(event_id=new_id(), actor="clerk")
            correction = AdjustStock(sku=sku, location="main", quantity=-1, because=because)
            command = self._chance.choice([receipt(sku, 3), receipt(sku, 1), correction, variant(sku)])
            self._commands.submit(
                command, caller="clerk", cause=Cause(sku), render=lambda *_: Answer(200, b"", {}), subject=sku
            )


def all_caught_up(world: World) -> None:
    """Say that every partition is read, so that deadlines fire at once."""
    (subscription,) = world.runtime.subscriptions
    with transaction(world.runtime.engine) as connection:
        places = [inbox.Position(topic, n, 0) for topic in subscription.topics for n in range(12)]
        inbox.note_partitions(connection, subscription.consumer, places)
    world.rows("UPDATE consumer_progress SET caught_up_at = now() + interval '1 hour'")


def publish_at_once(world: World, stop: threading.Event) -> None:
    """Take away what is emitted, as the relay would: deadlines wait for an outbox that is behind."""
    while not stop.wait(0.02):
        world.rows("DELETE FROM outbox")


def test_random_hot_batches_commands_and_deadlines_at_once_never_deadlock(world: World) -> None:
    all_caught_up(world)
    feeders = [Feeder(world, seed) for seed in (1, 2)]
    apis = [world.process().commands() for _ in range(2)]
    clerks = [Clerk(api, n) for api in apis for n in range(4)]
    loops = [feeder.run for feeder in feeders] + [clerk.run for clerk in clerks]
    with running(*loops, world.process().deadlines().run, lambda stop: publish_at_once(world, stop)) as stop:
        stop.wait(SECONDS)

    assert world.deadlocks() == 0
    kinds = set(world.rows("SELECT DISTINCT kind FROM stock_movements"))
    assert {"received", "adjusted", "reserved", "reservation_expired", "released", "allocated", "shipped"} <= kinds
    assert min(feeder.batches for feeder in feeders) > 20
    with world.runtime.queries() as uow:
        assert uow.audit().differences == []
