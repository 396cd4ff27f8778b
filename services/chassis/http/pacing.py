"""Downloads, which would take a process for themselves: together they have half of its time.

While a part of a download is made, everything else in its process stands still, and then the database works for it
alone. Without a rest between parts, the slowest percent of orders took three times as long to place beside one.
"""

from collections.abc import Iterator
from threading import Lock
from time import monotonic, sleep

from services.chassis.health import Health

# What took longer than this waited for a database that hangs, which no rest helps.
_REST_MAX_SECONDS = 1.0


class Pacer:
    """Gives the downloads of one process their turns.

    Args:
        health: a process that is shutting down does not let them rest: they have to end.

    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._turn = Lock()
        self._rests_until = 0.0

    def paced(self, parts: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the parts of a download, each made after a rest as long as the part before it took to make.

        Whose ever that was: one part is made at a time. A part should take a few milliseconds.
        """
        while True:
            with self._turn:
                if not self._health.is_shutting_down:
                    sleep(max(0.0, self._rests_until - monotonic()))
                began = monotonic()
                part = next(parts, None)
                ended = monotonic()
                self._rests_until = ended + min(ended - began, _REST_MAX_SECONDS)
            if part is None:
                return
            yield part
