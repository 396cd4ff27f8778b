"""State, inbox claim, consumer position and outgoing events commit in one transaction, or not at all.

The database's backend is ended at every point between two statements of a batch's transaction, and while it commits.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis.connection import Connection
from services.chassis.database import statements, transaction
from services.chassis.errors import OutcomeUnknown, RowExists, TransientError
from services.chassis.events import new_id
from services.chassis.statements import sql
from tests.support.crashes import backend_ended_at_commit, backend_ended_before_statement
from tests.support.ledger import TABLES, Ledger, LedgerUnitOfWork
from tests.support.noted import counted
from tests.support.services import World, world_of

EVENT_IDS = [new_id() for _ in range(3)]


def _claim(connection: Connection, event_ids: list[str]) -> None:
    for event_id in event_ids:
        connection.execute(sql("INSERT INTO inbox VALUES ('-', CAST(:id AS uuid))"), {"id": event_id})


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server) as world:
        yield world


def test_a_batch_commits_state_claims_position_and_outgoing_events_together(ledger: Ledger, world: World) -> None:
    records = world.deliver(ledger.confirmed("A", "first"), ledger.confirmed("B"), ledger.cancelled("A", "second"))
    assert world.rows("SELECT key, position, note FROM entries ORDER BY key, position") == [
        ("A", 1, "first"),
        ("A", 2, "second"),
        ("B", 1, ""),
    ]
    assert [(key, sequence) for key, sequence, _ in world.emitted()] == [("A", 1), ("B", 1), ("A", 2)]
    assert world.one("SELECT count(*) FROM inbox") == 3
    assert world.position() == {(records[-1].topic, 0): records[-1].offset + 1}


def test_a_backend_that_ends_between_any_two_statements_leaves_nothing_of_the_batch(
    ledger: Ledger, world: World
) -> None:
    engine = world.runtime.engine
    with counted(engine) as sent:
        world.deliver(ledger.confirmed("A"), ledger.confirmed("B"))
    assert len(sent) >= 8
    for number in range(1, len(sent) + 1):
        before = world.snapshot(*TABLES)
        records = world.records([ledger.confirmed("A"), ledger.confirmed(f"new {number}")])
        with backend_ended_before_statement(world, engine, number), pytest.raises(TransientError):
            world.processor.handle(records)
        assert world.snapshot(*TABLES) == before, sent[number - 1]

        world.processor.handle(records)

        assert world.one("SELECT max(position) FROM entries WHERE key = 'A'") == number + 1
    assert world.rows("SELECT FROM parked_keys") == []


def test_each_statement_that_is_sent_alone_stands_by_itself(world: World) -> None:
    """And a transaction on the same connection afterwards is one again."""
    for lend, event_ids in ((statements, EVENT_IDS[:2]), (transaction, EVENT_IDS[2:])):
        with pytest.raises(RowExists), lend(world.runtime.engine) as connection:
            _claim(connection, [*event_ids, EVENT_IDS[0]])

    assert set(world.rows("SELECT event_id::text FROM inbox")) == set(EVENT_IDS[:2])


def test_a_backend_that_ends_before_the_commit_leaves_nothing_of_the_batch(ledger: Ledger, world: World) -> None:
    world.deliver(ledger.confirmed("A"))
    before = world.snapshot(*TABLES)
    records = world.records([ledger.confirmed("A"), ledger.confirmed("B")])
    with backend_ended_at_commit(world, world.runtime.engine, committed=False), pytest.raises(OutcomeUnknown):
        world.processor.handle(records)
    assert world.snapshot(*TABLES) == before


def test_a_batch_whose_commit_stood_although_the_answer_was_lost_is_handled_once(ledger: Ledger, world: World) -> None:
    records = world.records([ledger.confirmed("A"), ledger.confirmed("B")])
    with backend_ended_at_commit(world, world.runtime.engine, committed=True), pytest.raises(OutcomeUnknown):
        world.processor.handle(records)
    stands = world.snapshot(*TABLES)
    assert len(stands["entries"]) == 2

    world.processor.handle(records)

    assert world.snapshot(*TABLES) == stands


def test_a_handler_that_raises_leaves_nothing_but_its_parked_event(ledger: Ledger, world: World) -> None:
    """Of the failing event only the claim, the parked bytes and the position stand, in one transaction."""

    def raise_after_writing(received: Any, uow: LedgerUnitOfWork) -> None:
        uow.write("A", "-", "half done", received.cause)
        raise ValueError("a bug")

    ledger.before = raise_after_writing
    (record,) = world.deliver(ledger.confirmed("A"))
    kept = world.snapshot(*TABLES)
    assert kept["entries"] == kept["accounts"] == kept["outbox"] == []
    assert [len(kept[table]) for table in ("inbox", "parked_keys", "parked_events")] == [1, 1, 1]
    assert world.position() == {(record.topic, 0): record.offset + 1}


def test_a_backend_that_ends_while_an_event_is_parked_parks_nothing(ledger: Ledger, world: World) -> None:
    engine = world.runtime.engine

    def fail(*_: object) -> None:
        raise ValueError("a bug")

    ledger.before = fail
    with counted(engine) as sent:
        world.deliver(ledger.confirmed("first"))
    parking = next(i for i, statement in enumerate(sent) if "INTO parked_keys" in statement)
    for number in range(parking, len(sent) + 1):
        before = world.snapshot(*TABLES)
        record = world.record(ledger.confirmed(f"key {number}"))
        with backend_ended_before_statement(world, engine, number), pytest.raises(TransientError):
            world.processor.handle([record])
        assert world.snapshot(*TABLES) == before, sent[number - 1]

        world.processor.handle([record])

        assert world.one("SELECT count(*) FROM parked_events WHERE key = :key", key=f"key {number}") == 1


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_replaying_a_whole_topic_from_offset_0_changes_nothing(ledger: Ledger, world: World, batch_size: int) -> None:
    """Whatever the batches of the first reading were, and those of the replay."""
    events = [make(f"K{n % 5}", str(n)) for n in range(20) for make in (ledger.confirmed, ledger.cancelled)]
    records = world.records(events)
    for start in range(0, len(records), 3):
        world.processor.handle(records[start : start + 3])
    before = world.snapshot(*TABLES)
    assert len(before["entries"]) == 40

    for start in range(0, len(records), batch_size):
        world.processor.handle(records[start : start + batch_size])

    assert world.snapshot(*TABLES) == before


def test_a_duplicate_inside_a_batch_and_in_a_later_one_changes_nothing(ledger: Ledger, world: World) -> None:
    """The broker may deliver the same event at other offsets too: the relay sends twice after a crash."""
    event_id = new_id()
    first = [world.record(ledger.confirmed("A"), event_id=event_id) for _ in range(3)]
    world.processor.handle([*first, world.record(ledger.confirmed("A", "other"))])
    before = world.snapshot(*TABLES)
    assert world.rows("SELECT note FROM entries ORDER BY position") == ["", "other"]

    last = world.record(ledger.confirmed("A"), event_id=event_id)
    world.processor.handle([first[0], last])

    assert world.snapshot(*TABLES) == before | {"position": [(last.topic, 0, last.offset + 1)]}


def test_a_position_never_goes_back(ledger: Ledger, world: World) -> None:
    records = world.deliver(ledger.confirmed("A"), ledger.confirmed("B"))
    world.processor.handle(records[:1])
    assert world.position() == {(records[-1].topic, 0): records[-1].offset + 1}
