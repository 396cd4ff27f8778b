"""What an order's timeline is made of: its history with causes and effects, and what others told of it."""

from collections.abc import Sequence
from typing import Any

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import Received
from services.chassis.results import Row
from services.chassis.statements import deferred, sql
from services.order.domain.timeline import Recorded, Taken
from services.order.repository.history import cause_of, to_change

HISTORY = sql("""
SELECT order_id::text, previous_status, status, reason, note, public, actor_type, actor_id, event_id, created_at,
       cause, told
FROM order_history WHERE order_id = :order_id ::uuid ORDER BY version
""")
NOTES = sql("SELECT event_id::text, cause, detail FROM order_notes WHERE order_id = :order_id ::uuid")
INSERT_NOTES = deferred("""
INSERT INTO order_notes (order_id, event_id, cause, detail)
SELECT unnest(:order_ids ::uuid[]), unnest(:event_ids ::uuid[]), unnest(:causes ::jsonb[]), unnest(:details ::text[])
ON CONFLICT DO NOTHING
""")


class Timeline:
    """The timelines that one transaction looks at."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, order_id: str) -> tuple[list[Recorded], list[Taken]]:
        """Return an order's history, oldest row first, and what others told of it."""
        parameters = {"order_id": order_id}
        history = [_recorded(row) for row in self._connection.execute(HISTORY, parameters)]
        notes = [_taken(row.event_id, row.cause, row.detail) for row in self._connection.execute(NOTES, parameters)]
        return history, notes

    def note(self, told: Sequence[tuple[Received[Any], str | None]]) -> None:
        """Keep events about orders that they do not change, each with a detail in codes."""
        parameters = {
            "order_ids": [received.event.order_id for received, _ in told],
            "event_ids": [received.event_id for received, _ in told],
            "causes": [to_json(cause_of(received)).decode() for received, _ in told],
            "details": [detail for _, detail in told],
        }
        self._connection.execute(INSERT_NOTES, parameters)


def _recorded(row: Row) -> Recorded:
    return Recorded(
        change=to_change(row),
        taken=None if row.cause is None else _taken(row.event_id, row.cause),
        told=tuple((event_id, fullname) for event_id, fullname in row.told or ()),
    )


def _taken(event_id: str, cause: Sequence[Any], detail: str | None = None) -> Taken:
    fullname, topic, partition, offset, time_ms, caused_by = cause
    return Taken(
        event_id=event_id,
        type=fullname,
        topic=topic,
        partition=partition,
        offset=offset,
        at=time_ms * 1000,
        caused_by=caused_by,
        detail=detail,
    )
