"""Orders' state: loaded under a lock, written in one statement a transaction."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import from_micros, to_micros
from services.chassis.results import Row
from services.chassis.statements import deferred, often, sql
from services.order.domain.lines import Held, Shortage
from services.order.domain.orders import Order, OrderContent
from services.order.domain.statuses import CancelReason, OrderStatus, PendingOperation, ReservationStatus
from services.order.repository import lines

STATE_COLUMNS = """id::text, order_number, customer_id, currency, total_minor, payment_method, status,
    reservation_status, pending_operation, recorded_minor, refund_waived, confirm_when_reserved, payment_provider,
    payment_reference, cancel_reason, shortages, held, reserved_until, deadline_at, stuck_reason, version, events,
    refunded_minor, refunding_minor, conceded_minor, payment_failed, revision, created_at, updated_at, confirmed_at,
    cancelled_at, delivered_at, ship_by, overdue_at"""


LOCK_ORDERS = often(f"""
SELECT {STATE_COLUMNS} FROM orders WHERE id = ANY(:ids ::uuid[]) ORDER BY id FOR NO KEY UPDATE
""")


LOCK_OF_CUSTOMER = sql(f"""
SELECT {STATE_COLUMNS} FROM orders WHERE customer_id = :customer_id ORDER BY id FOR NO KEY UPDATE
""")
# An answer that waits parked for an order could still settle it.
LOCK_OVERDUE = sql(f"""
SELECT {STATE_COLUMNS} FROM orders o
WHERE deadline_at <= :until
    AND deadline_at - coalesce((SELECT r.created_at FROM order_revisions r
                                WHERE r.order_id = o.id AND r.status = 'pending'), confirmed_at, created_at) <= :longest
    AND NOT EXISTS (SELECT FROM parked_keys p WHERE p.key = o.id::text)
ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")


COUNT_OVERDUE = sql("SELECT count(*) FROM orders WHERE deadline_at <= now()")


# What has to leave is a matter of the calendar: no event could still come that makes it leave in time.
LOCK_LATE = sql(f"""
SELECT {STATE_COLUMNS} FROM orders WHERE ship_by <= :until AND overdue_at IS NULL AND status = 'processing'
ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
""")


COUNT_LATE = sql("""
SELECT count(*) FROM orders WHERE ship_by <= now() AND overdue_at IS NULL AND status = 'processing'
""")


# A customer has no row to lock. `unnest` keeps the order of the keys.
LOCK_BUYERS = sql("SELECT pg_advisory_xact_lock(key) FROM unnest(:keys ::bigint[]) key")
COUNT_OPEN = sql("""
SELECT customer_id, count(*) AS open FROM orders
WHERE customer_id = ANY(:customers ::text[]) AND status = 'pending'
    AND (recorded_minor = 0 OR recorded_minor < total_minor)
GROUP BY customer_id
""")
# An order with its lines: one statement, since a lone order pays for each round trip.
INSERT_ORDERS = deferred(f"""
WITH placed AS (
    INSERT INTO orders (
        id, order_number, request_id, customer_id, customer_email, locale, currency, subtotal_minor, discount_minor,
        tax_minor, shipping_minor, total_minor, shipping_address, billing_address, shipping_method, payment_method,
        notes, external_reference, metadata, created_at,
        status, reservation_status, pending_operation, recorded_minor, refund_waived, confirm_when_reserved,
        payment_provider, payment_reference, cancel_reason, shortages, held, reserved_until, deadline_at, stuck_reason,
        version, events, updated_at, confirmed_at, cancelled_at, refunded_minor, refunding_minor, conceded_minor,
        payment_failed, payment_status, revision, delivered_at, ship_by, overdue_at, granted_discount_minor)
    SELECT unnest(:ids ::uuid[]), unnest(:numbers ::text[]), unnest(:request_ids ::text[]),
           unnest(:customer_ids ::text[]), unnest(:emails ::text[]), unnest(:locales ::text[]),
           unnest(:currencies ::text[]), unnest(:subtotals ::bigint[]), unnest(:discounts ::bigint[]),
           unnest(:taxes ::bigint[]), unnest(:shippings ::bigint[]), unnest(:totals ::bigint[]),
           unnest(:shipping_addresses ::jsonb[]), unnest(:billing_addresses ::jsonb[]),
           unnest(:shipping_methods ::text[]), unnest(:payment_methods ::text[]), unnest(:notes ::text[]),
           unnest(:references ::text[]), unnest(:metadata ::jsonb[]), unnest(:created ::timestamptz[]),
           unnest(:statuses ::text[]), unnest(:reservations ::text[]), unnest(:operations ::text[]),
           unnest(:recorded ::bigint[]), unnest(:waived ::boolean[]), unnest(:confirming ::boolean[]),
           unnest(:providers ::text[]), unnest(:payment_references ::text[]), unnest(:cancel_reasons ::text[]),
           unnest(:shortages ::jsonb[]), unnest(:held ::jsonb[]), unnest(:reserved_until ::timestamptz[]),
           unnest(:deadlines ::timestamptz[]), unnest(:stuck ::text[]), unnest(:versions ::int[]),
           unnest(:events ::bigint[]), unnest(:updated ::timestamptz[]), unnest(:confirmed ::timestamptz[]),
           unnest(:cancelled ::timestamptz[]), unnest(:refunded ::bigint[]), unnest(:refunding ::bigint[]),
           unnest(:conceded ::bigint[]), unnest(:failed ::boolean[]), unnest(:payment_statuses ::text[]),
           unnest(:revisions ::int[]), unnest(:delivered ::timestamptz[]), unnest(:ship_by ::timestamptz[]),
           unnest(:overdue ::timestamptz[]), unnest(:granted_discounts ::bigint[]))
{lines.INSERT_LINES.text}
""")


UPDATE_ORDERS = deferred("""
UPDATE orders o SET status = d.status, reservation_status = d.reservation, pending_operation = d.operation,
    recorded_minor = d.recorded, refund_waived = d.waived, confirm_when_reserved = d.confirming,
    payment_provider = d.provider, payment_reference = d.payment_reference, cancel_reason = d.cancel_reason,
    shortages = d.shortages, held = d.held, reserved_until = d.reserved_until, deadline_at = d.deadline,
    stuck_reason = d.stuck, version = d.version, events = d.events, updated_at = d.updated,
    confirmed_at = d.confirmed, cancelled_at = d.cancelled, refunded_minor = d.refunded,
    refunding_minor = d.refunding, conceded_minor = d.conceded, payment_failed = d.failed,
    payment_status = d.payment_status, revision = d.revision, delivered_at = d.delivered, ship_by = d.ship_by,
    overdue_at = d.overdue
FROM (SELECT unnest(:ids ::uuid[]) AS id, unnest(:statuses ::text[]) AS status,
             unnest(:reservations ::text[]) AS reservation, unnest(:operations ::text[]) AS operation,
             unnest(:recorded ::bigint[]) AS recorded, unnest(:waived ::boolean[]) AS waived,
             unnest(:confirming ::boolean[]) AS confirming, unnest(:providers ::text[]) AS provider,
             unnest(:payment_references ::text[]) AS payment_reference,
             unnest(:cancel_reasons ::text[]) AS cancel_reason, unnest(:shortages ::jsonb[]) AS shortages,
             unnest(:held ::jsonb[]) AS held, unnest(:reserved_until ::timestamptz[]) AS reserved_until,
             unnest(:deadlines ::timestamptz[]) AS deadline, unnest(:stuck ::text[]) AS stuck,
             unnest(:versions ::int[]) AS version, unnest(:events ::bigint[]) AS events,
             unnest(:updated ::timestamptz[]) AS updated, unnest(:confirmed ::timestamptz[]) AS confirmed,
             unnest(:cancelled ::timestamptz[]) AS cancelled, unnest(:refunded ::bigint[]) AS refunded,
             unnest(:refunding ::bigint[]) AS refunding, unnest(:conceded ::bigint[]) AS conceded,
             unnest(:failed ::boolean[]) AS failed, unnest(:payment_statuses ::text[]) AS payment_status,
             unnest(:revisions ::int[]) AS revision, unnest(:delivered ::timestamptz[]) AS delivered,
             unnest(:ship_by ::timestamptz[]) AS ship_by, unnest(:overdue ::timestamptz[]) AS overdue) d
WHERE o.id = d.id
""")


def lock(connection: Connection, order_ids: Iterable[str]) -> dict[str, Order]:
    """Lock orders, sorted, and return those that exist."""
    wanted = sorted(set(order_ids))
    if not wanted:
        return {}
    return _by_id(connection.execute(LOCK_ORDERS, {"ids": wanted}).all())


def lock_of_customer(connection: Connection, customer_id: str) -> dict[str, Order]:
    """Lock all orders of a customer."""
    return _by_id(connection.execute(LOCK_OF_CUSTOMER, {"customer_id": customer_id}).all())


def lock_overdue(connection: Connection, until: datetime, longest: timedelta, limit: int) -> dict[str, Order]:
    """Lock orders whose deadline passed by `until`, was `longest` at most, and that no parked event could settle."""
    return _by_id(connection.execute(LOCK_OVERDUE, {"until": until, "longest": longest, "limit": limit}).all())


def lock_late(connection: Connection, until: datetime, limit: int) -> dict[str, Order]:
    """Lock orders that should have left by `until` and have not, and of which nobody was told so."""
    return _by_id(connection.execute(LOCK_LATE, {"until": until, "limit": limit}).all())


def count_open(connection: Connection, customer_ids: Iterable[str]) -> dict[str, int]:
    """Return how many pending orders these customers have that nobody has paid in full.

    Until the end of the transaction nobody else counts them: who places at the same instant sees what is placed here.
    The locks are taken by their keys, sorted, so that two groups with the same customers never wait in a circle.
    """
    customers = sorted(set(customer_ids))
    if not customers:
        return {}
    connection.execute(LOCK_BUYERS, {"keys": sorted({_buyer_key(customer) for customer in customers})})
    return {row.customer_id: row.open for row in connection.execute(COUNT_OPEN, {"customers": customers})}


def _buyer_key(customer_id: str) -> int:
    """Return the key of a customer's advisory lock: hashed, with a prefix of its own, over all 64 bits."""
    digest = hashlib.blake2b(f"open orders of {customer_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def insert(connection: Connection, placed: Sequence[tuple[Order, OrderContent]]) -> None:
    """Add new orders with their lines."""
    if placed:
        orders = [order for order, _ in placed]
        contents = [content for _, content in placed]
        columns = _content_columns(orders, contents) | _state_columns(orders) | lines.columns(contents)
        connection.execute(INSERT_ORDERS, columns)


def update(connection: Connection, orders: Sequence[Order]) -> None:
    """Write the state of orders whose rows are locked."""
    if orders:
        connection.execute(UPDATE_ORDERS, _state_columns(orders))


def _by_id(rows: Sequence[Row]) -> dict[str, Order]:
    return {order.id: order for order in map(to_order, rows)}


def to_order(row: Row) -> Order:
    """Return the order of a row with STATE_COLUMNS."""
    # Unpacked: looking up each column by its name costs a tenth of all that the worker does.
    rest: Sequence[Any] = row
    order_id, number, customer_id, currency, total_minor, payment_method, *rest = rest
    status, reservation_status, operation, recorded_minor, refund_waived, confirm_when_reserved, provider, *rest = rest
    reference, cancel_reason, shortages, held, reserved_until, deadline_at, stuck_reason, version, events, *rest = rest
    refunded_minor, refunding_minor, conceded_minor, payment_failed, revision, created_at, updated_at, *rest = rest
    confirmed_at, cancelled_at, delivered_at, ship_by, overdue_at = rest
    return Order(
        id=order_id,
        number=number,
        customer_id=customer_id,
        currency=currency,
        total_minor=total_minor,
        payment_method=payment_method,
        status=OrderStatus(status),
        reservation_status=ReservationStatus(reservation_status),
        pending_operation=operation and PendingOperation(operation),
        recorded_minor=recorded_minor,
        refund_waived=refund_waived,
        confirm_when_reserved=confirm_when_reserved,
        payment_provider=provider,
        payment_reference=reference,
        cancel_reason=cancel_reason and CancelReason(cancel_reason),
        shortages=tuple([Shortage(*shortage) for shortage in shortages]),
        held=tuple([Held(*line) for line in held]),
        reserved_until=_micros(reserved_until),
        deadline_at=_micros(deadline_at),
        stuck_reason=stuck_reason,
        version=version,
        events=events,
        created_at=to_micros(created_at),
        updated_at=to_micros(updated_at),
        confirmed_at=_micros(confirmed_at),
        cancelled_at=_micros(cancelled_at),
        refunded_minor=refunded_minor,
        refunding_minor=refunding_minor,
        conceded_minor=conceded_minor,
        payment_failed=payment_failed,
        revision=revision,
        delivered_at=_micros(delivered_at),
        ship_by=_micros(ship_by),
        overdue_at=_micros(overdue_at),
    )


def _json(value: object) -> str:
    return to_json(value).decode()


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _state_columns(orders: Sequence[Order]) -> dict[str, object]:
    return {
        "ids": [order.id for order in orders],
        "statuses": [order.status.value for order in orders],
        "reservations": [order.reservation_status.value for order in orders],
        "operations": [order.pending_operation and order.pending_operation.value for order in orders],
        "recorded": [order.recorded_minor for order in orders],
        "waived": [order.refund_waived for order in orders],
        "confirming": [order.confirm_when_reserved for order in orders],
        "providers": [order.payment_provider for order in orders],
        "payment_references": [order.payment_reference for order in orders],
        "cancel_reasons": [order.cancel_reason and order.cancel_reason.value for order in orders],
        "shortages": [
            _json([[s.sku, s.requested, s.available, s.expected_at] for s in order.shortages]) for order in orders
        ],
        "held": [_json(order.held) for order in orders],
        "reserved_until": [_moment(order.reserved_until) for order in orders],
        "deadlines": [_moment(order.deadline_at) for order in orders],
        "stuck": [order.stuck_reason for order in orders],
        "versions": [order.version for order in orders],
        "events": [order.events for order in orders],
        "updated": [from_micros(order.updated_at) for order in orders],
        "confirmed": [_moment(order.confirmed_at) for order in orders],
        "cancelled": [_moment(order.cancelled_at) for order in orders],
        "refunded": [order.refunded_minor for order in orders],
        "refunding": [order.refunding_minor for order in orders],
        "conceded": [order.conceded_minor for order in orders],
        "failed": [order.payment_failed for order in orders],
        "payment_statuses": [order.payment_status.value for order in orders],
        "revisions": [order.revision for order in orders],
        "delivered": [_moment(order.delivered_at) for order in orders],
        "ship_by": [_moment(order.ship_by) for order in orders],
        "overdue": [_moment(order.overdue_at) for order in orders],
    }


def _content_columns(orders: Sequence[Order], contents: Sequence[OrderContent]) -> dict[str, object]:
    return {
        "numbers": [order.number for order in orders],
        "request_ids": [content.request_id for content in contents],
        "customer_ids": [order.customer_id for order in orders],
        "emails": [content.customer_email for content in contents],
        "locales": [content.locale for content in contents],
        "currencies": [order.currency for order in orders],
        "subtotals": [content.subtotal_minor for content in contents],
        "discounts": [content.discount_minor for content in contents],
        "granted_discounts": [content.granted_discount_minor for content in contents],
        "taxes": [content.tax_minor for content in contents],
        "shippings": [content.shipping_minor for content in contents],
        "totals": [order.total_minor for order in orders],
        "shipping_addresses": [_json(dict(content.shipping_address)) for content in contents],
        "billing_addresses": [_json(dict(content.billing_address)) for content in contents],
        "shipping_methods": [content.shipping_method for content in contents],
        "payment_methods": [order.payment_method for order in orders],
        "notes": [content.notes for content in contents],
        "references": [content.external_reference for content in contents],
        "metadata": [_json(dict(content.metadata)) for content in contents],
        "created": [from_micros(order.created_at) for order in orders],
    }
