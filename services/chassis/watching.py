"""Statements that take as long as a database is large: their thread is alive meanwhile, and no stop waits for them."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

_LOOK_SECONDS = 1.0


@contextmanager
def watched(connection: sa.Connection, beat: Callable[[], None], stop: threading.Event) -> Iterator[None]:
    """Call `beat` once a second while a block waits for its statements, and cancel these once `stop` is set."""
    done = threading.Event()
    driver: Any = connection.connection.dbapi_connection

    def watch() -> None:
        while not done.wait(_LOOK_SECONDS):
            beat()
            if stop.is_set():
                driver.cancel()

    thread = threading.Thread(target=watch, name="statement-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
