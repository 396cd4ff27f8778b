"""One running shop for all end-to-end tests; what breaks it has a shop of its own."""

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.support.running_shop import HASTY, Shop, open_shop
from tests.support.servers import SESSIONS
from tests.support.storefront import Client


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    """Everything, running; tests share it and use SKUs, customers and keys of their own."""
    directory = SESSIONS / f"{os.getpid()}-shop"
    with open_shop(directory) as running:
        yield running
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def hasty_url(shop: Shop) -> str:
    """Where another API of the order service answers, with the settings of `HASTY`."""
    name = shop.stack.start_process("order", "api", name="order-api-hasty", environment=HASTY)
    shop.stack.await_ready(name)
    return shop.stack.url(name)


@pytest.fixture
def hasty(shop: Shop, hasty_url: str) -> Client:
    """A customer of that API."""
    return shop.callers.customer().at("order", hasty_url)
