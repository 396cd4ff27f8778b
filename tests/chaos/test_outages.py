"""A server is away or frozen, under load, while orders that get no answer are given up after ten seconds.

Nothing of ours is started again, and 30 s after the return all is done: no order was cancelled that inventory could
serve, and the log has no hole.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import requests

from tests.chaos.shop import ADDRESS, PLENTY, Orders, Shop
from tests.chaos.verdict import await_rest, require_intact
from tests.support.eventually import eventually
from tests.support.load import TAKEN, Load

RATE = 10.0
DONE_SECONDS = 30.0
ANSWER_SECONDS = 2.0
pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True, slots=True)
class Outage:
    """When a server was gone, when it was brought back, and when it answered again (`time.monotonic`)."""

    began: float
    ended: float
    returned: float


@pytest.fixture(scope="module")
def shop(servers: Shop) -> Iterator[Shop]:
    servers.open(saga_timeout_seconds=10)
    yield servers
    servers.close()


def outage(load: Load, seconds: float, *, leave: Callable[[], None], back: Callable[[], None]) -> Outage:
    """Take a server away from a running load for some seconds; the load goes on for a while after its return."""
    busy(load)
    leave()
    began = time.monotonic()
    time.sleep(seconds)
    ended = time.monotonic()
    back()
    returned = time.monotonic()
    busy(load)
    return Outage(began, ended, returned)


def busy(load: Load) -> None:
    """Wait until twenty more orders are accepted."""
    wanted = len(load.accepted) + 20

    def accepted() -> None:
        assert len(load.accepted) >= wanted

    eventually(accepted, within=20)


def require_done(orders: Orders, returned: float) -> None:
    """Everything that was accepted has come to its end 30 s after the return, and the log is whole."""
    await_rest(orders, within=returned + DONE_SECONDS - time.monotonic())
    print(f"done {time.monotonic() - returned:.1f} s after the return")
    require_intact(orders)


def broker_outage(shop: Shop, seconds: float, *, leave: Callable[[], None], back: Callable[[], None]) -> None:
    processes = shop.pids()
    orders = shop.orders(RATE)
    with orders as load:
        gone = outage(load, seconds, leave=leave, back=back)
    require_done(orders, gone.returned)
    meanwhile = load.outcomes(since=gone.began, until=gone.returned)
    assert meanwhile.keys() <= TAKEN
    assert sum(meanwhile.values()) > seconds * RATE * 0.8
    assert shop.pids() == processes, "a process was started anew"


@pytest.mark.parametrize("seconds", [20, pytest.param(90, marks=pytest.mark.slow)])
def test_while_the_broker_is_away_orders_are_taken_and_none_is_given_up(shop: Shop, seconds: int) -> None:
    stack = shop.stack
    broker_outage(
        shop,
        seconds,
        leave=lambda: stack.processes.kill("kafka"),
        back=lambda: stack.start_again("kafka"),
    )


def test_while_the_broker_is_frozen_orders_are_taken_and_none_is_given_up(shop: Shop) -> None:
    processes = shop.stack.processes
    broker_outage(shop, 30, leave=lambda: processes.pause("kafka"), back=lambda: processes.resume("kafka"))


def test_while_the_database_is_away_callers_hear_so_at_once_and_nothing_is_lost(shop: Shop) -> None:
    stack, processes = shop.stack, shop.pids()
    orders = shop.orders(RATE)
    with orders as load:
        gone = outage(
            load,
            20,
            leave=lambda: stack.processes.kill("postgres"),
            back=lambda: stack.start_again("postgres"),
        )
    load.finish(within=20)
    require_done(orders, gone.returned)
    assert load.outcomes().keys() <= {*TAKEN, 503}
    assert load.outcomes(since=gone.began, until=gone.ended).keys() == {503}
    assert load.outcomes(since=gone.returned + 1.0).keys() <= TAKEN
    refusals = [attempt for attempt in load.attempts if attempt.outcome == 503]
    assert all(attempt.retry_after is not None and int(attempt.retry_after) > 0 for attempt in refusals)
    slowest = max(attempt.seconds for attempt in refusals)
    print(f"the slowest of {len(refusals)} refusals took {slowest:.2f} s")
    assert slowest < ANSWER_SECONDS
    assert shop.pids() == processes, "a process was started anew"


def test_after_a_restart_of_the_database_requests_recover_by_themselves(shop: Shop) -> None:
    orders = shop.orders(RATE)
    with orders as load:
        busy(load)
    shop.stack.restart("postgres")
    restarted = time.monotonic()
    again = shop.orders(RATE)
    with again as afterwards:
        busy(afterwards)
    afterwards.finish(within=10)
    assert afterwards.outcomes().keys() <= {*TAKEN, 503}
    assert afterwards.outcomes(since=restarted + 1.0).keys() <= TAKEN
    for placed in (orders, again):
        require_done(placed, restarted)


def test_a_request_that_waits_for_its_order_outlives_a_restart_of_the_database(shop: Shop) -> None:
    answered: list[tuple[float, int, str]] = []

    def place() -> None:
        answer = requests.post(
            f"{shop.stack.url('order-api')}/api/v1/orders/",
            json={"items": [{"sku": PLENTY[0], "quantity": 1}], "shipping_address": ADDRESS},
            headers={
                "Authorization": f"Bearer {shop.token('service')}",
                "Prefer": "wait=20",
                "Idempotency-Key": "waits-through-a-restart",
            },
            timeout=30,
        )
        answered.append((time.monotonic(), answer.status_code, answer.json()["status"]))

    shop.stack.processes.pause("inventory-worker")
    waiting = threading.Thread(target=place)
    waiting.start()

    def placed() -> None:
        assert shop.ask("order", "SELECT count(*)::int FROM orders WHERE pending_operation = 'reserving'") == [(1,)]

    eventually(placed, within=10)
    shop.stack.restart("postgres")
    shop.stack.processes.resume("inventory-worker")
    resumed = time.monotonic()
    waiting.join()
    [(at, status, order)] = answered
    assert (status, order) == (201, "confirmed")
    assert at - resumed < 10, "the answer was not noticed, the time was waited out"
