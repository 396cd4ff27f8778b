"""One message's transaction in the textbook saga: its cursor, its time, and its outbox, a statement a row."""

import contextlib
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from schemas import contracts
from services.chassis.avro import Codec, FolderSchemas
from services.chassis.events import Event, new_id, to_micros

CODEC = Codec(contracts.EVENTS, FolderSchemas(Path(contracts.__file__).parent))
_EMIT = """
INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, topic, headers, sequence)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""


class Statements:
    """The statements and transactions of one connection, as cheap as psycopg2 lets them be.

    A statement is parsed and planned once (`PREPARE` at its first use, then `EXECUTE`). BEGIN travels with the first
    one of its transaction, and COMMIT with the last one, if that is a `write`.

    Args:
        connection: of psycopg2, in autocommit.

    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._calls: dict[str, str] = {}
        self._begin = ""
        self._last: tuple[str, Sequence[object]] | None = None

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        """Lend a cursor for one transaction, which commits with the block unless the block raises."""
        self._begin = "BEGIN; "
        with self._connection.cursor() as cursor:
            try:
                yield cursor
                call, values = self._last or ("", ())
                cursor.execute(f"{call}; COMMIT", values)
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            finally:
                self._last = None

    def run(self, cursor: Any, statement: str, *values: object) -> None:
        """Run a statement with a value for each of its `%s`."""
        self._send_last(cursor)
        cursor.execute(self._call(statement, values), values)

    def write(self, cursor: Any, statement: str, *values: object) -> None:
        """Run a statement whose result nobody reads, as soon as it is known whether another one follows."""
        self._send_last(cursor)
        self._last = (self._call(statement, values), values)

    def _send_last(self, cursor: Any) -> None:
        if self._last is not None:
            cursor.execute(*self._last)
            self._last = None

    def _call(self, statement: str, values: Sequence[object]) -> str:
        begin, self._begin = self._begin, ""
        return begin + (self._calls.get(statement) or self._prepare(statement, len(values)))

    def _prepare(self, statement: str, values: int) -> str:
        name = f"statement_{len(self._calls)}"
        with self._connection.cursor() as cursor:
            cursor.execute(f"PREPARE {name} AS {statement % tuple(f'${i + 1}' for i in range(values))}")
        call = f"EXECUTE {name} ({', '.join(['%s'] * values)})" if values else f"EXECUTE {name}"
        self._calls[statement] = call
        return call


class Work:
    """What a handler works on.

    Args:
        statements: of the service's connection.
        cursor: a psycopg2 cursor on it.
        service: which service this is.
        event_id: of the message.
        correlation_id: shared by all events of the saga.

    """

    def __init__(self, statements: Statements, cursor: Any, service: str, event_id: str, correlation_id: str) -> None:
        self._statements = statements
        self._cursor = cursor
        self._service = service
        self._correlation_id = correlation_id
        self.event_id = event_id
        self.now = datetime.now(UTC)

    @property
    def correlation_id(self) -> str:
        """The saga's id."""
        return self._correlation_id

    @property
    def micros(self) -> int:
        """The time of this transaction, as events carry it."""
        return to_micros(self.now)

    def run(self, statement: str, *values: object) -> Any:
        """Run one statement for one row, and return the row that it gives, None for none."""
        self._statements.run(self._cursor, statement, *values)
        return self._cursor.fetchone()

    def write(self, statement: str, *values: object) -> None:
        """Write one row."""
        self._statements.write(self._cursor, statement, *values)

    def emit(self, event: Event, sequence: int) -> None:
        """Put an event into the outbox."""
        headers = {
            "ce_time": self.now.isoformat().replace("+00:00", "Z"),
            "ce_correlationid": self._correlation_id,
            "ce_causationid": self.event_id,
        }
        place = (new_id(), self._service, event.key, event.FULLNAME, CODEC.encode(event), event.TOPIC)
        self.write(_EMIT, *place, json.dumps(headers), sequence)
