"""Crashes of the database at chosen points of a transaction."""

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from services.chassis.database import BEGIN
from tests.support.services import World

_ENDS = ("COMMIT", "ROLLBACK")


@contextlib.contextmanager
def counted_statements(engine: sa.Engine) -> Iterator[list[str]]:
    """Lend a list of the statements that an engine's connections run meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement not in _ENDS:
            statements.append(statement.removeprefix(BEGIN).strip())

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)


@contextlib.contextmanager
def backend_ended_before_statement(world: World, engine: sa.Engine, number: int) -> Iterator[None]:
    """End the backend of a connection right before its statement `number`, counted from 1 over all connections."""
    seen = 0

    def end(_connection: Any, cursor: Any, statement: str, *_rest: Any) -> None:
        nonlocal seen
        seen += statement not in _ENDS
        if seen == number and statement not in _ENDS:
            world.terminate(cursor.connection.info.backend_pid)

    sa.event.listen(engine, "before_cursor_execute", end)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", end)
    assert seen >= number, f"only {seen} statements were run"


@contextlib.contextmanager
def backend_ended_at_commit(world: World, engine: sa.Engine, *, committed: bool, of: str = "") -> Iterator[None]:
    """End the backend of the next connection that commits: before the server hears of it, or once it has done it.

    Either way the client only learns that the connection is gone. With `of` only a transaction counts that ran a
    statement with that text in it.
    """
    done = False
    ran: set[Any] = set()

    def note(connection: sa.Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        driver: Any = connection.connection.dbapi_connection
        if statement == "COMMIT":
            end(driver)
        elif of in statement:
            ran.add(driver)

    def end(driver: Any) -> None:
        nonlocal done
        if done or driver not in ran:
            return
        done = True
        pid = driver.info.backend_pid
        if committed:
            with driver.cursor() as cursor:
                driver.session.send(cursor, b"")  # the writes that would have gone with the COMMIT
                cursor.execute("COMMIT")
        world.terminate(pid)

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    assert done, "nothing was committed"
