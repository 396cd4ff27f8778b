"""Statements that come often are planned once, and writes wait for company, whatever happens to their messages."""

import importlib
import pkgutil
import re
from collections.abc import Iterator

import psycopg2
import pytest

import services
from deploy.local.databases import Databases
from services.chassis import sending
from services.chassis.connection import Engine
from services.chassis.database import statements, transaction
from services.chassis.errors import RowExists
from services.chassis.sending import Session
from services.chassis.statements import Statement, deferred, often, sql
from services.inventory.bootstrap import SERVICE as INVENTORY
from services.notification.bootstrap import SERVICE as NOTIFICATION
from services.order.bootstrap import SERVICE as ORDER
from tests.support.services import world_of

TWICE = often("SELECT :number ::int * 2 AS twice, :text ::text AS text, :number ::int + 1 AS next")
RARE = sql("SELECT :number ::int AS number")
INSERT = often("INSERT INTO kept SELECT * FROM unnest(:numbers ::int[])")
WRITE = deferred("INSERT INTO kept SELECT * FROM unnest(:numbers ::int[])")
COUNT = sql("SELECT count(*) FROM kept")
LAST = sql("SELECT query FROM pg_stat_activity WHERE pid = :pid")
NAMES = sql("SELECT name FROM pg_prepared_statements ORDER BY prepare_time")
SERVICES = {service.name: service for service in (ORDER, INVENTORY, NOTIFICATION)}


@pytest.fixture
def engine(postgres_server: Databases) -> Iterator[Engine]:
    made = Engine(postgres_server.admin.url, 1, "test-prepared")
    with transaction(made) as connection:
        connection.execute(sql("CREATE TEMPORARY TABLE kept (number int PRIMARY KEY)"))
    yield made
    made.dispose()


def names(engine: Engine) -> list[str]:
    with statements(engine) as connection:
        return list(connection.execute(NAMES).scalars())


def twice(engine: Engine, times: int) -> None:
    for number in range(times):
        with transaction(engine) as connection:
            row = connection.execute(TWICE, {"number": number, "text": "100 % of 'it'"}).one()
            assert tuple(row) == (2 * number, "100 % of 'it'", number + 1)


def test_what_comes_often_is_prepared_once_and_nothing_else(engine: Engine) -> None:
    twice(engine, 3)
    assert names(engine) == []
    twice(engine, 7)
    assert len(names(engine)) == 1
    for number in range(10):
        with statements(engine) as connection:
            assert connection.execute(RARE, {"number": number}).scalar_one() == number
    assert len(names(engine)) == 1


NEVER_BUSY = {"_BUSY_PER_SECOND": 1e9}


@pytest.mark.parametrize(
    ("patched", "given_up"),
    [
        ({"_LIVES_SECONDS": 0.0}, True),
        ({"_LIVES_SECONDS": 0.0} | NEVER_BUSY, False),
        ({"_LIVES_MAX_SECONDS": 0.0} | NEVER_BUSY, True),
    ],
)
def test_a_plan_is_given_up_after_its_time_which_is_longer_where_it_comes_rarely(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, patched: dict[str, float], *, given_up: bool
) -> None:
    twice(engine, 4)
    (first,) = names(engine)
    for name, value in patched.items():
        monkeypatch.setattr(sending, name, value)
    twice(engine, 1)
    monkeypatch.undo()
    twice(engine, 10)
    (second,) = names(engine)
    assert (second != first) is given_up


@pytest.mark.parametrize("at", [4, 5])
def test_a_statement_that_fails_is_prepared_when_it_comes_again(engine: Engine, at: int) -> None:
    """The fourth is the one that prepares, so that nobody knows how much of its message was done."""
    for number in range(1, 8):
        numbers = [0] if number == at else [number]
        if number == 1:
            numbers = [0, 1]
        try:
            with transaction(engine) as connection:
                connection.execute(INSERT, {"numbers": numbers})
        except RowExists:
            assert number == at
    with statements(engine) as connection:
        kept = connection.execute(sql("SELECT array_agg(number ORDER BY number) FROM kept")).scalar_one()
    assert kept == [0, *(number for number in range(1, 8) if number != at)]


def test_a_transaction_that_is_aborted_leaves_a_session_that_works(engine: Engine) -> None:
    twice(engine, 3)
    with transaction(engine) as connection:
        for statement in (sql("SELECT 1 / :number"), TWICE):
            with pytest.raises(psycopg2.Error):
                connection.execute(statement, {"number": 0, "text": ""})
        connection.rollback()
    assert names(engine) == []
    twice(engine, 5)
    assert len(names(engine)) == 1


def test_rows_that_changed_are_counted(engine: Engine) -> None:
    for number in range(6):
        with statements(engine) as connection:
            assert connection.execute(INSERT, {"numbers": [10 * number, 10 * number + 1]}).rowcount == 2


def write(engine: Engine, *each: list[int]) -> None:
    with transaction(engine) as connection:
        for numbers in each:
            connection.execute(WRITE, {"numbers": numbers})


def test_a_write_is_sent_with_what_comes_after_it(engine: Engine, postgres_server: Databases) -> None:
    observer = Engine(postgres_server.admin.url, 1, "test-observer")
    with transaction(engine) as connection:
        pid = connection.execute(sql("SELECT pg_backend_pid()")).scalar_one()
        connection.execute(WRITE, {"numbers": [1]})
        connection.execute(WRITE, {"numbers": [2]})
    with transaction(observer) as connection:
        last = connection.execute(LAST, {"pid": pid}).scalar_one()
    observer.dispose()
    assert last.count("INSERT INTO kept") == 2
    assert last.endswith("COMMIT")


def test_whoever_reads_sees_what_was_written_before(engine: Engine) -> None:
    with transaction(engine) as connection:
        for number in range(8):
            connection.execute(WRITE, {"numbers": [number]})
            assert connection.execute(COUNT).scalar_one() == number + 1


def test_what_waits_when_its_transaction_is_rolled_back_is_never_sent(engine: Engine) -> None:
    """The fourth is the one that would have been prepared."""
    for number in range(10):
        with transaction(engine) as connection:
            connection.execute(WRITE, {"numbers": [number]})
            if number in (0, 3, 5):
                connection.rollback()
    with transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 7


def test_an_error_of_what_waited_ends_its_transaction(engine: Engine) -> None:
    for number in range(8):
        write(engine, [2 * number])
        with pytest.raises(RowExists):
            write(engine, [2 * number + 1], [2 * number])
    with transaction(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 8


def test_where_each_statement_is_alone_nothing_waits(engine: Engine) -> None:
    with statements(engine) as connection:
        connection.execute(WRITE, {"numbers": [1]})
    with statements(engine) as connection:
        assert connection.execute(COUNT).scalar_one() == 1


def _statements(package: str) -> dict[str, Statement]:
    """Return a package's statements, by their names."""
    found: dict[str, Statement] = {}
    top = importlib.import_module(package)
    for module in pkgutil.walk_packages(top.__path__, f"{package}."):
        if module.name.endswith("__main__") or ".migrations" in module.name:
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Statement):
                found[f"{module.name}.{name}"] = value
    return found


def _often(package: str) -> dict[str, Statement]:
    """Return what is prepared of a package's statements."""
    return {name: value for name, value in _statements(package).items() if value.is_often}


def test_every_list_that_a_statement_takes_has_its_type_beside_it() -> None:
    """A long list of one value comes as an array of the value's own type, as which it may not fit (`arrays`)."""
    found = _statements(services.__name__)
    lists = {name: re.findall(r"(?:ANY|ALL|unnest)\(\s*(:\w+[^,)]*)", value.text) for name, value in found.items()}
    assert sum(map(len, lists.values())) > 200
    untyped = {
        name: [one for one in taken if not re.fullmatch(r":\w+ ::\w+\[\]", one)] for name, taken in lists.items()
    }
    assert {name: taken for name, taken in untyped.items() if taken} == {}


@pytest.mark.parametrize("name", SERVICES)
def test_every_statement_that_comes_often_can_be_prepared(postgres_server: Databases, name: str) -> None:
    """Types of parameters that the values would show have to be in the statement's text."""
    found = _often(f"{services.__name__}.chassis") | _often(f"{services.__name__}.{name}")
    assert len(found) > 10
    settings = {"smtp_url": "smtp://127.0.0.1:1", "mail_from": "shop@shop.example"} if name == "notification" else {}
    with world_of(SERVICES[name], postgres_server, **settings) as world:
        for statement in found.values():
            session = Session()
            for _ in range(4):
                message = session.message(statement.template, 0.0)
            plan = message.partition("; EXECUTE")[0]
            assert plan.startswith("PREPARE")
            with statements(world.runtime.engine) as connection:
                connection.execute(sql(plan))
                connection.execute(sql("DEALLOCATE ALL"))
