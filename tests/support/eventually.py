"""Waiting for what becomes true soon: in place of sleeping."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PAUSE_SECONDS = 0.05


def eventually(assertion: Callable[[], T], *, within: float, every: float = _PAUSE_SECONDS) -> T:
    """Return what `assertion` returns once it raises no AssertionError; let it raise after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        try:
            return assertion()
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(every)
