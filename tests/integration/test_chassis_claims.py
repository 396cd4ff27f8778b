"""Claims are taken in one global order: two holders of the same ids wait for each other, and never in a circle.

Events are claimed in the order of their ids, idempotency keys in that of the numbers that are held for them.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.local.databases import Databases
from services.chassis import idempotency, inbox
from services.chassis.connection import Connection
from services.chassis.database import transaction
from services.chassis.statements import sql
from tests.support.eventually import eventually
from tests.support.ledger import Ledger
from tests.support.services import World, world_of

IDS = [f"{digit * 8}-0000-0000-0000-000000000000" for digit in "19f"]
Claim = Callable[[Connection, list[str]], object]
# How they are claimed, and three in their order.
CLAIMS: dict[str, tuple[Claim, list[str]]] = {
    "events in the inbox": (lambda connection, ids: inbox.claim(connection, "ledger", ids), IDS),
    "idempotency keys": (
        lambda connection, ids: idempotency.claim(connection, [("ada", key) for key in ids]),
        sorted(IDS, key=lambda key: idempotency.number_of(("ada", key))),
    ),
}


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(Ledger().service, postgres_server) as world:
        yield world


def one_waits(world: World) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    assert world.one(query) == 1


@pytest.mark.parametrize(("claim", "ids"), CLAIMS.values(), ids=CLAIMS)
def test_whoever_waits_for_an_id_holds_none_that_sorts_behind_it(world: World, claim: Claim, ids: list[str]) -> None:
    engine = world.runtime.engine
    first, middle, last = ids

    def claim_all() -> None:
        with transaction(engine) as connection:
            claim(connection, [last, middle, first])

    with ThreadPoolExecutor(1) as pool, engine.connect() as holder, engine.connect() as third:
        claim(holder, [middle])
        waiting = pool.submit(claim_all)
        eventually(lambda: one_waits(world), within=10)
        third.execute(sql("SET LOCAL lock_timeout = '2s'"))
        claim(third, [last])
        third.rollback()
        holder.rollback()
        waiting.result(10)
