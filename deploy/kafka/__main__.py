"""`python -m deploy.kafka topics`: the declared topics, created and compared."""

from pathlib import Path
from typing import Annotated

import typer
from confluent_kafka.admin import AdminClient

from deploy.kafka.topics import DECLARATION, TopicsError, create_missing, declared, differences

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


@app.callback()
def _commands() -> None:
    """Prepare a Kafka cluster for the services."""


@app.command()
def topics(
    bootstrap_servers: Annotated[
        str, typer.Option(help="host:port, comma separated", envvar="KAFKA_BOOTSTRAP_SERVERS")
    ],
    local: Annotated[bool, typer.Option("--local", help="a cluster of one broker")] = False,
    client_config: Annotated[
        Path | None, typer.Option(help="file of librdkafka settings, name=value a line, for secured clusters")
    ] = None,
    file: Annotated[Path, typer.Option(help="the declaration")] = DECLARATION,
) -> None:
    """Create what is missing; exit 1 when an existing topic is not as declared."""
    settings: dict[str, str | int | float | bool] = {
        "bootstrap.servers": bootstrap_servers,
        **_client_settings(client_config),
    }
    admin = AdminClient(settings)
    wanted = declared(file, local=local)
    try:
        created = create_missing(admin, wanted)
        differing = differences(admin, wanted)
    except TopicsError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    for topic in wanted:
        typer.echo(f"{'created' if topic.name in created else 'exists '}  {topic.name}")
    for difference in differing:
        typer.echo(f"differs  {difference}", err=True)
    if differing:
        raise typer.Exit(1)


def _client_settings(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    lines = (line.strip() for line in file.read_text(encoding="utf-8").splitlines())
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


if __name__ == "__main__":
    app()
