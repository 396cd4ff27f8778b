"""Statements that take as long as a database is large: their thread is alive meanwhile, and no stop waits for them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from services.chassis.connection import Connection

_LOOK_SECONDS = 1.0


@contextmanager
def watched(connection: Connection, beat: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Call `beat` once a second while a block waits for its statements, and cancel these once `stop` is set."""
    done = threading.Event()

    def watch() -> None:
        while not done.wait(_LOOK_SECONDS):
            beat()
            if stop.is_set():
                connection.driver.cancel()

    thread = threading.Thread(target=watch, name="statement-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
