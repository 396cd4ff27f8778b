"""How a worker ends: when it is told to, and when one of its threads dies, so that a supervisor starts it anew."""

import json
from typing import Any

import pytest

from deploy.local.errors import ProcessFailedError
from tests.support.running_shop import Shop


def events(shop: Shop, name: str, event: str) -> list[dict[str, Any]]:
    lines = [line for line in shop.processes.log(name).read_text().splitlines() if line.startswith("{")]
    return [line for line in map(json.loads, lines) if line["event"] == event]


def test_a_worker_whose_thread_dies_says_so_and_ends_with_an_error(shop: Shop) -> None:
    module = "tests.support.dying_worker"
    name = shop.stack.start_process("inventory", "worker", "--only", "dying", name="dying", module=module)

    with pytest.raises(ProcessFailedError, match="ended with status 1"):
        shop.processes.await_end(name, within=30)

    (died,) = events(shop, name, "thread_died")
    assert died["thread"] == "dying"
    assert "this thread was made to die" in died["exception"]
    (stopped,) = events(shop, name, "worker_stopped")
    assert stopped["unfinished"] == []


def test_a_worker_that_is_told_to_end_is_woken_and_ends_well(shop: Shop) -> None:
    name = shop.stack.start_process("inventory", "worker", "--only", "deadlines", name="told-to-end")
    shop.stack.await_ready(name)

    status = shop.processes.stop(name)

    assert status == 0
    assert events(shop, name, "worker_stopped")[0]["unfinished"] == []
