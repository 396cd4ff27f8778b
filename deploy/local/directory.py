"""The directory of a stack: claimed by one launcher at a time, and cleaned when the stack ends."""

import contextlib
import fcntl
import json
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from deploy.local import postgres, state
from deploy.local.errors import StackStateError
from deploy.local.files import write_privately
from deploy.local.processes import Processes
from deploy.local.signals import ignored

POSTGRES = "postgres"
KAFKA = "kafka"
MAIL = "mail"
_LOGS = "log"
_CREDENTIALS = "credentials.json"


@contextlib.contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Keep other launchers away from this directory; the claim ends with this process at the latest."""
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StackStateError(f"another process is starting or holding the stack in {directory}") from error
        yield


def is_running(directory: Path) -> bool:
    """Tell whether a complete stack runs here; raise StackStateError when only a part of it is left."""
    if not (directory / state.FILE).exists():
        return False
    expected = state.StackState.load(directory).processes
    alive = Processes(directory).pids()
    ended = sorted(set(expected) - set(alive))
    if ended and alive:
        raise StackStateError(f"of the stack in {directory} these processes ended: {', '.join(ended)}; run down first")
    return bool(alive)


def prepare(directory: Path) -> None:
    """Make the directory fit for a new stack: end what a crashed launcher left, and begin new logs.

    Raises StackStateError when a stack is running here.
    """
    if is_running(directory):
        raise StackStateError(f"a stack is already running in {directory}")
    if Processes(directory).is_used:
        end(directory)
    shutil.rmtree(directory / _LOGS, ignore_errors=True)


def end(directory: Path, *, keep_data: bool = False) -> list[str]:
    """End every process of this directory, whoever started it, and return the names of those that ran."""
    with ignored():
        ended = Processes(directory).end_all()
        clean(directory, keep_data=keep_data)
    return ended


def clean(directory: Path, *, keep_data: bool) -> None:
    """Remove what an ended stack leaves: its state, and its data unless that is to be kept; logs stay."""
    (directory / state.FILE).unlink(missing_ok=True)
    if keep_data:
        return
    postgres.remove_data(directory / POSTGRES)
    shutil.rmtree(directory / KAFKA, ignore_errors=True)
    shutil.rmtree(directory / MAIL, ignore_errors=True)
    (directory / _CREDENTIALS).unlink(missing_ok=True)


def superuser_password(directory: Path) -> str:
    """Return the password of this directory's PostgreSQL superuser, made up the first time and kept with the data."""
    file = directory / _CREDENTIALS
    if not file.exists():
        write_privately(file, {"postgres": secrets.token_urlsafe(24)})
    return str(json.loads(file.read_text(encoding="utf-8"))["postgres"])
