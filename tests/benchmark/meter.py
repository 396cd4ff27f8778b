"""The clock and the CPU meter of a run."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from deploy.local.stack import Stack
from tests.benchmark.cpu import cpu_seconds


class NotDrained(Exception):
    """A side did not come to its end; the message says what was outstanding."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The clock (seconds) and the CPU meter (seconds by process) at one instant."""

    at: float
    cpu: Mapping[str, float]


class Meter:
    """Reads the clock and the CPU times of some processes and of the servers under them.

    Args:
        stack: theirs.
        names: of the processes, beside PostgreSQL and Kafka.
        without: processes that are not counted, such as an observer's database backends.

    """

    def __init__(self, stack: Stack, names: Sequence[str], *, without: Collection[int] = ()) -> None:
        self._processes = stack.processes
        self._without = without
        pids = stack.processes.pids()
        self._pids = {name: pids[name] for name in ("postgres", "kafka", *names)}

    def read(self) -> Reading:
        """Return what clock and meter show."""
        cpu = {name: cpu_seconds(pid, without=self._without) for name, pid in self._pids.items()}
        return Reading(time.monotonic(), cpu)

    def until(
        self, condition: Callable[[], bool], what: str, deadline: float, outstanding: Callable[[], object], pause: float
    ) -> None:
        """Wait for a condition.

        Args:
            condition: asked again and again.
            what: is missing until then, for the error.
            deadline: on the monotonic clock.
            outstanding: asked for the error.
            pause: seconds between two looks.

        Raises:
            NotDrained: it took too long, or one of the processes ended.

        """
        while not condition():
            if ended := [name for name in self._pids if not self._processes.is_alive(name)]:
                raise NotDrained(f"{', '.join(ended)} ended meanwhile; outstanding: {outstanding()}")
            if time.monotonic() > deadline:
                raise NotDrained(f"{what} in time; outstanding: {outstanding()}")
            time.sleep(pause)
