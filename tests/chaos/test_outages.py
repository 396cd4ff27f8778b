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

from deploy.local.state import SERVICES
from tests.chaos.shop import PROCESSES, WORKERS, Orders, Shop
from tests.chaos.verdict import await_rest, require_intact
from tests.support.eventually import eventually
from tests.support.load import TAKEN, Load

RATE = 10.0
SAGA_TIMEOUT_SECONDS = 10
DONE_SECONDS = 30.0
ANSWER_SECONDS = 2.0
_TRIES = 3
pytestmark = [pytest.mark.timing, pytest.mark.timeout(300)]


@dataclass(frozen=True, slots=True)
class Outage:
    """When a server was gone, when it was brought back, and when it answered again (`time.monotonic`)."""

    began: float
    ended: float
    returned: float


@pytest.fixture(scope="module")
def shop(servers: Shop) -> Iterator[Shop]:
    servers.open(saga_timeout_seconds=SAGA_TIMEOUT_SECONDS)
    yield servers
    servers.close()


def outage(
    load: Load,
    seconds: float,
    *,
    leave: Callable[[], None],
    meanwhile: Callable[[], None],
    back: Callable[[], None],
) -> Outage:
    """Take a server away from a running load for some seconds; the load goes on for a while after its return.

    `meanwhile` is called when the time is up, right before the return.
    """
    busy(load)
    leave()
    began = time.monotonic()
    try:
        time.sleep(seconds)
        meanwhile()
    finally:
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


def require_not_ready(shop: Shop, reason: str, *names: str) -> None:
    """Fail unless each of these processes gives this reason for not being ready, and lives."""
    for name in names:
        answer = requests.get(f"{shop.stack.url(name)}/readyz", timeout=5)
        assert answer.status_code == 503, f"{name} is ready"
        assert reason in {row["reason"] for row in answer.json()["reasons"]}, f"{name} says {answer.text}"
        assert requests.get(f"{shop.stack.url(name)}/livez", timeout=5).ok, f"{name} would be killed by its supervisor"


def require_only_placing(shop: Shop, away: float) -> None:
    """Without a broker the workers say so, the API takes orders, and nobody claims to know the ends of the topics."""
    require_not_ready(shop, "broker_unreachable", *WORKERS)
    assert requests.get(f"{shop.stack.url('order-api')}/readyz", timeout=5).ok
    for service in SERVICES:
        newest = "SELECT extract(epoch FROM clock_timestamp() - max(caught_up_at))::float FROM consumer_progress"
        [(age,)] = shop.ask(service, newest)
        assert age > away - 1.0, f"{service} says that it reached the topics' ends {age} s ago"


def require_deadlines(shop: Shop) -> None:
    """An order that inventory does not answer, though all is well here, is still given up when its time has come."""
    shop.stack.processes.pause("inventory-worker")
    order_id = shop.place()

    def given_up() -> None:
        reason = shop.ask("order", "SELECT cancel_reason FROM orders WHERE id = %s", order_id)
        assert reason == [("timeout",)]

    try:
        eventually(given_up, within=SAGA_TIMEOUT_SECONDS + 15, every=0.5)
    finally:
        shop.stack.processes.resume("inventory-worker")


def broker_outage(shop: Shop, seconds: float, *, leave: Callable[[], None], back: Callable[[], None]) -> None:
    processes = shop.pids()
    orders = shop.orders(RATE)
    with orders as load:
        gone = outage(load, seconds, leave=leave, meanwhile=lambda: require_only_placing(shop, seconds), back=back)
    require_done(orders, gone.returned)
    meanwhile = load.outcomes(since=gone.began, until=gone.returned)
    assert meanwhile.keys() <= TAKEN
    assert sum(meanwhile.values()) > seconds * RATE * 0.8
    require_deadlines(shop)
    assert shop.pids() == processes, "a process was started anew"


def lasting(short: int, long: int) -> pytest.MarkDecorator:
    """Run a test with an outage of either length; the long one is left out by `-m "not slow"`."""
    return pytest.mark.parametrize("seconds", [short, pytest.param(long, marks=pytest.mark.slow)])


@lasting(20, 90)
def test_while_the_broker_is_away_orders_are_taken_and_none_is_given_up(shop: Shop, seconds: int) -> None:
    stack = shop.stack
    broker_outage(
        shop,
        seconds,
        leave=lambda: stack.processes.kill("kafka"),
        back=lambda: stack.start_again("kafka"),
    )


@lasting(15, 30)
def test_while_the_broker_is_frozen_orders_are_taken_and_none_is_given_up(shop: Shop, seconds: int) -> None:
    processes = shop.stack.processes
    broker_outage(shop, seconds, leave=lambda: processes.pause("kafka"), back=lambda: processes.resume("kafka"))


@lasting(12, 20)
def test_while_the_database_is_away_callers_hear_so_at_once_and_nothing_is_lost(shop: Shop, seconds: int) -> None:
    stack, processes = shop.stack, shop.pids()
    orders = shop.orders(RATE)
    with orders as load:
        gone = outage(
            load,
            seconds,
            leave=lambda: stack.processes.kill("postgres"),
            meanwhile=lambda: require_not_ready(shop, "database_unreachable", *PROCESSES),
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


def test_consumers_that_get_their_partitions_back_without_a_database_skip_nothing(shop: Shop) -> None:
    """The group drops members that it does not hear; they come back before the database that knows their positions."""
    running, orders = shop.pids(), shop.orders(RATE)
    with orders as load:
        # Whether a member is dropped, or its beat is heard first, is the broker's to say; all three are seldom heard.
        for _ in range(_TRIES):
            returned = away_together(shop, load)
            if dropped := members_dropped(shop):
                break
    load.finish(within=20)
    require_done(orders, returned)
    assert load.outcomes().keys() <= {*TAKEN, 503}
    assert shop.pids() == running, "a process was started anew"
    assert dropped, "every consumer kept its partitions all the time"


def away_together(shop: Shop, load: Load) -> float:
    """Freeze the broker, take the database away, and bring both back in that order; return when that was."""
    busy(load)
    shop.stack.processes.pause("kafka")
    busy(load)
    shop.stack.processes.kill("postgres")
    time.sleep(12)
    shop.stack.processes.resume("kafka")
    time.sleep(5)
    shop.stack.start_again("postgres")
    returned = time.monotonic()
    busy(load)
    return returned


def members_dropped(shop: Shop) -> list[str]:
    """Return the workers that got partitions back before they could read their positions."""
    return [name for name in WORKERS if "positions_unread" in shop.stack.processes.log(name).read_text()]


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
    answered: list[float] = []

    def place() -> None:
        shop.place(wait=20)
        answered.append(time.monotonic())

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
    assert answered[0] - resumed < 10, "the answer was not noticed, the time was waited out"
