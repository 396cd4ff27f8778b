"""Upkeep of what is derived from a service's tables, in steps, by one of its workers.

On a thread and a connection of its own, unlike the chores of the elected worker for deadlines: a step takes as long as
there is much to derive, and nothing may wait for it. Of any number of workers one is elected, by a lock on the session
that also makes the steps, so that one who lost it stops.
"""

import threading
import time
from collections.abc import Callable

from services.chassis import logs
from services.chassis.connection import Connection, Engine
from services.chassis.database import UNHURRIED, session, try_session_lock
from services.chassis.errors import TransientError
from services.chassis.health import Health
from services.chassis.watching import watched

_STANDBY_SECONDS = 5.0
# Between two signs of life.
_BEAT_SECONDS = 5.0
# What failed by a fault of its own fails again: its load is not put on the database without a pause.
_FAILED_SECONDS = 60.0
# A rest is so many times as long as the longest step before it: what is derived may be late for a while, and must not
# take from a busy service what its events and requests need.
_RESTS = 20
log = logs.logger(__name__)


class Upkeep:
    """Makes steps whenever it is time, until nothing is left to do.

    Args:
        engine: the service's database.
        health: told that the thread is alive.
        name: of the thread, for health and logs.
        lock: the advisory lock that elects one.
        seconds: between two times at least, and before the first one: who starts has more urgent work.
        step: does a part in the transaction that it is given, and returns whether more is left.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        health: Health,
        name: str,
        lock: int,
        seconds: float,
        step: Callable[[Connection], bool],
    ) -> None:
        self._engine = engine
        self._health = health
        self._name = name
        self._lock = lock
        self._seconds = seconds
        self._step = step

    def run(self, stop: threading.Event) -> None:
        """Keep up until `stop` is set; a step that is under way then is broken off, and leaves nothing of itself."""
        while not stop.is_set():
            self._beat()
            pause = self._stand_in_line(stop)
            self._rest(pause, stop)

    def _stand_in_line(self, stop: threading.Event) -> float:
        """Keep up as long as this one is elected, and return after how many seconds to try again."""
        try:
            with session(self._engine) as connection:
                if try_session_lock(connection, self._lock):
                    self._lead(connection, stop)
        except TransientError as error:
            log.warning("upkeep_put_off", work=self._name, error=type(error).__name__)
        except Exception as error:
            if stop.is_set():
                log.info("upkeep_broken_off", work=self._name, error=type(error).__name__)
            else:
                log.exception("upkeep_failed", work=self._name)
            return _FAILED_SECONDS
        return _STANDBY_SECONDS

    def _lead(self, elected: Connection, stop: threading.Event) -> None:
        rest = self._seconds
        while not stop.is_set():
            self._rest(rest, stop)
            with watched(elected, self._beat, stop):
                rest = max(self._seconds, _RESTS * self._until_done(elected, stop))

    def _until_done(self, elected: Connection, stop: threading.Event) -> float:
        """Make steps until none is left, and return the seconds that the longest one took."""
        longest, more = 0.0, True
        while more and not stop.is_set():
            began = time.monotonic()
            elected.execute(UNHURRIED)
            more = self._step(elected)
            elected.commit()
            longest = max(longest, time.monotonic() - began)
        return longest

    def _rest(self, seconds: float, stop: threading.Event) -> None:
        """Wait, and be alive meanwhile."""
        while seconds > 0 and not stop.wait(min(seconds, _BEAT_SECONDS)):
            self._beat()
            seconds -= _BEAT_SECONDS

    def _beat(self) -> None:
        self._health.beat(self._name)
