"""A service's process that ends with SIGKILL at a named point, when a test has armed that point.

    KILLPOINTS=<directory> KILLPOINTS_SERVICE=order python -m tests.support.killpoints api|worker …

The chassis' seams are wrapped, then the service's own main runs; the product knows nothing of it. A point is armed
by a file; the process that comes by renames it, which only one can do and which outlives the kill, and is gone. So a
point that was never reached leaves its file behind, and the test sees it.
"""

import functools
import importlib
import os
import signal
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

_DIRECTORY, _SERVICE = "KILLPOINTS", "KILLPOINTS_SERVICE"


class Point(StrEnum):
    """Between which two steps a process ends."""

    BEFORE_PRODUCE = "before-produce"  # events were committed with what made them; the broker has none of them
    ACKNOWLEDGED = "acknowledged"  # the broker has them all; their deletion is not committed
    HANDLED = "handled"  # a batch was committed; its offsets are not
    MAIL_ACCEPTED = "mail-accepted"  # the mail server took a mail; that is not committed
    COMMAND_COMMITTED = "command-committed"  # a request's effect was committed; its answer is not sent


@dataclass(frozen=True, slots=True)
class Killpoints:
    """The points in the processes of one service."""

    directory: Path
    service: str

    def environment(self) -> dict[str, str]:
        """Return what a wrapped process has to know."""
        return {_DIRECTORY: str(self.directory), _SERVICE: self.service}

    def arm(self, point: Point) -> None:
        """Let the next process that comes by end there."""
        self._armed(point).touch()

    def disarm(self, point: Point) -> None:
        """Let processes pass the point."""
        self._armed(point).unlink(missing_ok=True)

    def is_armed(self, point: Point) -> bool:
        """Tell whether no process came by since the point was armed."""
        return self._armed(point).exists()

    def reach(self, point: Point) -> None:
        """End this process if the point is armed."""
        try:
            self._armed(point).rename(self.directory / f"{self.service}.{point}.reached-by-{os.getpid()}")
        except FileNotFoundError:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    def _armed(self, point: Point) -> Path:
        return self.directory / f"{self.service}.{point}.armed"


def main() -> None:
    """Run the service with its points."""
    from services.chassis.http.prelude import prepare_process  # noqa: PLC0415

    prepare_process()
    points = Killpoints(Path(os.environ[_DIRECTORY]), os.environ[_SERVICE])
    _wrap_api(points) if sys.argv[1] == "api" else _wrap_worker(points)
    importlib.import_module(f"services.{points.service}.__main__")


def _wrap_api(points: Killpoints) -> None:
    # Imported only now: in an API process the prelude comes first, and there is no Kafka client in it.
    from services.chassis.commands import Commands  # noqa: PLC0415

    _wrap(Commands, "_transact", points, after=Point.COMMAND_COMMITTED)


def _wrap_worker(points: Killpoints) -> None:
    from services.chassis.consumer import Consumer  # noqa: PLC0415
    from services.chassis.relay import Relay  # noqa: PLC0415

    _wrap(Relay, "_produce", points, before=Point.BEFORE_PRODUCE, after=Point.ACKNOWLEDGED)
    _wrap(Consumer, "_commit", points, before=Point.HANDLED)
    if points.service == "notification":
        from services.notification.mail.mailer import Mailer  # noqa: PLC0415

        _wrap(Mailer, "_settle", points, before=Point.MAIL_ACCEPTED)


def _wrap(
    owner: type[Any], name: str, points: Killpoints, *, before: Point | None = None, after: Point | None = None
) -> None:
    """Put points around a method; one that is not there any more ends the process at its start."""
    seam = getattr(owner, name)

    @functools.wraps(seam)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if before is not None:
            points.reach(before)
        result = seam(*arguments, **named)
        if after is not None:
            points.reach(after)
        return result

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    main()
