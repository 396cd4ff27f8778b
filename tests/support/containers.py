"""A PostgreSQL and a Kafka in containers for one test session, of the images that docker-compose.yml names.

Their settings are those of the local stack, as far as a container leaves them to us: both kinds of server have to pass
the same tests.
"""

import contextlib
import secrets
from collections.abc import Mapping
from functools import cached_property

import psycopg2
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from deploy.local import kafka
from deploy.local.databases import Databases
from deploy.local.ports import LOOPBACK, Ports
from tests.support.eventually import eventually

POSTGRES_IMAGE, KAFKA_IMAGE = "postgres:18", "apache/kafka:4.3.1"
_LOCALE = "--encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8"
_START_SECONDS = 60


class ContainerServers:
    """Two containers; each starts when it is first used, and they end with `lives`."""

    def __init__(self, lives: contextlib.ExitStack) -> None:
        self._lives = lives
        self._ports = Ports()

    @cached_property
    def databases(self) -> Databases:
        databases = Databases(host=LOOPBACK, port=self._ports.take(), password=secrets.token_urlsafe(24))
        environment = {
            "POSTGRES_PASSWORD": databases.password,
            "POSTGRES_INITDB_ARGS": f"--auth=scram-sha-256 {_LOCALE}",
        }
        container = _container(POSTGRES_IMAGE, environment, inside=5432, outside=databases.port)
        container.with_command("postgres -c max_connections=200 -c timezone=UTC")
        self._lives.enter_context(container)
        # Its log says twice that it is ready: first the server that makes the data directory, which takes no TCP.
        eventually(lambda: _assert_connectable(databases), within=_START_SECONDS)
        return databases

    @cached_property
    def bootstrap_servers(self) -> str:
        # A port chosen beforehand: the broker tells its clients by which address to come back.
        port = self._ports.take()
        settings = {
            **kafka.SETTINGS,
            "listeners": "PLAINTEXT://:9092,CONTROLLER://:9093",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{port}",
            "controller.quorum.voters": "1@localhost:9093",
        }
        environment = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in settings.items()}
        container = _container(KAFKA_IMAGE, environment, inside=9092, outside=port)
        started = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(_START_SECONDS)
        self._lives.enter_context(container.waiting_for(started))
        return f"{LOOPBACK}:{port}"


def _container(image: str, environment: Mapping[str, str], *, inside: int, outside: int) -> DockerContainer:
    container = DockerContainer(image).with_envs(**environment)
    # `with_bind_ports` takes no address, and would let the whole network in.
    container.ports[f"{inside}/tcp"] = (LOOPBACK, outside)
    return container


def _assert_connectable(databases: Databases) -> None:
    try:
        databases.connect().close()
    except psycopg2.OperationalError as error:
        raise AssertionError(f"PostgreSQL does not answer: {error}") from error
