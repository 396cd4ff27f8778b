"""Orders as they are looked for: by id or number, or page by page; always within a scope, in one statement.

Invariant: a page costs what it shows, not how many orders there are. What an index has in order is read from there;
a status is one of few, so a page is merged from the first rows of each; a search from the first rows of each thing
that it may mean. What could not be found so is refused before (`domain.scopes.unindexed`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.chassis.connection import Connection
from services.chassis.statements import Statement, sql
from services.order.domain.orders import Order
from services.order.domain.scopes import OrderFilter, Scope, is_narrow
from services.order.domain.statuses import OrderStatus, PaymentStatus
from services.order.repository.orders import STATE_COLUMNS, to_order
from services.order.repository.stuck import IS_STUCK

_SORTS = {"created_at": "created_at", "updated_at": "updated_at", "total_amount": "total_minor"}
_VENDOR = "EXISTS (SELECT FROM order_items i WHERE i.order_id = o.id AND i.vendor_id = :vendor_id)"
# Where it is held, was when it was handed over, or left.
_LOCATIONS = """(
    EXISTS (SELECT FROM jsonb_array_elements(o.held) h WHERE h ->> 1 = ANY(:locations ::text[]))
    OR EXISTS (SELECT FROM parcels p CROSS JOIN jsonb_array_elements(p.numbers) n
               WHERE p.order_id = o.id AND n ->> 1 = ANY(:locations ::text[]))
    OR EXISTS (SELECT FROM shipments s WHERE s.order_id = o.id AND s.location = ANY(:locations ::text[])))"""
_OVERDUE = "(o.status = 'processing' AND o.ship_by IS NOT NULL AND o.ship_by < now())"
IDS_OF_NUMBERS = sql("SELECT order_number, id::text FROM orders WHERE order_number = ANY(:numbers ::text[])")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER = re.compile(r"[0-9A-Za-z-]+")
# A cancelled order waits for the release of what is held for it: nothing is of one that was shipped.
SEEN = sql("""
SELECT id::text, version,
       pending_operation IS NULL AND NOT (status = 'cancelled' AND held <> '[]'::jsonb) AS settled
FROM orders WHERE id = ANY(:ids ::uuid[])
""")
# What a search may mean: text → whether a searched text can be one. Each is found by an index of its own.
_MEANINGS: Mapping[str, Callable[[str], bool]] = {
    "o.order_number LIKE :number_prefix": lambda q: _NUMBER.fullmatch(q) is not None,
    "lower(o.customer_email) = lower(:q)": lambda q: "@" in q,
    "o.id IN (SELECT i.order_id FROM order_items i WHERE i.sku = :q)": lambda _q: True,
    "o.id IN (SELECT s.order_id FROM shipments s WHERE s.tracking_number = :q)": lambda _q: True,
}


@dataclass(slots=True)
class _Conditions:
    texts: list[str] = field(default_factory=lambda: ["true"])
    values: dict[str, object] = field(default_factory=dict)

    def add(self, text: str, **values: object) -> None:
        if all(value is not None for value in values.values()):
            self.texts.append(text)
            self.values.update(values)

    def __str__(self) -> str:
        return " AND ".join(self.texts)


@dataclass(frozen=True, slots=True)
class _Order:
    """The order of rows: by a column, then by id."""

    column: str
    descending: bool

    def of(self, column: str, id_: str) -> str:
        direction = "DESC" if self.descending else "ASC"
        return f"ORDER BY {column} {direction}, {id_} {direction}"

    @property
    def rows(self) -> str:
        return self.of(f"o.{self.column}", "o.id")


def find_one(connection: Connection, scope: Scope, id_or_number: str) -> Order | None:
    """Return an order by its id or its number, None where it is not there or not in the scope."""
    conditions = _within(scope)
    by = "o.id = CAST(:wanted AS uuid)" if _UUID.fullmatch(id_or_number) else "o.order_number = :wanted"
    conditions.add(by, wanted=id_or_number)
    rows = connection.execute(_select(f"{conditions} LIMIT 1"), conditions.values)
    return next((to_order(row) for row in rows), None)


def ids_of(connection: Connection, numbers: Sequence[str]) -> dict[str, str]:
    """Return order number → id of those of the numbers that an order has."""
    return {row.order_number: row.id for row in connection.execute(IDS_OF_NUMBERS, {"numbers": list(numbers)})}


def find_page(
    connection: Connection, scope: Scope, wanted: OrderFilter, after: tuple[Any, ...] | None, limit: int
) -> list[Order]:
    """Return up to `limit` orders in the order that is asked for, from behind `after` = (sort value, id)."""
    statement, values = page(scope, wanted, after, limit)
    return [to_order(row) for row in connection.execute(statement, values)]


def page(
    scope: Scope, wanted: OrderFilter, after: tuple[Any, ...] | None, limit: int
) -> tuple[Statement, dict[str, object]]:
    """Return the statement of a page, and its parameters; see `find_page`."""
    order = _Order(_SORTS[wanted.sorted_by], wanted.sort.startswith("-"))
    conditions = _filtered(scope, wanted)
    if after is not None:
        sign = "<" if order.descending else ">"
        behind = f"(o.{order.column}, o.id) {sign} (:after_value, CAST(:after_id AS uuid))"
        conditions.add(behind, after_value=after[0], after_id=after[1])
    conditions.values["limit"] = limit
    if _is_merged(scope, wanted):
        return _merged(wanted, conditions, order), conditions.values
    conditions.add("o.status = :status", status=wanted.status)
    conditions.add("o.payment_status = :payment_status", payment_status=wanted.payment_status)
    if wanted.q is not None:
        return _searched(wanted.q, conditions, order), conditions.values
    return _select(f"{conditions} {order.rows} LIMIT :limit"), conditions.values


def seen(connection: Connection, order_ids: list[str]) -> dict[str, tuple[int, bool]]:
    """Return (version, whether no answer of inventory is awaited any more) of orders."""
    return {row.id: (row.version, row.settled) for row in connection.execute(SEEN, {"ids": order_ids})}


def _within(scope: Scope) -> _Conditions:
    conditions = _Conditions()
    conditions.add("o.customer_id = :customer_id", customer_id=scope.customer_id)
    conditions.add(_VENDOR, vendor_id=scope.vendor_id)
    conditions.add(_LOCATIONS, locations=None if scope.locations is None else sorted(scope.locations))
    return conditions


def _filtered(scope: Scope, wanted: OrderFilter) -> _Conditions:
    """Return the conditions of a list but those on its statuses, which have a way of their own."""
    conditions = _within(scope)
    conditions.add("o.created_at >= :created_from", created_from=wanted.created_from)
    conditions.add("o.created_at < :created_before", created_before=wanted.created_before)
    conditions.add("o.updated_at >= :updated_from", updated_from=wanted.updated_from)
    conditions.add("o.order_number = :number", number=wanted.number)
    conditions.add("o.request_id = :request_id", request_id=wanted.request_id)
    conditions.add("o.customer_id = :wanted_customer", wanted_customer=wanted.customer_id)
    for asked, text in ((wanted.stuck, IS_STUCK), (wanted.overdue, _OVERDUE)):
        if asked is not None:
            conditions.add(text if asked else f"NOT {text}")
    return conditions


def _is_merged(scope: Scope, wanted: OrderFilter) -> bool:
    if wanted.q is not None or scope.vendor_id is not None or is_narrow(scope, wanted):
        return False
    return wanted.status is not None or wanted.payment_status is not None or wanted.sorted_by == "updated_at"


def _merged(wanted: OrderFilter, conditions: _Conditions, order: _Order) -> Statement:
    """Merge a page from the first rows of each pair of statuses."""
    conditions.values |= {
        "statuses": [wanted.status] if wanted.status else [status.value for status in OrderStatus],
        "payment_statuses": [wanted.payment_status] if wanted.payment_status else [s.value for s in PaymentStatus],
    }
    pairs = "unnest(:statuses ::text[]) s(status) CROSS JOIN unnest(:payment_statuses ::text[]) p(status)"
    within = f"o.status = s.status AND o.payment_status = p.status AND {conditions}"
    first = f"SELECT o.id, o.{order.column} AS at FROM orders o WHERE {within} {order.rows} LIMIT :limit"
    return _chosen(f"SELECT c.id, c.at FROM {pairs} CROSS JOIN LATERAL ({first}) c", order)


def _searched(q: str, conditions: _Conditions, order: _Order) -> Statement:
    """Merge a page from the first rows of each thing that a search may mean."""
    escaped = re.sub(r"([\\%_])", r"\\\1", q.upper())
    conditions.values |= {"q": q, "number_prefix": f"{escaped}%"}
    rows = f"SELECT o.id, o.{order.column} AS at FROM orders o WHERE {{}} AND {conditions} {order.rows} LIMIT :limit"
    return _chosen(" UNION ".join(f"({rows.format(text)})" for text, may in _MEANINGS.items() if may(q)), order)


def _chosen(rows: str, order: _Order) -> Statement:
    chosen = f"SELECT r.id FROM ({rows}) r {order.of('r.at', 'r.id')} LIMIT :limit"
    return _select(f"o.id IN ({chosen}) {order.rows}")


def _select(condition: str) -> Statement:
    return sql(f"SELECT {STATE_COLUMNS} FROM orders o WHERE {condition}")
