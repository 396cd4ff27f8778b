"""How the facts of analytics are kept: step by step, by one, and never half."""

import random
from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from services.order.bootstrap import SERVICE
from services.order.repository.analytics import Analytics
from services.order.repository.analytics_facts import refresh
from tests.support.analytics import TABLES, ZONES, Orders, agree, counted
from tests.support.services import World, world_of


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(SERVICE, postgres_server) as world:
        yield world


def test_counting_twice_changes_nothing(world: World) -> None:
    draw, orders = random.Random(1), Orders(world)
    for _ in range(10):
        orders.place(draw)
    counted(world)
    before = world.snapshot(*TABLES)
    world.rows("INSERT INTO analytics_stale SELECT DISTINCT zone, day FROM analytics_facts WHERE grain = 'day'")
    counted(world)
    assert world.snapshot(*TABLES) == before


def test_a_count_that_broke_off_half_way_is_as_if_it_had_not_begun(world: World) -> None:
    draw, orders = random.Random(2), Orders(world)
    for _ in range(10):
        orders.place(draw)
    with world.runtime.engine.connect() as connection:
        transaction = connection.begin()
        refresh(connection, ZONES)
        transaction.rollback()
    assert world.one("SELECT count(*) FROM analytics_facts") == 0
    counted(world)
    agree(world)


def test_until_when_it_is_complete_is_told_only_once_every_day_is_counted(world: World) -> None:
    Orders(world).place(random.Random(3))
    with world.runtime.engine.begin() as connection:
        assert refresh(connection, ZONES, seconds=-1) is True
        assert Analytics(connection).today("UTC")[1] is None
    counted(world)
    with world.runtime.queries() as uow:
        assert uow.analytics.today("UTC")[1] is not None
