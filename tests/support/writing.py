"""Commands to the ledger from many requests at once."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from services.chassis.commands import Commands
from services.chassis.events import Cause
from services.chassis.idempotency import Answer, IdempotencyKey
from tests.support.eventually import eventually
from tests.support.ledger import Ledger, LedgerUnitOfWork, Write, render


def write(commands: Commands[Any], key: str, note: str, idempotency: str | None = None, **details: Any) -> Answer:
    """Write an entry; the hash of the request is its note, as if that were all of its body."""
    kept = None if idempotency is None else IdempotencyKey(idempotency, details.pop("request_hash", note))
    return commands.submit(
        Write(key, note),
        caller=details.pop("caller", "ada"),
        cause=Cause("saga"),
        render=render,
        idempotency=kept,
        subject=details.pop("subject", key),
        alone=details.pop("alone", False),
        parts=details.pop("parts", ()),
    )


class Pause:
    """A script that stops at the command with a note until it is let go; the others pass."""

    def __init__(self, note: str) -> None:
        self._note = note
        self._reached = threading.Event()
        self._go_on = threading.Event()

    def __call__(self, submitted: Any, _uow: LedgerUnitOfWork) -> None:
        if submitted.command.note == self._note:
            self._reached.set()
            assert self._go_on.wait(20)

    def reached(self) -> None:
        """Wait until the command is in its handler."""
        assert self._reached.wait(10)

    def go_on(self) -> None:
        """Let it finish."""
        self._go_on.set()


@contextmanager
def while_one_runs(
    ledger: Ledger, commands: Commands[Any], pool: ThreadPoolExecutor
) -> Iterator[Callable[..., "Future[Answer]"]]:
    """Hold a first command in its transaction while the block submits others; they are queued at its end, in order."""
    script, ledger.before = ledger.before, (pause := Pause("first"))
    first = pool.submit(write, commands, "first", "first")
    pause.reached()
    number = 0

    def submit(*arguments: Any, **details: Any) -> "Future[Answer]":
        nonlocal number
        number += 1
        future = pool.submit(write, commands, *arguments, **details)
        eventually(lambda: queued(commands, number), within=10)
        return future

    yield submit
    ledger.before = script
    pause.go_on()
    first.result(10)


def queued(commands: Commands[Any], number: int) -> None:
    """Check how many wait for the next group."""
    assert len(commands._queue) == number


def outcomes(futures: Sequence["Future[Answer]"]) -> list[str]:
    """Return what became of commands: the answer's body, or the error's class."""
    errors = [future.exception(20) for future in futures]
    return [
        type(error).__name__ if error else future.result().body.decode()
        for future, error in zip(futures, errors, strict=True)
    ]
