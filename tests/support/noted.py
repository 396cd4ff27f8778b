"""What the connections of an engine are asked to execute."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest import mock

from services.chassis.connection import Connection, Engine
from services.chassis.results import Result
from services.chassis.statements import Statement


@contextlib.contextmanager
def noted(engine: Engine, note: Callable[[Any, str], object]) -> Iterator[None]:
    """Call `note` with the driver's connection and the text of each statement before it is executed; COMMIT too."""
    execute, commit = Connection.execute, Connection.commit

    def noting_execute(self: Connection, statement: Statement, parameters: Mapping[str, Any] | None = None) -> Result:
        if self._engine is engine:
            note(self.driver, statement.text)
        return execute(self, statement, parameters or {})

    def noting_commit(self: Connection) -> None:
        if self._engine is engine and self._is_begun:
            note(self.driver, "COMMIT")
        commit(self)

    with (
        mock.patch.object(Connection, "execute", noting_execute),
        mock.patch.object(Connection, "commit", noting_commit),
    ):
        yield


@contextlib.contextmanager
def counted(engine: Engine) -> Iterator[list[str]]:
    """Lend a list of the statements that are executed meanwhile, without COMMIT."""
    statements: list[str] = []

    def note(_driver: Any, statement: str) -> None:
        if statement != "COMMIT":
            statements.append(statement.strip())

    with noted(engine, note):
        yield statements
