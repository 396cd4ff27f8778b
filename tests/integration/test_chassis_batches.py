"""How a batch is handled: what is skipped, in which order handlers see the rest, and how a failing event is found."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from services.chassis.events import new_id
from tests.support.counts import counting
from tests.support.ledger import TABLES, Ledger, LedgerUnitOfWork
from tests.support.noted import counted
from tests.support.services import World, world_of


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server) as world:
        yield world


def fail_for(*notes: str) -> Any:
    """Return a script that raises for the events with these notes."""

    def raise_for(received: Any, _uow: LedgerUnitOfWork) -> None:
        if received.event.order_number in notes:
            raise ValueError(f"cannot take {received.event.order_number}")

    return raise_for


def test_an_event_of_an_unknown_type_is_counted_and_skipped_undecoded(ledger: Ledger, world: World) -> None:
    ignored = counting("oms_events_consumed_total", topic=ledger.reads, event_type="other", result="ignored")
    unknown = world.record(ledger.shipped("A"), value=b"\x00no bytes that anyone could decode")
    invented = world.record(ledger.confirmed("A"), headers={"ce_type": "com.shop.Thing"}, value=b"")
    world.processor.handle([unknown, world.record(ledger.confirmed("A")), invented])
    assert ignored() == 2
    assert ledger.calls == [("OrderConfirmed", ["A"])]
    assert world.position() == {(invented.topic, 0): invented.offset + 1}
    assert world.one("SELECT count(*) FROM inbox") == 1


def test_a_type_that_only_the_schema_id_tells_is_handled_and_skipped_alike(ledger: Ledger, world: World) -> None:
    handled = world.record(ledger.confirmed("A"), headers={"ce_type": None})
    skipped = world.record(ledger.shipped("A"), headers={"ce_type": None})
    world.processor.handle([handled, skipped])
    assert ledger.calls == [("OrderConfirmed", ["A"])]
    assert world.rows("SELECT FROM parked_keys") == []


def test_the_waves_of_a_batch_keep_the_order_of_each_key(ledger: Ledger, world: World) -> None:
    """First the first event of every key, then the second …; in a wave by type, in the order of the table."""
    world.deliver(
        ledger.confirmed("A", "1"),
        ledger.cancelled("A", "2"),
        ledger.confirmed("A", "3"),
        ledger.confirmed("B", "1"),
        ledger.cancelled("C", "1"),
        ledger.cancelled("B", "2"),
    )
    assert ledger.calls == [
        ("OrderCancelled", ["C"]),
        ("OrderConfirmed", ["A", "B"]),
        ("OrderCancelled", ["A", "B"]),
        ("OrderConfirmed", ["A"]),
    ]
    assert world.rows("SELECT key, note FROM entries ORDER BY key, position") == [
        *[("A", "1"), ("A", "2"), ("A", "3"), ("B", "1"), ("B", "2"), ("C", "1")]
    ]


def test_a_handler_is_never_given_two_events_of_one_key(ledger: Ledger, world: World) -> None:
    world.deliver(*[ledger.confirmed(f"K{n % 7}", str(n)) for n in range(50)])
    assert all(len(set(keys)) == len(keys) for _, keys in ledger.calls)
    for key in range(7):
        notes = world.rows("SELECT note FROM entries WHERE key = :key ORDER BY position", key=f"K{key}")
        assert notes == [str(n) for n in range(key, 50, 7)]


def test_a_batch_of_500_with_one_poisonous_event_handles_499_and_parks_1(ledger: Ledger, world: World) -> None:
    ledger.before = fail_for("poison")
    parked = counting("oms_events_consumed_total", topic=ledger.reads, event_type="OrderConfirmed", result="parked")
    notes = {333: "poison"}
    records = world.records([ledger.confirmed(f"K{n}", notes.get(n, "")) for n in range(500)])

    world.processor.handle(records)

    assert world.one("SELECT count(*) FROM entries") == 499
    assert world.rows("SELECT key, state, attempts, error FROM parked_keys") == [
        ("K333", "retrying", 1, "ValueError: cannot take poison")
    ]
    assert world.rows('SELECT "offset" FROM parked_events') == [records[333].offset]
    assert world.position() == {(records[-1].topic, 0): records[-1].offset + 1}
    assert world.one("SELECT count(*) FROM inbox") == 500
    assert parked() == 1
    # Found by halving: nine times the half with the poison fails, and the other half is handled.
    assert len(ledger.calls) <= 20


def test_an_event_that_fails_in_a_late_wave_parks_that_event_and_not_those_before_it(
    ledger: Ledger, world: World
) -> None:
    ledger.before = fail_for("poison")
    world.deliver(
        *[ledger.confirmed("A", note) for note in ("1", "2", "poison", "4")],
        *[ledger.confirmed("B", note) for note in ("1", "2", "3", "4")],
    )
    assert world.rows("SELECT key, note FROM entries ORDER BY key, position") == [
        *[("A", "1"), ("A", "2"), ("B", "1"), ("B", "2"), ("B", "3"), ("B", "4")]
    ]
    assert world.one("SELECT count(*) FROM parked_events WHERE key = 'A'") == 2


def test_many_poisonous_events_are_each_found(ledger: Ledger, world: World) -> None:
    ledger.before = fail_for("poison")
    poisonous = {3, 4, 17, 40, 63}
    world.deliver(*[ledger.confirmed(f"K{n}", "poison" if n in poisonous else "") for n in range(64)])
    assert set(world.rows("SELECT key FROM parked_keys")) == {f"K{n}" for n in poisonous}
    assert world.one("SELECT count(*) FROM entries") == 59


def test_a_record_without_a_key_has_a_key_of_its_own(ledger: Ledger, world: World) -> None:
    ledger.before = fail_for("poison")
    poison = world.record(ledger.confirmed("A", "poison"), key=None)
    world.processor.handle([poison, world.record(ledger.confirmed("A", "good"), key=None)])
    assert world.rows("SELECT key FROM parked_keys") == [f"{poison.topic}/0/{poison.offset}"]
    assert world.one("SELECT note FROM entries") == "good"


def test_the_id_of_an_event_is_its_ce_id_or_derived_from_what_there_is(ledger: Ledger, world: World) -> None:
    plain = new_id()
    by_source = {"ce_id": "order-17", "ce_source": "/shop"}
    records = [
        world.record(ledger.confirmed("A"), headers={"ce_id": plain}),
        world.record(ledger.confirmed("A"), headers={"ce_id": plain.upper()}),
        world.record(ledger.confirmed("A"), headers=by_source),
        world.record(ledger.confirmed("A"), headers=by_source),
        world.record(ledger.confirmed("A"), headers={"ce_id": None}),
        world.record(ledger.confirmed("A"), headers={"ce_id": None}),
    ]
    world.processor.handle(records)
    world.processor.handle(records)
    assert world.one("SELECT count(*) FROM entries") == 4
    assert plain in world.rows("SELECT event_id::text FROM inbox")


def test_a_skipped_sequence_number_is_counted_and_changes_nothing_else(ledger: Ledger, world: World) -> None:
    gaps = counting("oms_consumer_sequence_gaps_total", topic=ledger.reads)
    for number in (1, 2, 5, 5, 4, 6):
        world.processor.handle([world.record(ledger.confirmed("A"), headers={"ce_sequence": f"{number:010d}"})])
    assert gaps() == 2
    assert world.one("SELECT count(*) FROM entries") == 6


def test_the_cause_of_an_event_is_handed_on_to_what_it_makes_the_service_emit(ledger: Ledger, world: World) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    event_id = new_id()
    headers = {"ce_correlationid": "saga-1", "traceparent": trace}
    world.processor.handle([world.record(ledger.confirmed("A"), event_id=event_id, headers=headers)])
    emitted = world.one("SELECT headers FROM outbox")
    assert emitted.pop("ce_time").endswith("Z")
    assert emitted == {"ce_correlationid": "saga-1", "ce_causationid": event_id, "traceparent": trace}


def test_a_batch_costs_the_same_statements_whatever_its_size(ledger: Ledger, world: World) -> None:
    counts = []
    for size in (1, 500):
        with counted(world.runtime.engine) as statements:
            world.deliver(*[ledger.confirmed(f"{size}-{n}") for n in range(size)])
        counts.append(len(statements))
    assert counts[0] == counts[1]


def test_an_event_that_is_too_large_for_the_broker_parks_its_cause_and_writes_no_row(
    ledger: Ledger, postgres_server: Databases
) -> None:
    with world_of(ledger.service, postgres_server, max_event_bytes=100) as world:
        world.deliver(ledger.confirmed("A" * 200), ledger.confirmed("B"))
        assert [key for key, *_ in world.emitted()] == ["B"]
        assert world.one("SELECT error FROM parked_keys").startswith("EventTooLarge: oms.inventory.StockReleased has")
        assert len(world.snapshot(*TABLES)["entries"]) == 1
