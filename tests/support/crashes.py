"""Crashes of the database at chosen points of a transaction."""

import contextlib
from collections.abc import Iterator
from typing import Any

from services.chassis.connection import Engine
from tests.support.noted import noted
from tests.support.services import World


@contextlib.contextmanager
def backend_ended_before_statement(world: World, engine: Engine, number: int) -> Iterator[None]:
    """End the backend of a connection right before its statement `number`, counted from 1 over all connections."""
    seen = 0

    def end(driver: Any, statement: str) -> None:
        nonlocal seen
        seen += statement != "COMMIT"
        if seen == number and statement != "COMMIT":
            world.terminate(driver.info.backend_pid)

    with noted(engine, end):
        yield
    assert seen >= number, f"only {seen} statements were run"


@contextlib.contextmanager
def backend_ended_at_commit(world: World, engine: Engine, *, committed: bool, of: str = "") -> Iterator[None]:
    """End the backend of the next connection that commits: before the server hears of it, or once it has done it.

    Either way the client only learns that the connection is gone. With `of` only a transaction counts that ran a
    statement with that text in it.
    """
    done = False
    ran: set[Any] = set()

    def note(driver: Any, statement: str) -> None:
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

    with noted(engine, note):
        yield
    assert done, "nothing was committed"
