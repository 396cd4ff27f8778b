"""`python -m schemas generate | check | release | serve`: keep the event contract, and lend it to others."""

from pathlib import Path
from typing import Annotated, Final

import typer

from schemas import history
from schemas.catalog import load
from schemas.check import check
from schemas.errors import SchemaFolderError
from schemas.generate import generate
from schemas.release import release
from schemas.subjects import subject_versions

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


@app.command(name="serve")
def serve_read_only(
    folder: Folder = FOLDER,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8081,
) -> None:
    """Serve the read half of Confluent's Schema Registry API from the folder, until SIGTERM."""
    # Only here: nobody else needs a web server.
    from schemas.serve import serve  # noqa: PLC0415

    try:
        versions = subject_versions(load(folder))
    except SchemaFolderError as error:
        _fail([str(error)])
    serve(versions, host, port)


def _fail(problems: list[str]) -> None:
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(code=1)


if __name__ == "__main__":
    app()
