"""An API's way to wait for PostgreSQL: other greenlets go on meanwhile, and it ends."""

import socket
import time
from collections.abc import Iterator

import gevent
import pytest
from psycopg2 import extensions

from deploy.local.databases import Databases
from services.chassis.connection import Engine
from services.chassis.database import UNHURRIED, transaction
from services.chassis.errors import DatabaseUnavailable, OutcomeUnknown, StatementTimeout
from services.chassis.http import postgres_wait
from services.chassis.statements import sql
from services.order.bootstrap import SERVICE
from tests.support.services import world_of

SLEEP = sql("SELECT pg_sleep(:seconds)")


@pytest.fixture(autouse=True)
def _installed() -> Iterator[None]:
    postgres_wait.install()
    yield
    extensions.set_wait_callback(None)
    gevent.get_hub().destroy(destroy_loop=True)


@pytest.fixture
def engine(postgres_server: Databases) -> Iterator[Engine]:
    made = Engine(postgres_server.admin.url, 2, "test")
    yield made
    made.dispose()


def test_other_greenlets_go_on_while_one_waits_for_a_statement(engine: Engine) -> None:
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            gevent.sleep(0.01)

    ticking = gevent.spawn(tick)
    with transaction(engine) as connection:
        connection.execute(SLEEP, {"seconds": 0.5})
    ticking.kill()
    assert ticks > 5


def test_a_statement_that_is_never_answered_is_given_up(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_wait, "STATEMENT_SECONDS", 0.3)
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable, match="did not answer within"), transaction(engine) as connection:
        connection.execute(SLEEP, {"seconds": 20})
    assert time.monotonic() - began < 10
    with transaction(engine) as connection:
        assert connection.execute(sql("SELECT 1")).scalar_one() == 1


SLOW_COMMIT = """
CREATE TEMPORARY TABLE slow (a int);
CREATE FUNCTION pg_temp.doze() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(20); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER doze AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION pg_temp.doze();
INSERT INTO slow VALUES (1)
"""


def test_a_commit_that_is_never_answered_has_an_unknown_outcome(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_wait, "STATEMENT_SECONDS", 1)
    with pytest.raises(OutcomeUnknown), transaction(engine) as connection:
        connection.execute(sql(SLOW_COMMIT))


def test_a_server_that_accepts_and_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_wait, "CONNECT_SECONDS", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        engine = Engine(f"postgresql+psycopg2://u:p@127.0.0.1:{silent.getsockname()[1]}/x", 1, "test")
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match=r"did not answer within 0.3 seconds"), transaction(engine):
            pytest.fail("there is nobody to connect to")
        assert time.monotonic() - began < 10
        engine.dispose()


def test_a_statement_that_takes_too_long_is_cancelled_unless_it_may(postgres_server: Databases) -> None:
    engine = Engine(postgres_server.admin.url, 1, "test", statement_seconds=0.2)
    slow = sql("SELECT pg_sleep(0.5)")
    with pytest.raises(StatementTimeout), transaction(engine) as connection:
        connection.execute(slow)
    with transaction(engine) as connection:
        connection.execute(UNHURRIED)
        connection.execute(slow)
    with pytest.raises(StatementTimeout), transaction(engine) as connection:
        connection.execute(slow)
    engine.dispose()


def test_a_service_bounds_its_statements_by_its_setting(postgres_server: Databases) -> None:
    with (
        world_of(SERVICE, postgres_server, statement_timeout_seconds=7) as world,
        transaction(world.runtime.engine) as connection,
    ):
        assert connection.execute(sql("SHOW statement_timeout")).scalar_one() == "7s"
