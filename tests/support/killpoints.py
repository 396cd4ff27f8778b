"""A service's process that ends with SIGKILL at a named point, when a test has armed that point.

    KILLPOINTS=<directory> KILLPOINTS_SERVICE=order python -m tests.support.killpoints api|worker …

The chassis' seams are wrapped, then the service's own main runs; the product knows nothing of it. A point is armed
by a file; the process that comes by renames it, which only one can do and which outlives the kill, and is gone. So a
point that was never reached leaves its file behind, and the test sees it. A point may be armed for one type of event.
"""

import functools
import importlib
import os
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

_DIRECTORY, _SERVICE = "KILLPOINTS", "KILLPOINTS_SERVICE"


class Point(StrEnum):
    """Between which two steps a process ends."""

    BEFORE_PRODUCE = "before-produce"  # events were committed with what made them; the broker has none of them
    ACKNOWLEDGED = "acknowledged"  # the broker has them all; their deletion is not committed
    HANDLING = "handling"  # a batch's handlers ran; nothing is committed
    COMMITTED = "committed"  # a batch was committed just now
    HANDLED = "handled"  # batches were committed; their offsets are not
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

    def arm(self, point: Point, of: str = "") -> None:
        """Let the next process that comes by end there; with an event's name, the next that has one of these."""
        self._armed(point, of).touch()

    def disarm(self, point: Point) -> None:
        """Let processes pass the point."""
        for armed in self.directory.glob(f"{self.service}.{point}.*armed"):
            armed.unlink(missing_ok=True)

    def is_armed(self, point: Point, of: str = "") -> bool:
        """Tell whether no process came by since the point was armed."""
        return self._armed(point, of).exists()

    def reach(self, point: Point, events: Iterable[str] = ()) -> None:
        """End this process if the point is armed, for any event or for one of these."""
        for of in ("", *events):
            try:
                self._armed(point, of).rename(self.directory / f"{self.service}.{point}.reached-by-{os.getpid()}")
            except FileNotFoundError:
                continue
            os.kill(os.getpid(), signal.SIGKILL)

    def _armed(self, point: Point, of: str) -> Path:
        return self.directory / f"{self.service}.{point}.{of}.armed"


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
    from services.chassis.handling import Handling  # noqa: PLC0415
    from services.chassis.processor import Processor  # noqa: PLC0415
    from services.chassis.relay import Relay  # noqa: PLC0415

    _wrap(Relay, "_produce", points, before=Point.BEFORE_PRODUCE, after=Point.ACKNOWLEDGED, events=_of_rows)
    _wrap(Handling, "run", points, after=Point.HANDLING, events=_of_items)
    _wrap(Processor, "handle", points, after=Point.COMMITTED, events=_of_records)
    _wrap(Consumer, "_commit", points, before=Point.HANDLED)
    if points.service == "notification":
        from services.notification.mail.mailer import Mailer  # noqa: PLC0415

        _wrap(Mailer, "_settle", points, before=Point.MAIL_ACCEPTED)


def _of_rows(_relay: Any, rows: Any) -> list[str]:
    return [_name(row.type) for row in rows]


def _of_items(_handling: Any, _tx: Any, items: Any, *_: Any) -> list[str]:
    return [type(item.received.event).__name__ for item in items]


def _of_records(_processor: Any, records: Any) -> list[str]:
    return [_name((value or b"").decode()) for record in records for name, value in record.headers if name == "ce_type"]


def _name(fullname: str) -> str:
    return fullname.rpartition(".")[2]


def _wrap(
    owner: type[Any],
    name: str,
    points: Killpoints,
    *,
    before: Point | None = None,
    after: Point | None = None,
    events: Callable[..., list[str]] = lambda *_: [""],
) -> None:
    """Put points around a method; one that is not there any more ends the process at its start.

    Args:
        events: returns the names of the events that a call is about, from its arguments; for one that is about none,
            as of a consumer with nothing to read, nobody dies.

    """
    seam = getattr(owner, name)

    @functools.wraps(seam)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        about = events(*arguments)
        if before is not None and about:
            points.reach(before, about)
        result = seam(*arguments, **named)
        if after is not None and about:
            points.reach(after, about)
        return result

    setattr(owner, name, wrapped)


if __name__ == "__main__":
    main()
