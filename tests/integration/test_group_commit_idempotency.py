"""The same request with the same key gets the same answer, once carried out; a refused one may be sent again."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis import idempotency
from services.chassis.commands import Commands
from services.chassis.database import transaction
from services.chassis.errors import Problem
from services.chassis.idempotency import Answer
from services.chassis.statements import sql
from tests.support.eventually import eventually
from tests.support.ledger import TABLES, Ledger
from tests.support.services import World, world_of
from tests.support.writing import Pause, outcomes, while_one_runs, write


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
def elsewhere(world: World) -> Commands[Any]:
    """The commands of another process of the service."""
    return world.process().commands()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def someone_waits_for_a_lock(world: World) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    assert world.one(query) == 1


def test_the_same_key_with_the_same_request_gets_the_stored_answer(
    world: World, commands: Commands[Any], elsewhere: Commands[Any]
) -> None:
    first = write(commands, "A", "one", "key")
    before = world.snapshot(*TABLES)
    for again in (write(commands, "A", "one", "key"), write(elsewhere, "A", "one", "key")):
        assert again.replayed
        assert (again.status, again.body, again.headers) == (first.status, first.body, first.headers)
    assert world.snapshot(*TABLES) == before


BODIES = [b"", b"1", b"{}", b"NULL", b'["a, \\"b\\"", "\\\\", "\\u0000"]', "{'a': \"ä 🚀 $1 :b %(c)s %%\n\"}".encode()]


@pytest.mark.parametrize("bodies", [BODIES, BODIES[-1:], BODIES[-1:] * 30])
def test_an_answer_is_stored_byte_for_byte(world: World, bodies: list[bytes]) -> None:
    answers = {("ada", f"key {n}"): ("hash", Answer(201, body, {"ETag": '"1"'})) for n, body in enumerate(bodies)}
    with transaction(world.runtime.engine) as connection:
        idempotency.store(connection, answers)
    with transaction(world.runtime.engine) as connection:
        stored, _ = idempotency.claim(connection, answers)
    assert {place: found.answer.body for place, found in stored.items()} == {
        place: answer.body for place, (_, answer) in answers.items()
    }


def test_the_same_key_with_another_request_is_refused(world: World, commands: Commands[Any]) -> None:
    write(commands, "A", "one", "key")
    before = world.snapshot(*TABLES)
    with pytest.raises(Problem) as refused:
        write(commands, "A", "two", "key")
    assert (refused.value.status, refused.value.code) == (422, "idempotency_key_reused")
    assert world.snapshot(*TABLES) == before


def test_the_same_key_of_another_caller_is_another_key(commands: Commands[Any]) -> None:
    assert write(commands, "A", "one", "key", caller="ada").body == b"1"
    assert write(commands, "A", "one", "key", caller="bob").body == b"2"


def test_requests_with_one_key_at_once_wait_and_get_the_first_ones_answer(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    with while_one_runs(ledger, commands, pool) as submit:
        same = [submit("A", "one", "key", subject=None) for _ in range(5)]
        other = submit("A", "two", "key", subject=None)
    assert outcomes(same) == ["1"] * 5
    assert [future.result().replayed for future in same] == [False, True, True, True, True]
    assert outcomes([other]) == ["Problem"]
    assert world.rows("SELECT note FROM entries WHERE key = 'A'") == ["one"]


def test_a_request_with_a_key_that_another_process_is_carrying_out_waits_for_its_answer(
    ledger: Ledger, world: World, commands: Commands[Any], elsewhere: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    ledger.before = pause = Pause("one")
    first = pool.submit(write, commands, "A", "one", "key")
    pause.reached()
    second = pool.submit(write, elsewhere, "A", "one", "key")
    eventually(lambda: someone_waits_for_a_lock(world), within=10)
    assert not second.done()
    pause.go_on()
    assert outcomes([first, second]) == ["1", "1"]
    assert second.result().replayed
    assert ledger.commanded == ["one"]


def test_a_refusal_is_not_stored_and_the_request_may_be_sent_again(
    ledger: Ledger, world: World, commands: Commands[Any]
) -> None:
    with pytest.raises(Problem, match="does not take this"):
        write(commands, "A", "refuse", "key")
    assert world.rows("SELECT FROM idempotency_keys") == []
    # The facts have changed; the hash is the same request's.
    assert write(commands, "A", "now it fits", "key", request_hash="refuse").body == b"1"
    assert write(commands, "A", "now it fits", "key", request_hash="refuse").replayed
    assert ledger.commanded == ["refuse", "now it fits"]


def test_a_request_that_waited_for_one_that_was_refused_is_carried_out_itself(
    ledger: Ledger, world: World, commands: Commands[Any], elsewhere: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    ledger.before = pause = Pause("refuse")
    first = pool.submit(write, commands, "A", "refuse", "key", request_hash="same")
    pause.reached()
    second = pool.submit(write, elsewhere, "B", "fits here", "key", request_hash="same")
    eventually(lambda: someone_waits_for_a_lock(world), within=10)
    pause.go_on()
    assert outcomes([first, second]) == ["Problem", "1"]
    assert not second.result().replayed
    assert world.rows("SELECT note FROM entries") == ["fits here"]
    assert world.one("SELECT request_hash FROM idempotency_keys") == "same"


def test_a_request_that_failed_unexpectedly_leaves_its_key_free(
    ledger: Ledger, world: World, commands: Commands[Any]
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("a bug")

    ledger.before = fail
    with pytest.raises(ZeroDivisionError):
        write(commands, "A", "one", "key")
    ledger.before = lambda *_: None
    assert not write(commands, "A", "one", "key").replayed
    assert world.rows("SELECT note FROM entries") == ["one"]


def test_replayed_refused_and_new_requests_share_a_group(
    ledger: Ledger, world: World, commands: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    write(commands, "A", "old", "old")
    with while_one_runs(ledger, commands, pool) as submit:
        futures = [
            submit("A", "old", "old", subject=None),
            submit("B", "other than before", "old", subject=None, caller="bob"),
            submit("C", "refuse", "refused"),
            submit("D", "new", "new"),
            submit("E", "without a key"),
        ]
    assert outcomes(futures) == ["1", "1", "Problem", "1", "1"]
    assert sorted(world.rows("SELECT caller, key FROM idempotency_keys")) == [
        *[("ada", "new"), ("ada", "old"), ("bob", "old")]
    ]
    assert ledger.commanded.count("old") == 1


def test_a_stored_answer_is_given_while_another_process_is_giving_it_too(
    ledger: Ledger, commands: Commands[Any], elsewhere: Commands[Any], pool: ThreadPoolExecutor
) -> None:
    """Whoever replays holds nothing that others would have to wait for."""
    write(commands, "A", "one", "key")
    ledger.before = pause = Pause("slow")
    with while_one_runs(ledger, commands, pool) as submit:
        replayed = submit("A", "one", "key", subject=None)
        slow = submit("B", "slow", "other")
    pause.reached()
    assert write(elsewhere, "A", "one", "key").replayed
    pause.go_on()
    assert outcomes([replayed, slow]) == ["1", "1"]


@pytest.mark.parametrize("key", ['"', "\\", "'", "%s", "a,b", "{}", "NULL", ":numbers", "; --"])
def test_a_key_may_hold_what_other_languages_have_a_meaning_for(commands: Commands[Any], key: str) -> None:
    assert not write(commands, "A", "one", key).replayed
    assert write(commands, "A", "one", key).replayed


@pytest.mark.parametrize("stored", [True, False])
def test_a_key_that_an_older_build_claims_by_a_row_is_carried_out_once(
    world: World, commands: Commands[Any], pool: ThreadPoolExecutor, stored: bool
) -> None:
    """It claimed the row first and wrote the answer into it; while versions change, both run side by side."""
    with world.runtime.engine.connect() as older:
        older.execute(sql("INSERT INTO idempotency_keys (caller, key) VALUES ('ada', 'key')"))
        asked = pool.submit(write, commands, "A", "one", "key")
        eventually(lambda: someone_waits_for_a_lock(world), within=10)
        answer = "request_hash = 'one', status = 201, headers = '{}', body = 'older'"
        older.execute(sql(f"UPDATE idempotency_keys SET {answer}"))
        older.commit() if stored else older.rollback()
    assert outcomes([asked]) == ["older" if stored else "1"]
    assert asked.result().replayed is stored
    assert world.rows("SELECT note FROM entries") == ([] if stored else ["one"])
