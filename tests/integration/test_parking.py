"""A poison message delays only its own key: it is parked, in order, and handled once repaired."""

import dataclasses
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.databases import Databases
from schemas import contracts
from services.chassis import operators, parking
from services.chassis.database import transaction
from services.chassis.errors import TransientError
from services.chassis.events import Record
from services.chassis.operators import Filter
from tests.support.counts import counting
from tests.support.crashes import backend_ended_at_commit
from tests.support.ledger import TABLES, Ledger, LedgerUnitOfWork
from tests.support.services import World, world_of

UNKNOWN_ID = 2**30 + 99_999


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server, park_backoff_seconds=60, max_attempts=3) as world:
        yield world


def entries(world: World, key: str) -> list[str]:
    return world.rows("SELECT note FROM entries WHERE key = :key ORDER BY position", key=key)


def raise_for(*notes: str) -> Callable[[Any, LedgerUnitOfWork], None]:
    def script(received: Any, _uow: LedgerUnitOfWork) -> None:
        if received.event.order_number in notes:
            raise ValueError("a bug")

    return script


def discard(world: World, key: str, reason: str = "lost") -> str | None:
    with transaction(world.runtime.engine) as connection:
        (parked,) = operators.find(connection, Filter(key=key))
    return operators.discard_head(world.runtime.engine, parked, world.runtime.codec, reason=reason, actor="ada")


# What makes a good record of the ledger a bad one.
POISONS: dict[str, Callable[[Record], Record]] = {
    "a wrong magic byte": lambda r: r._replace(value=b"\x01" + r.value[1:]),
    "an unknown schema id": lambda r: r._replace(value=b"\x00" + UNKNOWN_ID.to_bytes(4) + r.value[5:]),
    "truncated Avro": lambda r: r._replace(value=r.value[:-3]),
    "trailing bytes": lambda r: r._replace(value=r.value + b"\x00"),
    "another schema than ce_type says": lambda r: r._replace(
        headers=(*r.headers, ("ce_type", b"oms.order.OrderCancelled"))
    ),
    "no value": lambda r: r._replace(value=None),
    "an empty value": lambda r: r._replace(value=b""),
    "a frame without a body": lambda r: r._replace(value=r.value[:5]),
    "a union's branch that there is none of": lambda r: r._replace(value=r.value[:5] + b"\xff" * 8),
}


@pytest.mark.parametrize("poison", POISONS.values(), ids=POISONS)
def test_what_cannot_be_decoded_parks_its_own_key_and_the_other_keys_flow(
    ledger: Ledger, world: World, poison: Callable[[Record], Record]
) -> None:
    others = world.records([ledger.confirmed("B", "1"), ledger.confirmed("B", "2")])
    bad = poison(world.record(ledger.confirmed("A", "1")))
    behind = world.records([ledger.confirmed("A", "2"), ledger.cancelled("A", "3")])

    world.processor.handle([others[0], bad, behind[0], others[1]])
    world.processor.handle([behind[1]])

    assert entries(world, "A") == []
    assert entries(world, "B") == ["1", "2"]
    assert world.rows('SELECT "offset" FROM parked_events ORDER BY id') == [bad.offset, *[r.offset for r in behind]]
    assert world.rows("SELECT key, state, fingerprint FROM parked_keys") == [("A", "retrying", "undecodable")]
    assert world.position() == {(bad.topic, 0): behind[1].offset + 1}


def test_a_handler_that_raises_parks_its_own_key_in_order_and_the_other_keys_flow(ledger: Ledger, world: World) -> None:
    ledger.before = raise_for("poison")
    world.deliver(
        ledger.confirmed("A", "poison"), ledger.confirmed("B", "1"), ledger.confirmed("A", "2"), ledger.cancelled("B")
    )
    world.deliver(ledger.cancelled("A", "3"), ledger.confirmed("B", "3"))
    assert entries(world, "B") == ["1", "", "3"]
    assert entries(world, "A") == []
    assert world.one("SELECT count(*) FROM parked_events WHERE key = 'A'") == 3


def test_retry_after_the_repair_handles_the_parked_events_in_order_once(ledger: Ledger, world: World) -> None:
    ledger.before = raise_for("1")
    records = world.deliver(*[ledger.confirmed("A", str(n)) for n in range(1, 4)], ledger.cancelled("A", "4"))
    retried = counting("oms_events_consumed_total", topic=ledger.reads, event_type="OrderConfirmed", result="retried")
    assert not world.processor.retries.retry((ledger.reads, "A"))

    ledger.before = raise_for()
    while world.processor.retries.retry((ledger.reads, "A")):
        pass

    assert entries(world, "A") == ["1", "2", "3", "4"]
    assert world.rows("SELECT FROM parked_events") == world.rows("SELECT FROM parked_keys") == []
    assert [sequence for _, sequence, _ in world.emitted()] == [1, 2, 3, 4]
    assert retried() == 3
    before = world.snapshot(*TABLES)
    world.processor.handle(records)
    assert world.snapshot(*TABLES) == before
    world.deliver(ledger.confirmed("A", "5"))
    assert entries(world, "A")[-1] == "5"


def test_a_retry_keeps_event_id_key_and_trace(ledger: Ledger, world: World) -> None:
    seen = []

    def script(received: Any, _uow: LedgerUnitOfWork) -> None:
        seen.append((received.event_id, received.key, received.cause, received.time_ms, received.record.headers))
        if len(seen) == 1:
            raise ValueError("a bug")

    ledger.before = script
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    record = world.record(
        ledger.confirmed("A"), headers={"traceparent": trace, "ce_id": "not a uuid", "ce_source": "/shop"}
    )
    world.processor.handle([record])
    world.processor.retries.retry((ledger.reads, "A"))
    assert len(seen) == 2
    assert seen[0] == seen[1]


def test_after_the_repair_the_head_waits_for_its_pause_and_the_rest_is_due_at_once(
    ledger: Ledger, world: World
) -> None:
    ledger.before = raise_for("1")
    world.deliver(*[ledger.confirmed("A", str(n)) for n in (1, 2, 3)])
    ledger.before = raise_for()
    assert not world.processor.retries.retry_due()
    assert entries(world, "A") == []

    world.rows("UPDATE parked_keys SET due_at = now()")

    assert [world.processor.retries.retry_due() for _ in range(4)] == [True, True, True, False]
    assert entries(world, "A") == ["1", "2", "3"]


def test_the_pauses_double_up_to_their_bound_and_after_max_attempts_the_head_is_dead(
    ledger: Ledger, postgres_server: Databases
) -> None:
    ledger.before = raise_for("1")
    settings = {"park_backoff_seconds": 10, "park_backoff_max_seconds": 35, "max_attempts": 5}
    with world_of(ledger.service, postgres_server, **settings) as world:
        world.deliver(ledger.confirmed("A", "1"), ledger.confirmed("A", "2"))
        pauses = []
        for attempt in range(1, 6):
            state, attempts, pause = world.one("""
                SELECT state, attempts, round(extract(epoch FROM due_at - now()))::int FROM parked_keys""")
            assert attempts == attempt
            pauses.append((state, pause))
            world.rows("UPDATE parked_keys SET due_at = now()")
            assert world.processor.retries.retry_due() == (state != "dead")
        assert pauses == [("retrying", 10), ("retrying", 20), ("retrying", 35), ("retrying", 35), ("dead", 35)]
        # A dead head is not tried by itself, and what is behind it waits, also what comes later.
        ledger.before = raise_for()
        world.deliver(ledger.confirmed("A", "3"), ledger.confirmed("B", "1"))
        assert not world.processor.retries.retry_due()
        assert entries(world, "A") == []
        assert entries(world, "B") == ["1"]
        # An operator's retry revives it.
        while world.processor.retries.retry((ledger.reads, "A")):
            pass
        assert entries(world, "A") == ["1", "2", "3"]


def test_a_follower_that_fails_when_its_turn_comes_waits_for_its_own_tries(ledger: Ledger, world: World) -> None:
    ledger.before = raise_for("1", "2")
    world.deliver(*[ledger.confirmed("A", str(n)) for n in (1, 2, 3)])
    assert not world.processor.retries.retry((ledger.reads, "A"))
    ledger.before = raise_for("2")
    assert world.processor.retries.retry((ledger.reads, "A"))
    assert not world.processor.retries.retry((ledger.reads, "A"))
    assert entries(world, "A") == ["1"]
    assert world.rows("SELECT state, attempts FROM parked_keys") == [("retrying", 1)]


def test_discard_buries_the_head_its_followers_run_and_a_replay_does_not_revive_it(
    ledger: Ledger, world: World
) -> None:
    ledger.before = raise_for("1")
    records = world.deliver(*[ledger.confirmed("A", str(n)) for n in (1, 2, 3)])

    discarded = discard(world, "A", reason="the customer called")

    while world.processor.retries.retry_due():
        pass
    assert entries(world, "A") == ["2", "3"]
    ledger.before = raise_for()
    before = world.snapshot(*TABLES)
    world.processor.handle(records)
    assert world.snapshot(*TABLES) == before
    event_id, value, error, actor = world.one("SELECT event_id::text, value, error, actor FROM dead_events")
    assert (event_id, bytes(value), actor) == (discarded, records[0].value, "ada")
    assert error == "discarded: the customer called (was: ValueError: a bug)"


def test_discarding_the_only_event_frees_its_key(ledger: Ledger, world: World) -> None:
    ledger.before = raise_for("1")
    world.deliver(ledger.confirmed("A", "1"))
    discard(world, "A")
    world.deliver(ledger.confirmed("A", "2"))
    assert entries(world, "A") == ["2"]
    assert world.rows("SELECT FROM parked_keys") == []


def test_a_build_that_knows_the_schema_id_handles_what_an_older_one_had_to_park(
    ledger: Ledger, world: World, tmp_path: Path
) -> None:
    bad = POISONS["an unknown schema id"](world.record(ledger.confirmed("A", "1")))
    world.processor.handle([bad, world.record(ledger.confirmed("A", "2"))])
    schemas = tmp_path / "schemas"
    shutil.copytree(Path(contracts.__file__).parent, schemas)
    entries_of = json.loads((schemas / "ids.json").read_text())
    known = next(entry for entry in entries_of if entry["fullname"] == contracts.OrderConfirmed.FULLNAME)
    (schemas / "ids.json").write_text(json.dumps([*entries_of, {**known, "id": UNKNOWN_ID}]))

    newer = world.process(dataclasses.replace(ledger.service, schemas=schemas))
    processor = newer.processor(newer.subscriptions[0])
    while processor.retries.retry((ledger.reads, "A")):
        pass

    assert entries(world, "A") == ["1", "2"]


def test_an_event_that_defers_itself_is_no_failure_and_is_tried_again_when_it_asked_to(
    ledger: Ledger, world: World
) -> None:
    """With a time of its own the wait is expected: however often it is tried, the key never dies."""

    def wait(received: Any, uow: LedgerUnitOfWork) -> None:
        if received.event.order_number == "early":
            uow.tx.defer(received, "something_missing", 7.0)

    ledger.before = wait
    world.deliver(ledger.confirmed("A", "early"), ledger.confirmed("B"), ledger.confirmed("A", "2"))
    world.deliver(ledger.confirmed("A", "3"))
    for _ in range(5):
        state = world.one("""SELECT state, attempts, fingerprint, round(extract(epoch FROM due_at - now()))::int
                             FROM parked_keys""")
        assert state == ("waiting", 0, "something_missing", 7)
        world.rows("UPDATE parked_keys SET due_at = now()")
        assert world.processor.retries.retry_due()
    assert entries(world, "A") == []
    assert entries(world, "B") == [""]

    ledger.before = raise_for()
    world.rows("UPDATE parked_keys SET due_at = now()")
    while world.processor.retries.retry_due():
        pass
    assert entries(world, "A") == ["early", "2", "3"]


def test_an_event_that_defers_itself_without_a_time_backs_off_and_dies_like_a_failure(
    ledger: Ledger, world: World
) -> None:
    ledger.before = lambda received, uow: uow.tx.defer(received, "something_missing")
    world.deliver(ledger.confirmed("A"))
    states = []
    for _ in range(3):
        states.append(world.one("SELECT state, attempts, fingerprint FROM parked_keys"))
        world.rows("UPDATE parked_keys SET due_at = now()")
        world.processor.retries.retry_due()
    assert states == [(state, n, "something_missing") for n, state in enumerate(("retrying", "retrying", "dead"), 1)]


def test_an_event_knows_since_when_it_has_waited(ledger: Ledger, world: World) -> None:
    since = []

    def wait(received: Any, uow: LedgerUnitOfWork) -> None:
        since.append(received.waiting_since)
        uow.tx.defer(received, "something_missing", 1.0)

    ledger.before = wait
    world.deliver(ledger.confirmed("A"))
    world.processor.retries.retry((ledger.reads, "A"))
    world.processor.retries.retry((ledger.reads, "A"))
    parked_at = world.one("SELECT parked_at FROM parked_events")
    assert since == [None, parked_at, parked_at]


def test_a_retry_whose_database_goes_away_counts_no_attempt(ledger: Ledger, world: World) -> None:
    ledger.before = raise_for("1")
    world.deliver(ledger.confirmed("A", "1"))
    ledger.before = raise_for()
    with backend_ended_at_commit(world, world.runtime.engine, committed=False), pytest.raises(TransientError):
        world.processor.retries.retry((ledger.reads, "A"))
    assert world.one("SELECT attempts FROM parked_keys") == 1
    assert world.processor.retries.retry((ledger.reads, "A"))


def test_a_redelivery_of_parked_events_parks_them_once(ledger: Ledger, world: World) -> None:
    ledger.before = raise_for("1")
    records = world.deliver(ledger.confirmed("A", "1"), ledger.confirmed("A", "2"))
    before = world.snapshot(*TABLES)
    world.processor.handle(records)
    assert world.snapshot(*TABLES) == before


def test_the_bytes_of_a_parked_event_are_kept_as_they_came(ledger: Ledger, world: World) -> None:
    key = b"\xff\xfe key"
    headers = (
        ("ce_type", ledger.confirmed("A").FULLNAME.encode()),
        ("odd", b"\x00\xff"),
        ("none", None),
        ("empty", b""),
    )
    record = world.record(ledger.confirmed("A"), key=key, value=b"\x00\x01\x02", timestamp_ms=1234)
    record = record._replace(headers=headers)
    world.processor.handle([record])
    row = world.one("SELECT record_key, value, headers, timestamp_ms FROM parked_events")
    assert (bytes(row[0]), bytes(row[1]), row[3]) == (key, b"\x00\x01\x02", 1234)
    assert parking.headers_from_json(row[2]) == headers
    assert world.one("SELECT key FROM parked_keys") == "\\xff\\xfe key"
    assert not world.processor.retries.retry((ledger.reads, "\\xff\\xfe key"))


@pytest.mark.parametrize(
    ("differences", "why"),
    [
        ({"key": b"a\x00b"}, "a key that PostgreSQL cannot keep as text"),
        ({"key": random.Random(1).randbytes(5000)}, "a key that PostgreSQL cannot index"),
        ({"headers": {"ce_correlationid": "a\x00b"}}, "a header that PostgreSQL cannot keep as text"),
        ({"headers": {"ce_sequence": "9" * 5000}}, "a number that is too long for Python"),
        ({"headers": {"ce_sequence": "٣"}}, "digits that are none of ASCII"),
        ({"headers": {"ce_id": "a\x00b"}}, "an id that PostgreSQL cannot keep as text"),
    ],
)
def test_headers_and_keys_that_are_odd_do_not_stop_the_consumer(
    ledger: Ledger, world: World, differences: dict[str, Any], why: str
) -> None:
    odd = world.record(ledger.confirmed("A"), **differences)
    world.processor.handle([world.record(ledger.confirmed("B", "before")), odd])
    world.deliver(ledger.confirmed("B", "after"))
    assert entries(world, "B") == ["before", "after"], why
    assert world.one("SELECT count(*) FROM entries") == 3
    identified = {**differences, "headers": {**differences.get("headers", {}), "ce_source": "/another"}}
    world.processor.handle([POISONS["truncated Avro"](world.record(ledger.confirmed("C"), **identified))])
    assert world.one("SELECT count(*) FROM parked_events") == 1


def test_two_long_keys_that_begin_alike_are_two_keys(ledger: Ledger, world: World) -> None:
    ledger.before = raise_for("1")
    long = b"k" * 3000
    world.processor.handle(
        [
            world.record(ledger.confirmed("A", "1"), key=long + b"1"),
            world.record(ledger.confirmed("A", "2"), key=long + b"2"),
            world.record(ledger.confirmed("A", "3"), key=long + b"1"),
        ]
    )
    assert world.rows("SELECT note FROM entries") == ["2"]
    assert world.one("SELECT count(*) FROM parked_events") == 2


def test_an_error_that_quotes_what_postgresql_cannot_keep_is_parked_all_the_same(ledger: Ledger, world: World) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("cannot take a\x00b or \ud800")

    ledger.before = fail
    world.deliver(ledger.confirmed("A"))
    assert not world.processor.retries.retry((ledger.reads, "A"))
    assert world.one("SELECT error FROM parked_keys") == "ValueError: cannot take a\ufffdb or ?"
    discard(world, "A", reason="a\x00b")
    assert world.one("SELECT error FROM dead_events").startswith("discarded: a\ufffdb (was:")
