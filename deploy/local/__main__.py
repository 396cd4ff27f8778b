"""`python -m deploy.local`: the system on this machine, without Docker and without root."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deploy.local import directory as places
from deploy.local import tokens
from deploy.local.errors import StackError
from deploy.local.postgres import program
from deploy.local.processes import Processes
from deploy.local.services import ROOT, ServiceProcess
from deploy.local.signals import ending_by_exception
from deploy.local.stack import DIRECTORY, WantedPorts, environment_of, launch
from deploy.local.state import SERVICES, StackState

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, rich_markup_mode=None
)

Directory = Annotated[Path, typer.Option(envvar="LOCAL_STACK", help="where the stack keeps its state, data and logs")]
Port = Annotated[int | None, typer.Option(min=1, max=65_535, show_default="a free one")]


@contextmanager
def _reported() -> Iterator[None]:
    """Say what went wrong in its own words, without a traceback, and exit 1."""
    try:
        yield
    except StackError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo("interrupted; nothing is left running", err=True)
        raise typer.Exit(130) from error


@app.command()
def up(
    *,
    directory: Directory = DIRECTORY,
    port_order: Port = None,
    port_inventory: Port = None,
    port_notification: Port = None,
    port_kafka: Port = None,
    port_postgres: Port = None,
    port_mail: Port = None,
    port_schema_registry: Port = None,
) -> None:
    """Start PostgreSQL, Kafka, the services and a mail sink; return when all of it answers ready."""
    ports = WantedPorts(
        order=port_order,
        inventory=port_inventory,
        notification=port_notification,
        kafka=port_kafka,
        postgres=port_postgres,
        mail=port_mail,
        schema_registry=port_schema_registry,
    )
    with _reported():
        if places.is_running(directory):
            typer.echo("already running")
            _tell(StackState.load(directory), directory)
            return
        with ending_by_exception(), launch(directory, ports=ports) as stack:
            state = stack.up()
            stack.leave_running()
        _tell(state, directory)


@app.command()
def demo(
    *,
    directory: Directory = DIRECTORY,
    keep: Annotated[bool, typer.Option("--keep", help="leave the stack running, as `up` does")] = False,
    record: Annotated[Path | None, typer.Option(help="also write the output to this file, as plain text")] = None,
) -> None:
    """Show the saga on real servers and prove it; exit 1 unless every promise of the story held."""
    from deploy.local.demo.performance import perform  # noqa: PLC0415 - the other commands need nothing of it

    with _reported():
        status = perform(directory, keep=keep, record=record)
    raise typer.Exit(status)


@app.command()
def down(
    directory: Directory = DIRECTORY,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="keep databases, topics and mails")] = False,
) -> None:
    """End every process of the stack, also of one that crashed; data goes, logs stay."""
    ended = places.end(directory, keep_data=keep_data)
    typer.echo(f"ended: {', '.join(ended)}" if ended else "nothing was running")


@app.command()
def status(directory: Directory = DIRECTORY) -> None:
    """Show each process; exit 1 unless all of them run and are ready."""
    with _reported():
        state = StackState.load(directory)
    alive = Processes(directory).pids()
    healthy = True
    for name in state.processes:
        missing = _missing(state, name) if name in alive else "ended"
        healthy = healthy and missing is None
        typer.echo(f"{name:22} {alive.get(name, '-'):>8}  {missing or 'ready'}")
    if not healthy:
        raise typer.Exit(1)


@app.command()
def token(
    role: Annotated[str, typer.Option(help=", ".join(tokens.ROLES))],
    sub: Annotated[str | None, typer.Option(help="whom the token is for")] = None,
    vendor: Annotated[str | None, typer.Option(help="the vendor's id, for the role vendor")] = None,
    email: Annotated[str | None, typer.Option(help="the e-mail address that the token states")] = None,
    directory: Directory = DIRECTORY,
) -> None:
    """Print a bearer token for the running stack, good for twelve hours."""
    with _reported():
        state = StackState.load(directory)
        try:
            typer.echo(tokens.mint(state.jwt, role=role, subject=sub, vendor=vendor, email=email))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--role") from error


@app.command()
def env(directory: Directory = DIRECTORY) -> None:
    """Print shell variables for trying things out: addresses, and a token of each kind of caller."""
    with _reported():
        state = StackState.load(directory)
    for service in SERVICES:
        address = state.services[service]
        typer.echo(f"export {service.upper()}={address.url}")
        typer.echo(f"export {service.upper()}_WORKER={address.metrics_url.removesuffix('/metrics')}")
    typer.echo(f"export KAFKA={state.bootstrap_servers}")
    typer.echo(f"export SCHEMA_REGISTRY={state.schema_registry_url}")
    if not state.jwt.secret:
        typer.echo("# no tokens: the identity provider at JWT_JWKS_URL makes them")
        return
    for role in ("admin", "service", "warehouse"):
        typer.echo(f"export {role.upper()}={tokens.mint(state.jwt, role=role)}")
    typer.echo(f"export VENDOR={tokens.mint(state.jwt, role='vendor', vendor='acme')}")
    customer = tokens.mint(state.jwt, role="customer", subject="ada", email="ada@shop.example")
    typer.echo(f"export CUSTOMER={customer}")


# `--help` behind the service is the service's own.
@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def run(context: typer.Context, service: str, directory: Directory = DIRECTORY) -> None:
    """Run a command of a service against the running stack: `run inventory audit`, `run order parked list`."""
    _require_service(service)
    with _reported():
        state = StackState.load(directory)
    os.chdir(ROOT)
    os.execve(  # noqa: S606 - the service's own command, in place of this process
        sys.executable,
        [sys.executable, "-m", f"services.{service}", *context.args],
        {**os.environ, **environment_of(state, service)},
    )


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def psql(context: typer.Context, service: str, directory: Directory = DIRECTORY) -> None:
    """Open the database of a service of the running stack: `psql order`, `psql inventory -c 'SELECT 1'`."""
    _require_service(service)
    with _reported():
        state = StackState.load(directory)
    url = state.services[service].database_url.replace("+psycopg2", "", 1)
    client = str(program("psql"))
    os.execv(client, [client, url, *context.args])  # noqa: S606 - in place of this process


def _require_service(service: str) -> None:
    if service not in SERVICES:
        raise typer.BadParameter(f"no service {service!r}; there are: {', '.join(SERVICES)}")


def _missing(state: StackState, name: str) -> str | None:
    """Return why a service's process is not ready; of the other processes it is enough that they run."""
    service, _, role = name.partition("-")
    if service not in SERVICES or role not in {"api", "worker"}:
        return None
    address = state.services[service]
    port = address.http_port if role == "api" else address.metrics_port
    process = ServiceProcess(name=name, module="", role=role, arguments=(), port=port, environment={})
    return process.missing()


def _tell(state: StackState, directory: Path) -> None:
    for service in SERVICES:
        typer.echo(f"{service:14} {state.services[service].url}/docs")
    typer.echo(f"{'kafka':14} {state.bootstrap_servers}")
    typer.echo(f"{'schemas':14} {state.schema_registry_url}/subjects")
    typer.echo(f"{'mails':14} {state.mail.place}")
    typer.echo(f"{'logs':14} {directory / 'log'}")
    typer.echo(f"{'everything':14} {directory / 'stack.json'}")
    typer.echo("a token: make token ROLE=admin      the end: make down")


if __name__ == "__main__":
    app()
