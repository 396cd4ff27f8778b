"""The worker process: consumers, relay, deadlines and a service's own loops, each in a thread (DESIGN 5.6).

A thread that dies takes the process with it, with a non-zero code: whoever supervises it starts it anew, and
nothing goes on half. SIGTERM lets each thread finish what it has begun; then the process ends with 0.
"""

import signal
import threading
from collections.abc import Callable
from typing import TypeVar

from tenacity import retry, retry_if_exception_type, wait_exponential_jitter

from services.chassis import inbox, logs
from services.chassis.catalog_gate import partitions_of
from services.chassis.collectors import register
from services.chassis.database import transaction
from services.chassis.errors import SettingsError, TransientError
from services.chassis.http.probes import serve_probes
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
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda _signum, _frame: stop.set())
    parts = _chosen(_parts(runtime), only)
    serve_probes(runtime.health, runtime.settings.http_host, runtime.settings.metrics_port)
    register(runtime)
    _check_surroundings(runtime)
    died = threading.Event()
    threads = [_start(runtime, name, run, stop, died) for name, run in parts.items()]
    log.info("worker_started", parts=sorted(parts))
    while not stop.wait(0.2):
        if died.is_set():
            stop.set()
    runtime.health.shut_down()
    for thread in threads:
        thread.join(_STOP_SECONDS)
    unfinished = [thread.name for thread in threads if thread.is_alive()]
    log.info("worker_stopped", unfinished=unfinished)
    return 1 if died.is_set() or unfinished else 0


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


@retry(retry=retry_if_exception_type(TransientError), wait=wait_exponential_jitter(initial=0.2, max=2))
def _check_surroundings(runtime: Runtime[S, U]) -> None:
    """Refuse a schema or a cluster that does not fit; wait for one that is away."""
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
        log.exception("thread_died", thread=name)
        raise
