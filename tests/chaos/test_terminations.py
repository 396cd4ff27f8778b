"""Every process ends on SIGTERM under load: within ten seconds, with 0, and whatever it had accepted is answered."""

import contextlib
import threading
from collections.abc import Iterator

import pytest

from deploy.local.state import SERVICES
from tests.chaos.shop import WORKERS, Shop
from tests.chaos.verdict import await_rest, require_intact
from tests.support.eventually import eventually
from tests.support.load import TAKEN, Load

RATE = 10.0
STOP_SECONDS = 10.0
pytestmark = [pytest.mark.timing, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def shop(servers: Shop) -> Iterator[Shop]:
    servers.open()
    yield servers
    servers.close()


def require_polite(ends: dict[str, tuple[int | None, float]]) -> None:
    """Fail unless each process ended by itself, in time and with 0."""
    print(", ".join(f"{name} ended with {status} after {seconds:.1f} s" for name, (status, seconds) in ends.items()))
    assert {status for status, _ in ends.values()} == {0}
    assert max(seconds for _, seconds in ends.values()) < STOP_SECONDS


@contextlib.contextmanager
def slow_database(shop: Shop) -> Iterator[None]:
    """Let all that is asked of the database meanwhile take a second, so that requests are under way at the end."""
    processes = shop.stack.processes
    processes.pause("postgres")
    later = threading.Timer(1.2, processes.resume, ["postgres"])
    later.start()
    yield
    later.join()


def busy(load: Load) -> None:
    """Wait until twenty more requests are accepted."""
    wanted = len(load.accepted) + 20

    def accepted() -> None:
        assert len(load.accepted) >= wanted

    eventually(accepted, within=20)


def test_workers_told_to_stop_finish_what_they_began_and_repeat_nothing(shop: Shop) -> None:
    orders = shop.orders(RATE)
    with orders as load:
        for service in SERVICES:
            busy(load)
            require_polite(shop.close(f"{service}-worker"))
            shop.start_what_ended()
    await_rest(orders, within=60)
    repeats = require_intact(orders)
    assert (sum(repeats.records.values()), repeats.mails) == (0, 0)
    assert load.outcomes().keys() <= TAKEN


def test_apis_told_to_stop_answer_every_request_they_accepted(shop: Shop) -> None:
    orders, receipts, reads = shop.orders(RATE), shop.receipts(RATE), shop.reads(RATE)
    with orders as placing, receipts as receiving, reads as reading:
        for service, load in zip(SERVICES, (placing, receiving, reading), strict=True):
            busy(load)
            with slow_database(shop):
                require_polite(shop.close(f"{service}-api"))
            shop.start_what_ended()
            busy(load)
    for load in (placing, receiving, reading):
        assert load.outcomes().keys() <= {*TAKEN, "refused"}
        load.finish(within=10)
    await_rest(orders, within=60)
    require_intact(orders)


def test_workers_told_to_stop_while_the_broker_is_frozen_end_in_time_and_lose_nothing(shop: Shop) -> None:
    processes = shop.stack.processes
    orders = shop.orders(RATE)
    with orders as load:
        busy(load)
        processes.pause("kafka")
        busy(load)
        ended = shop.close(*WORKERS)
        processes.resume("kafka")
        shop.start_what_ended()
        busy(load)
    require_polite(ended)
    await_rest(orders, within=60)
    require_intact(orders)
