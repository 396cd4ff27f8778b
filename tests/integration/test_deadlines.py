"""Nothing waits for ever, and nothing is given up because we were away.

The deadlines of inventory's reservations and of orders' sagas, on a real PostgreSQL; the consumer's positions and the
outbox are set by hand to what an outage leaves behind.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from schemas import contracts
from services.chassis import inbox
from services.chassis.database import DEADLINES_LOCK, transaction
from services.chassis.events import new_id
from services.chassis.statements import sql
from services.inventory import bootstrap as inventory
from services.order import bootstrap as order
from tests.support import shop
from tests.support.counts import counting
from tests.support.eventually import eventually
from tests.support.noted import noted
from tests.support.relay_rows import put_row
from tests.support.services import World, world_of
from tests.support.stock import put_stock
from tests.support.threads import running

PARTITIONS = 12
GRACE = 0.3


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    settings = {"deadline_poll_seconds": 0.05, "deadline_grace_max_seconds": GRACE, "deadline_away_seconds": 5}
    with world_of(inventory.SERVICE, postgres_server, **settings) as world:
        put_stock(world, {"S1": 100})
        caught_up(world)
        yield world


def caught_up(world: World, age: str = "-1 hour") -> None:
    """Say that the consumers reached the end of every partition that long ago; by default for the time to come."""
    for subscription in world.runtime.subscriptions:
        places = [(topic, partition) for topic in subscription.topics for partition in range(PARTITIONS)]
        with transaction(world.runtime.engine) as connection:
            positions = [inbox.Position(topic, partition, 0) for topic, partition in places]
            inbox.note_partitions(connection, subscription.consumer, positions)
    world.rows("UPDATE consumer_progress SET caught_up_at = now() - CAST(:age AS interval)", age=age)


def reserve(world: World, order_id: str | None = None, *, overdue: str = "1 second") -> str:
    """Hold a unit for an order, for a quarter of an hour; the hold ran out so long ago."""
    order_id = order_id or new_id()
    world.deliver(shop.placed(order_id, {"S1": 1}))
    world.rows("DELETE FROM outbox")
    world.rows(
        """UPDATE reservations SET deadline_at = now() - CAST(:overdue AS interval),
               created_at = now() - CAST(:overdue AS interval) - interval '15 minutes' WHERE order_id = :id""",
        overdue=overdue,
        id=order_id,
    )
    return order_id


def some_looks(world: World, number: int = 4) -> None:
    """Wait until the elected worker has looked a few times more."""
    for _ in range(number):
        seen = world.one("SELECT ticked_at FROM deadline_watch")
        eventually(lambda then=seen: looked_after(world, then), within=10)


def looked_after(world: World, then: Any) -> None:
    assert world.one("SELECT ticked_at FROM deadline_watch") > then


def expired(world: World, *order_ids: str) -> None:
    found = world.rows("SELECT order_id::text FROM reservations WHERE status = 'expired' ORDER BY 1")
    assert found == sorted(order_ids)


def stays_put_off(world: World, seconds: float = 4 * GRACE) -> None:
    """Watch that nothing expires although the time is up, and that this is counted."""
    deferred = counting("oms_deadlines_deferred_total")
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        expired(world)
    assert deferred() > 0


def test_a_deadline_fires_once_whatever_restarts_in_between(world: World) -> None:
    orders = [reserve(world) for _ in range(3)]
    waits = reserve(world, overdue="-1 hour")
    for _ in range(3):
        with running(world.process().deadlines().run):
            eventually(lambda: expired(world, *orders), within=10)
            some_looks(world)
    told = [(key, sequence, type(event)) for key, sequence, event in world.emitted()]
    assert sorted(told) == sorted((order, 2, contracts.StockReservationExpired) for order in orders)
    assert world.rows("SELECT order_id::text FROM reservations WHERE status = 'reserved'") == [waits]
    assert world.one("SELECT reserved FROM stock_levels") == 1


def test_a_deadline_is_put_off_while_the_outbox_holds_something_older(world: World) -> None:
    """What waits there may be what the answer is an answer to."""
    order_id = reserve(world, overdue="2 seconds")
    put_row(world, "inventory.events.v1", "another", 1)
    world.rows("UPDATE outbox SET created_at = now() - interval '3 seconds'")
    with running(world.runtime.deadlines().run):
        stays_put_off(world)
        world.rows("DELETE FROM outbox")
        eventually(lambda: expired(world, order_id), within=10)


def test_what_came_into_the_outbox_after_the_deadline_does_not_put_it_off(world: World) -> None:
    order_id = reserve(world, overdue="4 seconds")
    put_row(world, "inventory.events.v1", "another", 1)
    world.rows("UPDATE outbox SET created_at = now() - interval '2 seconds'")
    with running(world.runtime.deadlines().run):
        eventually(lambda: expired(world, order_id), within=10)


@pytest.mark.parametrize("seen", ["3 seconds", None])
def test_a_deadline_is_put_off_while_a_single_partition_was_not_read_up_to_it(world: World, seen: str | None) -> None:
    """The confirmation may lie there: the end that the partition had when the time was up was not reached yet."""
    order_id = reserve(world, overdue="2 seconds")
    world.rows(
        "UPDATE consumer_progress SET caught_up_at = now() - CAST(:seen AS interval) WHERE partition = 7", seen=seen
    )
    with running(world.runtime.deadlines().run):
        stays_put_off(world)
        caught_up(world)
        eventually(lambda: expired(world, order_id), within=10)


def test_a_deadline_fires_once_every_partition_was_read_beyond_it(world: World) -> None:
    order_id = reserve(world, overdue="4 seconds")
    caught_up(world, "2 seconds")
    with running(world.runtime.deadlines().run):
        eventually(lambda: expired(world, order_id), within=10)


def test_a_deadline_is_put_off_while_an_event_of_its_key_is_parked(world: World) -> None:
    order_id, other = reserve(world), reserve(world)
    poison = world.record(shop.confirmed(order_id), value=b"\x00\x00")
    world.processor.handle([poison])
    deferred = counting("oms_deadlines_deferred_total")
    with running(world.runtime.deadlines().run):
        eventually(lambda: expired(world, other), within=10)
        some_looks(world)
        expired(world, other)
        assert deferred() > 0
        world.rows("DELETE FROM parked_events")
        world.rows("DELETE FROM parked_keys")
        eventually(lambda: expired(world, order_id, other), within=10)


@pytest.fixture
def patient(world: World) -> Any:
    """A process whose deadlines wait 1.5 s after an absence."""
    return world.process(deadline_grace_max_seconds=1.5)


def whole_for_an_hour(world: World) -> None:
    """Say that the service was never away."""
    world.rows("UPDATE deadline_watch SET ticked_at = now(), whole_since = now() - interval '1 hour'")


def fires_only_after_the_grace(world: World, patient: Any, order_id: str) -> None:
    with running(patient.deadlines().run):
        stays_put_off(world, 1.2)
        eventually(lambda: expired(world, order_id), within=10)


@pytest.mark.timing
def test_without_an_absence_a_deadline_fires_at_once(world: World, patient: Any) -> None:
    order_id = reserve(world)
    whole_for_an_hour(world)
    began = time.monotonic()
    with running(patient.deadlines().run):
        eventually(lambda: expired(world, order_id), within=10)
        assert time.monotonic() - began < 1.5


def test_after_an_absence_of_the_worker_everyone_gets_time_to_answer(world: World, patient: Any) -> None:
    order_id = reserve(world)
    whole_for_an_hour(world)
    world.rows("UPDATE deadline_watch SET ticked_at = now() - interval '6 seconds'")
    fires_only_after_the_grace(world, patient, order_id)


def test_after_the_consumer_was_behind_everyone_gets_time_to_answer(world: World, patient: Any) -> None:
    order_id = reserve(world)
    whole_for_an_hour(world)
    caught_up(world, "6 seconds")
    with running(world.runtime.deadlines().run):
        eventually(lambda: was_away(world), within=10)
    caught_up(world)
    fires_only_after_the_grace(world, patient, order_id)


def test_after_the_outbox_was_stuck_everyone_gets_time_to_answer(world: World, patient: Any) -> None:
    order_id = reserve(world)
    whole_for_an_hour(world)
    put_row(world, "inventory.events.v1", "another", 1)
    world.rows("UPDATE outbox SET created_at = now() - interval '6 seconds'")
    with running(world.runtime.deadlines().run):
        eventually(lambda: was_away(world), within=10)
    world.rows("DELETE FROM outbox")
    fires_only_after_the_grace(world, patient, order_id)


def was_away(world: World) -> None:
    assert world.one("SELECT whole_since > now() - interval '1 minute' FROM deadline_watch")


def test_a_short_deadline_waits_after_an_absence_for_no_longer_than_itself(world: World) -> None:
    short, long = reserve(world), reserve(world)
    world.rows("UPDATE reservations SET created_at = deadline_at - interval '1 second' WHERE order_id = :id", id=short)
    world.rows("UPDATE deadline_watch SET ticked_at = now() - interval '6 seconds'")
    with running(world.process(deadline_grace_max_seconds=600).deadlines().run):
        began = time.monotonic()
        eventually(lambda: expired(world, short), within=10)
        assert time.monotonic() - began > 0.9
        some_looks(world)
        expired(world, short)
    assert world.rows("SELECT order_id::text FROM reservations WHERE status = 'reserved'") == [long]


def test_a_topic_that_is_no_longer_read_holds_no_deadline_up(world: World) -> None:
    order_id = reserve(world)
    with transaction(world.runtime.engine) as connection:
        inbox.note_partitions(connection, "inventory", [inbox.Position("order.events.v0", 0, 0)])
    with running(world.runtime.deadlines().run):
        eventually(lambda: expired(world, order_id), within=10)


def test_one_of_two_workers_is_elected_and_the_other_takes_over(world: World) -> None:
    other = world.process()
    with running(world.runtime.deadlines().run, other.deadlines().run):
        for _ in range(3):
            eventually(lambda: elected(world), within=10)
            (pid,) = leaders(world)
            for _ in range(5):
                reserve(world)
            world.terminate(pid)
            eventually(lambda: nothing_is_overdue(world), within=20)
    assert world.one("SELECT count(*) FROM stock_movements WHERE kind = 'reservation_expired'") == 15


def leaders(world: World) -> list[int]:
    query = """SELECT pid FROM pg_locks JOIN pg_database d ON d.oid = database
               WHERE locktype = 'advisory' AND granted AND objid = :lock AND datname = current_database()"""
    return world.rows(query, lock=DEADLINES_LOCK)


def elected(world: World) -> None:
    assert len(leaders(world)) == 1


def nothing_is_overdue(world: World) -> None:
    assert world.rows("SELECT FROM reservations WHERE deadline_at < now()") == []


def test_a_reservation_that_is_being_confirmed_is_not_waited_for_and_does_not_expire(world: World) -> None:
    confirmed, other = reserve(world), reserve(world)
    with world.runtime.engine.connect() as holder, running(world.process().deadlines().run):
        holder.execute(sql("SELECT FROM reservations WHERE order_id = :id FOR UPDATE"), {"id": confirmed})
        eventually(lambda: expired(world, other), within=10)
        holder.execute(sql("UPDATE reservations SET deadline_at = NULL WHERE order_id = :id"), {"id": confirmed})
        holder.commit()
        some_looks(world)
    expired(world, other)


def test_a_look_that_finds_nothing_is_one_statement(world: World) -> None:
    """An idle system does little else."""
    reserve(world, overdue="-1 hour")
    process = world.process()
    sent: list[str] = []
    with noted(process.engine, lambda _, statement: sent.append(statement)), running(process.deadlines().run):
        some_looks(world, number=8)
    looks = [statement for statement in sent if "deadline_watch" in statement]
    others = [statement for statement in sent if statement not in looks]
    assert len(looks) >= 8
    assert [statement for statement in others if "pg_try_advisory_lock" not in statement] == ["COMMIT"]


def test_a_deadline_whose_handler_raises_does_not_end_the_worker(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The reservation's SKU holds less than it does: nothing can be let go. Chores and consumers go on."""
    broken = reserve(world)
    world.rows("UPDATE stock_levels SET reserved = 0")
    deferred = counting("oms_deadlines_deferred_total")
    with running(world.runtime.deadlines().run):
        eventually(lambda: failed(caplog, times=3), within=10)
        assert deferred() >= 2
        world.rows("UPDATE stock_levels SET reserved = 1")
        eventually(lambda: expired(world, broken), within=10)


def failed(caplog: pytest.LogCaptureFixture, *, times: int) -> None:
    assert caplog.text.count("event=timed_work_failed ") >= times


@pytest.fixture
def orders(postgres_server: Databases) -> Iterator[World]:
    settings = {"deadline_poll_seconds": 0.05, "deadline_grace_max_seconds": GRACE, "saga_timeout_seconds": 1}
    with world_of(order.SERVICE, postgres_server, **settings) as world:
        catalog = world.runtime.processor(world.runtime.subscriptions[0])
        catalog.handle(world.records([shop.variant("S1")]))
        caught_up(world)
        yield world


def placed(world: World, request_id: str) -> str:
    """Place an order and return its id; what was told of it counts as published."""
    world.deliver(shop.request(request_id, {"S1": 1}))
    world.rows("DELETE FROM outbox")
    return world.one("SELECT id::text FROM orders WHERE request_id = :id", id=request_id)


def test_an_order_that_inventory_never_answers_is_cancelled_and_an_answered_one_is_not(orders: World) -> None:
    silent, answered = placed(orders, "R1"), placed(orders, "R2")
    orders.deliver(shop.reserved(answered, {"S1": 1}))
    with running(orders.runtime.deadlines().run):
        eventually(lambda: cancelled(orders, silent), within=10)
        some_looks(orders)
    cancelled(orders, silent)
    ((key, _, event),) = orders.emitted()
    assert (key, type(event), event.reason) == (silent, contracts.OrderCancelled, "timeout")


def cancelled(world: World, *order_ids: str) -> None:
    assert world.rows("SELECT id::text FROM orders WHERE status = 'cancelled'") == list(order_ids)


def test_an_order_is_not_cancelled_while_its_answer_may_lie_unread(orders: World) -> None:
    order_id = placed(orders, "R1")
    caught_up(orders, "1 second")
    with running(orders.runtime.deadlines().run):
        some_looks(orders, number=40)  # well beyond the deadline and the grace
        cancelled(orders)
        orders.deliver(shop.reserved(order_id, {"S1": 1}))
        caught_up(orders)
        some_looks(orders)
    cancelled(orders)
    assert orders.one("SELECT reservation_status FROM orders") == "reserved"
