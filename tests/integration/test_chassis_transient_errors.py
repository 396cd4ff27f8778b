"""What passes by itself is waited for: nothing is parked for it, and nothing skipped."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis.database import transaction
from services.chassis.errors import DatabaseUnavailable, TransactionConflict, TransientError
from services.chassis.statements import sql
from tests.support.ledger import TABLES, Ledger, LedgerUnitOfWork
from tests.support.services import World, world_of


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server) as world:
        yield world


class Failing:
    """A script whose statement fails the first `times` times that it meets an event with the note "bad"."""

    def __init__(self, statement: str, times: int) -> None:
        self._statement = statement
        self._left = times
        self.tries = 0

    def __call__(self, received: Any, uow: LedgerUnitOfWork) -> None:
        if received.event.order_number != "bad":
            return
        self.tries += 1
        if self._left > 0:
            self._left -= 1
            uow.tx.connection.execute(sql(self._statement))


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{state}'; END $$"


TIMEOUT = "SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(5)"
ROW_EXISTS = "INSERT INTO facts (name, value) VALUES ('schema_mode', 'folder')"
TRANSIENT = ["08006", "08000", "53100", "53200", "53300", "57P01", "57P02", "57P03", "40001", "40P01", "55P03"]


@pytest.mark.parametrize("state", TRANSIENT)
def test_an_error_that_passes_leaves_the_batch_to_be_run_again(ledger: Ledger, world: World, state: str) -> None:
    ledger.before = script = Failing(raising(state), times=5)
    before = world.snapshot(*TABLES)
    records = world.records([ledger.confirmed("A"), ledger.confirmed("B", "bad"), ledger.confirmed("C")])
    for _ in range(5):
        with pytest.raises(TransientError):
            world.processor.handle(records)
        assert world.snapshot(*TABLES) == before
    world.processor.handle(records)
    assert world.rows("SELECT key FROM entries ORDER BY key") == ["A", "B", "C"]
    assert world.rows("SELECT FROM parked_keys") == []
    assert script.tries == 6


@pytest.mark.parametrize("state", ["23514", "22P02", "42P01", "P0001"])
def test_an_error_of_the_statement_itself_parks_its_event(ledger: Ledger, world: World, state: str) -> None:
    ledger.before = Failing(raising(state), times=99)
    world.deliver(ledger.confirmed("A"), ledger.confirmed("B", "bad"), ledger.confirmed("C"))
    assert world.rows("SELECT key FROM entries ORDER BY key") == ["A", "C"]
    assert world.rows("SELECT key FROM parked_keys") == ["B"]


@pytest.mark.parametrize("statement", [TIMEOUT, ROW_EXISTS], ids=["57014", "23505"])
def test_a_statement_that_fails_twice_and_then_succeeds_parks_nothing(
    ledger: Ledger, world: World, statement: str
) -> None:
    """A statement took too long, or another transaction inserted the same row meanwhile."""
    ledger.before = script = Failing(statement, times=2)
    world.deliver(ledger.confirmed("A", "bad"))
    assert script.tries == 3
    assert world.rows("SELECT FROM parked_keys") == []
    assert world.rows("SELECT key FROM entries") == ["A"]


@pytest.mark.parametrize("statement", [TIMEOUT, ROW_EXISTS], ids=["57014", "23505"])
def test_after_three_tries_the_event_is_parked(ledger: Ledger, world: World, statement: str) -> None:
    ledger.before = script = Failing(statement, times=99)
    world.deliver(ledger.confirmed("A", "bad"))
    assert script.tries == 3
    assert world.rows("SELECT key FROM parked_keys") == ["A"]


def test_after_three_tries_of_the_batch_the_halves_are_tried(ledger: Ledger, world: World) -> None:
    ledger.before = script = Failing(TIMEOUT, times=99)
    world.deliver(ledger.confirmed("A"), ledger.confirmed("B", "bad"))
    assert script.tries == 6
    assert world.rows("SELECT key FROM entries") == ["A"]
    assert world.rows("SELECT key FROM parked_keys") == ["B"]


def test_an_error_says_nothing_about_the_event_while_the_database_does_not_answer(ledger: Ledger, world: World) -> None:
    with ExitStack() as outage:

        def lose_the_database(*_: Any) -> None:
            outage.enter_context(world.database_away())
            raise ValueError("whatever the handler makes of it")

        ledger.before = lose_the_database
        records = world.records([ledger.confirmed("A"), ledger.confirmed("B")])
        with pytest.raises(DatabaseUnavailable):
            world.processor.handle(records)
        ledger.before = lambda *_: None
        with pytest.raises(DatabaseUnavailable):
            world.processor.handle(records)
    world.processor.handle(records)
    assert world.rows("SELECT key FROM entries ORDER BY key") == ["A", "B"]
    assert world.rows("SELECT FROM parked_keys") == []


def test_a_deadlock_makes_one_of_the_two_run_again_and_parks_nothing(ledger: Ledger, world: World) -> None:
    """Locking outside of the lock phase is a bug, but none that may lose an event."""
    both_hold = threading.Barrier(2)
    holds = {"1": "A", "2": "B"}
    met: set[str] = set()

    def lock_by_hand(received: Any, uow: LedgerUnitOfWork) -> None:
        me = received.event.order_number
        if me not in holds:
            return
        lock = sql("SELECT FROM accounts WHERE key = :key FOR UPDATE")
        uow.tx.connection.execute(lock, {"key": holds[me]})
        if me not in met:
            met.add(me)
            both_hold.wait(10)
        uow.tx.connection.execute(lock, {"key": holds["2" if me == "1" else "1"]})

    world.deliver(ledger.confirmed("A"), ledger.confirmed("B"))
    ledger.before = lock_by_hand
    batches = [world.records([ledger.confirmed(f"own {note}", note)]) for note in holds]
    processes = [world.process() for _ in batches]
    with ThreadPoolExecutor(2) as pool:
        runs = [
            pool.submit(process.processor(process.subscriptions[0]).handle, batch)
            for process, batch in zip(processes, batches, strict=True)
        ]
    errors = [run.exception(20) for run in runs]
    (loser,) = [n for n, error in enumerate(errors) if error is not None]
    assert type(errors[loser]) is TransactionConflict
    world.processor.handle(batches[loser])
    assert world.one("SELECT count(*) FROM entries") == 4
    assert world.rows("SELECT FROM parked_keys") == []


def test_a_row_that_stays_locked_makes_the_batch_wait_and_parks_nothing(ledger: Ledger, world: World) -> None:
    world.deliver(ledger.confirmed("A"))
    records = world.records([ledger.confirmed("A", "2")])
    impatient = world.process(lock_seconds=0.05)
    processor = impatient.processor(impatient.subscriptions[0])
    with transaction(world.runtime.engine) as holder:
        holder.execute(sql("SELECT FROM accounts FOR UPDATE"))
        with pytest.raises(TransactionConflict):
            processor.handle(records)
    processor.handle(records)
    assert world.rows("SELECT note FROM entries ORDER BY position") == ["", "2"]
    assert world.rows("SELECT FROM parked_keys") == []
