"""Claims are taken in one global order: two holders of the same ids wait for each other, and never in a circle."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from deploy.local.databases import Databases
from services.chassis import idempotency, inbox
from tests.support.eventually import eventually
from tests.support.ledger import Ledger
from tests.support.services import World, world_of

# An id that sorts first, one in the middle, and one that sorts last.
FIRST, MIDDLE, LAST = (f"{digit * 8}-0000-0000-0000-000000000000" for digit in "19f")
Claim = Callable[[sa.Connection, list[str]], object]
CLAIMS: dict[str, Claim] = {
    "events in the inbox": lambda connection, ids: inbox.claim(connection, "ledger", ids),
    "idempotency keys": lambda connection, ids: idempotency.claim(connection, [("ada", key) for key in ids]),
}


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(Ledger().service, postgres_server) as world:
        yield world


def one_waits(world: World) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    assert world.one(query) == 1


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS)
def test_whoever_waits_for_an_id_holds_none_that_sorts_behind_it(world: World, claim: Claim) -> None:
    engine = world.runtime.engine

    def claim_all() -> None:
        with engine.begin() as connection:
            claim(connection, [LAST, MIDDLE, FIRST])

    with ThreadPoolExecutor(1) as pool, engine.connect() as holder, engine.connect() as third:
        claim(holder, [MIDDLE])
        waiting = pool.submit(claim_all)
        eventually(lambda: one_waits(world), within=10)
        third.exec_driver_sql("SET LOCAL lock_timeout = '2s'")
        claim(third, [LAST])
        third.rollback()
        holder.rollback()
        waiting.result(10)
