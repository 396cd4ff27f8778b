"""The command line of a service: `python -m services.<name> …`."""

import inspect
import signal
import sys
import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from services.chassis import logs, migrate
from services.chassis.errors import DatabaseUnavailable, OmsError, TransientError
from services.chassis.health import Health
from services.chassis.parked_cli import parked_commands
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from services.chassis.settings import load_settings

_START_PAUSE_SECONDS = 0.5
log = logs.logger(__name__)
Only = Annotated[str | None, typer.Option(help="run only this part: consumer, relay, deadlines, …")]
Check = Annotated[bool, typer.Option("--check", help="change nothing; exit 1 where migrations are pending")]


def main(service: Service[Any, Any]) -> None:
    """Run the command that the arguments name; an error of ours is one line, not a traceback."""
    try:
        commands(service)()
    except OmsError as error:
        typer.echo(f"{service.name}: {error}", err=True)
        sys.exit(1)


def commands(service: Service[Any, Any]) -> typer.Typer:
    """Return all that a service can be told to do on the command line."""
    app = typer.Typer(
        help=f"The {service.name} service.", add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False
    )

    @app.command(help="Serve the HTTP API.")
    def api() -> None:
        _api(service)

    @app.command(help="Consume events, publish the outbox, fire deadlines.")
    def worker(only: Only = None) -> None:
        _worker(service, only)

    @app.command("migrate", help="Bring the database to this build's schema.")
    def run_migrations(check: Check = False) -> None:
        _migrate(service, check)

    for name, report in service.reports.items():
        app.command(name, help=report.__doc__)(_report_command(service, report))
    for name, job in service.jobs.items():
        app.command(name, help=job.__doc__)(_job_command(service, job))
    app.add_typer(parked_commands(lambda: _checked_runtime(service)), name="parked")
    return app


def _runtime(service: Service[Any, Any]) -> Runtime[Any, Any]:
    settings = load_settings(service.settings)
    logs.configure(service.name, settings.version, settings.log_level, settings.log_levels)
    return Runtime(service, settings, Health())


def _checked_runtime(service: Service[Any, Any]) -> Runtime[Any, Any]:
    """Return what an operator's command runs on: one in the wrong mode would park what is in order."""
    runtime = _runtime(service)
    runtime.require_mode()
    return runtime


def _api(service: Service[Any, Any]) -> None:
    _await_schemas(_runtime(service))
    # Only here: the server prepares gevent and the metrics' folder before anything of them is imported.
    from services.chassis.http.server import serve  # noqa: PLC0415

    serve(service, load_settings(service.settings))


def _await_schemas(runtime: Runtime[Any, Any]) -> None:
    """Refuse a database or a registry that does not fit, and wait for the registry.

    The database may be away: requests that cannot be served without it are answered so. But the ids of a registry have
    to be known before the first event is written; the workers of the API get them from this process.
    """
    signal.signal(signal.SIGTERM, lambda _signum, _frame: sys.exit(0))
    while True:
        try:
            runtime.require_mode()
        except DatabaseUnavailable as error:
            log.warning("mode_unchecked", error=type(error).__name__)
        try:
            runtime.schemas.prepare()
        except TransientError as error:
            log.warning("start_put_off", error=type(error).__name__, detail=str(error)[:300])
            time.sleep(_START_PAUSE_SECONDS)
        else:
            runtime.engine.dispose()
            return


def _worker(service: Service[Any, Any], only: str | None) -> None:
    from services.chassis.worker import run_worker  # noqa: PLC0415  # the API process must not load a Kafka client

    sys.exit(run_worker(_runtime(service), only))


def _migrate(service: Service[Any, Any], check: bool) -> None:
    runtime = _runtime(service)
    if not check:
        migrate.upgrade(runtime.engine, service.migrations, runtime.schemas.mode)
    runtime.require_mode()
    behind = migrate.pending(runtime.engine, service.migrations)
    typer.echo("\n".join(behind) or f"{service.name}: the database is at this build's schema")
    sys.exit(1 if behind else 0)


def _job_command(service: Service[Any, Any], job: Callable[..., int]) -> Callable[..., None]:
    def command(**options: object) -> None:
        sys.exit(job(_checked_runtime(service).commands(), **options))

    # What it takes beside the first are the command's options: typer reads them from here.
    options = list(inspect.signature(job).parameters.values())[1:]
    command.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    return command


def _report_command(service: Service[Any, Any], report: Callable[[Any], int]) -> Callable[[], None]:
    def command() -> None:
        with _checked_runtime(service).queries() as uow:
            code = report(uow)
        sys.exit(code)

    return command
