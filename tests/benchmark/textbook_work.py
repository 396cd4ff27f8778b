"""One message's transaction in the textbook saga: its cursor, its time, and its outbox, a statement a row."""

import json
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


class Work:
    """What a handler works on.

    Args:
        cursor: a psycopg2 cursor on the service's database.
        service: which service this is.
        event_id: of the message.
        correlation_id: shared by all events of the saga.

    """

    def __init__(self, cursor: Any, service: str, event_id: str, correlation_id: str) -> None:
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
        self._cursor.execute(statement, values)
        return self._cursor.fetchone() if self._cursor.description else None

    def emit(self, event: Event, sequence: int) -> None:
        """Put an event into the outbox."""
        headers = {
            "ce_time": self.now.isoformat().replace("+00:00", "Z"),
            "ce_correlationid": self._correlation_id,
            "ce_causationid": self.event_id,
        }
        place = (new_id(), self._service, event.key, event.FULLNAME, CODEC.encode(event), event.TOPIC)
        self.run(_EMIT, *place, json.dumps(headers), sequence)
