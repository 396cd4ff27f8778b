"""Commands that come by HTTP, handled in groups: one transaction for up to a hundred of them.

While one group's transaction runs, requests queue up; the next group takes them all. A group never holds two
requests of one (caller, idempotency key), nor two for one aggregate: those wait for the next. A command that is large,
or that may undo itself, runs alone.
Invariant: an answer that is stored commits with the effect that it tells of; only successes are stored. A refusal
is a result, never an exception inside the transaction, so one bad request does not make the others run again.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from services.chassis import idempotency, logs, metrics
from services.chassis.connection import Connection, Engine
from services.chassis.errors import (
    DatabaseUnavailable,
    LockTimeout,
    OmsError,
    OutboxFull,
    Problem,
    RowExists,
    TransactionConflict,
    TransientError,
)
from services.chassis.events import Cause
from services.chassis.idempotency import Answer, IdempotencyKey, Place, StoredAnswer
from services.chassis.outbox import Outbox, is_full
from services.chassis.statements import sql
from services.chassis.unit_of_work import Transaction, UnitOfWork, begin

U = TypeVar("U", bound=UnitOfWork)
C_co = TypeVar("C_co", covariant=True)
GROUP_MAX = 100
_CONFLICT_TRIES = 3
# Where a group waited in vain for a row, its commands are run one by one, and have waited already.
_HURRY = sql("SET LOCAL lock_timeout = '200ms'")
# So many of them may wait in vain once more, for others queue behind them: where a whole table is locked, all would.
_HELD_MAX = 5
_LOOK_SECONDS = 1.0
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Submitted(Generic[C_co]):
    """A command as its handler gets it.

    Args:
        command: what is asked for.
        cause: to be handed on to whatever is emitted because of it.
        subject: id of the aggregate that it changes; None where it makes a new one.
        answered: what was stored before under the keys of its parts, by those.

    """

    command: C_co
    cause: Cause
    subject: str | None
    answered: Mapping[str, StoredAnswer] = field(default_factory=dict)


def at_once() -> None:
    """Let nobody gather but who comes while a transaction runs."""


# Decides one command on what is locked and loaded, changes it in memory, and returns the result to be rendered.
CommandHandler = Callable[[Submitted[Any], U], Any]


@dataclass(slots=True)
class _Entry(Generic[U]):
    submitted: Submitted[Any]
    caller: str
    idempotency: IdempotencyKey | None
    render: Callable[[Any, U], Answer]
    alone: bool = False
    parts: Sequence[IdempotencyKey] = ()
    result: Any = None
    answer: Answer | None = None
    error: OmsError | Exception | None = None
    leads: bool = False
    woken: threading.Event = field(default_factory=threading.Event)

    def claims(self) -> set[object]:
        """Return what no other entry of a group may want too."""
        wanted: set[object] = set(self.places())
        if self.submitted.subject is not None:
            wanted.add(self.submitted.subject)
        return wanted

    def places(self) -> list[Place]:
        """Return the keys that it claims."""
        own = () if self.idempotency is None else (self.idempotency,)
        return [(self.caller, key.key) for key in (*own, *self.parts)]


class Commands(Generic[U]):
    """Takes commands from many requests at once and runs them in groups.

    The first request that finds nobody leading leads: it lets others gather, takes what waits, runs one transaction,
    names the next leader, and gives each its own answer. What `gather` waits for are, among others, these answers:
    larger groups are worth more than a database that never rests.

    Args:
        engine: the service's database.
        handlers: command class → handler.
        outbox: makes an empty outbox for a transaction.
        unit_of_work: makes the service's unit of work over a transaction.
        outbox_max_rows: how many events may wait to be published before nothing more is taken.
        gather: called by a leader before it takes what waits; returns once it is not worth it to wait for others.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        handlers: Mapping[type[Any], CommandHandler[U]],
        outbox: Callable[[], Outbox],
        unit_of_work: Callable[[Transaction], U],
        outbox_max_rows: int,
        gather: Callable[[], None] = at_once,
    ) -> None:
        self._outbox_max_rows = outbox_max_rows
        self._next_look = 0.0
        self._engine = engine
        self._handlers = handlers
        self._outbox = outbox
        self._unit_of_work = unit_of_work
        self._gather = gather
        self._queue: deque[_Entry[U]] = deque()
        self._lock = threading.Lock()
        self._led = False

    def submit(
        self,
        command: object,
        *,
        caller: str,
        cause: Cause,
        render: Callable[[Any, U], Answer],
        idempotency: IdempotencyKey | None = None,
        subject: str | None = None,
        alone: bool = False,
        parts: Sequence[IdempotencyKey] = (),
    ) -> Answer:
        """Run a command and return its answer.

        Args:
            command: an instance of one of the handled classes.
            caller: whose idempotency keys these are.
            cause: why it is run.
            render: makes the answer from the handler's result, inside the transaction, after everything is
                saved; raises Problem for a refusal, whose answer is then not stored.
            idempotency: the request's key, if it has one.
            subject: id of the aggregate that the command changes.
            alone: run it in a transaction of its own: it is large, or may undo it.
            parts: keys of parts of the request, beside its own: what was stored under them is handed to the handler,
                and what `render` answers to the others is stored.

        Raises:
            Problem: it was refused.
            TransientError: nothing stands, or (OutcomeUnknown) the outcome is unknown.

        """
        entry = _Entry(Submitted(command, cause, subject), caller, idempotency, render, alone, parts)
        with self._lock:
            if self._led:
                self._queue.append(entry)
            entry.leads, self._led = not self._led, True
        if not entry.leads:
            entry.woken.wait()
        if entry.leads:
            self._lead(entry)
        if entry.error is not None:
            raise entry.error
        assert entry.answer is not None  # noqa: S101  # an entry ends with an answer or an error
        return entry.answer

    def _lead(self, own: _Entry[U]) -> None:
        group = [own]
        try:
            if not own.alone and len(self._queue) < GROUP_MAX - 1:
                self._gather()
            group += self._take(own)
            self._run(group)
        finally:
            self._pass_on()
            for entry in group:
                if entry is not own:
                    entry.woken.set()

    def _take(self, own: _Entry[U]) -> list[_Entry[U]]:
        """Take from the queue what can run together with `own`."""
        with self._lock:
            group, taken, left = list[_Entry[U]](), own.claims(), deque[_Entry[U]]()
            for entry in self._queue:
                claims = entry.claims()
                alone = own.alone or entry.alone
                if len(group) < GROUP_MAX - 1 and not alone and not claims & taken:
                    group.append(entry)
                else:
                    left.append(entry)
                taken |= claims
            self._queue = left
        return group

    def _pass_on(self) -> None:
        with self._lock:
            if not self._queue:
                self._led = False
                return
            following = self._queue.popleft()
            following.leads = True
            following.woken.set()

    def _run(self, group: Sequence[_Entry[U]], *, hurried: bool = False) -> None:
        metrics.GROUP_COMMIT_SIZE.observe(len(group))
        try:
            self._transact(group, hurried)
        except Exception as error:
            if len(group) == 1 or _is_of_all(error):
                for entry in group:
                    entry.error = error
                return
            log.warning("group_failed", size=len(group), exc_info=error)
            self._run_each(group, hurried=isinstance(error, LockTimeout))

    def _run_each(self, group: Sequence[_Entry[U]], *, hurried: bool) -> None:
        """Run each alone, since the fault may be of one: a bug, or a row that another transaction holds."""
        held, stopped = 0, None
        for entry in group:
            entry.answer, entry.error = None, stopped
            if stopped is None:
                self._run([entry], hurried=hurried)
                held += isinstance(entry.error, LockTimeout)
                stopped = _stops(entry.error, held)

    def _transact(self, group: Sequence[_Entry[U]], hurried: bool) -> None:
        for attempt in range(1, _CONFLICT_TRIES + 1):
            try:
                self._transact_once(group, hurried)
            except LockTimeout:
                raise
            except (TransactionConflict, RowExists):
                if attempt == _CONFLICT_TRIES:
                    raise
            else:
                return

    def _transact_once(self, group: Sequence[_Entry[U]], hurried: bool) -> None:
        with begin(self._engine, self._outbox()) as tx:
            if hurried:
                tx.connection.execute(_HURRY)
            self._require_room(tx.connection)
            todo = _claim(tx, group)
            uow = self._unit_of_work(tx)
            uow.lock([entry.submitted for entry in todo])
            for entry in todo:
                entry.result = self._handlers[type(entry.submitted.command)](entry.submitted, uow)
            if tx.undone and len(group) > 1:
                raise RuntimeError("a command that may undo its transaction has to run alone")
            if not tx.undone:
                uow.save()
            for entry in todo:
                _render(entry, uow)
            if not tx.undone:
                _store(tx.connection, todo)
                tx.finish()

    def _require_room(self, connection: Connection) -> None:
        """Refuse commands while the outbox is full; looked at once a second, or until there is room again."""
        now = time.monotonic()
        if now < self._next_look:
            return
        if is_full(connection, self._outbox_max_rows):
            raise OutboxFull(f"{self._outbox_max_rows} events wait to be published")
        self._next_look = now + _LOOK_SECONDS


def _is_of_all(error: Exception) -> bool:
    """Return whether an error would have met each of a group, whatever it asks for."""
    return isinstance(error, TransientError) and not isinstance(error, TransactionConflict)


def _stops(error: Exception | None, held: int) -> TransientError | None:
    """Return what the rest of a group is told without being run, None where they are to be run.

    Args:
        error: of the command before them.
        held: how many commands waited in vain for a row.

    """
    if isinstance(error, DatabaseUnavailable):
        return error
    return TransactionConflict("others of its group waited for rows for too long") if held >= _HELD_MAX else None


def _claim(tx: Transaction, group: Sequence[_Entry[U]]) -> list[_Entry[U]]:
    """Hold the group's idempotency keys; answer those that were answered before, and return the others."""
    known, now = idempotency.claim(tx.connection, [place for entry in group for place in entry.places()])
    tx.tell_time(now)
    for entry in group:
        entry.answer = entry.error = None
        if entry.parts:
            found = {part.key: known.get((entry.caller, part.key)) for part in entry.parts}
            answered = {key: stored for key, stored in found.items() if stored is not None}
            entry.submitted = replace(entry.submitted, answered=answered)
        own = entry.idempotency
        before = None if own is None else known.get((entry.caller, own.key))
        if own is None or before is None:
            continue
        if before.request_hash == own.request_hash:
            entry.answer = before.answer
        else:
            entry.error = idempotency.reused(own.key)
    return [entry for entry in group if entry.answer is None and entry.error is None]


def _render(entry: _Entry[U], uow: U) -> None:
    try:
        entry.answer = entry.render(entry.result, uow)
    except Problem as refusal:
        entry.error = refusal


def _store(connection: Connection, done: Sequence[_Entry[U]]) -> None:
    answers: dict[Place, tuple[str, Answer]] = {}
    for entry in done:
        if entry.answer is None:
            continue
        if entry.idempotency is not None:
            answers[entry.caller, entry.idempotency.key] = (entry.idempotency.request_hash, entry.answer)
        for part in entry.parts:
            if part.key in entry.answer.parts and part.key not in entry.submitted.answered:
                answers[entry.caller, part.key] = (part.request_hash, entry.answer.parts[part.key])
    idempotency.store(connection, answers)
