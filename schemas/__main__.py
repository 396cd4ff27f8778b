"""`python -m schemas generate | check | release`: keep the event contract."""

from pathlib import Path
from typing import Final

import typer

from schemas.generate import generate

FOLDER: Final = Path(__file__).parent

app = typer.Typer(help="Keep the event contract.", no_args_is_help=True)


@app.callback()
def _commands() -> None:
    """Keep the event contract."""


@app.command(name="generate")
def generate_command() -> None:
    """Write contracts.py, ids.json and the bytes of the examples from the schemas."""
    for path in generate(FOLDER):
        typer.echo(f"wrote {path}")


if __name__ == "__main__":
    app()
