"""Signals of the launcher: every way of asking it to end runs its cleanup, once and undisturbed."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | int | signal.Handlers | None

_REQUESTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ending_by_exception() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into the exception that Ctrl-C raises, so that cleanup runs for all three."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    previous = {number: signal.signal(number, interrupt) for number in _REQUESTS}
    try:
        yield
    finally:
        _restore(previous)


@contextlib.contextmanager
def ignored() -> Iterator[None]:
    """Let nothing interrupt a cleanup: an impatient second Ctrl-C would leave processes behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in _REQUESTS}
    try:
        yield
    finally:
        _restore(previous)


def _restore(previous: Mapping[signal.Signals, Handler]) -> None:
    for number, handler in previous.items():
        signal.signal(number, handler)
