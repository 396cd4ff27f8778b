"""The analytics of some days from the tables of orders, as one would write it down: each figure a query.

It knows UTC only, and is right: what the product answers has to equal it.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.chassis.connection import Connection
from services.chassis.statements import sql

_DAYS = "o.created_at >= :since ::date::timestamptz AND o.created_at < (:until ::date + 1)::timestamptz"
_SOLD = f"{_DAYS} AND o.status <> 'cancelled'"
QUERIES: Mapping[str, str] = {
    "volume": f"""
SELECT currency, count(*), count(*) FILTER (WHERE status = 'cancelled'),
    sum(total_minor - conceded_minor) FILTER (WHERE status <> 'cancelled')
FROM orders o WHERE {_DAYS} GROUP BY 1""",
    "by_status": f"SELECT currency, status, count(*) FROM orders o WHERE {_DAYS} GROUP BY 1, 2",
    "reasons": f"SELECT currency, cancel_reason, count(*) FROM orders o WHERE {_DAYS} GROUP BY 1, 2",
    "by_hour": f"""
SELECT currency, extract(isodow FROM created_at AT TIME ZONE 'UTC'), extract(hour FROM created_at AT TIME ZONE 'UTC'),
    count(*), sum(total_minor - conceded_minor) FILTER (WHERE status <> 'cancelled')
FROM orders o WHERE {_DAYS} GROUP BY 1, 2, 3""",
    "times": f"""
SELECT currency, status, percentile_disc(ARRAY[0.5, 0.9, 0.99]) WITHIN GROUP (ORDER BY stay) FROM (
    SELECT o.currency, h.status, lead(h.created_at) OVER (PARTITION BY h.order_id ORDER BY h.version) - h.created_at
        AS stay
    FROM orders o JOIN order_history h ON h.order_id = o.id WHERE {_DAYS}) stays
WHERE stay IS NOT NULL GROUP BY 1, 2""",
    "baskets": f"""
SELECT currency, lines, count(*), sum(units) FROM (
    SELECT o.currency, o.id, count(*) AS lines, sum(i.quantity) AS units
    FROM orders o JOIN order_items i ON i.order_id = o.id WHERE {_SOLD} GROUP BY 1, 2) baskets
GROUP BY 1, 2""",
    "top_products": f"""
SELECT * FROM (
    SELECT o.currency, i.sku, sum(i.total_minor) AS revenue, sum(i.quantity) AS units,
        row_number() OVER (PARTITION BY o.currency ORDER BY sum(i.total_minor) DESC, i.sku COLLATE "C") AS rank
    FROM orders o JOIN order_items i ON i.order_id = o.id WHERE {_SOLD} GROUP BY 1, 2) ranked
WHERE rank <= 10 ORDER BY currency, rank""",
    "bought_together": f"""
WITH sold AS MATERIALIZED (
    SELECT DISTINCT o.id, o.currency, i.sku COLLATE "C" AS sku
    FROM orders o JOIN order_items i ON i.order_id = o.id WHERE {_SOLD}
), frequent AS (
    SELECT * FROM (SELECT currency, sku, row_number() OVER (PARTITION BY currency ORDER BY count(*) DESC, sku) AS rank
                   FROM sold GROUP BY 1, 2) ranked
    WHERE rank <= 50
), pairs AS (
    SELECT a.currency, a.sku AS sku_a, b.sku AS sku_b, count(*) AS orders,
        row_number() OVER (PARTITION BY a.currency ORDER BY count(*) DESC, a.sku, b.sku) AS rank
    FROM (SELECT s.* FROM sold s JOIN frequent f USING (currency, sku)) a
    JOIN (SELECT s.* FROM sold s JOIN frequent f USING (currency, sku)) b ON b.id = a.id AND b.sku > a.sku
    GROUP BY 1, 2, 3
)
SELECT currency, sku_a, sku_b, orders FROM pairs WHERE rank <= 10 ORDER BY currency, rank""",
    "customers": f"""
SELECT currency, count(*) FILTER (WHERE nth = 1), count(*) FILTER (WHERE nth = 2), count(*) FILTER (WHERE nth > 1)
FROM (SELECT o.*, row_number() OVER (PARTITION BY customer_id, currency ORDER BY created_at, id) AS nth
      FROM orders o WHERE customer_id IS NOT NULL) o
WHERE {_DAYS} GROUP BY 1""",
    "lifetime": """
SELECT currency, sum(total_minor - conceded_minor) FILTER (WHERE status <> 'cancelled'), count(DISTINCT customer_id)
FROM orders o WHERE customer_id IS NOT NULL AND o.created_at < (:until ::date + 1)::timestamptz GROUP BY 1""",
    "vendors": f"""
SELECT o.currency, i.vendor_id, count(DISTINCT o.id), sum(i.quantity), sum(i.total_minor)
FROM orders o JOIN order_items i ON i.order_id = o.id WHERE {_SOLD} GROUP BY 1, 2""",
}


@dataclass(frozen=True, slots=True)
class Naive:
    """What the queries found: rows by query, and how long all of them took together."""

    rows: Mapping[str, list[Any]] = field(default_factory=dict)
    seconds: float = 0.0


def ask(connection: Connection, since: str, until: str) -> Naive:
    """Run all queries, in UTC."""
    connection.execute(sql("SET LOCAL timezone = 'UTC'"))
    began = time.monotonic()
    rows = {
        name: [tuple(row) for row in connection.execute(sql(query), {"since": since, "until": until})]
        for name, query in QUERIES.items()
    }
    return Naive(rows, time.monotonic() - began)


def differences(naive: Naive, answer: Mapping[str, Any]) -> Iterator[str]:
    """Yield which figures of an answer are not what the queries found, both told."""
    for figures in answer["data"]:
        for name, shown in _SHOWN.items():
            expected = sorted(map(_plain, (row[1:] for row in naive.rows[name] if row[0] == figures["currency"])))
            found = sorted(map(_plain, shown(figures)))
            if found != expected:
                yield f"{name} in {figures['currency']}: {found[:3]} is not {expected[:3]}"


def _plain(row: Any) -> tuple[Any, ...]:
    return tuple(value if isinstance(value, str) else int(value) for value in row)


def _minor(amount: str) -> int:
    return round(float(amount) * 100)


_Rows = Callable[[Mapping[str, Any]], list[tuple[Any, ...]]]
_SHOWN: Mapping[str, _Rows] = {
    "volume": lambda f: [(f["orders"], f["cancelled"], _minor(f["revenue"]))],
    "by_status": lambda f: [(row["status"], row["orders"]) for row in f["by_status"] if row["orders"]],
    "top_products": lambda f: [
        (row["sku"], _minor(row["revenue"]), row["units"], rank) for rank, row in enumerate(f["top_products"], 1)
    ],
    "bought_together": lambda f: [(*row["skus"], row["orders"]) for row in f["bought_together"]],
    "customers": lambda f: [tuple(f["customers"][name] for name in ("new", "repeat", "returning_orders"))],
    "vendors": lambda f: [
        (row["vendor_id"], row["orders"], row["units"], _minor(row["revenue"])) for row in f["vendors"]
    ],
}
