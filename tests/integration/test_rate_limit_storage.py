"""Rate limits that several processes share in a real Redis, and what becomes of them while it is away."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis
from limits import parse

from deploy.local.ports import Ports
from services.chassis.errors import Problem
from services.chassis.http.auth import Caller
from services.chassis.http.rate_limits import RateLimits
from services.chassis.http.roles import Role, RouteClass
from tests.support.eventually import eventually

ADA = Caller("ada", frozenset({Role.CUSTOMER}))
_SERVER = shutil.which("redis-server")
if _SERVER is None and "REQUIRE_REDIS" not in os.environ:
    pytest.skip("redis-server is not here", allow_module_level=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """A Redis of its own, and its URL."""
    assert _SERVER is not None, "redis-server is not here, and REQUIRE_REDIS is set"
    port = Ports().take()
    command = [_SERVER, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def answers() -> None:
        with closing(redis.Redis(port=port)) as client:
            try:
                assert client.ping()
            except redis.ConnectionError as error:
                raise AssertionError from error

    try:
        eventually(answers, within=10)
        yield f"redis://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait()


def limited(url: str) -> RateLimits:
    """Return what one process counts with."""
    return RateLimits({(Role.CUSTOMER, None): parse("5/minute")}, url)


def taken(counted: RateLimits) -> bool:
    try:
        counted.count(ADA, RouteClass.READ)
    except Problem:
        return False
    return True


def test_processes_that_share_a_store_count_together(server: tuple[str, "subprocess.Popen[bytes]"]) -> None:
    first, second = limited(server[0]), limited(server[0])
    answers = [taken(counted) for _ in range(4) for counted in (first, second)]
    assert answers == [True] * 5 + [False] * 3


@pytest.mark.timing
def test_a_store_that_is_away_refuses_nobody_and_holds_nobody_up(
    server: tuple[str, "subprocess.Popen[bytes]"], caplog: pytest.LogCaptureFixture
) -> None:
    url, process = server
    counted = limited(url)
    assert taken(counted)
    process.kill()
    process.wait()
    began = time.monotonic()
    assert all(taken(counted) for _ in range(20))
    assert time.monotonic() - began < 2
    assert "rate_limit_storage_away" in caplog.text
