"""Every process ends on SIGTERM under load: within ten seconds, with 0, and whatever it had accepted is answered."""

import time
from collections.abc import Iterator

import pytest

from deploy.local.state import SERVICES
from tests.chaos.shop import Shop
from tests.chaos.verdict import await_rest, require_intact
from tests.support.eventually import eventually
from tests.support.load import Load

RATE = 10.0
STOP_SECONDS = 10.0
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def shop(servers: Shop) -> Iterator[Shop]:
    servers.open()
    yield servers
    servers.close()


def terminate(shop: Shop, name: str) -> None:
    """End a process politely and start it again; fail unless it ended by itself, in time and with 0."""
    began = time.monotonic()
    status = shop.stack.processes.stop(name, grace=STOP_SECONDS)
    assert (status, time.monotonic() - began < STOP_SECONDS) == (0, True), f"{name} ended with {status}"
    shop.stack.start_again(name)


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
            terminate(shop, f"{service}-worker")
    await_rest(orders, within=60)
    repeats = require_intact(orders)
    assert (sum(repeats.records.values()), repeats.mails) == (0, 0)
    assert load.outcomes().keys() == {201}


def test_apis_told_to_stop_answer_every_request_they_accepted(shop: Shop) -> None:
    orders, receipts, reads = shop.orders(RATE), shop.receipts(RATE), shop.reads(RATE)
    with orders as placing, receipts as receiving, reads as reading:
        for service, load in zip(SERVICES, (placing, receiving, reading), strict=True):
            busy(load)
            terminate(shop, f"{service}-api")
            busy(load)
    for load in (placing, receiving, reading):
        assert load.outcomes().keys() == {200 if load is reading else 201, "refused"}
        load.finish(within=10)
    await_rest(orders, within=60)
    require_intact(orders)
