"""What a worker tells of its service's database at a scrape: the values that alerts look at."""

from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from schemas import contracts
from services.chassis.collectors import collector_of
from services.chassis.events import new_id
from services.inventory import bootstrap as inventory
from services.order import bootstrap as order
from tests.support import shop
from tests.support.ledger import Ledger
from tests.support.services import World, world_of
from tests.support.stock import put_stock

BREAKER_KEYS = 3


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    settings = {"build_id": "good", "park_breaker_keys": BREAKER_KEYS, "park_backoff_seconds": 60}
    with world_of(ledger.service, postgres_server, **settings) as world:
        yield world


@pytest.fixture
def stock(postgres_server: Databases) -> Iterator[World]:
    with world_of(inventory.SERVICE, postgres_server) as world:
        put_stock(world, {"S1": 100})
        yield world


@pytest.fixture
def orders(postgres_server: Databases) -> Iterator[World]:
    with world_of(order.SERVICE, postgres_server) as world:
        catalog = world.runtime.processor(world.runtime.subscriptions[0])
        catalog.handle(world.records([shop.variant("S1")]))
        world.deliver(shop.request("R1", {"S1": 1}))
        yield world


def told(world: World, name: str, **process: object) -> dict[tuple[str, ...], float]:
    """Return what a process of the service tells of a gauge: values of its labels → value."""
    (family,) = [family for family in collector_of(world.process(**process)).collect() if family.name == name]
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def poison(ledger: Ledger, world: World, number: int) -> None:
    for _ in range(number):
        world.processor.handle([world.record(ledger.confirmed(new_id()), value=b"\x00\x00")])


def test_a_breaker_is_told_while_it_is_open(ledger: Ledger, world: World) -> None:
    poison(ledger, world, BREAKER_KEYS - 1)
    assert told(world, "oms_breaker_open") == {}

    poison(ledger, world, 1)
    assert told(world, "oms_breaker_open") == {(world.subscription.consumer, ledger.reads): 1}

    world.rows("UPDATE breakers SET resumed_at = now()")
    assert told(world, "oms_breaker_open") == {}


def test_a_breaker_of_another_build_is_not_told(ledger: Ledger, world: World) -> None:
    """It stays where the old build tripped it once more before it ended, and stops nobody."""
    poison(ledger, world, BREAKER_KEYS)
    assert told(world, "oms_breaker_open", build_id="better") == {}


def test_keys_that_wait_for_an_operator_are_told_apart_from_those_that_are_tried_again(
    ledger: Ledger, world: World
) -> None:
    poison(ledger, world, 2)
    world.rows("UPDATE parked_keys SET state = 'dead' WHERE ctid = (SELECT min(ctid) FROM parked_keys)")
    assert told(world, "oms_parked_keys") == {(ledger.reads, "dead"): 1, (ledger.reads, "retrying"): 1}


def test_a_reservation_that_should_have_expired_is_told_with_its_age(stock: World) -> None:
    assert told(stock, "oms_deadlines_overdue_seconds") == {(): 0}
    stock.deliver(shop.placed(new_id(), {"S1": 1}), shop.placed(new_id(), {"S1": 1}))
    assert told(stock, "oms_deadlines_overdue_seconds") == {(): 0}, "its time is not up yet"

    one = "ctid = (SELECT min(ctid) FROM reservations)"
    stock.rows(f"UPDATE reservations SET deadline_at = now() - interval '200 s' WHERE {one}")
    assert told(stock, "oms_deadlines_overdue_seconds")[()] == pytest.approx(200, abs=30)


def test_an_order_whose_time_is_up_is_told_with_its_age(orders: World) -> None:
    assert told(orders, "oms_deadlines_overdue_seconds") == {(): 0}
    orders.rows("UPDATE orders SET deadline_at = now() - interval '200 s'")
    assert told(orders, "oms_deadlines_overdue_seconds")[()] == pytest.approx(200, abs=30)


def test_an_order_without_an_answer_is_told_with_its_age(orders: World) -> None:
    orders.rows("UPDATE orders SET created_at = now() - interval '200 s'")
    assert told(orders, "oms_saga_oldest_in_flight_seconds")[()] == pytest.approx(200, abs=30)
    assert told(orders, "oms_saga_in_flight") == {("reserving",): 1}


def test_an_order_that_was_listed_waits_for_an_operator_and_not_for_inventory(orders: World) -> None:
    orders.rows("""UPDATE orders SET created_at = now() - interval '200 s', pending_operation = 'allocating',
                                     stuck_reason = 'allocation_timeout'""")
    assert told(orders, "oms_saga_oldest_in_flight_seconds") == {(): 0}
    assert told(orders, "oms_orders_stuck") == {("allocation_timeout",): 1}


@pytest.mark.parametrize("state", ["retrying", "dead"])
def test_an_order_whose_answer_is_parked_waits_for_that_and_not_for_inventory(orders: World, state: str) -> None:
    orders.rows("UPDATE orders SET created_at = now() - interval '200 s'")
    topic = contracts.StockReserved.TOPIC
    orders.rows(
        """INSERT INTO parked_keys (consumer, topic, key, state, attempts, due_at, fingerprint, error)
           SELECT 'order', :topic, id::text, :state, 1, now(), '', '' FROM orders""",
        topic=topic,
        state=state,
    )
    assert told(orders, "oms_saga_oldest_in_flight_seconds") == {(): 0}
    assert told(orders, "oms_parked_keys") == {(topic, state): 1}


def test_the_oldest_order_without_an_answer_is_found_by_an_index_behind_those_that_somebody_looks_after(
    orders: World,
) -> None:
    """Many orders that wait, the oldest of them listed or parked: a scrape reads not all of the table."""
    copy(orders, 20_000)
    orders.rows("UPDATE orders SET stuck_reason = 'allocation_timeout' WHERE created_at < now() - interval '19900 s'")
    orders.rows(
        """INSERT INTO parked_keys (consumer, topic, key, state, attempts, due_at, fingerprint, error)
           SELECT 'order', 'inventory.events.v1', id::text, 'dead', 1, now(), '', '' FROM orders
           WHERE created_at BETWEEN now() - interval '19900 s' AND now() - interval '19800 s'"""
    )
    orders.rows("ANALYZE orders, parked_keys")
    assert told(orders, "oms_saga_oldest_in_flight_seconds")[()] == pytest.approx(19_800, abs=60)
    plan = "\n".join(orders.rows(f"EXPLAIN {query('oms_saga_oldest_in_flight_seconds')}"))
    assert "Index Scan using orders_awaiting" in plan
    assert "Seq Scan on orders" not in plan


def copy(orders: World, number: int) -> None:
    """Put orders beside the one that is there, a second apart, none of which has got an answer."""
    columns = orders.rows("""SELECT column_name FROM information_schema.columns
                             WHERE table_name = 'orders' AND column_name NOT IN ('id', 'order_number', 'created_at')""")
    others = ", ".join(columns)
    orders.rows(
        f"""INSERT INTO orders (id, order_number, created_at, {others})
            SELECT gen_random_uuid(), 'C' || n, now() - n * interval '1 s', {others}
            FROM orders, generate_series(1, :number) n""",
        number=number,
    )


def query(name: str) -> str:
    """Return what the database is asked for a gauge of the order service."""
    (gauge,) = [gauge for gauge in order.SERVICE.gauges if gauge.name == name]
    return gauge.query.text


def test_orders_that_were_listed_for_an_operator_are_counted_by_the_reason(orders: World) -> None:
    assert told(orders, "oms_orders_stuck") == {}
    orders.rows("UPDATE orders SET stuck_reason = 'stock_shortfall'")
    assert told(orders, "oms_orders_stuck") == {("stock_shortfall",): 1}
