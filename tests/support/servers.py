"""Real servers for the test session: one PostgreSQL and one Kafka, started when the first test asks for them.

Each test session has its own, below `.local/tests/`. With `TEST_STACK` naming the directory of a running stack, that
stack's servers are taken instead, and with `TEST_SERVERS=containers` those of containers (tests.support.containers).
What a killed session left behind is ended by the next one, or by testcontainers.
"""

import contextlib
import dataclasses
import os
import shutil
import uuid
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from confluent_kafka.admin import AdminClient

from deploy.kafka.topics import Topic, create_missing
from deploy.local import directory as places
from deploy.local.databases import Database, Databases
from deploy.local.errors import StackStateError
from deploy.local.stack import DIRECTORY, Stack, launch
from deploy.local.state import StackState

SESSIONS = DIRECTORY / "tests"


class Servers(Protocol):
    """A PostgreSQL and a Kafka, wherever they run."""

    @property
    def databases(self) -> Databases:
        """The superuser's way into PostgreSQL."""
        ...

    @property
    def bootstrap_servers(self) -> str:
        """Kafka's address."""
        ...


class OwnServers:
    """The servers of this test session; each starts when it is first used."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    @cached_property
    def databases(self) -> Databases:
        self._stack.postgres.start()
        return self._stack.postgres.databases

    @cached_property
    def bootstrap_servers(self) -> str:
        self._stack.kafka.start()
        return self._stack.kafka.bootstrap_servers


class StackServers:
    """The servers of a stack that is running already."""

    def __init__(self, directory: Path) -> None:
        state = StackState.load(directory)
        url = urlsplit(state.postgres_url)
        assert url.hostname is not None
        assert url.port is not None
        assert url.password is not None
        self.databases = Databases(host=url.hostname, port=url.port, password=url.password)
        self.bootstrap_servers = state.bootstrap_servers


@contextlib.contextmanager
def session_servers() -> Iterator[Servers]:
    """Give the session its servers, and end them with it."""
    if stack := os.environ.get("TEST_STACK"):
        yield StackServers(Path(stack))
        return
    kind = os.environ.get("TEST_SERVERS", "local")
    if kind == "containers":
        from tests.support.containers import ContainerServers  # noqa: PLC0415  # only there is Docker needed

        with contextlib.ExitStack() as lives:
            yield ContainerServers(lives)
        return
    assert kind == "local", f"TEST_SERVERS is {kind!r}; there are: local, containers"
    SESSIONS.mkdir(parents=True, exist_ok=True)
    _end_abandoned_sessions()
    directory = SESSIONS / str(os.getpid())
    with launch(directory) as own:
        yield OwnServers(own)
    shutil.rmtree(directory)


@contextlib.contextmanager
def database_like(databases: Databases, template: Database) -> Iterator[Database]:
    """Clone a database to which nobody is connected, for one test: same owner, same content, a name of its own."""
    clone = dataclasses.replace(template, name=f"test_{uuid.uuid4().hex}")
    databases.clone_database(template.name, clone)
    try:
        yield clone
    finally:
        databases.drop_database(clone.name)


@contextlib.contextmanager
def fresh_topics(bootstrap_servers: str, *names: str, partitions: int = 3) -> Iterator[list[str]]:
    """Make topics for one test, each named as asked with something unique behind it."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    unique = uuid.uuid4().hex[:12]
    topics = [Topic(name=f"{name}.{unique}", partitions=partitions, replication=1, config={}) for name in names]
    create_missing(admin, topics)
    try:
        yield [topic.name for topic in topics]
    finally:
        for deletion in admin.delete_topics([topic.name for topic in topics]).values():
            deletion.result()


def _end_abandoned_sessions() -> None:
    """End the servers of sessions that were killed; a session that lives holds its directory."""
    for directory in SESSIONS.iterdir():
        try:
            with places.claimed(directory):
                places.end(directory)
                shutil.rmtree(directory)
        except StackStateError:
            continue
