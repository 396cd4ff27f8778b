"""Processes end with SIGKILL between any two steps: nothing is lost, nothing is doubled but what the docs name.

In the log a record may stand twice; its effect may not. A mail may be sent twice by a mailer that died between the
mail server's answer and its own commit, with the same Message-ID.
"""

import signal
from collections.abc import Iterator, Sequence

import pytest

from deploy.local.state import SERVICES
from tests.chaos.shop import Shop
from tests.chaos.verdict import await_rest, require_intact
from tests.support.eventually import eventually
from tests.support.killpoints import Point
from tests.support.load import TAKEN, Load

RATE = 15.0
ROUNDS = 2
pytestmark = [pytest.mark.timing, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def killable(servers: Shop) -> Iterator[Shop]:
    servers.open(killable=True)
    yield servers
    servers.close()


@pytest.fixture
def shop(killable: Shop) -> Shop:
    """The shop, whole again after a test that failed."""
    for service in SERVICES:
        for point in Point:
            killable.killpoints(service).disarm(point)
    killable.start_what_ended()
    return killable


def kill_workers_at(shop: Shop, point: Point, services: Sequence[str] = SERVICES) -> None:
    """Let the worker of each service come to the point and die there; start each anew as soon as it is dead."""
    armed = {f"{service}-worker": shop.killpoints(service) for service in services}
    for points in armed.values():
        points.arm(point)

    def died_there() -> None:
        for name, points in list(armed.items()):
            if not shop.stack.processes.is_alive(name):
                assert shop.stack.processes.exit_status(name) == -signal.SIGKILL
                assert not points.is_armed(point), f"{name} ended elsewhere"
                del armed[name]
                shop.stack.processes.start_again(name)
        assert not armed, f"{list(armed)} did not come to the point {point}"

    eventually(died_there, within=40)
    shop.stack.await_ready(*(f"{service}-worker" for service in services))


def kill_apis_in(shop: Shop, load: Load, service: str) -> None:
    """Let a process of the API die that has committed a request and not answered it; gunicorn starts another."""
    before = load.outcomes().get("cut", 0)
    shop.killpoints(service).arm(Point.COMMAND_COMMITTED)

    def cut() -> None:
        assert not shop.killpoints(service).is_armed(Point.COMMAND_COMMITTED), f"{service} did not come to the point"
        assert load.outcomes().get("cut", 0) > before

    eventually(cut, within=20)


def accepted(load: Load, number: int) -> None:
    assert len(load.accepted) >= number


def test_relays_killed_between_the_commit_and_the_send_lose_nothing(shop: Shop) -> None:
    orders = shop.orders(RATE)
    with orders as load:
        for _ in range(ROUNDS):
            kill_workers_at(shop, Point.BEFORE_PRODUCE)
    await_rest(orders, within=90)
    repeats = require_intact(orders)
    assert repeats.mails <= ROUNDS
    assert load.outcomes().keys() <= TAKEN


def test_relays_killed_between_the_acknowledgement_and_the_delete_repeat_records_and_no_effect(shop: Shop) -> None:
    orders = shop.orders(RATE)
    with orders as load:
        for _ in range(ROUNDS):
            kill_workers_at(shop, Point.ACKNOWLEDGED)
    await_rest(orders, within=90)
    repeats = require_intact(orders)
    assert all(count >= ROUNDS for count in repeats.records.values()), f"nothing was sent twice: {repeats}"
    assert repeats.mails <= ROUNDS
    assert load.outcomes().keys() <= TAKEN


def test_consumers_killed_between_the_commit_and_the_offset_commit_handle_nothing_twice(shop: Shop) -> None:
    orders = shop.orders(RATE)
    with orders as load:
        for _ in range(ROUNDS):
            kill_workers_at(shop, Point.HANDLED)
    await_rest(orders, within=90)
    repeats = require_intact(orders)
    assert repeats.mails <= ROUNDS
    assert load.outcomes().keys() <= TAKEN
    for service in SERVICES:
        known = shop.counted(service, "oms_events_consumed_total", result="duplicate")
        assert known > 0, f"{service} was given nothing twice, so the point proves nothing"


def test_a_mailer_killed_between_the_answer_and_the_commit_doubles_that_mail_only(shop: Shop) -> None:
    orders = shop.orders(RATE)
    with orders as load:
        for _ in range(ROUNDS):
            kill_workers_at(shop, Point.MAIL_ACCEPTED, ["notification"])
    await_rest(orders, within=90)
    repeats = require_intact(orders)
    assert repeats.mails == ROUNDS
    assert load.outcomes().keys() <= TAKEN


def test_an_api_killed_between_the_commit_and_the_answer_answers_the_retry_from_what_it_kept(shop: Shop) -> None:
    orders, receipts = shop.orders(RATE), shop.receipts(RATE)
    with orders as placing, receipts as receiving:
        for _ in range(ROUNDS):
            kill_apis_in(shop, placing, "order")
            kill_apis_in(shop, receiving, "inventory")
        eventually(lambda: accepted(placing, 20), within=20)
    placing.finish(within=20)
    receiving.finish(within=20)
    for load in (placing, receiving):
        assert sum(attempt.replayed for attempt in load.attempts) >= ROUNDS
        assert load.outcomes().keys() <= {*TAKEN, "cut"}
    await_rest(orders, within=60)
    require_intact(orders)
    kept = shop.ask(
        "inventory",
        "SELECT count(*)::int FROM stock_movements WHERE reference = %s",
        next(iter(receiving.accepted)).rpartition("-")[0],
    )
    assert kept == [(len(receiving.accepted),)]
