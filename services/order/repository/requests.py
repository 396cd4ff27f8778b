"""Requests by Kafka: which came before, with which content, and how many answers stand under their key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from services.chassis.connection import Connection
from services.chassis.statements import sql

LOCK = sql("""
SELECT request_id, content_hash, order_id::text, events FROM order_requests
WHERE request_id = ANY(:ids ::text[]) ORDER BY request_id FOR NO KEY UPDATE
""")
INSERT = sql("""
INSERT INTO order_requests (request_id, content_hash, order_id, events)
SELECT unnest(:ids ::text[]), unnest(:hashes ::text[]), unnest(:orders ::uuid[]), unnest(:events ::bigint[])
""")
UPDATE = sql("""
UPDATE order_requests r SET content_hash = d.content_hash, order_id = d.order_id, events = d.events
FROM (SELECT unnest(:ids ::text[]) AS request_id, unnest(:hashes ::text[]) AS content_hash,
             unnest(:orders ::uuid[]) AS order_id, unnest(:events ::bigint[]) AS events) d
WHERE r.request_id = d.request_id
""")


@dataclass(slots=True)
class KnownRequest:
    """A request that was answered, or is being answered.

    Args:
        request_id: the storefront's id.
        content_hash: of what was asked first; None while nothing legible was.
        order_id: the order that it became; None where it was refused.
        events: how many events on order.events.v1 have the request id as key.

    """

    request_id: str
    content_hash: str | None = None
    order_id: str | None = None
    events: int = 0


def lock(connection: Connection, request_ids: Iterable[str]) -> dict[str, KnownRequest]:
    """Lock the rows of requests, sorted, and return those that are known."""
    wanted = sorted(set(request_ids))
    if not wanted:
        return {}
    return {row.request_id: KnownRequest(*row) for row in connection.execute(LOCK, {"ids": wanted})}


def insert(connection: Connection, requests: Sequence[KnownRequest]) -> None:
    """Add requests that have no row yet."""
    if requests:
        connection.execute(INSERT, _columns(requests))


def update(connection: Connection, requests: Sequence[KnownRequest]) -> None:
    """Write requests whose rows are locked."""
    if requests:
        connection.execute(UPDATE, _columns(requests))


def _columns(requests: Sequence[KnownRequest]) -> dict[str, object]:
    return {
        "ids": [request.request_id for request in requests],
        "hashes": [request.content_hash for request in requests],
        "orders": [request.order_id for request in requests],
        "events": [request.events for request in requests],
    }
