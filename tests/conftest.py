"""Fixtures for all tests: real servers, shared by the session."""

import os
from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from tests.support.plain_logs import log_plainly
from tests.support.servers import Servers, session_servers

# What make tells to those that it starts: a `make` that a test runs as a user would takes our ARGS for its own.
for _told in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "T", "ARGS"):
    os.environ.pop(_told, None)


@pytest.fixture(scope="session", autouse=True)
def _plain_logs() -> None:
    """The same for each test, whichever ran before it."""
    log_plainly()


@pytest.fixture(scope="session")
def _servers() -> Iterator[Servers]:
    with session_servers() as servers:
        yield servers


@pytest.fixture(scope="session")
def postgres_server(_servers: Servers) -> Databases:
    """A real PostgreSQL: makes databases, and clones a template for each test (tests.support.servers)."""
    return _servers.databases


@pytest.fixture(scope="session")
def kafka_server(_servers: Servers) -> str:
    """The bootstrap address of a real Kafka that creates no topics by itself."""
    return _servers.bootstrap_servers
