"""What is remembered of a process on disk, and how it is found again: never mistaken, never forgotten."""

import contextlib
import enum
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "OMS_LOCAL_STACK"
"""The environment variable that says to which stack's directory a process belongs."""

_SAME_START_SECONDS = 2.0  # a stepped clock moves what the system reports as start time


class Rank(enum.IntEnum):
    """In which order processes are ended: whoever uses a server goes before it."""

    LAUNCHER = 0
    SERVICE = 1
    MAIL = 2
    BROKER = 3
    DATABASE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A process that was started; `started` is its start time in seconds since the epoch."""

    name: str
    pid: int
    started: float
    rank: int
    stop_signal: int

    def find(self) -> psutil.Process | None:
        """Return the process while it lives, never another one that got its id."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < _SAME_START_SECONDS
            if same and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except psutil.NoSuchProcess:
            pass
        return None


def load(file: Path) -> list[Record]:
    """Read what was remembered; nothing, when the file is not there."""
    if not file.exists():
        return []
    return [Record(**entry) for entry in json.loads(file.read_text(encoding="utf-8"))]


def strays_of(directory: Path) -> list[psutil.Process]:
    """Return the processes that carry the stack's mark, but for this one and those above it."""
    own = {process.pid for process in (psutil.Process(), *psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in own and process.environ().get(MARK) == str(directory):
                found.append(process)
    return found


def send(number: int, processes: Iterable[psutil.Process]) -> None:
    """Signal those of the processes that still live."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
