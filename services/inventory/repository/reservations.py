"""Reservations: one row an order, locked before any SKU."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import from_micros, to_micros
from services.chassis.results import Row
from services.chassis.statements import appended, deferred, often, sql
from services.inventory.domain.reservations import Line, Reservation, ReservationStatus, Revising

COLUMNS = "order_id::text, status, lines, shipments, receipts, deadline_at, events, revision, revising"
LOCK_RESERVATIONS = often(f"""
SELECT {COLUMNS} FROM reservations WHERE order_id = ANY(:ids ::uuid[]) ORDER BY order_id FOR NO KEY UPDATE
""")
# What waits parked for an order could still confirm it.
LOCK_OVERDUE = sql(f"""
SELECT {COLUMNS} FROM reservations r WHERE deadline_at <= :until
    AND deadline_at - created_at <= :longest
    AND NOT EXISTS (SELECT FROM parked_keys p WHERE p.key = r.order_id::text)
ORDER BY order_id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")
COUNT_OVERDUE = sql("SELECT count(*) FROM reservations WHERE deadline_at <= now()")
INSERT_RESERVATIONS = appended(
    "reservations",
    {
        "order_id": "uuid",
        "status": "text",
        "lines": "jsonb",
        "shipments": "jsonb",
        "receipts": "jsonb",
        "deadline_at": "timestamptz",
        "events": "bigint",
        "revision": "int",
        "revising": "jsonb",
    },
)
UPDATE_RESERVATIONS = deferred("""
UPDATE reservations r SET status = d.status, lines = d.lines, shipments = d.shipments,
    receipts = d.receipts, deadline_at = d.deadline_at, events = d.events, revision = d.revision,
    revising = d.revising, updated_at = now()
FROM (SELECT unnest(:order_id ::uuid[]) AS order_id, unnest(:status ::text[]) AS status,
             unnest(:lines ::jsonb[]) AS lines, unnest(:shipments ::jsonb[]) AS shipments,
             unnest(:receipts ::jsonb[]) AS receipts, unnest(:deadline_at ::timestamptz[]) AS deadline_at,
             unnest(:events ::bigint[]) AS events, unnest(:revision ::int[]) AS revision,
             unnest(:revising ::jsonb[]) AS revising) d
WHERE r.order_id = d.order_id
""")
# Rows of finished orders are kept as long as a late event could ask for them.
PRUNE = sql("""
DELETE FROM reservations WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM reservations WHERE updated_at < now() - interval '90 days'
        AND status NOT IN ('reserved', 'allocated') LIMIT 5000))
""")


def lock(connection: Connection, order_ids: Iterable[str]) -> dict[str, Reservation]:
    """Lock the reservations of orders, sorted, and return those that exist."""
    wanted = sorted(set(order_ids))
    if not wanted:
        return {}
    return _by_order(connection.execute(LOCK_RESERVATIONS, {"ids": wanted}).all())


def lock_overdue(connection: Connection, until: datetime, longest: timedelta, limit: int) -> dict[str, Reservation]:
    """Lock reservations whose deadline passed by `until`, was `longest` at most, and that nothing parked confirms."""
    return _by_order(connection.execute(LOCK_OVERDUE, {"until": until, "longest": longest, "limit": limit}).all())


def insert(connection: Connection, reservations: Sequence[Reservation]) -> None:
    """Add reservations that have no row yet."""
    if reservations:
        connection.execute(INSERT_RESERVATIONS, _columns(reservations))


def update(connection: Connection, reservations: Sequence[Reservation]) -> None:
    """Write reservations whose rows are locked."""
    if reservations:
        connection.execute(UPDATE_RESERVATIONS, _columns(reservations))


def prune(connection: Connection) -> None:
    """Delete some rows of orders that finished long ago."""
    connection.execute(PRUNE)


def to_reservation(row: Row) -> Reservation:
    """Return the reservation of a row with COLUMNS."""
    # Unpacked: looking up each column by its name takes longer than making the reservation.
    columns: Sequence[Any] = row
    order_id, status, lines, shipments, receipts, deadline_at, events, revision, revising = columns
    return Reservation(
        order_id=order_id,
        status=ReservationStatus(status),
        lines=_lines(lines),
        shipments=tuple(shipments),
        receipts=tuple(receipts),
        expires_at=None if deadline_at is None else to_micros(deadline_at),
        events=events,
        revision=revision,
        revising=revising and Revising(*(_lines(side) for side in revising)),
    )


def _by_order(rows: Sequence[Row]) -> dict[str, Reservation]:
    return {reservation.order_id: reservation for reservation in map(to_reservation, rows)}


def _lines(rows: Sequence[tuple[str, str, int]]) -> tuple[Line, ...]:
    return tuple([Line(*row) for row in rows])


def _both_sides(revising: Revising | None) -> str | None:
    return None if revising is None else to_json([revising.before, revising.after]).decode()


def _columns(reservations: Sequence[Reservation]) -> dict[str, object]:
    return {
        "order_id": [reservation.order_id for reservation in reservations],
        "status": [reservation.status.value for reservation in reservations],
        "lines": [to_json(reservation.lines).decode() for reservation in reservations],
        "shipments": [to_json(reservation.shipments).decode() for reservation in reservations],
        "receipts": [to_json(reservation.receipts).decode() for reservation in reservations],
        "deadline_at": [r.expires_at and from_micros(r.expires_at) for r in reservations],
        "events": [reservation.events for reservation in reservations],
        "revision": [reservation.revision for reservation in reservations],
        "revising": [_both_sides(reservation.revising) for reservation in reservations],
    }
