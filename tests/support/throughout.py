"""Watching that something stays true for a while: the counterpart of `eventually`."""

import time
from collections.abc import Callable

_PAUSE_SECONDS = 0.1


def throughout(assertion: Callable[[], object], *, seconds: float) -> None:
    """Check an assertion again and again; raise as soon as it fails."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assertion()
        time.sleep(_PAUSE_SECONDS)
    assertion()
