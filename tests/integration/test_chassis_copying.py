"""New rows reach their table whole: few by INSERT and many by COPY, together with what waits before them."""

import importlib
import io
import pkgutil
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2.extensions
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core import to_json

import services
from deploy.local.databases import Databases
from services.chassis import sending
from services.chassis.connection import Connection, Engine
from services.chassis.database import statements, transaction
from services.chassis.errors import DatabaseUnavailable, RowExists
from services.chassis.sending import Session
from services.chassis.statements import Copy, Statement, appended, deferred, sql
from services.inventory.bootstrap import SERVICE as INVENTORY
from services.order.bootstrap import SERVICE as ORDER
from tests.support.services import world_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AWKWARD = ["\\N", "\\.", "", " ", "NULL", '"', "\\", "'", "\t", "\n", "\r", "\r\n", "a\\tb", "%s", "ß€😀"]
TEXTS = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]))
VALUES = {
    "text": TEXTS,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "boolean": st.booleans(),
    "bytea": st.binary(max_size=20),
    "timestamptz": st.integers(-(2**50), 2**52).map(lambda micros: EPOCH + timedelta(microseconds=micros)),
    "int": st.integers(-(2**31), 2**31 - 1),
    "uuid": st.uuids().map(str),
}
OBJECTS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers(0, 2**40) | TEXTS, max_size=5)
# What the driver reads as another type than it was bound as.
TO_BOUND: Mapping[type, Callable[[Any], object]] = {memoryview: bytes, uuid.UUID: str}
KEPT = appended("kept", {"number": "int", "text": "text"})
LOG = deferred("INSERT INTO log SELECT unnest(:numbers ::int[])")
ONE = deferred("INSERT INTO log VALUES (-1)")
READ = sql("SELECT number, text FROM kept ORDER BY number")
COUNT = sql("SELECT count(*) FROM kept")
MANY = 250
ADDRESS = "ada@shop.example"
SERVICES = {service.name: service for service in (ORDER, INVENTORY)}


@pytest.fixture
def engine(postgres_server: Databases) -> Iterator[Engine]:
    made = Engine(postgres_server.admin.url, 1, "test-copying")
    with transaction(made) as connection:
        connection.execute(sql("CREATE TEMPORARY TABLE log (number int PRIMARY KEY)"))
        connection.execute(
            sql("CREATE TEMPORARY TABLE kept (number int PRIMARY KEY REFERENCES log, text text NOT NULL)")
        )
    yield made
    made.dispose()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first word of what was sent for each statement, or waits."""
    words: list[str] = []

    def note(way: str) -> None:
        before = getattr(Session, way)

        def noting(self: Session, *arguments: Any) -> None:
            (message,) = [one for one in arguments[:2] if isinstance(one, bytes)]
            words.append(message.split()[0].decode())
            before(self, *arguments)

        monkeypatch.setattr(Session, way, noting)

    for way in ("wait", "send", "copy"):
        note(way)
    return words


def numbered(first: int, rows: int, text: str = "a\tb") -> dict[str, Sequence[object]]:
    return {"number": list(range(first, first + rows)), "text": [f"{text} {n}" for n in range(rows)]}


def log(connection: Connection, rows: int) -> None:
    connection.execute(LOG, {"numbers": list(range(rows))})


def keep(engine: Engine, *, logging: int) -> None:
    with transaction(engine) as connection:
        log(connection, logging)
        connection.execute(KEPT, numbered(0, MANY))


@pytest.mark.parametrize("rows", [3, MANY])
@pytest.mark.parametrize("kind", VALUES)
def test_every_value_of_a_row_comes_back_as_it_went(postgres_server: Databases, kind: str, rows: int) -> None:
    made = Engine(postgres_server.admin.url, 1, "test-copying")
    table = appended("round_trip", {"position": "int", "value": kind})
    columns = st.lists(st.none() | VALUES[kind], min_size=1, max_size=20)

    @settings(max_examples=40, deadline=timedelta(seconds=5), derandomize=True)
    @given(columns | columns.map(lambda values: values[:1]))
    def round_trip(values: Sequence[Any]) -> None:
        column = [values[n % len(values)] for n in range(rows)]
        with transaction(made) as connection:
            connection.execute(sql("TRUNCATE round_trip"))
            connection.execute(table, {"position": list(range(rows)), "value": column})
            back = connection.execute(sql("SELECT value FROM round_trip ORDER BY position")).scalars()
        assert [TO_BOUND.get(type(value), lambda same: same)(value) for value in back] == column

    with transaction(made) as connection:
        connection.execute(sql(f"CREATE TEMPORARY TABLE round_trip (position int, value {kind})"))
    round_trip()
    made.dispose()


@pytest.mark.parametrize("rows", [3, MANY])
@pytest.mark.parametrize("kind", ["json", "jsonb"])
def test_every_object_comes_back_as_it_went(postgres_server: Databases, kind: str, rows: int) -> None:
    made = Engine(postgres_server.admin.url, 1, "test-copying")
    table = appended("round_trip", {"value": kind})

    @settings(max_examples=40, deadline=timedelta(seconds=5), derandomize=True)
    @given(st.lists(OBJECTS, min_size=1, max_size=20))
    def round_trip(objects: Sequence[Any]) -> None:
        column = [objects[n % len(objects)] for n in range(rows)]
        with transaction(made) as connection:
            connection.execute(sql("TRUNCATE round_trip"))
            connection.execute(table, {"value": [to_json(one).decode() for one in column]})
            back = connection.execute(sql("SELECT value FROM round_trip ORDER BY ctid")).scalars()
        assert back == column

    with transaction(made) as connection:
        connection.execute(sql(f"CREATE TEMPORARY TABLE round_trip (value {kind})"))
    round_trip()
    made.dispose()


def test_rows_of_megabytes_come_back_as_they_went(engine: Engine) -> None:
    texts = [f"{n:06}" * 2000 for n in range(MANY)]
    with transaction(engine) as connection:
        log(connection, MANY)
        connection.execute(KEPT, {"number": list(range(MANY)), "text": texts})
        assert connection.execute(READ).all() == list(enumerate(texts))


@pytest.mark.parametrize("text", AWKWARD)
def test_one_awkward_text_among_plain_ones_comes_back_as_it_went(engine: Engine, text: str) -> None:
    texts = [text, *[f"plain {n}" for n in range(MANY - 1)]]
    with transaction(engine) as connection:
        log(connection, MANY)
        connection.execute(KEPT, {"number": list(range(MANY)), "text": texts})
        assert connection.execute(READ).all() == list(enumerate(texts))


def test_a_session_of_another_encoding_gets_what_was_sent(engine: Engine) -> None:
    with transaction(engine) as connection:
        log(connection, MANY)
        connection.execute(sql("SET LOCAL client_encoding = 'LATIN1'"))
        connection.execute(KEPT, numbered(0, MANY, "Größe"))
        connection.execute(sql("SET LOCAL client_encoding = 'UTF8'"))
        assert connection.execute(READ).all() == [(n, f"Größe {n}") for n in range(MANY)]


@pytest.mark.parametrize(("rows", "way"), [(99, "INSERT"), (100, "COPY")])
def test_many_rows_are_copied_and_few_inserted(engine: Engine, sent: list[str], rows: int, way: str) -> None:
    with transaction(engine) as connection:
        log(connection, rows)
        connection.execute(KEPT, numbered(0, rows))
    assert sent == ["BEGIN", "INSERT", way, "COMMIT"]
    with transaction(engine) as connection:
        assert connection.execute(READ).all() == [(n, f"a\tb {n}") for n in range(rows)]


def test_what_waits_is_sent_before_the_rows_and_what_comes_later_sees_them(engine: Engine) -> None:
    with transaction(engine) as connection:
        log(connection, 2 * MANY)
        connection.execute(KEPT, numbered(0, MANY))
        connection.execute(KEPT, numbered(MANY, MANY))
        assert connection.execute(COUNT).scalar_one() == 2 * MANY


def test_rows_may_be_the_first_statement_of_their_transaction(engine: Engine) -> None:
    with transaction(engine) as connection:
        log(connection, MANY)
    for _ in range(2):  # the second time on a session that has seen a COPY
        with transaction(engine) as connection:
            connection.execute(KEPT, numbered(0, MANY))
            connection.execute(sql("DELETE FROM kept WHERE number < 100"))
        with transaction(engine) as connection:
            assert connection.execute(COUNT).scalar_one() == MANY - 100
            connection.execute(sql("DELETE FROM kept"))


def test_rows_go_with_their_transaction_also_where_they_are_its_first_statement(engine: Engine) -> None:
    with transaction(engine) as connection:
        log(connection, MANY)
    with transaction(engine) as connection:
        connection.execute(KEPT, numbered(0, MANY))
        connection.rollback()
    with transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 0


def test_a_row_that_exists_ends_the_transaction_and_the_session_is_of_use(engine: Engine) -> None:
    with transaction(engine) as connection:
        log(connection, MANY)
        connection.execute(KEPT, numbered(7, 1))
    with pytest.raises(RowExists):
        keep(engine, logging=0)
    with transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 1
        connection.execute(KEPT, numbered(8, MANY - 8))


def test_an_error_of_what_waits_is_told_where_the_rows_are_sent(engine: Engine) -> None:
    with transaction(engine) as connection:
        log(connection, MANY)
    with pytest.raises(RowExists):
        keep(engine, logging=1)
    with transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 0
        connection.execute(KEPT, numbered(0, MANY))


def test_a_refused_row_is_not_quoted(engine: Engine) -> None:
    with pytest.raises(psycopg2.Error, match="null value in column") as refused:
        copy_an_address_without_number(engine)
    assert ADDRESS not in "".join(traceback.format_exception(refused.value))
    with transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 0


def copy_an_address_without_number(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(KEPT, {"number": [None] * MANY, "text": [ADDRESS] * MANY})


def test_what_waits_is_prepared_anew_after_a_copy_with_which_it_was_not_sent(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(ONE)
    for _ in range(6):  # the fourth time its PREPARE stands behind what fails
        with pytest.raises(RowExists):
            fail_before_the_log(engine)
    with transaction(engine) as connection:
        connection.execute(LOG, {"numbers": list(range(MANY))})
        connection.execute(KEPT, numbered(0, MANY))
        assert connection.execute(COUNT).scalar_one() == MANY


def fail_before_the_log(engine: Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(ONE)
        log(connection, 1)
        connection.execute(KEPT, numbered(0, MANY))


def copy_on_a_lost_connection(engine: Engine, other: Engine) -> None:
    with transaction(engine) as connection:
        pid = connection.execute(sql("SELECT pg_backend_pid()")).scalar_one()
        with transaction(other) as killing:
            killing.execute(sql("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        connection.execute(KEPT, numbered(0, MANY))


def test_a_connection_that_is_lost_before_the_rows_is_for_another_try(
    engine: Engine, postgres_server: Databases
) -> None:
    other = Engine(postgres_server.admin.url, 1, "test-copying-other")
    with pytest.raises(DatabaseUnavailable):
        copy_on_a_lost_connection(engine, other)
    other.dispose()
    with transaction(engine) as connection:
        assert connection.execute(sql("SELECT 1")).scalar_one() == 1


def test_statements_that_are_transactions_of_their_own_do_not_copy(engine: Engine, sent: list[str]) -> None:
    with transaction(engine) as connection:
        log(connection, MANY)
    with statements(engine) as connection:
        connection.execute(KEPT, numbered(0, MANY))
        assert connection.execute(COUNT).scalar_one() == MANY
    assert "COPY" not in sent


def all_copied() -> Iterator[tuple[str, Copy]]:
    """Every write of many rows that a service has: the service, and its COPY."""
    for module in pkgutil.walk_packages(services.__path__, "services."):
        if module.name.endswith("__main__"):
            continue
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Statement) and value.copy is not None:
                yield module.name.split(".")[1], value.copy


def test_every_copy_names_a_table_of_its_service_and_its_columns(postgres_server: Databases) -> None:
    found = list(all_copied())
    assert {service for service, _ in found} == {"chassis", "order", "inventory"}
    for service, copy in found:
        with world_of(SERVICES.get(service, ORDER), postgres_server) as world, transaction(world.runtime.engine) as tx:
            tx.driver.cursor().copy_expert(copy.statement, io.BytesIO())


def test_greenlets_do_not_copy(engine: Engine, sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psycopg2.extensions, "get_wait_callback", lambda: sending)
    with transaction(engine) as connection:
        log(connection, MANY)
        connection.execute(KEPT, numbered(0, MANY))
    assert sent == ["BEGIN", "INSERT", "INSERT", "COMMIT"]
