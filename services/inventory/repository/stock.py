"""Levels and their ledger. Whoever reads a level to change it holds its SKU's row (`variants.lock`)."""

from collections.abc import Sequence
from dataclasses import fields

from services.chassis.connection import Connection
from services.chassis.statements import appended, deferred, often, sql
from services.inventory.domain.stock import Movement, Stock, StockLevel

# In the order of the class' fields, so that a row is its arguments.
_COLUMNS = ", ".join(field.name for field in fields(StockLevel))
READ_LEVELS = often(f"SELECT {_COLUMNS} FROM stock_levels WHERE sku = ANY(:skus ::text[])")
UPDATE_LEVELS = deferred("""
UPDATE stock_levels l SET on_hand = d.on_hand, reserved = d.reserved, allocated = d.allocated, version = d.version
FROM (SELECT unnest(:skus ::text[]) AS sku, unnest(:locations ::text[]) AS location,
             unnest(:on_hand ::bigint[]) AS on_hand, unnest(:reserved ::bigint[]) AS reserved,
             unnest(:allocated ::bigint[]) AS allocated, unnest(:versions ::bigint[]) AS version) d
WHERE l.sku = d.sku AND l.location = d.location
""")
INSERT_LEVELS = sql("""
INSERT INTO stock_levels (sku, location, on_hand, reserved, allocated, version)
SELECT unnest(:skus ::text[]), unnest(:locations ::text[]), unnest(:on_hand ::bigint[]), unnest(:reserved ::bigint[]),
       unnest(:allocated ::bigint[]), unnest(:versions ::bigint[])
""")
INSERT_MOVEMENTS = appended(
    "stock_movements",
    {
        "sku": "text",
        "location": "text",
        "kind": "text",
        "on_hand": "bigint",
        "reserved": "bigint",
        "allocated": "bigint",
        "on_hand_after": "bigint",
        "reserved_after": "bigint",
        "allocated_after": "bigint",
        "reason": "text",
        "reference": "text",
        "order_id": "uuid",
        "actor": "text",
        "event_id": "uuid",
    },
)


def read_levels(connection: Connection, skus: Sequence[str]) -> Stock:
    """Return the levels of SKUs whose rows are locked."""
    if not skus:
        return Stock()
    levels = [StockLevel(*row) for row in connection.execute(READ_LEVELS, {"skus": list(skus)}).all()]
    return Stock({(level.sku, level.location): level for level in levels})


def save(connection: Connection, stock: Stock, existing: frozenset[tuple[str, str]]) -> None:
    """Write the levels that were moved, and the ledger.

    Args:
        connection: the transaction.
        stock: what was moved.
        existing: the (sku, location) pairs that have a row.

    """
    if not stock.movements:
        return
    moved = list(stock.moved())
    changed = [level for level in moved if (level.sku, level.location) in existing]
    new = [level for level in moved if (level.sku, level.location) not in existing]
    if changed:
        connection.execute(UPDATE_LEVELS, _level_columns(changed))
    if new:
        connection.execute(INSERT_LEVELS, _level_columns(new))
    connection.execute(INSERT_MOVEMENTS, _movement_columns(stock.movements))


def _level_columns(levels: Sequence[StockLevel]) -> dict[str, object]:
    return {
        "skus": [level.sku for level in levels],
        "locations": [level.location for level in levels],
        "on_hand": [level.on_hand for level in levels],
        "reserved": [level.reserved for level in levels],
        "allocated": [level.allocated for level in levels],
        "versions": [level.version for level in levels],
    }


def _movement_columns(movements: Sequence[Movement]) -> dict[str, object]:
    return {
        "sku": [movement.sku for movement in movements],
        "location": [movement.location for movement in movements],
        "kind": [movement.kind.value for movement in movements],
        "on_hand": [movement.on_hand for movement in movements],
        "reserved": [movement.reserved for movement in movements],
        "allocated": [movement.allocated for movement in movements],
        "on_hand_after": [movement.on_hand_after for movement in movements],
        "reserved_after": [movement.reserved_after for movement in movements],
        "allocated_after": [movement.allocated_after for movement in movements],
        "reason": [movement.because.reason for movement in movements],
        "reference": [movement.because.reference for movement in movements],
        "order_id": [movement.because.order_id for movement in movements],
        "actor": [movement.because.actor for movement in movements],
        "event_id": [movement.because.event_id for movement in movements],
    }
