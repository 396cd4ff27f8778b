"""A broker that stands still again and again, about as long as the relay waits for it, never reorders a key.

Each time the relay gives up while the broker may have taken some of what it was sent, all of it or nothing, and sends
the same rows again over another connection, while the broker still works off the first.
"""

import random
import time
from collections.abc import Iterator

import pytest

from tests.chaos.shop import Shop
from tests.chaos.verdict import await_rest, require_intact
from tests.support.load import TAKEN

RATE = 40.0
FLUSH_SECONDS = 1.0
TIMES = 6
pytestmark = [pytest.mark.timing, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def shop(servers: Shop) -> Iterator[Shop]:
    servers.open(relay_flush_seconds=FLUSH_SECONDS)
    yield servers
    servers.close()


def test_a_broker_that_stutters_leaves_no_hole_and_no_disorder_in_the_log(shop: Shop) -> None:
    processes, chance = shop.stack.processes, random.Random(1)
    orders = shop.orders(RATE)
    with orders as load:
        for _ in range(TIMES):
            time.sleep(chance.uniform(0.5, 1.0))
            processes.pause("kafka")
            time.sleep(FLUSH_SECONDS * chance.uniform(0.9, 1.5))
            processes.resume("kafka")
    await_rest(orders, within=60)
    repeats = require_intact(orders)
    assert sum(repeats.records.values()) > 0, "the relay was never made to send anything twice"
    assert load.outcomes().keys() <= TAKEN
