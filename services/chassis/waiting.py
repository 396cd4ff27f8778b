"""Requests that wait for a change of an aggregate (`Prefer: wait`, streams), without a connection or a query each.

One LISTEN connection a process. A NOTIFY without ids says that something has changed; then one query asks about all
that is awaited. Should a notification be lost, a second passes at most until the next look.
"""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from services.chassis import logs
from services.chassis.connection import Connection, Engine
from services.chassis.database import session, wait_for_notify
from services.chassis.errors import TransientError
from services.chassis.health import Health
from services.chassis.statements import sql
from services.chassis.unit_of_work import UnitOfWork

U = TypeVar("U", bound=UnitOfWork)
_LOOK_SECONDS = 1.0
_LISTEN = sql("LISTEN changed")
log = logs.logger(__name__)


class Seen(NamedTuple):
    """What is seen of an aggregate that somebody waits for.

    Args:
        version: counts its changes.
        settled: whether no answer is awaited for it any more.

    """

    version: int
    settled: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    """One request that waits: until its aggregate is settled, or (where it names one) is beyond a version."""

    beyond: int | None
    woken: threading.Event = field(default_factory=threading.Event)

    def has_come(self, seen: Seen) -> bool:
        return seen.settled if self.beyond is None else seen.version > self.beyond


class Waiters(Generic[U]):
    """Wakes requests when what they wait for has come.

    Args:
        engine: the service's database.
        queries: lends a unit of work for reading.
        look: returns what is to be seen of those of the ids that exist.
        health: wakes everybody when the process goes down.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        queries: Callable[[], AbstractContextManager[U]],
        look: Callable[[U, list[str]], Mapping[str, Seen]],
        health: Health,
    ) -> None:
        self._engine = engine
        self._queries = queries
        self._look = look
        self._health = health
        self._waiting: dict[str, list[_Waiting]] = {}
        self._lock = threading.Lock()
        self._running = False
        health.on_shutdown(self._wake_all)

    @property
    def is_ending(self) -> bool:
        """Whether the process goes down, and nobody may wait any longer."""
        return self._health.is_shutting_down

    def wait(self, key: str, seconds: float, beyond: int | None = None) -> bool:
        """Wait for a change.

        Args:
            key: id of the aggregate.
            seconds: how long at most.
            beyond: wait until its version is above this one; None waits until nothing is awaited for it any more.

        Returns:
            Whether that came; False where the time is up or the process goes down.

        """
        if self.is_ending or seconds <= 0:
            return False
        waiting = _Waiting(beyond)
        with self._lock:
            self._waiting.setdefault(key, []).append(waiting)
            start, self._running = not self._running, True
        if start:
            threading.Thread(target=self._run, name="waiters", daemon=True).start()
        came = waiting.woken.wait(seconds) and not self.is_ending
        with self._lock:
            left = [other for other in self._waiting.get(key, []) if other is not waiting]
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

    def _serve(self, connection: Connection) -> bool:
        while True:
            with self._lock:
                keys = list(self._waiting)
                if not keys:
                    self._running = False
                    return True
            with self._queries() as uow:
                seen = self._look(uow, keys)
            self._wake(seen)
            wait_for_notify(connection, _LOOK_SECONDS)

    def _wake(self, seen: Mapping[str, Seen]) -> None:
        with self._lock:
            for key, now in seen.items():
                for waiting in self._waiting.get(key, []):
                    if waiting.has_come(now):
                        waiting.woken.set()

    def _wake_all(self) -> None:
        with self._lock:
            for waiting in [waiting for each in self._waiting.values() for waiting in each]:
                waiting.woken.set()
