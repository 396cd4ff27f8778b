"""What a batch has loaded is free with its end: it is in no cycle, and does not wait for Python's collector.

Workers have the collector look rarely (`services.chassis.garbage`), and each look at a batch costs more
than the batch is worth.
"""

import gc
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis.events import Event, new_id
from services.chassis.service import Service
from services.inventory.bootstrap import SERVICE as INVENTORY
from services.notification.bootstrap import SERVICE as NOTIFICATION
from services.order.bootstrap import SERVICE as ORDER
from tests.support import forged, shop
from tests.support.services import World, world_of

FEW, MANY = 5, 105


@pytest.fixture(params=[ORDER, INVENTORY, NOTIFICATION], ids=lambda service: service.name)
def world(request: pytest.FixtureRequest, postgres_server: Databases) -> Iterator[World]:
    service: Service[Any, Any] = request.param
    needed = {"smtp_url": "smtp://127.0.0.1:1", "mail_from": "shop@shop.example"} if service is NOTIFICATION else {}
    with world_of(service, postgres_server, **needed) as world:
        if service is ORDER:
            world.runtime.processor(world.runtime.subscriptions[0]).handle(world.records([shop.variant("S1")]))
        yield world


@pytest.fixture(autouse=True)
def _collected_by_hand() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def placed(world: World, count: int) -> list[Event]:
    """Return the first that a service hears of so many orders."""
    if world.service is ORDER:
        return [shop.request(new_id(), {"S1": 1}) for _ in range(count)]
    return [forged.placed(new_id(), ("S1", 1)) for _ in range(count)]


def answered(world: World, heard: Sequence[Event]) -> list[Event]:
    """Return the second."""
    if world.service is ORDER:
        ids = world.rows(
            "SELECT CAST(id AS text) FROM orders WHERE status = 'pending' AND reservation_status = 'pending'"
        )
        return [forged.stock_answer("StockReserved", order_id, "S1") for order_id in ids]
    return [forged.confirmed(event.key) for event in heard]


def left_by(world: World, batch: Sequence[Event]) -> int:
    """Return how many objects the collector finds after a batch."""
    records = world.records(batch)
    gc.collect()
    world.processor.handle(records)
    return gc.collect()


def test_a_large_batch_leaves_no_more_to_the_collector_than_a_small_one(world: World) -> None:
    left = []
    for count in (1, FEW, MANY):
        heard = placed(world, count)
        first = left_by(world, heard)
        second = answered(world, heard)
        assert len(second) == count
        left.append((first, left_by(world, second)))
    few, many = left[-2:]
    assert all(after_many - after_few < MANY - FEW for after_few, after_many in zip(few, many, strict=True))
