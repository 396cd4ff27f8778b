"""What became of orders: appended, never changed."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import Received, from_micros, to_micros
from services.chassis.results import Row
from services.chassis.statements import appended, sql
from services.order.domain.history import Actor, Change
from services.order.domain.orders import Order
from services.order.domain.statuses import OrderStatus

OF_ORDERS = sql("""
SELECT order_id::text, previous_status, status, reason, note, public, actor_type, actor_id, event_id, created_at
FROM order_history WHERE order_id = ANY(:ids ::uuid[]) ORDER BY order_id, version
""")
INSERT = appended(
    "order_history",
    {
        "order_id": "uuid",
        "version": "int",
        "previous_status": "text",
        "status": "text",
        "reason": "text",
        "note": "text",
        "public": "boolean",
        "actor_type": "text",
        "actor_id": "text",
        "event_id": "text",
        "created_at": "timestamptz",
        "cause": "jsonb",
        "told": "jsonb",
    },
)

Causes = Mapping[str, Received[Any]]
Told = Mapping[tuple[str, int], Sequence[tuple[str, str]]]


def insert(connection: Connection, orders: Sequence[Order], causes: Causes, told: Told) -> None:
    """Append the history rows that were added since the orders were loaded.

    Args:
        connection: the transaction.
        orders: whose rows are locked, or new.
        causes: event id → the event that was taken, for those that came by Kafka.
        told: (order id, version) → (event id, type) of what was told of that change.

    """
    rows = [
        (change, order.version - len(order.history) + 1 + i)
        for order in orders
        for i, change in enumerate(order.history)
    ]
    if rows:
        connection.execute(INSERT, _history_columns(rows, causes, told))


def _history_columns(rows: Sequence[tuple[Change, int]], causes: Causes, told: Told) -> dict[str, object]:
    changes = [change for change, _ in rows]
    return {
        "order_id": [change.order_id for change in changes],
        "version": [version for _, version in rows],
        "previous_status": [change.previous_status and change.previous_status.value for change in changes],
        "status": [change.status.value for change in changes],
        "reason": [change.reason for change in changes],
        "note": [change.note for change in changes],
        "public": [change.public for change in changes],
        "actor_type": [change.actor.type for change in changes],
        "actor_id": [change.actor.id for change in changes],
        "event_id": [change.event_id for change in changes],
        "created_at": [from_micros(change.at) for change in changes],
        "cause": [_cause(causes.get(change.event_id or "")) for change in changes],
        "told": [_told(told.get((change.order_id, version))) for change, version in rows],
    }


def cause_of(received: Received[Any]) -> list[object]:
    """Return what is kept of an event that was taken: type, topic, partition, offset, time in ms, its own cause."""
    record, fullname = received.record, type(received.event).FULLNAME
    place = (record.topic, record.partition, record.offset)
    return [fullname, *place, record.timestamp_ms, record.header("ce_causationid")]


def _cause(received: Received[Any] | None) -> str | None:
    return None if received is None else to_json(cause_of(received)).decode()


def _told(events: Sequence[tuple[str, str]] | None) -> str | None:
    return None if events is None else to_json(events).decode()


def of_orders(connection: Connection, order_ids: Sequence[str]) -> dict[str, list[Change]]:
    """Return the history of orders, oldest rows first."""
    found: dict[str, list[Change]] = {}
    for row in connection.execute(OF_ORDERS, {"ids": list(order_ids)}):
        found.setdefault(row.order_id, []).append(to_change(row))
    return found


def to_change(row: Row) -> Change:
    """Return the change of a history row."""
    return Change(
        order_id=row.order_id,
        previous_status=row.previous_status and OrderStatus(row.previous_status),
        status=OrderStatus(row.status),
        reason=row.reason,
        note=row.note,
        public=row.public,
        actor=Actor(type=row.actor_type, id=row.actor_id),
        event_id=row.event_id,
        at=to_micros(row.created_at),
    )
