"""The worker process: consumers, relay, deadlines and a service's own loops, each in a thread.

A thread that dies takes the process with it, with a non-zero code: whoever supervises it starts it anew, and
nothing goes on half. SIGTERM lets each thread finish what it has begun; then the process ends with 0.
"""

import queue
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

from services.chassis import inbox, logs
from services.chassis.catalog_gate import partitions_of
from services.chassis.collectors import register
from services.chassis.database import is_reachable, transaction
from services.chassis.errors import SettingsError, TransientError
from services.chassis.garbage import BATCH, spare_collector
from services.chassis.health import Reason, reason_of
from services.chassis.http.probes import serve_probes
from services.chassis.outbox import oldest_age
from services.chassis.retention import require_inbox_outlives_log
from services.chassis.runtime import Runtime
from services.chassis.settings import ServiceSettings
from services.chassis.unit_of_work import UnitOfWork

S = TypeVar("S", bound=ServiceSettings)
U = TypeVar("U", bound=UnitOfWork)
Part = Callable[[threading.Event], None]
# Supervisors kill after ten seconds; whatever has not finished by then is repeated after the restart.
_STOP_SECONDS = 9.0
_SILENCE_SECONDS = 60.0
# A consumer's batch takes seconds at most, an event some milliseconds to get out: beyond this something stands still.
_STALLED_SECONDS = 30.0
log = logs.logger(__name__)


def run_worker(runtime: Runtime[S, U], only: str | None) -> int:
    """Run the service's threads until SIGTERM or SIGINT, or until one of them dies.

    Args:
        runtime: the service's parts.
        only: name of the one part to run; None runs all.

    Returns:
        The process' exit code.

    Raises:
        SettingsError: there is no part of that name.
        SchemaMismatch: database, cluster or schema folder do not fit this build.

    """
    stop = threading.Event()
    stop_when_told(stop)
    parts = _chosen(_parts(runtime), only)
    serve_probes(runtime.health, runtime.settings.http_host, runtime.settings.metrics_port)
    register(runtime)
    _await_surroundings(runtime, stop)
    _check_progress(runtime, parts)
    spare_collector(BATCH)
    died = threading.Event()
    threads = [_start(runtime, name, run, stop, died) for name, run in parts.items()]
    log.info("worker_started", parts=sorted(parts))
    stop.wait()
    runtime.health.shut_down()
    until = time.monotonic() + _STOP_SECONDS
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    unfinished = [thread.name for thread in threads if thread.is_alive()]
    log.info("worker_stopped", unfinished=unfinished)
    return 1 if died.is_set() or unfinished else 0


def stop_when_told(stop: threading.Event) -> None:
    """Have `stop` set at SIGTERM or SIGINT; to be called by the main thread."""
    # Set by another thread: the main one may be interrupted within `stop.wait`, with the event's lock in its hands, and
    # would wait for itself until it is killed.
    told: queue.SimpleQueue[int] = queue.SimpleQueue()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda number, _frame: told.put(number))

    def listen() -> None:
        told.get()
        stop.set()

    threading.Thread(target=listen, name="signals", daemon=True).start()


def _check_progress(runtime: Runtime[S, U], parts: Iterable[str]) -> None:
    """Let `/readyz` see what no thread reports by itself: one that stands still, and events that do not get out."""
    health = runtime.health
    health.check("database", lambda: None if is_reachable(runtime.engine) else Reason.DATABASE_UNREACHABLE)
    for name in parts:
        if name.startswith("consumer:"):
            health.check(name, lambda name=name: _stalled(runtime, name))  # type: ignore[misc]  # binds the loop's name
    health.check("outbox", lambda: _outbox_stalled(runtime))


def _stalled(runtime: Runtime[S, U], name: str) -> Reason | None:
    return Reason.CONSUMER_STALLED if runtime.health.silence(name) > _STALLED_SECONDS else None


def _outbox_stalled(runtime: Runtime[S, U]) -> Reason | None:
    with transaction(runtime.engine) as connection:
        return Reason.OUTBOX_STALLED if oldest_age(connection) > _STALLED_SECONDS else None


def _parts(runtime: Runtime[S, U]) -> dict[str, Part]:
    parts: dict[str, Part] = {
        f"consumer:{subscription.consumer}": runtime.consumer(subscription).run
        for subscription in runtime.subscriptions
    }
    parts["relay"] = runtime.relay().run
    parts["deadlines"] = runtime.deadlines().run
    return parts | {name: make(runtime).run for name, make in runtime.service.loops.items()}


def _chosen(parts: dict[str, Part], only: str | None) -> dict[str, Part]:
    if only is None:
        return parts
    chosen = {name: run for name, run in parts.items() if only in (name, name.partition(":")[0])}
    if not chosen:
        raise SettingsError(f"--only {only}: this service has {', '.join(parts)}")
    return chosen


def _await_surroundings(runtime: Runtime[S, U], stop: threading.Event) -> None:
    """Wait, not ready, until database and cluster are there; refuse those that do not fit."""
    runtime.health.report("start", Reason.DATABASE_UNREACHABLE)
    while not stop.is_set():
        try:
            _check_surroundings(runtime)
        except TransientError as error:
            runtime.health.report("start", reason_of(error))
            log.warning("start_put_off", error=type(error).__name__, detail=str(error)[:300])
            stop.wait(random.uniform(0.2, 1.0))  # noqa: S311  # jitter, no secret
        else:
            runtime.health.report("start", None)
            return


def _check_surroundings(runtime: Runtime[S, U]) -> None:
    """Check schema, mode, schema ids, topics and retention, and make a row for each partition that is to be read."""
    runtime.require_schema()
    for subscription in runtime.subscriptions:
        places = partitions_of(runtime.admin, subscription.topics)
        with transaction(runtime.engine) as connection:
            positions = [inbox.Position(topic, partition, 0) for topic, partition in places]
            inbox.note_partitions(connection, subscription.consumer, positions)
        if not subscription.projection:
            require_inbox_outlives_log(
                runtime.admin,
                subscription.topics,
                runtime.settings.inbox_retention_days,
                refuse=runtime.settings.inbox_retention_check == "refuse",
            )


def _start(
    runtime: Runtime[S, U],
    name: str,
    run: Part,
    stop: threading.Event,
    died: threading.Event,
) -> threading.Thread:
    runtime.health.expect(name, max_silence=_SILENCE_SECONDS)
    thread = threading.Thread(target=_guarded, args=(name, run, stop, died), name=name, daemon=True)
    thread.start()
    return thread


def _guarded(name: str, run: Part, stop: threading.Event, died: threading.Event) -> None:
    try:
        run(stop)
    except BaseException:
        died.set()
        stop.set()
        log.exception("thread_died", thread=name)
        raise
