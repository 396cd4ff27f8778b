"""One transaction, as handlers see it: what is locked and loaded, what it changed, what it will emit.

A service's own unit of work wraps a `Transaction`, adds its repositories, and is driven in three steps by whoever
owns the transaction (consumer, command group, deadline): `lock` once for all messages, handlers, `save` once.
Invariant: nothing is locked after `lock`; aggregates are locked before SKU rows, each sorted; so two transactions
that want the same rows meet at the first of them and never deadlock.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from services.chassis.connection import Connection, Engine
from services.chassis.database import transaction
from services.chassis.events import Cause, Event, Received
from services.chassis.outbox import Outbox
from services.chassis.statements import sql

_NOW = sql("SELECT now()")
# Notified once a transaction, without ids: whoever waits looks at all that is awaited, once.
_WAITERS = "changed"


@dataclass(frozen=True, slots=True)
class Deferral:
    """Why an event cannot be handled yet.

    Args:
        reason: a constant code; the parked keys that share it are counted together.
        retry_in: seconds until the next try, where the wait is expected and no failure; None backs off and,
            after `MAX_ATTEMPTS` tries, leaves the key to an operator.

    """

    reason: str
    retry_in: float | None


@dataclass(frozen=True, slots=True)
class Due:
    """Which deadlines may fire now.

    Args:
        until: those that passed by this time.
        longest: those that, from their start on, were no longer than this: after an absence as long as itself is
            waited for each, up to the grace.
        limit: so many at most.

    """

    until: datetime
    longest: timedelta
    limit: int


class Transaction:
    """What the chassis offers inside one database transaction.

    Args:
        connection: an open transaction on the service's database.
        outbox: takes the events that this transaction emits.

    Attributes:
        dead: events to be kept among the dead ones, and why.
        undone: whether nothing of this transaction is to stand.
        deferrals: event id → why it could not be handled yet.

    """

    def __init__(self, connection: Connection, outbox: Outbox) -> None:
        self.connection = connection
        self.outbox = outbox
        self.deferrals: dict[str, Deferral] = {}
        self.dead: list[tuple[Received[Any], str]] = []
        self.undone = False
        self._waiters_look = False
        self._after: list[Callable[[], None]] = []
        self._now: datetime | None = None

    @property
    def now(self) -> datetime:
        """PostgreSQL's time at the start of the transaction; the only clock that decides anything.

        Asked for when it is needed: most looks of an idle system, and all that only read, do not.
        """
        if self._now is None:
            self._now = self.connection.execute(_NOW).scalar_one()
        return self._now

    def tell_time(self, now: datetime | None) -> None:
        """Take `now()` from a statement that was run anyway, so that it need not be asked for."""
        self._now = now

    def on_commit(self, work: Callable[[], None]) -> None:
        """Do something once the transaction stands, such as counting: never for one that is rolled back."""
        self._after.append(work)

    def committed(self) -> None:
        """Run what `on_commit` was given."""
        for work in self._after:
            work()

    def ended(self) -> None:
        """Let go of what `on_commit` was given.

        It knows the unit of work, which knows us: in a cycle, all that was loaded would wait for Python's collector.
        """
        self._after.clear()

    def emit(self, event: Event, *, sequence: int, cause: Cause) -> str:
        """Put an event into the outbox and return its id.

        Args:
            event: what happened.
            sequence: the count of this key's events on this topic, from the row that counts it, locked.
            cause: why it happened.

        """
        return self.outbox.add(event, sequence, cause, self.now)

    def defer(self, received: Received[Any], reason: str, retry_in: float | None = None) -> None:
        """Park an event's key: the event is tried again later, and all later ones of its key wait behind it.

        Nothing may have been changed on behalf of the event.
        """
        self.deferrals[received.event_id] = Deferral(reason, retry_in)

    def bury(self, received: Received[Any], error: str) -> None:
        """Keep the bytes of an event that was answered but not understood, for as long as dead events are kept."""
        self.dead.append((received, error))

    def undo(self) -> None:
        """Let nothing of this transaction stand, the answer that it stores included; for commands that run alone."""
        self.undone = True

    def wake_waiters(self) -> None:
        """Let whoever waits for a change of an aggregate look again, once this transaction stands."""
        self._waiters_look = True

    def finish(self) -> None:
        """Write what was emitted; called once, after the service's own `save`."""
        self.outbox.write(self.connection, wake=[_WAITERS] if self._waiters_look else [])


@contextmanager
def begin(engine: Engine, outbox: Outbox) -> Iterator[Transaction]:
    """Lend a transaction, committed at the end of the block unless it is undone; raises as `database.transaction`."""
    tx: Transaction | None = None
    try:
        with transaction(engine) as connection:
            tx = Transaction(connection, outbox)
            yield tx
            if tx.undone:
                connection.rollback()
        if not tx.undone:
            tx.committed()
    finally:
        if tx is not None:
            tx.ended()


class UnitOfWork(Protocol):
    """What a service's unit of work offers to the chassis."""

    def lock(self, messages: Sequence[Any]) -> None:
        """Lock and load whatever these messages (events as `Received`, commands as `Submitted`) touch."""

    def save(self) -> None:
        """Write every change, set-based."""
