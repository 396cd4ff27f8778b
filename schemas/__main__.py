"""`python -m schemas generate | check | release | register | serve`: keep the event contract, and lend it to others."""

import os
from pathlib import Path
from typing import Annotated, Final

import typer
from dotenv import dotenv_values

from schemas import history
from schemas.catalog import load
from schemas.check import check
from schemas.errors import SchemaFolderError
from schemas.generate import generate
from schemas.release import release
from schemas.subjects import SubjectVersion, subject_versions

FOLDER: Final = Path(__file__).parent

app = typer.Typer(help="Keep the event contract.", no_args_is_help=True, pretty_exceptions_enable=False)
Folder = Annotated[Path, typer.Option(help="The folder of the contract.")]


@app.command(name="generate")
def write_generated_files(folder: Folder = FOLDER) -> None:
    """Write contracts.py, ids.json and the bytes of the examples from the schemas."""
    try:
        for path in generate(folder):
            typer.echo(f"wrote {path}")
    except SchemaFolderError as error:
        _fail([str(error)])


@app.command(name="check")
def report_problems(folder: Folder = FOLDER) -> None:
    """Exit 1 and say what is wrong, if anything is."""
    _fail(check(folder))
    if not history.is_recorded(folder):
        typer.echo("no git history here: released files and ids were not compared with their past")
    typer.echo("the event contract is in order")


@app.command(name="release")
def freeze_versions(folder: Folder = FOLDER) -> None:
    """Freeze every version that is not released yet, if `check` has nothing to say."""
    _fail(check(folder))
    for path in release(folder):
        typer.echo(f"released {path}")


@app.command(name="register")
def register_versions(
    url: Annotated[str | None, typer.Option(help="The registry; else SCHEMA_REGISTRY_URL.")] = None,
    folder: Folder = FOLDER,
) -> None:
    """Register every version of every event in a schema registry; again: nothing is changed.

    Takes SCHEMA_REGISTRY_URL, SCHEMA_REGISTRY_USERNAME, SCHEMA_REGISTRY_PASSWORD and SCHEMA_REGISTRY_CA_LOCATION from
    the environment or from .env, as the services do.
    """
    # Only here: nobody else needs a registry's client.
    from schemas.register import RegistrationError, access_of, register  # noqa: PLC0415

    settings = {**dotenv_values(".env"), **os.environ, **({} if url is None else {"SCHEMA_REGISTRY_URL": url})}
    try:
        for line in register(_versions(folder), access_of(settings)):
            typer.echo(line)
    except RegistrationError as error:
        _fail([str(error)])


@app.command(name="serve")
def serve_read_only(
    folder: Folder = FOLDER,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8081,
) -> None:
    """Serve the read half of Confluent's Schema Registry API from the folder, until SIGTERM."""
    # Only here: nobody else needs a web server.
    from schemas.serve import serve  # noqa: PLC0415

    serve(_versions(folder), host, port)


def _versions(folder: Path) -> tuple[SubjectVersion, ...]:
    try:
        return subject_versions(load(folder))
    except SchemaFolderError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(code=1) from error


def _fail(problems: list[str]) -> None:
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(code=1)


if __name__ == "__main__":
    app()
