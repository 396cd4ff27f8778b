"""How the facts of analytics are kept: step by step, by one, and never half."""

import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.local.databases import Databases
from services.chassis.connection import Connection
from services.chassis.database import transaction
from services.chassis.health import Health
from services.chassis.statements import sql
from services.chassis.upkeep import Upkeep
from services.order.bootstrap import SERVICE
from services.order.domain.scopes import Scope
from services.order.repository.analytics import Analytics
from services.order.repository.analytics_facts import refresh
from tests.support.analytics import (
    SPANS,
    TABLES,
    TODAY,
    ZONES,
    Orders,
    agree,
    analyst,
    counted,
    in_the_middle,
    waits_in_the_middle,
)
from tests.support.eventually import eventually
from tests.support.services import World, world_of
from tests.support.threads import running


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(SERVICE, postgres_server, analytics_refresh_seconds=0.1, deadline_poll_seconds=0.05) as world:
        yield world


@pytest.fixture
def orders(world: World) -> Orders:
    """Ten orders of six days."""
    orders, draw = Orders(world), random.Random(2)
    for _ in range(10):
        orders.place(draw)
    return orders


@contextlib.contextmanager
def an_analyst_process(world: World) -> Iterator["subprocess.Popen[bytes]"]:
    arguments = [sys.executable, "-m", "tests.support.analyst", world.database.url, *ZONES]
    with subprocess.Popen(arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def test_counting_twice_changes_nothing(world: World, orders: Orders) -> None:
    assert orders.ids
    counted(world)
    before = world.snapshot(*TABLES)
    world.rows("INSERT INTO analytics_stale SELECT DISTINCT zone, day FROM analytics_facts WHERE grain = 'day'")
    counted(world)
    assert world.snapshot(*TABLES) == before


def test_until_when_it_is_complete_is_told_only_once_every_day_is_counted(world: World, orders: Orders) -> None:
    assert orders.ids
    with transaction(world.runtime.engine) as connection:
        assert refresh(connection, ZONES, seconds=-1) is True
        assert Analytics(connection).today("UTC")[1] is None
    counted(world)
    with world.runtime.queries() as uow:
        assert uow.analytics.today("UTC")[1] is not None


def test_an_analyst_that_is_killed_in_the_middle_of_a_day_leaves_nothing_of_it(world: World, orders: Orders) -> None:
    assert orders.ids
    with in_the_middle(world), an_analyst_process(world) as process:
        eventually(lambda: waits_in_the_middle(world), within=60)
        process.kill()
        assert process.wait(10) == -signal.SIGKILL
    assert [world.one(f"SELECT count(*) FROM {table}") for table in TABLES] == [0, 0, 0]
    with running(analyst(world.process().engine, Health()).run):
        eventually(lambda: agree(world), within=60)


def test_of_two_analysts_one_counts_and_the_other_takes_over(world: World, orders: Orders) -> None:
    draw = random.Random(4)
    with running(*(analyst(world.process().engine, Health()).run for _ in range(2))):
        eventually(lambda: agree(world), within=60)
        world.rows("SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory'")
        orders.place(draw)
        eventually(lambda: agree(world), within=60)


def test_two_who_both_think_that_they_are_elected_count_nothing_twice(world: World, orders: Orders) -> None:
    draw = random.Random(5)
    for _ in range(3):
        barrier = threading.Barrier(2)

        def count(barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            counted(world)

        with ThreadPoolExecutor(2) as pool:
            for run in [pool.submit(count) for _ in range(2)]:
                run.result(60)
        agree(world)
        for _ in range(4):
            orders.move(draw)


def test_an_order_that_changes_while_its_day_is_counted_is_counted_again(world: World, orders: Orders) -> None:
    draw = random.Random(6)
    with ThreadPoolExecutor(1) as pool:
        with in_the_middle(world):
            run = pool.submit(counted, world)
            eventually(lambda: waits_in_the_middle(world), within=60)
            for _ in range(8):
                orders.edit(draw)
        run.result(60)
    counted(world)
    agree(world)


def test_a_change_that_began_before_a_look_and_ends_behind_it_is_found_by_the_next(
    world: World, orders: Orders
) -> None:
    with transaction(world.process().engine) as connection:
        change = sql("UPDATE orders SET conceded_minor = 1, updated_at = now() WHERE id = :id")
        connection.execute(change, {"id": orders.ids[0]})
        counted(world)
    counted(world)
    agree(world)


def test_days_of_a_zone_that_is_new_are_counted_since_the_first_order(world: World, orders: Orders) -> None:
    draw = random.Random(7)
    counted(world, ["UTC"])
    with world.runtime.queries() as uow:
        assert uow.analytics.today("Asia/Kolkata")[1] is None
    counted(world)
    agree(world)
    orders.move(draw)
    counted(world, ["UTC"])
    agree(world, ["UTC"])
    counted(world)
    agree(world)


def test_a_slow_count_delays_no_deadline_and_ends_with_its_worker(world: World, orders: Orders) -> None:
    assert orders.ids
    process = world.process()
    process.health.expect("analytics", max_silence=2)
    upkeep = SERVICE.loops["analytics"](process)
    with in_the_middle(world), running(process.deadlines().run, upkeep.run, ends_within=5):
        eventually(lambda: waits_in_the_middle(world), within=60)
        for _ in range(4):
            before = world.one("SELECT ticked_at FROM deadline_watch")
            eventually(lambda before=before: ticked(world, before), within=5)
        eventually(lambda: waits_in_the_middle(world, seconds=3), within=60)
        assert process.health.livez().status == 200


def ticked(world: World, before: object) -> None:
    assert world.one("SELECT ticked_at FROM deadline_watch") != before


def test_a_count_that_fails_ends_nothing(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fail(connection: Connection) -> bool:
        return bool(connection.execute(sql("SELECT 1 / 0")).scalar_one())

    failing = Upkeep(engine=world.process().engine, health=Health(), name="analytics", lock=1, seconds=0.1, step=fail)
    with running(failing.run):
        eventually(lambda: failed(caplog), within=10)


def test_who_takes_long_rests_longer_and_who_starts_waits(world: World) -> None:
    began, steps = time.monotonic(), []

    def count(connection: Connection) -> bool:
        steps.append(time.monotonic() - began)
        connection.execute(sql("SELECT pg_sleep(0.2)"))
        return len(steps) == 1

    slow = Upkeep(engine=world.process().engine, health=Health(), name="analytics", lock=1, seconds=0.5, step=count)
    with running(slow.run):
        eventually(lambda: third(steps), within=30)
    first, second, after_rest = steps
    assert first >= 0.5, "who starts has more urgent work"
    assert second - first < 2, "steps of one turn do not wait for each other"
    assert after_rest - second >= 4, "twenty times 0.2 s"


def third(steps: list[float]) -> None:
    assert len(steps) == 3


def failed(caplog: pytest.LogCaptureFixture) -> None:
    assert "event=upkeep_failed " in caplog.text


def test_products_have_the_names_that_the_catalog_has_now(world: World, orders: Orders) -> None:
    assert orders.ids
    counted(world)
    named = """INSERT INTO catalog_variants VALUES ('A', :name, '', NULL, 100, 'EUR', true, 1)
               ON CONFLICT (sku) DO UPDATE SET product_name = excluded.product_name"""
    for name in ("Anchor", "Anchor, blue"):
        world.rows(named, name=name)
        assert names(world) == {"A": name, "B": None, "C": None, "D": None, "E": None}


def names(world: World) -> dict[str, str | None]:
    with world.runtime.queries() as uow:
        found = uow.analytics.facts(Scope(internal=True), "UTC", SPANS[0], TODAY)
    return {sold.sku: sold.name for facts in found.values() for sold in facts.products}
