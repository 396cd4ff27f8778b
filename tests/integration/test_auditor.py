"""Audits of a service's books: when one is due, whatever was restarted, and beside all else that a worker does."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis.collectors import collector_of
from services.chassis.runtime import Runtime
from services.chassis.statements import sql
from services.inventory import bootstrap as inventory
from services.inventory.repository import audit as books
from tests.support.eventually import eventually
from tests.support.services import World, world_of
from tests.support.stock import put_stock
from tests.support.threads import running

SLOW = sql("SELECT pg_sleep(120)::text AS slept")


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(inventory.SERVICE, postgres_server, deadline_poll_seconds=0.05) as world:
        put_stock(world, {"S1": 100})
        yield world


def timed(runtime: Runtime[Any, Any]) -> list[Callable[[threading.Event], None]]:
    """Return those threads of a worker that do things by the clock."""
    return [runtime.deadlines().run, *(make(runtime).run for make in runtime.service.loops.values())]


def found(world: World) -> dict[str, float]:
    """Return what a process that was only just started tells of the last audit: invariant → violations."""
    return told(world, "oms_invariant_violations")


def told(world: World, name: str) -> dict[str, float]:
    families = {family.name: family for family in collector_of(world.process()).collect()}
    assert name in families
    return {",".join(sample.labels.values()): sample.value for sample in families[name].samples}


def spoil(world: World) -> None:
    world.rows("UPDATE stock_levels SET on_hand = on_hand + 3")


def audited(world: World, *violated: str) -> None:
    assert found(world) == {name: float(name in violated) for name in books.CHECKS}


def looked(world: World, number: int = 4) -> None:
    """Wait until the elected worker has looked at deadlines a few times more."""
    for _ in range(number):
        before = world.one("SELECT ticked_at FROM deadline_watch")
        eventually(lambda before=before: _ticked(world, before), within=5)


def _ticked(world: World, before: object) -> None:
    assert world.one("SELECT ticked_at FROM deadline_watch") != before


def test_an_audit_that_is_due_runs_soon_after_the_start(world: World) -> None:
    spoil(world)
    with running(*timed(world.process(audit_seconds=3600))):
        eventually(lambda: audited(world, "levels_equal_ledger"), within=5)


def test_what_an_audit_found_and_when_survives_a_restart(world: World) -> None:
    spoil(world)
    with running(*timed(world.process(audit_seconds=3600))):
        eventually(lambda: audited(world, "levels_equal_ledger"), within=5)
    at = told(world, "oms_audit_timestamp_seconds")
    assert at[""] == pytest.approx(float(world.one("SELECT extract(epoch FROM now())")), abs=30)

    with running(*timed(world.process(audit_seconds=3600))):
        looked(world)
    assert told(world, "oms_audit_timestamp_seconds") == at, "the next one is due in an hour only"
    audited(world, "levels_equal_ledger")


def test_what_was_mended_is_told_by_the_next_audit(world: World) -> None:
    spoil(world)
    with running(*timed(world.process(audit_seconds=0.5))):
        eventually(lambda: audited(world, "levels_equal_ledger"), within=5)
        world.rows("UPDATE stock_levels SET on_hand = on_hand - 3")
        eventually(lambda: audited(world), within=5)


def test_a_slow_audit_delays_no_deadline_and_ends_with_its_worker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two workers one audits; it is alive all the time, and SIGTERM does not wait for it."""
    monkeypatch.setitem(books.CHECKS, "slow", SLOW)
    processes = [world.process(audit_seconds=0.1) for _ in range(2)]
    for process in processes:
        process.health.expect("audit", max_silence=2)
    with running(*timed(processes[0]), *timed(processes[1])):
        eventually(lambda: auditing(world, 1), within=10)
        looked(world)
        eventually(lambda: auditing(world, 1, seconds=3), within=10)
        assert [process.health.livez().status for process in processes] == [200, 200]
    eventually(lambda: auditing(world, 0), within=5)


def auditing(world: World, number: int, seconds: float = 0) -> None:
    """Assert that so many audits have been under way for so long."""
    query = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active'
               AND pid <> pg_backend_pid() AND query LIKE '%pg_sleep(120)%'
               AND now() - query_start >= make_interval(secs => :seconds)"""
    assert world.one(query, seconds=seconds) == number


def test_an_audit_that_fails_ends_nothing_and_keeps_what_was_found(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with running(*timed(world.process(audit_seconds=3600))):
        eventually(lambda: audited(world), within=5)
    at = told(world, "oms_audit_timestamp_seconds")
    monkeypatch.setitem(books.CHECKS, "broken", sql("SELECT 1 / 0"))
    with running(*timed(world.process(audit_seconds=0.1))):
        eventually(lambda: logged(caplog, "audit_failed"), within=5)
        looked(world)
    assert told(world, "oms_audit_timestamp_seconds") == at


def logged(caplog: pytest.LogCaptureFixture, event: str) -> None:
    assert f"event={event} " in caplog.text
