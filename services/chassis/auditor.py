"""The auditor: has a service's books audited every so often, by one of its workers, and writes down what was found.

On a thread and a connection of its own, for an audit takes as long as the books are long, and nothing may wait for
it. When the last one ended and what it found are in the database: a restart forgets no disagreement, and neither
repeats nor puts off an audit.
"""

import threading
import time
from collections.abc import Callable

from services.chassis import logs
from services.chassis.audit import Audit
from services.chassis.connection import Connection, Engine
from services.chassis.database import AUDIT_LOCK, session, statements, transaction, try_session_lock
from services.chassis.errors import TransientError
from services.chassis.health import Health
from services.chassis.service import DatabaseGauge
from services.chassis.statements import sql
from services.chassis.watching import watched

NAME = "audit"
# Seconds until an audit is due; in a database that never was audited it is due at once.
DUE_IN = sql("SELECT coalesce(extract(epoch FROM min(audited_at) - now()) + :seconds, 0)::float8 FROM audits")
# What is not asked any more is forgotten: nobody could tell of it that it is mended.
RECORD = sql("""
WITH gone AS (DELETE FROM audits WHERE invariant <> ALL(:invariants ::text[]))
INSERT INTO audits SELECT invariant, violations, now()
FROM unnest(:invariants ::text[], :violations ::bigint[]) found(invariant, violations)
ON CONFLICT (invariant) DO UPDATE SET violations = excluded.violations, audited_at = excluded.audited_at
""")
GAUGES = (
    DatabaseGauge(
        "oms_invariant_violations",
        "Disagreements that the last audit found",
        ("invariant",),
        sql("SELECT invariant, violations FROM audits"),
    ),
    DatabaseGauge(
        "oms_audit_timestamp_seconds",
        "When the last audit ended, since the epoch; absent before the first one",
        (),
        sql("SELECT extract(epoch FROM min(audited_at))::float8 FROM audits HAVING count(*) > 0"),
    ),
)
_PAUSE_SECONDS = 1.0
# Between two signs of life.
_BEAT_SECONDS = 5.0
# Another worker may have audited meanwhile, or may have died while it did.
_LOOK_SECONDS = 10.0
# What failed by a fault of its own fails again: its load is not put on the database without a pause.
_FAILED_SECONDS = 300.0
log = logs.logger(__name__)


class Auditor:
    """Audits whenever it is time; of any number of them one at once.

    Args:
        engine: the service's database.
        health: told that the thread is alive.
        seconds: between two audits.
        audit: asks all questions, on a connection of its own.

    """

    def __init__(self, engine: Engine, health: Health, seconds: float, audit: Callable[[Connection], Audit]) -> None:
        self._engine = engine
        self._health = health
        self._seconds = seconds
        self._audit = audit

    def run(self, stop: threading.Event) -> None:
        """Audit whenever it is time until `stop` is set; an audit that is under way then is broken off."""
        next_look = time.monotonic()
        while not stop.is_set():
            self._beat()
            if time.monotonic() >= next_look:
                next_look = time.monotonic() + self._look(stop)
            stop.wait(min(max(next_look - time.monotonic(), 0.0), _BEAT_SECONDS))

    def _look(self, stop: threading.Event) -> float:
        """Audit if it is time, and return for how many seconds there is nothing to be done."""
        try:
            with statements(self._engine) as connection:
                left = self._due_in(connection)
            if left <= 0:
                self._audit_alone(stop)
        except TransientError as error:
            log.warning("audit_put_off", error=type(error).__name__)
            return _PAUSE_SECONDS
        except Exception as error:
            if stop.is_set():
                log.info("audit_broken_off", error=type(error).__name__)
            else:
                log.exception("audit_failed")
            return _FAILED_SECONDS
        return min(left if left > 0 else self._seconds, _LOOK_SECONDS)

    def _due_in(self, connection: Connection) -> float:
        return float(connection.execute(DUE_IN, {"seconds": self._seconds}).scalar_one())

    def _audit_alone(self, stop: threading.Event) -> None:
        """Audit and write down what was found, unless another worker does, or did so a moment ago."""
        with session(self._engine) as connection:
            if not try_session_lock(connection, AUDIT_LOCK) or self._due_in(connection) > 0:
                return
            with watched(connection, self._beat, stop):
                found = {name: len(rows) for name, rows in self._audit(connection).checks.items()}
            with transaction(self._engine) as writing:
                writing.execute(RECORD, {"invariants": list(found), "violations": list(found.values())})
        for name in [name for name, differences in found.items() if differences]:
            log.error("invariant_violated", invariant=name, differences=found[name])

    def _beat(self) -> None:
        self._health.beat(NAME)
