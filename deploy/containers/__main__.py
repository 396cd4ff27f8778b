"""`python -m deploy.containers`: the system in containers, by Docker Compose."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from deploy.containers.compose import DIRECTORY, Compose
from deploy.local.errors import StackError
from deploy.local.state import SERVICES, StackState

app = typer.Typer(
    add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__, rich_markup_mode=None
)


@contextmanager
def _reported() -> Iterator[None]:
    """Say what went wrong in its own words, without a traceback, and exit 1."""
    try:
        yield
    except StackError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        typer.echo("interrupted; `make compose-down` removes what was started", err=True)
        raise typer.Exit(130) from error


@app.command()
def up() -> None:
    """Build the image, start every container, and return when all of them are healthy."""
    with _reported():
        compose = Compose()
        compose.build()
        state = compose.up()
    _tell(state)


@app.command()
def demo(
    record: Annotated[Path | None, typer.Option(help="also write the output to this file, as plain text")] = None,
) -> None:
    """Play the demo's story in the containers, started if need be; exit 1 unless every promise of it held."""
    from deploy.containers.demo import perform  # noqa: PLC0415 - the other commands need nothing of it

    with _reported():
        status = perform(Compose(), record=record)
    raise typer.Exit(status)


@app.command()
def down(
    *,
    keep_data: Annotated[bool, typer.Option("--keep-data", help="keep databases, topics and secrets")] = False,
) -> None:
    """Remove the containers, their network and their volumes."""
    with _reported():
        Compose().down(keep_data=keep_data)


def _tell(state: StackState) -> None:
    for service in SERVICES:
        typer.echo(f"{service:14} {state.services[service].url}/docs")
    typer.echo(f"{'kafka':14} {state.bootstrap_servers}")
    typer.echo(f"{'schemas':14} {state.schema_registry_url}/subjects")
    typer.echo(f"{'mails':14} {state.mail.place}")
    typer.echo(f"{'everything':14} {DIRECTORY / 'stack.json'}")
    typer.echo(f'a token: make token ARGS="--directory {DIRECTORY.relative_to(DIRECTORY.parents[1])}"', nl=False)
    typer.echo("      the end: make compose-down")


if __name__ == "__main__":
    app()
