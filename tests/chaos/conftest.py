"""One set of servers for all chaos tests; each module starts the services the way it needs them."""

import os
from collections.abc import Iterator

import pytest

from tests.chaos.shop import Shop, shop_in
from tests.support.servers import SESSIONS


@pytest.fixture(scope="session")
def servers() -> Iterator[Shop]:
    """A shop whose services are not started."""
    with shop_in(SESSIONS / f"{os.getpid()}-chaos") as shop:
        yield shop
