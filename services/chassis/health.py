"""What a process says about itself: `/livez` (its threads make progress) and `/readyz` (it can do its work).

Framework-free, so that API and worker answer alike. Reports are pushed by threads that know; checks are pulled when
somebody asks. Liveness never looks at a dependency: a restart does not bring a database back.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from services.chassis.errors import (
    BrokerUnavailable,
    RegistryAccessDenied,
    RegistryUnavailable,
    TransactionConflict,
    TransientError,
)


class Reason(StrEnum):
    """Why a process is not ready; a closed set, a contract with dashboards and runbooks."""

    DATABASE_UNREACHABLE = "database_unreachable"
    TRANSACTION_CONFLICT = "transaction_conflict"
    MIGRATIONS_PENDING = "migrations_pending"
    CATALOG_LOADING = "catalog_loading"
    BROKER_UNREACHABLE = "broker_unreachable"
    REGISTRY_UNREACHABLE = "registry_unreachable"
    REGISTRY_ACCESS_DENIED = "registry_access_denied"
    CONSUMER_STALLED = "consumer_stalled"
    OUTBOX_STALLED = "outbox_stalled"
    OUTBOX_REJECTED = "outbox_rejected"
    OUTBOX_FULL = "outbox_full"
    SUSPECTED_BAD_DEPLOY = "suspected_bad_deploy"
    SHUTTING_DOWN = "shutting_down"


Check = Callable[[], Reason | None]


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """An answer of `/livez` or `/readyz`: HTTP status (200 or 503) and JSON body."""

    status: int
    body: dict[str, object]


@dataclass(slots=True)
class _Pulse:
    """When a thread was last seen, and the longest it may be silent, in seconds."""

    seen: float
    max_silence: float


class Health:
    """Collects what the parts of a process report.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pulses: dict[str, _Pulse] = {}
        self._reports: dict[str, Reason] = {}
        self._checks: dict[str, Check] = {}
        self._farewells: list[Callable[[], None]] = []
        self._shutting_down = False

    @property
    def is_shutting_down(self) -> bool:
        """Whether the process is going down: whoever waits for something answers without it."""
        return self._shutting_down

    def expect(self, thread: str, max_silence: float) -> None:
        """Count `thread` as alive as long as it beats at least every `max_silence` seconds."""
        with self._lock:
            self._pulses[thread] = _Pulse(self._clock(), max_silence)

    def beat(self, thread: str) -> None:
        """Say that `thread` makes progress; a thread that nobody expects may beat too."""
        with self._lock:
            if thread in self._pulses:
                self._pulses[thread].seen = self._clock()

    def silence(self, thread: str) -> float:
        """Return for how many seconds a thread has not beaten; 0 for one that nobody expects."""
        with self._lock:
            pulse = self._pulses.get(thread)
            return 0.0 if pulse is None else self._clock() - pulse.seen

    def report(self, component: str, reason: Reason | None) -> None:
        """Say why `component` cannot do its work, or (None) that it can."""
        with self._lock:
            if reason is None:
                self._reports.pop(component, None)
            else:
                self._reports[component] = reason

    def check(self, component: str, check: Check) -> None:
        """Register a check that each `/readyz` runs; it returns why `component` is not ready, or None.

        Checks run in the order of their registration and stop at the first `database_unreachable`: those behind
        it could only wait for the same database. A TransientError counts as an unreachable database or broker.
        """
        self._checks[component] = check

    def on_shutdown(self, farewell: Callable[[], None]) -> None:
        """Call `farewell` when the process starts to go down, for example to wake requests that wait."""
        self._farewells.append(farewell)

    def shut_down(self) -> None:
        """Turn `/readyz` false for good."""
        self._shutting_down = True
        for farewell in self._farewells:
            farewell()

    def livez(self) -> HealthAnswer:
        """Return 200, or 503 with the threads that were silent for too long."""
        now = self._clock()
        with self._lock:
            stalled = sorted(name for name, pulse in self._pulses.items() if now - pulse.seen > pulse.max_silence)
        if stalled:
            return HealthAnswer(503, {"status": "stalled", "threads": stalled})
        return HealthAnswer(200, {"status": "ok", "threads": []})

    def readyz(self) -> HealthAnswer:
        """Return 200, or 503 with every reason found and the component that it is about."""
        found = self._reasons()
        body: dict[str, object] = {
            "status": "not_ready" if found else "ready",
            "reasons": [{"component": component, "reason": reason.value} for component, reason in found],
        }
        return HealthAnswer(503 if found else 200, body)

    def _reasons(self) -> list[tuple[str, Reason]]:
        if self._shutting_down:
            return [("process", Reason.SHUTTING_DOWN)]
        with self._lock:
            found = sorted(self._reports.items())
        for component, check in self._checks.items():
            reason = _outcome(check)
            if reason is not None:
                found.append((component, reason))
            if reason is Reason.DATABASE_UNREACHABLE:
                break
        return found


def _outcome(check: Check) -> Reason | None:
    try:
        return check()
    except TransientError as error:
        return reason_of(error)


_REASONS: tuple[tuple[type[TransientError], Reason], ...] = (
    (TransactionConflict, Reason.TRANSACTION_CONFLICT),
    (BrokerUnavailable, Reason.BROKER_UNREACHABLE),
    (RegistryAccessDenied, Reason.REGISTRY_ACCESS_DENIED),
    (RegistryUnavailable, Reason.REGISTRY_UNREACHABLE),
)


def reason_of(error: TransientError) -> Reason:
    """Return who is away, or in the way, where an error says so."""
    found = (reason for kind, reason in _REASONS if isinstance(error, kind))
    return next(found, Reason.DATABASE_UNREACHABLE)
