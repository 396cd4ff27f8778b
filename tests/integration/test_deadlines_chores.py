"""Housekeeping by the elected worker: in bounded steps, and still as fast as anything comes in."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis import idempotency, inbox, parking
from services.chassis.database import transaction
from services.chassis.deadlines import Chore
from tests.support.eventually import eventually
from tests.support.ledger import Ledger
from tests.support.services import World, world_of
from tests.support.threads import running


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(Ledger().service, postgres_server, deadline_poll_seconds=0.02) as world:
        yield world


FILL = {
    "inbox": """INSERT INTO inbox SELECT 'ledger', gen_random_uuid(), now() - :age * interval '1 day'
                FROM generate_series(1, :n)""",
    "idempotency_keys": """INSERT INTO idempotency_keys (caller, key, created_at)
                           SELECT 'ada', gen_random_uuid(), now() - :age * interval '1 day'
                           FROM generate_series(1, :n)""",
    "dead_events": """INSERT INTO dead_events (consumer, topic, key, partition, "offset", event_id, headers, error,
                                               actor, died_at)
                      SELECT 'ledger', 't', 'k', 0, n, gen_random_uuid(), '[]', '', '', now() - :age * interval '1 day'
                      FROM generate_series(1, :n) n""",
}
PRUNE: dict[str, Any] = {
    "inbox": lambda connection, step: inbox.prune(connection, 17, step),
    "idempotency_keys": lambda connection, step: idempotency.prune(connection, 17 * 24, step),
    "dead_events": lambda connection, step: parking.prune_dead(connection, 17, step),
}


@pytest.mark.parametrize("table", FILL)
def test_what_is_too_old_is_pruned_in_bounded_steps_and_the_rest_is_kept(world: World, table: str) -> None:
    world.rows(FILL[table], n=250, age=18)
    world.rows(FILL[table], n=30, age=16)
    left = []
    for _ in range(4):
        with transaction(world.runtime.engine) as connection:
            more = PRUNE[table](connection, 100)
        left.append((world.one(f"SELECT count(*) FROM {table}"), more))
    assert left == [(180, True), (80, True), (30, False), (30, False)]


def test_the_elected_worker_prunes_step_by_step_until_nothing_is_left(world: World) -> None:
    """Twelve steps one after the other, not one every 1.5 s; a chore that raises does not keep the others."""
    world.rows(FILL["inbox"], n=12_000, age=18)
    deadlines = world.runtime.deadlines()
    deadlines._chores = [Chore("inbox", 1.5, prune_by_thousands), Chore("broken", 0.1, fail)]
    with running(deadlines.run):
        eventually(lambda: nothing_is_left(world), within=10)


def prune_by_thousands(connection: Any) -> bool:
    return inbox.prune(connection, 17, 1000)


def fail(_connection: Any) -> None:
    raise ValueError("a bug")


def nothing_is_left(world: World) -> None:
    assert world.one("SELECT count(*) FROM inbox") == 0


def test_the_chassis_prunes_its_own_tables(world: World) -> None:
    for fill in FILL.values():
        world.rows(fill, n=10, age=40)
    for chore in world.runtime._chores():
        with transaction(world.runtime.engine) as connection:
            chore.step(connection)
    assert [world.one(f"SELECT count(*) FROM {table}") for table in FILL] == [0, 0, 0]
