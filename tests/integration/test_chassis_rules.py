"""Two of the saga's rules where they meet the batch: all or nothing (5), and early and late messages (6).

The others have files of their own: 1 and 3 test_chassis_transactions, 2 and 4 test_relay (and test_chassis_rebalance),
7 test_deadlines, 8 test_parking.
"""

import itertools
from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from schemas.contracts import StockAllocated, StockRejected, StockReleased, StockReserved
from services.chassis.events import new_id
from services.inventory import bootstrap as inventory
from tests.support import shop
from tests.support.services import World, world_of
from tests.support.stock import put_stock


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(inventory.SERVICE, postgres_server, park_backoff_seconds=0.001) as world:
        put_stock(world, {"S1": 10, "S2": 3})
        yield world


def told(world: World, order_id: str) -> list[type]:
    return [type(event) for key, _, event in world.emitted() if key == order_id]


def held(world: World) -> list[tuple[str, int, int]]:
    return world.rows("SELECT sku, reserved::int, allocated::int FROM stock_levels ORDER BY sku")


def test_an_order_is_reserved_if_and_only_if_every_line_fits(world: World) -> None:
    """Also where several orders of one batch want the same units: in the order of their arrival."""
    first, second, third = (new_id() for _ in range(3))
    world.deliver(
        shop.placed(first, {"S1": 4, "S2": 2}), shop.placed(second, {"S1": 1, "S2": 2}), shop.placed(third, {"S2": 1})
    )
    assert [told(world, order) for order in (first, second, third)] == [
        [StockReserved],
        [StockRejected],
        [StockReserved],
    ]
    assert held(world) == [("S1", 4, 0), ("S2", 3, 0)]


def test_what_an_order_of_the_same_batch_frees_serves_the_one_behind_it(world: World) -> None:
    """What frees stock stands first in a wave."""
    first, second = new_id(), new_id()
    world.deliver(shop.placed(first, {"S2": 3}))
    world.deliver(shop.placed(second, {"S2": 3}), shop.cancelled(first))
    assert told(world, second) == [StockReserved]
    assert held(world) == [("S1", 0, 0), ("S2", 3, 0)]


@pytest.mark.parametrize("batched", [True, False], ids=["in one batch", "one by one"])
def test_early_late_and_repeated_messages_of_an_order_end_alike(world: World, batched: bool) -> None:
    """Placed, confirmed, placed again under another id, and cancelled, in every order: nothing is held at the end."""
    orders = []
    for order in itertools.permutations(range(4)):
        order_id = new_id()
        orders.append(order_id)
        life = [
            shop.placed(order_id, {"S1": 1}),
            shop.confirmed(order_id),
            shop.placed(order_id, {"S1": 1}),
            shop.cancelled(order_id),
        ]
        batches = [[life[n] for n in order]] if batched else [[life[n]] for n in order]
        for batch in batches:
            world.deliver(*batch)
        while world.processor.retries.retry((shop.placed(order_id, {}).TOPIC, order_id)):
            pass
    assert held(world) == [("S1", 0, 0), ("S2", 0, 0)]
    stages = {tuple(told(world, order_id)) for order_id in orders}
    assert stages <= {(), (StockReserved, StockReleased), (StockReserved, StockAllocated, StockReleased)}
    assert len(stages) > 1
    with world.runtime.queries() as uow:
        assert uow.audit().differences == []
