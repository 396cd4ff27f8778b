"""What ties the events of one order together, and what its saga is counted as."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from schemas.contracts import OrderConfirmed, OrderPlaced
from services.chassis.events import TRACEPARENT
from services.order.bootstrap import SERVICE
from tests.support import forged, shop
from tests.support.counts import counting
from tests.support.services import World, world_of


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(SERVICE, postgres_server, auto_confirm_orders=True) as world:
        world.runtime.processor(world.runtime.subscriptions[0]).handle(world.records([shop.variant("S1")]))
        yield world


def placed(world: World, **headers: str) -> str:
    """Place an order by Kafka and return its id."""
    world.processor.handle([world.record(shop.request("R1", {"S1": 1}), headers=headers)])
    order_id: str = world.one("SELECT id::text FROM orders")
    return order_id


def headers(world: World) -> dict[str, dict[str, str]]:
    """Return the headers of what was told, by type."""
    return dict(world.rows("SELECT type, headers FROM outbox ORDER BY seq"))


def test_all_events_of_an_order_have_its_id_in_common_whoever_caused_them(world: World) -> None:
    order_id = placed(world, ce_correlationid="web-17")
    world.deliver(forged.stock_answer("StockReserved", order_id, "S1"))
    told = headers(world)
    assert list(told) == [OrderPlaced.FULLNAME, OrderConfirmed.FULLNAME]
    assert {row["ce_correlationid"] for row in told.values()} == {order_id}


@pytest.mark.parametrize("given", [{}, {"traceparent": "garbage"}, {"traceparent": "00-" + "0" * 32 + "-" + "1" * 16}])
def test_an_event_begins_a_trace_where_its_cause_has_none(world: World, given: dict[str, Any]) -> None:
    placed(world, **given)
    (told,) = headers(world).values()
    assert TRACEPARENT.fullmatch(told["traceparent"])


def test_a_strangers_correlation_id_that_may_be_an_address_is_not_handed_on(world: World) -> None:
    request = shop.request("R1", {"S1": 0})
    world.processor.handle([world.record(request, headers={"ce_correlationid": "someone@example.com"})])
    (told,) = headers(world).values()
    assert "example.com" not in str(told)


def test_an_order_is_counted_once_for_each_status_and_its_saga_when_it_is_confirmed(world: World) -> None:
    outcomes = ("placed", "stock_reserved", "confirmed", "stock_allocated")
    counted = {outcome: counting("oms_orders_total", outcome=outcome) for outcome in outcomes}
    ended = counting("oms_saga_duration_seconds_count", outcome="confirmed")
    order_id = placed(world)
    world.deliver(forged.stock_answer("StockReserved", order_id, "S1"))
    world.deliver(forged.stock_answer("StockAllocated", order_id, "S1"))
    assert {outcome: count() for outcome, count in counted.items()} == {
        "placed": 1,
        "stock_reserved": 0,
        "confirmed": 1,
        "stock_allocated": 0,
    }
    assert ended() == 1


def test_a_cancelled_order_is_counted_by_its_reason(world: World) -> None:
    counted = counting("oms_orders_total", outcome="insufficient_stock")
    ended = counting("oms_saga_duration_seconds_count", outcome="insufficient_stock")
    world.deliver(forged.stock_answer("StockRejected", placed(world), "S1"))
    assert (counted(), ended()) == (1, 1)
