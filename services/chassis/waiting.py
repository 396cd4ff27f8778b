"""Requests that wait for the saga's answer (`Prefer: wait`), without a connection or a query each.

One LISTEN connection a process. A NOTIFY without ids says that something has changed; then one query asks about all
that is awaited. Should a notification be lost, a second passes at most until the next look.
"""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

import sqlalchemy as sa

from services.chassis import logs
from services.chassis.database import session, wait_for_notify
from services.chassis.errors import TransientError
from services.chassis.health import Health
from services.chassis.unit_of_work import UnitOfWork

U = TypeVar("U", bound=UnitOfWork)
_LOOK_SECONDS = 1.0
_LISTEN = sa.text("LISTEN settled")
log = logs.logger(__name__)


class Waiters(Generic[U]):
    """Wakes requests when what they wait for has come.

    Args:
        engine: the service's database.
        queries: lends a unit of work for reading.
        settled: returns those of the ids for which nothing is awaited any more.
        health: wakes everybody when the process goes down.

    """

    def __init__(
        self,
        *,
        engine: sa.Engine,
        queries: Callable[[], AbstractContextManager[U]],
        settled: Callable[[U, list[str]], set[str]],
        health: Health,
    ) -> None:
        self._engine = engine
        self._queries = queries
        self._settled = settled
        self._health = health
        self._waiting: dict[str, list[threading.Event]] = {}
        self._lock = threading.Lock()
        self._running = False
        health.on_shutdown(self._wake_all)

    def wait(self, key: str, seconds: float) -> bool:
        """Return once nothing is awaited for `key` any more (True), the time is up, or the process goes down."""
        if self._health.is_shutting_down or seconds <= 0:
            return False
        woken = threading.Event()
        with self._lock:
            self._waiting.setdefault(key, []).append(woken)
            start, self._running = not self._running, True
        if start:
            threading.Thread(target=self._run, name="waiters", daemon=True).start()
        came = woken.wait(seconds) and not self._health.is_shutting_down
        with self._lock:
            left = [event for event in self._waiting.get(key, []) if event is not woken]
            if left:
                self._waiting[key] = left
            else:
                self._waiting.pop(key, None)
        return came

    def _run(self) -> None:
        """Listen for as long as somebody waits."""
        while True:
            try:
                with session(self._engine) as connection:
                    connection.execute(_LISTEN)
                    connection.commit()
                    if self._serve(connection):
                        return
            except TransientError as error:
                log.warning("waiters_put_off", error=type(error).__name__)
                time.sleep(_LOOK_SECONDS)

    def _serve(self, connection: sa.Connection) -> bool:
        while True:
            with self._lock:
                keys = list(self._waiting)
                if not keys:
                    self._running = False
                    return True
            with self._queries() as uow:
                done = self._settled(uow, keys)
            self._wake(done)
            wait_for_notify(connection, _LOOK_SECONDS)

    def _wake(self, keys: set[str]) -> None:
        with self._lock:
            for key in keys:
                for event in self._waiting.get(key, []):
                    event.set()

    def _wake_all(self) -> None:
        self._wake(set(self._waiting))
