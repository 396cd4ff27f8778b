"""What the textbook saga does with each event: a statement a row, over the product's own tables.

It covers the drain's path and its refusals. What has no part in it (deadlines, parking, cancelling by a person, early
and late messages) is left out, which makes it cheaper, not dearer.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from schemas.contracts import (
    OrderCancelled,
    OrderCancelledPreviousStatus,
    OrderCancelledReason,
    OrderConfirmed,
    OrderPlaced,
    StockAllocated,
    StockAllocatedLine,
    StockRejected,
    StockRejectedShortage,
    StockReserved,
    StockReservedLine,
)
from services.chassis.events import from_micros, new_id
from services.notification.domain.notifications import Subject, SubjectKind, mail_to_customer, placed_order
from tests.benchmark.textbook_work import Work

_LOCATION = "main"
_HOLD_SECONDS = 900
_ANSWER_SECONDS = 300
_MICROS = 1_000_000

# --- inventory

RESERVE = """
INSERT INTO reservations (order_id, status, lines, deadline_at, events) VALUES (%s, 'reserved', %s, %s, 1)
ON CONFLICT DO NOTHING RETURNING order_id
"""
REJECT = "UPDATE reservations SET status = 'rejected', lines = '[]', deadline_at = NULL WHERE order_id = %s"
HOLD = """
UPDATE stock_levels SET reserved = reserved + %s, version = version + 1
WHERE sku = %s AND location = %s AND on_hand - reserved - allocated - safety_stock >= %s
RETURNING on_hand, reserved, allocated
"""
LET_GO = "UPDATE stock_levels SET reserved = reserved - %s, version = version + 1 WHERE sku = %s AND location = %s"
AVAILABLE = "SELECT on_hand - reserved - allocated - safety_stock FROM stock_levels WHERE sku = %s AND location = %s"
MOVE = """
INSERT INTO stock_movements (sku, location, kind, on_hand, reserved, allocated, on_hand_after, reserved_after,
                             allocated_after, order_id, actor, event_id)
VALUES (%s, %s, %s, 0, %s, %s, %s, %s, %s, %s, 'inventory', %s)
"""
LOCK_RESERVATION = "SELECT status, lines, events FROM reservations WHERE order_id = %s FOR UPDATE"
ALLOCATE_LEVEL = """
UPDATE stock_levels SET reserved = reserved - %s, allocated = allocated + %s, version = version + 1
WHERE sku = %s AND location = %s RETURNING on_hand, reserved, allocated
"""
ALLOCATE = """
UPDATE reservations SET status = 'allocated', deadline_at = NULL, events = events + 1, updated_at = now()
WHERE order_id = %s
"""


def reserve_stock(placed: OrderPlaced, work: Work) -> None:
    """Reacts to: order.OrderPlaced.  Emits: StockReserved | StockRejected."""
    wanted: dict[str, int] = {}
    for line in placed.lines:
        wanted[line.sku] = wanted.get(line.sku, 0) + line.quantity
    expires_at = work.micros + _HOLD_SECONDS * _MICROS
    lines = json.dumps([[sku, _LOCATION, quantity] for sku, quantity in wanted.items()])
    if work.run(RESERVE, placed.order_id, lines, from_micros(expires_at)) is None:
        return
    # In the order of the SKUs, so that two orders that want the same ones cannot deadlock.
    levels = {sku: work.run(HOLD, n, sku, _LOCATION, n) for sku, n in sorted(wanted.items())}
    if None in levels.values():
        _reject(placed, wanted, levels, work)
        return
    for sku, n in wanted.items():
        work.write(MOVE, sku, _LOCATION, "reserved", n, 0, *levels[sku], placed.order_id, work.event_id)
    held = tuple(StockReservedLine(sku=sku, quantity=n, location=_LOCATION) for sku, n in wanted.items())
    reserved = StockReserved(order_id=placed.order_id, lines=held, expires_at=expires_at, reserved_at=work.micros)
    work.emit(reserved, 1)


def _reject(placed: OrderPlaced, wanted: Mapping[str, int], levels: Mapping[str, Any], work: Work) -> None:
    for sku in sorted(sku for sku, level in levels.items() if level is not None):
        work.write(LET_GO, wanted[sku], sku, _LOCATION)
    work.write(REJECT, placed.order_id)
    shortages = []
    for sku in (sku for sku, level in levels.items() if level is None):
        row = work.run(AVAILABLE, sku, _LOCATION)
        available = max(0, row[0]) if row else 0
        shortages.append(StockRejectedShortage(sku=sku, requested=wanted[sku], available=available))
    rejected = StockRejected(order_id=placed.order_id, shortages=tuple(shortages), rejected_at=work.micros)
    work.emit(rejected, 1)


def allocate_stock(confirmed: OrderConfirmed, work: Work) -> None:
    """Reacts to: order.OrderConfirmed.  Emits: StockAllocated."""
    status, lines, events = work.run(LOCK_RESERVATION, confirmed.order_id)
    if status != "reserved":
        return
    for sku, location, n in sorted(lines):
        level = work.run(ALLOCATE_LEVEL, n, n, sku, location)
        work.write(MOVE, sku, location, "allocated", -n, n, *level, confirmed.order_id, work.event_id)
    work.write(ALLOCATE, confirmed.order_id)
    held = tuple(StockAllocatedLine(sku=sku, quantity=n, location=location) for sku, location, n in lines)
    work.emit(StockAllocated(order_id=confirmed.order_id, lines=held, allocated_at=work.micros), events + 1)


# --- order

LOCK_ORDER = """
SELECT order_number, customer_id, currency, total_minor, payment_method, pending_operation, version, events
FROM orders WHERE id = %s FOR UPDATE
"""
CONFIRM = """
UPDATE orders SET status = 'confirmed', reservation_status = 'reserved', pending_operation = 'allocating', held = %s,
    reserved_until = %s, deadline_at = %s, version = version + 2, events = events + 1, updated_at = %s,
    confirmed_at = %s
WHERE id = %s
"""
CANCEL = """
UPDATE orders SET status = 'cancelled', reservation_status = 'rejected', pending_operation = NULL, shortages = %s,
    cancel_reason = 'insufficient_stock', deadline_at = NULL, version = version + 1, events = events + 1,
    updated_at = %s, cancelled_at = %s
WHERE id = %s
"""
NOTE_ALLOCATED = """
UPDATE orders SET reservation_status = 'allocated', pending_operation = NULL, held = %s, deadline_at = NULL,
    reserved_until = NULL, version = version + 1, updated_at = %s
WHERE id = %s
"""
ADD_HISTORY = """
INSERT INTO order_history (order_id, version, previous_status, status, reason, public, actor_type, actor_id, event_id,
                           created_at)
VALUES (%s, %s, %s, %s, %s, %s, 'system', 'inventory', %s, %s)
"""


def confirm_reserved(reserved: StockReserved, work: Work) -> None:
    """Reacts to: inventory.StockReserved.  Emits: OrderConfirmed."""
    order_id = reserved.order_id
    number, customer, currency, total, method, operation, version, events = work.run(LOCK_ORDER, order_id)
    if operation != "reserving":
        return
    held = json.dumps([[line.sku, line.location, line.quantity] for line in reserved.lines])
    until = None if reserved.expires_at is None else from_micros(reserved.expires_at)
    deadline = from_micros(work.micros + _ANSWER_SECONDS * _MICROS)
    work.write(CONFIRM, held, until, deadline, work.now, work.now, order_id)
    _history(order_id, version + 1, ("pending", "pending", "stock_reserved", False), work)
    _history(order_id, version + 2, ("pending", "confirmed", "confirmed", True), work)
    confirmed = OrderConfirmed(
        order_id=order_id,
        order_number=number,
        customer_id=customer,
        currency=currency,
        total_minor=total,
        payment_method=method,
        confirmed_at=work.micros,
    )
    work.emit(confirmed, events + 1)


def cancel_rejected(rejected: StockRejected, work: Work) -> None:
    """Reacts to: inventory.StockRejected.  Emits: OrderCancelled."""
    order_id = rejected.order_id
    number, _, currency, _, _, operation, version, events = work.run(LOCK_ORDER, order_id)
    if operation != "reserving":
        return
    shortages = json.dumps([[s.sku, s.requested, s.available, s.expected_at] for s in rejected.shortages])
    work.write(CANCEL, shortages, work.now, work.now, order_id)
    _history(order_id, version + 1, ("pending", "cancelled", "insufficient_stock", True), work)
    cancelled = OrderCancelled(
        order_id=order_id,
        order_number=number,
        reason=OrderCancelledReason.INSUFFICIENT_STOCK,
        previous_status=OrderCancelledPreviousStatus.PENDING,
        refund_minor=0,
        currency=currency,
        cancelled_at=work.micros,
    )
    work.emit(cancelled, events + 1)


def note_allocated(allocated: StockAllocated, work: Work) -> None:
    """Reacts to: inventory.StockAllocated.  Emits: nothing."""
    order_id = allocated.order_id
    *_, operation, version, _events = work.run(LOCK_ORDER, order_id)
    if operation != "allocating":
        return
    held = json.dumps([[line.sku, line.location, line.quantity] for line in allocated.lines])
    work.write(NOTE_ALLOCATED, held, work.now, order_id)
    _history(order_id, version + 1, ("confirmed", "confirmed", "stock_allocated", False), work)


def _history(order_id: str, version: int, change: tuple[str, str, str, bool], work: Work) -> None:
    work.write(ADD_HISTORY, order_id, version, *change, work.event_id, work.now)


# --- notification

ADD_SUBJECT = """
INSERT INTO subjects (key, kind, email, locale, facts) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
FIND_SUBJECT = "SELECT email FROM subjects WHERE key = %s"
ADD_NOTIFICATION = """
INSERT INTO notifications (id, subject, event_id, channel, audience, template, recipient, facts, correlation_id, status)
VALUES (%s, %s, %s, 'email', %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


def acknowledge_order(placed: OrderPlaced, work: Work) -> None:
    """Reacts to: order.OrderPlaced.  Queues: order_placed."""
    subject, snapshot = placed_order(placed)
    facts = json.dumps(snapshot.facts)
    work.write(ADD_SUBJECT, subject.key, subject.kind.value, subject.email, snapshot.locale, facts)
    _notify(placed, subject, work)


def tell_customer(event: OrderConfirmed | OrderCancelled, work: Work) -> None:
    """Reacts to: order.OrderConfirmed, order.OrderCancelled.  Queues: order_confirmed | order_cancelled."""
    (email,) = work.run(FIND_SUBJECT, event.order_id)
    _notify(event, Subject(key=event.order_id, kind=SubjectKind.ORDER, email=email), work)


def _notify(event: OrderPlaced | OrderConfirmed | OrderCancelled, subject: Subject, work: Work) -> None:
    mail = mail_to_customer(event, subject)
    if mail is not None:
        work.write(
            ADD_NOTIFICATION,
            *(new_id(), subject.key, work.event_id, mail.audience.value, mail.template.value, mail.recipient),
            *(json.dumps(mail.facts), work.correlation_id, mail.status.value),
        )


HANDLERS: Mapping[str, Mapping[type[Any], Callable[[Any, Work], None]]] = {
    "order": {
        StockReserved: confirm_reserved,
        StockRejected: cancel_rejected,
        StockAllocated: note_allocated,
    },
    "inventory": {OrderPlaced: reserve_stock, OrderConfirmed: allocate_stock},
    "notification": {
        OrderPlaced: acknowledge_order,
        OrderConfirmed: tell_customer,
        OrderCancelled: tell_customer,
    },
}
