"""Each service owns one database that no other service may open."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from deploy.local.databases import Database, Databases
from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack, launch
from tests.support.servers import database_like


def connect(who: Database, where: Database, password: str | None = None) -> contextlib.closing[object]:
    connection = psycopg2.connect(
        host=LOOPBACK, port=where.port, user=who.user, password=password or who.password, dbname=where.name
    )
    return contextlib.closing(connection)


@pytest.fixture
def two_services(postgres_server: Databases) -> Iterator[tuple[Database, Database]]:
    names = [f"{service}_{uuid.uuid4().hex}" for service in ("order", "inventory")]
    first, second = (postgres_server.ensure_database(name, owner=name) for name in names)
    yield first, second
    for name in names:
        postgres_server.drop_database(name)


def test_a_service_opens_its_own_database_and_no_other(two_services: tuple[Database, Database]) -> None:
    order, inventory = two_services
    with connect(order, order):
        pass

    with pytest.raises(psycopg2.OperationalError, match="permission denied"):
        connect(order, inventory)


def test_a_wrong_password_is_refused(two_services: tuple[Database, Database]) -> None:
    order, _ = two_services
    with pytest.raises(psycopg2.OperationalError, match="authentication failed"):
        connect(order, order, password="guessed")


def test_a_clone_holds_what_its_template_holds(
    two_services: tuple[Database, Database], postgres_server: Databases
) -> None:
    template, other = two_services
    with connect(template, template) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE stock (sku text); INSERT INTO stock VALUES ('A')")

    with database_like(postgres_server, template) as clone:
        with connect(clone, clone) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT sku FROM stock")
            assert cursor.fetchall() == [("A",)]
        with pytest.raises(psycopg2.OperationalError, match="permission denied"):
            connect(other, clone)

    with pytest.raises(psycopg2.OperationalError, match="does not exist"):
        connect(clone, clone)


def test_the_server_promises_durable_commits(postgres_server: Databases) -> None:
    with contextlib.closing(postgres_server.connect()) as connection, connection.cursor() as cursor:
        settings = {}
        for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            cursor.execute(f"SHOW {name}")
            settings[name] = cursor.fetchone()[0]
    assert set(settings.values()) == {"on"}


def write(stack: Stack, statement: str) -> None:
    with contextlib.closing(stack.postgres.databases.connect()) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_database_that_was_away_comes_back_with_its_data_on_its_port(tmp_path: Path, end: str) -> None:
    with launch(tmp_path) as stack:
        stack.postgres.start()
        write(stack, "CREATE TABLE kept (n int)")
        getattr(stack.processes, end)("postgres")
        with pytest.raises(psycopg2.OperationalError):
            stack.postgres.databases.connect()

        stack.start_again("postgres")

        write(stack, "INSERT INTO kept VALUES (1)")


def test_a_frozen_database_answers_after_it_is_resumed(tmp_path: Path) -> None:
    with launch(tmp_path) as stack:
        stack.postgres.start()
        stack.processes.pause("postgres")
        began = time.monotonic()
        with pytest.raises(psycopg2.OperationalError, match="timeout"):
            stack.postgres.databases.connect()
        assert time.monotonic() - began > 1

        stack.processes.resume("postgres")

        stack.await_ready("postgres")
