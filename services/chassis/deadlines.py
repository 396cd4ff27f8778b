"""Deadlines that know whether we were away, fired by one elected worker on PostgreSQL's clock.

A deadline may fire only up to a moment before which nothing can be missing any more: the consumer has reached the
end that each partition had then, and the outbox holds nothing older. On top of that a deadline measures time in
which this service was whole: after an absence (the database, the broker or this worker was away, the consumer
behind, the outbox stuck) everyone else gets time to answer before anything is given up.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from services.chassis import logs, metrics
from services.chassis.connection import Connection, Engine
from services.chassis.database import DEADLINES_LOCK, session, transaction, try_session_lock
from services.chassis.errors import TransientError
from services.chassis.health import Health, Reason
from services.chassis.outbox import Outbox
from services.chassis.statements import Statement, often, sql
from services.chassis.unit_of_work import Due, Transaction, UnitOfWork, begin

# Whole since when: the last tick came in time, no partition is behind, and no event waits to be published. What has
# passed is counted with it, each kind for itself: one statement, since an idle system does little else.
TICK = """
UPDATE deadline_watch SET ticked_at = clock_timestamp(), whole_since = CASE WHEN
    ticked_at > clock_timestamp() - make_interval(secs => :away)
    AND NOT EXISTS (SELECT FROM consumer_progress
                    WHERE (consumer, topic) IN (SELECT * FROM unnest(:consumers ::text[], :topics ::text[]))
                        AND coalesce(caught_up_at, '-infinity') < clock_timestamp() - make_interval(secs => :away))
    AND NOT EXISTS (SELECT FROM (SELECT created_at FROM outbox ORDER BY seq LIMIT 1) oldest
                    WHERE created_at < clock_timestamp() - make_interval(secs => :away))
    THEN whole_since ELSE clock_timestamp() END
RETURNING clock_timestamp() AS now, whole_since, ARRAY[{passed}]::bigint[] AS passed
"""
REACHED = sql("""
SELECT least(
    (SELECT min(coalesce(caught_up_at, '-infinity')) FROM consumer_progress
     WHERE (consumer, topic) IN (SELECT * FROM unnest(:consumers ::text[], :topics ::text[]))
         AND topic = ANY(:bringing ::text[])),
    (SELECT created_at FROM outbox ORDER BY seq LIMIT 1))
""")
_STANDBY_SECONDS = 1.0
_LIMIT = 500
# Longer than any deadline.
_ANY_LENGTH = timedelta(days=36_500)
U = TypeVar("U", bound=UnitOfWork)
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Deadline(Generic[U]):
    """One kind of deadline.

    Args:
        name: for logs.
        topics: that could still bring what is awaited.
        passed: counts the deadlines that have passed by now, whether or not they may fire: one number, without
            parameters.
        fire: locks those that are due, ends them, and returns how many it were.

    """

    name: str
    topics: tuple[str, ...]
    passed: Statement
    fire: Callable[[U, Due], int]


@dataclass(frozen=True, slots=True)
class Chore:
    """Housekeeping in bounded steps: `step` is run in a transaction of its own, about every `seconds`.

    A step that returns True left something to do and is run again at the next look, so that it keeps up with any load.
    """

    name: str
    seconds: float
    step: Callable[[Connection], object]


class Deadlines(Generic[U]):
    """The elected worker.

    Args:
        engine: the service's database.
        deadlines: what may fire.
        chores: housekeeping that the elected worker does on the way.
        reads: (consumer, topic) of all that the service reads; being behind there counts as an absence.
        outbox: makes an empty outbox for a transaction.
        unit_of_work: makes the service's unit of work over a transaction.
        health: told what goes wrong, and that the thread is alive.
        poll_seconds: between two looks.
        away_seconds: a silence longer than this was an absence.
        grace_max_seconds: the most that a deadline waits after an absence.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        deadlines: Sequence[Deadline[U]],
        chores: Sequence[Chore],
        reads: Sequence[tuple[str, str]],
        outbox: Callable[[], Outbox],
        unit_of_work: Callable[[Transaction], U],
        health: Health,
        poll_seconds: float,
        away_seconds: float,
        grace_max_seconds: float,
    ) -> None:
        self._engine = engine
        self._deadlines = deadlines
        self._tick = often(TICK.format(passed=", ".join(f"({deadline.passed.text})" for deadline in deadlines)))
        self._chores = chores
        # Not all that the database has rows of: nobody catches up on a topic that an older build read.
        self._places = {"consumers": [consumer for consumer, _ in reads], "topics": [topic for _, topic in reads]}
        self._outbox = outbox
        self._unit_of_work = unit_of_work
        self._health = health
        self._poll_seconds = poll_seconds
        self._away_seconds = away_seconds
        self._grace_max = grace_max_seconds
        self._done: dict[str, datetime] = {}

    def run(self, stop: threading.Event) -> None:
        """Fire what is due until `stop` is set."""
        while not stop.is_set():
            self._health.beat("deadlines")
            try:
                with session(self._engine) as connection:
                    if try_session_lock(connection, DEADLINES_LOCK):
                        connection.make_each_alone()
                        self._lead(connection, stop)
                    else:
                        self._health.report("deadlines", None)
                        stop.wait(_STANDBY_SECONDS)
            except TransientError as error:
                self._health.report("deadlines", Reason.DATABASE_UNREACHABLE)
                log.warning("deadlines_put_off", error=type(error).__name__)
                stop.wait(0.5)

    def _lead(self, elected: Connection, stop: threading.Event) -> None:
        while not stop.is_set():
            self._health.beat("deadlines")
            # On the session that holds the lock, so that one who lost it stops here.
            row = elected.execute(self._tick, {"away": self._away_seconds, **self._places}).one()
            elected.commit()
            self._health.report("deadlines", None)
            for deadline, passed in zip(self._deadlines, row.passed, strict=True):
                if passed:  # which is rare
                    self._fire_all(deadline, passed, row.now, row.whole_since)
            self._do_chores(row.now)
            stop.wait(self._poll_seconds)

    def _fire_all(self, deadline: Deadline[U], passed: int, now: datetime, whole_since: datetime) -> None:
        whole = now - whole_since
        longest = whole if whole < timedelta(seconds=self._grace_max) else _ANY_LENGTH
        left = passed
        with _fault_logged(deadline.name):
            fired = _LIMIT
            while fired == _LIMIT:
                fired = self._fire(deadline, longest)
                left -= fired
        # More may have been fired than were counted before.
        if left > 0:
            metrics.DEADLINES_DEFERRED.inc(left)
            log.info("deadlines_deferred", deadline=deadline.name, count=left, whole_since=whole_since.isoformat())

    def _fire(self, deadline: Deadline[U], longest: timedelta) -> int:
        """Fire what is due, up to the limit, and return how many it were."""
        with begin(self._engine, self._outbox()) as tx:
            uow = self._unit_of_work(tx)
            places = {**self._places, "bringing": list(deadline.topics)}
            reached = tx.connection.execute(REACHED, places).scalar_one()
            fired = deadline.fire(uow, Due(min(reached or tx.now, tx.now), longest, _LIMIT))
            uow.save()
            tx.finish()
        if fired:
            log.info("deadlines_fired", deadline=deadline.name, count=fired)
        return fired

    def _do_chores(self, now: datetime) -> None:
        for chore in self._chores:
            # Not at once: a process that is started again and again must not do nothing but keep house.
            last = self._done.setdefault(chore.name, now)
            if now - last >= timedelta(seconds=chore.seconds):
                more: object = False
                with _fault_logged(chore.name), transaction(self._engine) as connection:
                    more = chore.step(connection)
                if more is not True:
                    self._done[chore.name] = now


@contextmanager
def _fault_logged(work: str) -> Iterator[None]:
    """Let one kind of work fail for itself: the process also consumes and publishes, and must not end with it."""
    try:
        yield
    except TransientError:
        raise
    except Exception:
        log.exception("timed_work_failed", work=work)
