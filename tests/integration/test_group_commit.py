"""Commands from many requests share transactions; none of them pays for what is wrong with another."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis import commands as group_commit
from services.chassis.commands import Commands
from services.chassis.errors import Problem, TransientError
from services.chassis.statements import sql
from tests.support.counts import counting
from tests.support.crashes import backend_ended_at_commit, backend_ended_before_statement
from tests.support.eventually import eventually
from tests.support.ledger import TABLES, Ledger, LedgerUnitOfWork
from tests.support.noted import counted
from tests.support.services import World, world_of
from tests.support.writing import outcomes, queued, while_one_runs, write


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server) as world:
        yield world


@pytest.fixture
def commands(world: World) -> Commands[Any]:
    return world.runtime.commands()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(300) as pool:
        yield pool


def entries(world: World) -> list[tuple[str, str]]:
    return world.rows("SELECT key, note FROM entries WHERE key <> 'first' ORDER BY key, position")


def test_a_command_answers_with_what_it_wrote(world: World, commands: Commands[Any]) -> None:
    answer = write(commands, "A", "one")
    assert (answer.status, answer.body, answer.headers, answer.replayed) == (201, b"1", {"X-Position": "1"}, False)
    assert write(commands, "A", "two").body == b"2"
    assert entries(world) == [("A", "one"), ("A", "two")]
    assert [(key, sequence) for key, sequence, _ in world.emitted()] == [("A", 1), ("A", 2)]


def test_what_queues_up_while_a_transaction_runs_shares_the_next_one(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    groups, grouped = counting("oms_group_commit_size_count"), counting("oms_group_commit_size_sum")
    with counted(world.runtime.engine) as statements:
        with while_one_runs(ledger, commands, pool) as submit:
            futures = [submit(f"key {n}", str(n)) for n in range(50)]
        assert outcomes(futures) == ["1"] * 50
    assert (groups(), grouped()) == (2, 51)
    assert len([s for s in statements if s.startswith("INSERT INTO entries")]) == 2


def test_who_comes_while_the_leader_gathers_shares_its_transaction(world: World, pool: ThreadPoolExecutor) -> None:
    others = []

    def gather() -> None:
        if not others:
            others.extend([pool.submit(write, commands, f"key {n}", str(n)) for n in range(20)])
            eventually(lambda: queued(commands, 20), within=10)

    commands = world.runtime.commands(gather)
    groups, grouped = counting("oms_group_commit_size_count"), counting("oms_group_commit_size_sum")
    write(commands, "first", "first")
    assert outcomes(others) == ["1"] * 20
    assert (groups(), grouped()) == (1, 21)


def test_a_full_group_gathers_no_more(ledger: Ledger, world: World, pool: ThreadPoolExecutor) -> None:
    gathered = []
    commands = world.runtime.commands(lambda: gathered.append(len(commands._queue)))
    with while_one_runs(ledger, commands, pool) as submit:
        futures = [submit(f"key {n}", str(n)) for n in range(100)]
    assert outcomes(futures) == ["1"] * 100
    assert gathered == [0], "the leader of the second group has 99 others already"


def test_who_runs_alone_lets_nobody_gather(world: World) -> None:
    gathered = []
    commands = world.runtime.commands(lambda: gathered.append("for company"))
    write(commands, "A", "one", alone=True)
    assert (gathered, entries(world)) == ([], [("A", "one")])


def test_who_fails_while_it_gathers_fails_alone(world: World, pool: ThreadPoolExecutor) -> None:
    others = []

    def gather() -> None:
        if not others:
            others.extend([pool.submit(write, commands, f"key {n}", str(n)) for n in range(3)])
            eventually(lambda: queued(commands, 3), within=10)
            raise ZeroDivisionError("a bug")

    commands = world.runtime.commands(gather)
    with pytest.raises(ZeroDivisionError, match="a bug"):
        write(commands, "A", "one")
    assert outcomes(others) == ["1"] * 3
    assert entries(world) == [(f"key {n}", str(n)) for n in range(3)]


def test_a_group_has_a_hundred_commands_at_most(
    ledger: Ledger, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    groups = counting("oms_group_commit_size_count")
    with while_one_runs(ledger, commands, pool) as submit:
        futures = [submit(f"key {n}", str(n)) for n in range(250)]
    assert outcomes(futures) == ["1"] * 250
    assert groups() == 4


def test_two_commands_for_one_aggregate_go_to_different_groups_in_their_order(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    groups = counting("oms_group_commit_size_count")
    with while_one_runs(ledger, commands, pool) as submit:
        futures = [submit(key, note) for key, note in (("A", "1"), ("B", "1"), ("A", "2"), ("A", "3"), ("B", "2"))]
    assert outcomes(futures) == ["1", "1", "2", "3", "2"]
    assert entries(world) == [("A", "1"), ("A", "2"), ("A", "3"), ("B", "1"), ("B", "2")]
    assert groups() == 4


def test_a_refusal_in_a_group_does_not_make_the_others_run_twice(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    with counted(world.runtime.engine) as statements:
        with while_one_runs(ledger, commands, pool) as submit:
            futures = [submit(f"key {n}", "refuse" if n == 5 else str(n)) for n in range(20)]
        assert outcomes(futures) == ["Problem" if n == 5 else "1" for n in range(20)]
    assert sorted(ledger.commanded) == sorted(["first", "refuse", *[str(n) for n in range(20) if n != 5]])
    assert len([s for s in statements if s.startswith("INSERT INTO entries")]) == 2
    assert len(entries(world)) == 19
    refusal = futures[5].exception()
    assert isinstance(refusal, Problem)
    assert (refusal.status, refusal.code) == (409, "refuse")


def fail_at(*notes: str) -> Any:
    def script(submitted: Any, _uow: LedgerUnitOfWork) -> None:
        if submitted.command.note in notes:
            raise ZeroDivisionError("a bug")

    return script


def test_an_unexpected_error_of_one_command_is_its_own_and_the_others_succeed(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    ledger.before = fail_at("5", "7")
    with while_one_runs(ledger, commands, pool) as submit:
        futures = [submit(f"key {n}", str(n), f"idempotency {n}") for n in range(10)]
    assert outcomes(futures) == ["ZeroDivisionError" if n in (5, 7) else "1" for n in range(10)]
    assert entries(world) == [(f"key {n}", str(n)) for n in range(10) if n not in (5, 7)]
    assert world.one("SELECT count(*) FROM idempotency_keys") == 8


def test_a_statement_that_takes_too_long_fails_its_own_command_only(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    def script(submitted: Any, uow: LedgerUnitOfWork) -> None:
        if submitted.command.note == "slow":
            uow.tx.connection.execute(sql("SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(5)"))

    ledger.before = script
    with while_one_runs(ledger, commands, pool) as submit:
        futures = [submit(key, note) for key, note in (("A", "1"), ("B", "slow"), ("C", "1"))]
    assert outcomes(futures) == ["1", "StatementTimeout", "1"]
    assert entries(world) == [("A", "1"), ("C", "1")]


@pytest.mark.parametrize("state", ["40P01", "40001", "23505"])
def test_a_conflict_with_another_transaction_makes_the_group_run_again(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor, state: str
) -> None:
    left = 2

    def conflict(submitted: Any, uow: LedgerUnitOfWork) -> None:
        nonlocal left
        if submitted.command.note == "2" and left:
            left -= 1
            statement = f"DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{state}'; END $$"
            uow.tx.connection.execute(sql(statement))

    ledger.before = conflict
    with while_one_runs(ledger, commands, pool) as submit:
        futures = [submit(f"key {n}", str(n)) for n in range(4)]
    assert outcomes(futures) == ["1"] * 4
    assert len(entries(world)) == 4


@pytest.fixture
def _held(world: World) -> Iterator[None]:
    with world.process().engine.connect() as connection:
        connection.execute(sql("SELECT pg_advisory_lock(77)"))
        yield


@pytest.fixture
def impatient(ledger: Ledger, world: World) -> Iterator[Commands[Any]]:
    """Commands that wait for half a second for what is held; those with the note `held` need it."""

    def script(submitted: Any, uow: LedgerUnitOfWork) -> None:
        if submitted.command.note == "held":
            uow.tx.connection.execute(sql("SELECT pg_advisory_xact_lock(77)"))

    ledger.before = script
    runtime = replace(world.runtime, lock_seconds=0.5)
    yield runtime.commands()
    runtime.engine.dispose()


@pytest.mark.usefixtures("_held")
@pytest.mark.parametrize("notes", [["held", "1", "1", "1"], ["1", "held", "1", "held", "1"], ["1", "1", "held"]])
def test_what_somebody_holds_fails_the_commands_that_need_it_and_no_other(
    ledger: Ledger, world: World, impatient: Commands[Any], pool: ThreadPoolExecutor, notes: list[str]
) -> None:
    with while_one_runs(ledger, impatient, pool) as submit:
        futures = [submit(f"key {n}", note, f"idempotency {n}") for n, note in enumerate(notes)]
    assert outcomes(futures) == ["LockTimeout" if note == "held" else "1" for note in notes]
    assert entries(world) == [(f"key {n}", note) for n, note in enumerate(notes) if note != "held"]
    assert world.one("SELECT count(*) FROM idempotency_keys") == notes.count("1")


@pytest.mark.usefixtures("_held")
def test_a_group_of_which_much_is_held_does_not_wait_for_each_of_it(
    ledger: Ledger, world: World, impatient: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    with while_one_runs(ledger, impatient, pool) as submit:
        futures = [submit(f"key {n}", "held") for n in range(60)]
        began = time.monotonic()
    assert Counter(outcomes(futures)) == {"LockTimeout": 5, "TransactionConflict": 55}
    assert time.monotonic() - began < 60 * 0.2
    assert entries(world) == []


def test_a_backend_that_ends_in_the_middle_fails_the_whole_group_and_nothing_of_it_stands(
    world: World, commands: Commands[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every point between two statements; the same requests with the same keys are then carried out, once."""
    monkeypatch.setattr(group_commit, "_LOOK_SECONDS", 0)  # each group runs the same statements
    world.runtime.require_mode()  # the same: it is asked for once
    engine = world.runtime.engine
    with counted(engine) as statements:
        write(commands, "A", "count", "count")
    for number in range(1, len(statements) + 1):
        before = world.snapshot(*TABLES)
        with backend_ended_before_statement(world, engine, number), pytest.raises(TransientError):
            write(commands, "A", str(number), f"key {number}")
        assert world.snapshot(*TABLES) == before, statements[number - 1]
        assert not write(commands, "A", str(number), f"key {number}").replayed
        assert write(commands, "A", str(number), f"key {number}").replayed
    assert world.one("SELECT count(*) FROM entries") == len(statements) + 1


@pytest.mark.parametrize("committed", [False, True])
def test_when_the_outcome_is_unknown_all_of_the_group_are_told_and_may_safely_ask_again(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor, committed: bool
) -> None:
    requests = [(f"key {n}", str(n), f"idempotency {n}") for n in range(10)]
    with backend_ended_at_commit(world, world.runtime.engine, committed=committed, of="INSERT INTO idempotency_keys"):
        with while_one_runs(ledger, commands, pool) as submit:
            futures = [submit(*request) for request in requests]
        assert outcomes(futures) == ["OutcomeUnknown"] * 10
    assert len(entries(world)) == (10 if committed else 0)
    answers = [write(commands, *request) for request in requests]
    assert [(answer.body, answer.replayed) for answer in answers] == [(b"1", committed)] * 10
    assert len(entries(world)) == 10


def test_while_the_database_is_away_every_request_is_told_so_at_once(
    world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    write(commands, "A", "before")
    with world.database_away():
        futures = [pool.submit(write, commands, f"key {n}", str(n)) for n in range(20)]
        assert outcomes(futures) == ["DatabaseUnavailable"] * 20
    assert write(commands, "A", "after").body == b"2"


def test_sixty_four_threads_lose_and_double_nothing(world: World, commands: Commands[Any]) -> None:
    """Few aggregates, every command with a key of its own, each sent twice; bad requests among them."""
    answers: dict[tuple[str, str], set[bytes]] = {}
    lock = threading.Lock()

    def send(thread: int) -> None:
        for n in range(8):
            key, note = f"key {(thread + n) % 5}", f"{thread}-{n}"
            for _ in range(2):
                answer = write(commands, key, note, f"idempotency {note}")
                with lock:
                    answers.setdefault((key, note), set()).add(answer.body)
            with pytest.raises(Problem):
                write(commands, key, f"refuse {note}", f"idempotency refuse {note}")

    with ThreadPoolExecutor(64) as many:
        for sent in [many.submit(send, thread) for thread in range(64)]:
            sent.result(60)
    found = world.rows("SELECT key, note, position::text FROM entries")
    assert len(found) == 64 * 8
    assert answers == {(key, note): {position.encode()} for key, note, position in found}
    assert world.one("SELECT count(*) FROM idempotency_keys") == 64 * 8
    for key in range(5):
        numbers = world.rows("SELECT sequence FROM outbox WHERE aggregateid = :key ORDER BY seq", key=f"key {key}")
        assert numbers == list(range(1, len(numbers) + 1))


def test_a_command_that_runs_alone_shares_no_transaction_and_nobody_waits_for_ever(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    with counted(world.runtime.engine) as statements:
        with while_one_runs(ledger, commands, pool) as submit:
            futures = [submit(f"key {n}", str(n), alone=n in (0, 4, 9)) for n in range(10)]
        assert outcomes(futures) == ["1"] * 10
    # The first; 0; 1 to 8 without 4; 4; 9.
    assert len([s for s in statements if s.startswith("INSERT INTO entries")]) == 5


def undo(submitted: Any, uow: LedgerUnitOfWork) -> None:
    if submitted.command.note.startswith("undo"):
        uow.tx.undo()


def test_nothing_of_a_command_that_undoes_itself_stands_but_its_answer_is_told(
    ledger: Ledger, world: World, commands: Commands[Any]
) -> None:
    ledger.before = undo
    before = world.snapshot(*TABLES)
    assert write(commands, "A", "undo", "key", alone=True).body == b"1"
    assert world.snapshot(*TABLES) == before
    # So its key is free for what is to stand.
    assert write(commands, "A", "now", "key").body == b"1"
    assert entries(world) == [("A", "now")]


def test_a_command_that_undoes_itself_undoes_no_other(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    ledger.before = undo
    with while_one_runs(ledger, commands, pool) as submit:
        # The second does not say that it wants to be alone.
        futures = [submit("A", "undo 1", alone=True), submit("B", "undo 2"), submit("C", "stays"), submit("D", "stays")]
    assert outcomes(futures) == ["1"] * 4
    assert entries(world) == [("C", "stays"), ("D", "stays")]
    assert [key for key, _, _ in world.emitted()] == ["first", "C", "D"]
