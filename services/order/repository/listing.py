"""Orders as they are looked for: by id or number, or page by page; always within a scope, in one statement."""

import re
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from services.order.domain.orders import Order
from services.order.domain.scopes import OrderFilter, Scope
from services.order.repository.orders import STATE_COLUMNS, to_order
from services.order.repository.stuck import IS_STUCK

_SORTS = {"created_at": "o.created_at", "updated_at": "o.updated_at", "total_amount": "o.total_minor"}
_VENDOR = "EXISTS (SELECT FROM order_items i WHERE i.order_id = o.id AND i.vendor_id = :vendor_id)"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# A cancelled order waits for the release of what is held for it: nothing is of one that was shipped.
SEEN = sa.text("""
SELECT id::text, version,
       pending_operation IS NULL AND NOT (status = 'cancelled' AND held <> '[]'::jsonb) AS settled
FROM orders WHERE id = ANY(:ids ::uuid[])
""")


@dataclass(slots=True)
class _Conditions:
    texts: list[str] = field(default_factory=lambda: ["true"])
    values: dict[str, object] = field(default_factory=dict)

    def add(self, text: str, **values: object) -> None:
        if all(value is not None for value in values.values()):
            self.texts.append(text)
            self.values.update(values)


def find_one(connection: sa.Connection, scope: Scope, id_or_number: str) -> Order | None:
    """Return an order by its id or its number, None where it is not there or not in the scope."""
    conditions = _within(scope)
    by = "o.id = CAST(:wanted AS uuid)" if _UUID.fullmatch(id_or_number) else "o.order_number = :wanted"
    conditions.add(by, wanted=id_or_number)
    rows = connection.execute(_select(conditions, "LIMIT 1"), conditions.values)
    return next((to_order(row) for row in rows), None)


def find_page(
    connection: sa.Connection, scope: Scope, wanted: OrderFilter, after: tuple[Any, ...] | None, limit: int
) -> list[Order]:
    """Return up to `limit` orders in the order that is asked for, from behind `after` = (sort value, id)."""
    conditions = _within(scope)
    conditions.add("o.status = :status", status=wanted.status)
    conditions.add("o.created_at >= :created_from", created_from=wanted.created_from)
    conditions.add("o.created_at < :created_before", created_before=wanted.created_before)
    conditions.add("o.updated_at >= :updated_from", updated_from=wanted.updated_from)
    conditions.add("o.order_number = :number", number=wanted.number)
    conditions.add("o.request_id = :request_id", request_id=wanted.request_id)
    conditions.add("o.customer_id = :wanted_customer", wanted_customer=wanted.customer_id)
    if wanted.stuck is not None:
        conditions.add(IS_STUCK if wanted.stuck else f"NOT {IS_STUCK}")
    descending = wanted.sort.startswith("-")
    column = _SORTS[wanted.sort.lstrip("-")]
    if after is not None:
        sign = "<" if descending else ">"
        conditions.add(
            f"({column}, o.id) {sign} (:after_value, CAST(:after_id AS uuid))", after_value=after[0], after_id=after[1]
        )
    direction = "DESC" if descending else "ASC"
    conditions.values["limit"] = limit
    statement = _select(conditions, f"ORDER BY {column} {direction}, o.id {direction} LIMIT :limit")
    return [to_order(row) for row in connection.execute(statement, conditions.values)]


def seen(connection: sa.Connection, order_ids: list[str]) -> dict[str, tuple[int, bool]]:
    """Return (version, whether no answer of inventory is awaited any more) of orders."""
    return {row.id: (row.version, row.settled) for row in connection.execute(SEEN, {"ids": order_ids})}


def _within(scope: Scope) -> _Conditions:
    conditions = _Conditions()
    conditions.add("o.customer_id = :customer_id", customer_id=scope.customer_id)
    conditions.add(_VENDOR, vendor_id=scope.vendor_id)
    return conditions


def _select(conditions: _Conditions, end: str) -> sa.TextClause:
    return sa.text(f"SELECT {STATE_COLUMNS} FROM orders o WHERE {' AND '.join(conditions.texts)} {end}")
