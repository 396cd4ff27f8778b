"""Greenlets that are killed in the middle of a transaction: what they did is undone, and nobody else notices."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import gevent
import pytest
from gevent.event import Event
from psycopg2 import extensions

from deploy.local.databases import Databases
from services.chassis.connection import Connection, Engine
from services.chassis.database import transaction
from services.chassis.http import postgres_wait
from services.chassis.statements import deferred, sql

PID = sql("SELECT pg_backend_pid()")
ADD = deferred("INSERT INTO killed VALUES (1)")
SLOW_COMMIT = sql("""
CREATE TEMPORARY TABLE slow (number int);
CREATE FUNCTION pg_temp.doze() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(3); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER doze AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION pg_temp.doze();
INSERT INTO slow VALUES (1)
""")


@pytest.fixture
def engine(postgres_server: Databases) -> Iterator[Engine]:
    postgres_wait.install()
    made = Engine(postgres_server.admin.url, 2, "test-killed")
    with transaction(made) as connection:
        connection.execute(sql("DROP TABLE IF EXISTS killed"))
        connection.execute(sql("CREATE TABLE killed (number int)"))
    yield made
    made.dispose()
    extensions.set_wait_callback(None)
    gevent.get_hub().destroy(destroy_loop=True)


def execute(connection: Connection) -> None:
    connection.execute(sql("SELECT pg_sleep(3)"))


def compute(_: Connection) -> None:
    gevent.sleep(3)


def commit(connection: Connection) -> None:
    connection.execute(SLOW_COMMIT)


def pids(engine: Engine) -> set[int]:
    with transaction(engine) as one, transaction(engine) as other:
        return {connection.execute(PID).scalar_one() for connection in (one, other)}


@pytest.mark.parametrize("work", [execute, compute, commit])
@pytest.mark.parametrize("way", [gevent.GreenletExit, gevent.Timeout])
def test_what_a_killed_greenlet_did_is_undone_and_others_keep_their_connections(
    engine: Engine, work: Callable[[Connection], None], way: type[BaseException]
) -> None:
    before, is_open = pids(engine), Event()

    def run() -> None:
        with suppress(way), transaction(engine) as connection:
            connection.execute(ADD)
            connection.execute(PID)
            is_open.set()
            work(connection)

    greenlet = gevent.spawn(run)
    assert is_open.wait(10)
    gevent.sleep(0.2)
    greenlet.kill(way())

    after = pids(engine)
    assert len(after) == 2
    assert len(after & before) == (2 if work is compute else 1)
    with transaction(engine) as connection:
        assert connection.execute(sql("SELECT count(*) FROM killed")).scalar_one() == 0
