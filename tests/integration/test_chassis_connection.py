"""Connections on a real PostgreSQL: what is one transaction, what rows look like, and which connections are trusted."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from unittest import mock

import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from deploy.local.databases import Databases
from services.chassis import migrate
from services.chassis.connection import Connection, Engine
from services.chassis.database import statements, transaction
from services.chassis.errors import DatabaseUnavailable
from services.chassis.sending import Driver, Session
from services.chassis.statements import deferred, sql

PID = sql("SELECT pg_backend_pid()")
ADD = sql("INSERT INTO added SELECT :number ::int")
END = sql("SELECT pg_terminate_backend(:pid ::int)")
COUNT = sql("SELECT count(*) FROM added")


def idle(connection: Connection) -> None:
    connection.execute(sql("SET LOCAL idle_in_transaction_session_timeout = 50"))
    time.sleep(0.3)
    connection.execute(PID)


def add_and_fail(connection: Connection) -> None:
    connection.execute(ADD, {"number": 2})
    connection.execute(sql("SELECT 1 / 0"))


@pytest.fixture
def engine(postgres_server: Databases) -> Iterator[Engine]:
    made = Engine(postgres_server.admin.url, 3, "test-connection")
    with transaction(made) as connection:
        connection.execute(sql("DROP TABLE IF EXISTS added"))
        connection.execute(sql("CREATE TABLE added (number int)"))
    yield made
    made.dispose()


@pytest.mark.parametrize(
    ("text", "values", "found"),
    [
        ("SELECT :a ::int + :b ::int", {"a": 1, "b": 2}, 3),
        ("SELECT :a || '%' || 'x%(a)s::y'", {"a": "it's"}, "it's%x%(a)s::y"),
        ("SELECT 10 % :a ::int", {"a": 4}, 2),
        ("SELECT 100 % 30", {}, 10),
        ("SELECT (:list ::text[])[2]", {"list": ["a", "b:c"]}, "b:c"),
        ("SELECT '{\"a\": [1]}'::jsonb", {}, {"a": [1]}),
    ],
)
def test_named_parameters_reach_the_statement_and_nothing_else_is_one(
    engine: Engine, text: str, values: dict[str, object], found: object
) -> None:
    for lend in (transaction, statements):
        with lend(engine) as connection:
            assert connection.execute(sql(text), values).scalar_one() == found


def test_a_row_has_the_names_of_its_columns(engine: Engine) -> None:
    with transaction(engine) as connection:
        row = connection.execute(sql("SELECT 1 AS one, 'two' AS two")).one()
        assert (row.one, row.two, row._asdict()) == (1, "two", {"one": 1, "two": "two"})
        assert connection.execute(sql("SELECT 1 AS count, 2 AS count, 3")).one() == (1, 2, 3)


NUMBERS = sql("SELECT generate_series(1, :n ::int)")


def test_one_row_is_one_row(engine: Engine) -> None:
    with transaction(engine) as connection:
        found = {n: connection.execute(NUMBERS, {"n": n}) for n in (0, 1, 2)}
        with pytest.raises(ValueError, match="not enough values"):
            found[0].one()
        with pytest.raises(ValueError, match="too many values"):
            found[2].one()
        assert connection.execute(NUMBERS, {"n": 0}).one_or_none() is None
        assert found[1].one_or_none() == (1,)
        with pytest.raises(ValueError, match="2 rows"):
            connection.execute(NUMBERS, {"n": 2}).one_or_none()
        assert connection.execute(NUMBERS, {"n": 0}).scalar() is None
        assert connection.execute(NUMBERS, {"n": 2}).scalar() == 1
        assert connection.execute(NUMBERS, {"n": 3}).scalars() == [1, 2, 3]
        assert [row[0] for row in connection.execute(NUMBERS, {"n": 2})] == [1, 2]


def test_what_is_not_committed_is_rolled_back(engine: Engine) -> None:
    with engine.connect() as connection:
        connection.execute(ADD, {"number": 1})
    with pytest.raises(psycopg2.Error), transaction(engine) as connection:
        add_and_fail(connection)
    with transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 0


def test_a_transaction_whose_first_statement_lacks_a_parameter_is_one_all_the_same(engine: Engine) -> None:
    with engine.connect() as connection:
        with pytest.raises(KeyError):
            connection.execute(ADD)
        connection.execute(ADD, {"number": 1})
        connection.rollback()
        connection.execute(ADD, {"number": 2})
        connection.commit()
        connection.commit()  # nothing
    with transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 1


def pids(engine: Engine) -> set[int]:
    """Make the pool's connections, and return whose they are."""
    with ExitStack() as stack:
        return {stack.enter_context(transaction(engine)).execute(PID).scalar_one() for _ in range(3)}


def test_after_one_connection_broke_none_of_the_older_ones_is_used(engine: Engine) -> None:
    """Whoever broke it, a server that was started anew, broke the others as well: each would fail once."""
    before = pids(engine)
    assert pids(engine) == before
    with pytest.raises(DatabaseUnavailable), transaction(engine) as connection:
        connection.execute(sql("SELECT pg_terminate_backend(pg_backend_pid())"))
    after = pids(engine)
    assert len(after) == 3
    assert not after & before
    assert pids(engine) == after


def test_an_error_of_a_statement_costs_no_connection(engine: Engine) -> None:
    before = pids(engine)
    with pytest.raises(psycopg2.Error), transaction(engine) as connection:
        connection.execute(sql("SELECT 1 / 0"))
    assert pids(engine) == before


def test_a_session_that_the_server_ended_is_none_of_the_statement_s_faults(engine: Engine) -> None:
    before = pids(engine)
    with pytest.raises(DatabaseUnavailable, match="closed the connection"), transaction(engine) as connection:
        idle(connection)
    assert not pids(engine) & before


def end_with_another_code(driver: Driver) -> None:
    driver.close()
    raise psycopg2.errors.InternalError_("a session may end with any code")


def test_whatever_code_a_session_ends_with_the_database_is_what_was_lost(engine: Engine) -> None:
    before = pids(engine)
    with ExitStack() as stack:
        stack.enter_context(pytest.raises(DatabaseUnavailable, match="with any code"))
        connection = stack.enter_context(transaction(engine))
        end = stack.enter_context(mock.patch.object(Session, "send"))
        end.side_effect = lambda *_: end_with_another_code(connection.driver)
        connection.execute(PID)
    assert not pids(engine) & before


def test_a_connection_that_was_made_since_is_kept_when_another_old_one_turns_out_to_be_broken(engine: Engine) -> None:
    with engine.connect() as first, engine.connect() as second:
        for connection in (first, second):
            connection.execute(PID)
        with transaction(engine) as third:
            for connection in (first, second):
                third.execute(END, {"pid": connection.driver.info.backend_pid})
        with pytest.raises(psycopg2.OperationalError):
            first.execute(PID)
        with transaction(engine) as fresh:
            kept = fresh.execute(PID).scalar_one()
        with pytest.raises(psycopg2.OperationalError):
            second.execute(PID)
    assert kept in pids(engine)


def test_a_connection_that_was_closed_in_the_pool_is_made_anew(engine: Engine) -> None:
    with engine.connect() as connection:
        driver = connection.driver
    driver.close()
    assert len(pids(engine)) == 3


def test_a_connection_that_was_given_back_executes_nothing(engine: Engine) -> None:
    """It would be a part of the transaction of whoever has it next."""
    with engine.connect() as connection:
        connection.execute(PID)
    for statement in (ADD, deferred(ADD.text)):
        with pytest.raises(RuntimeError, match="given back"):
            connection.execute(statement, {"number": 1})
    with transaction(engine) as other:
        other.execute(deferred(ADD.text), {"number": 2})
        assert other.driver is connection.driver
        connection.rollback()
        connection.commit()
    with transaction(engine) as other:
        assert other.execute(COUNT).scalar_one() == 1


def test_what_was_lost_before_the_commit_is_no_unknown_outcome(engine: Engine) -> None:
    with pytest.raises(DatabaseUnavailable), transaction(engine) as connection:
        lose(connection)


def lose(connection: Connection) -> None:
    with pytest.raises(psycopg2.OperationalError):
        connection.execute(END, {"pid": connection.driver.info.backend_pid})


def test_the_error_of_a_migration_tells_no_values(engine: Engine) -> None:
    with (
        pytest.raises(DBAPIError, match="parameters hidden"),
        migrate._alembic_connection(engine) as connection,
    ):
        connection.execute(sa.text("SELECT 1 / length(:address)"), {"address": ""})


class Killed(BaseException):
    """As gevent ends a greenlet."""


def test_a_connection_on_which_somebody_was_killed_is_given_up(engine: Engine) -> None:
    """The answer to the statement may still be under way: whoever had the connection next would read it."""
    before = pids(engine)
    with ExitStack() as stack:
        connection = stack.enter_context(engine.connect())
        driver: Driver = connection.driver
        stack.enter_context(mock.patch.object(Session, "send", side_effect=Killed))
        with pytest.raises(Killed):
            connection.execute(PID)
    assert driver.closed
    assert len(pids(engine) & before) == 2


def test_a_connection_that_is_detached_is_closed_and_its_place_is_free(engine: Engine) -> None:
    connection: Connection
    with ExitStack() as stack:
        drivers = []
        for _ in range(5):
            connection = stack.enter_context(engine.connect())
            connection.detach()
            connection.execute(PID)
            connection.commit()
            drivers.append(connection.driver)
    assert all(driver.closed for driver in drivers)
