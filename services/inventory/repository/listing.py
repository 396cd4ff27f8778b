"""Variants, levels, reservations and movements as they are looked for, page by page."""

from collections.abc import Sequence
from typing import Any

from services.chassis.connection import Connection
from services.chassis.statements import sql
from services.inventory.domain.ledger import LedgerRow
from services.inventory.domain.reservations import Reservation
from services.inventory.domain.stock import MovementKind, StockLevel
from services.inventory.domain.variants import Variant
from services.inventory.repository import reservations, stock, variants

VARIANTS = sql(f"""
SELECT {variants.COLUMNS} FROM skus
WHERE (:after ::text IS NULL OR sku > :after) AND (:vendor_id ::text IS NULL OR vendor_id = :vendor_id)
  AND (:active ::boolean IS NULL OR active = :active)
  AND (:q ::text IS NULL OR sku ILIKE :q OR product_name ILIKE :q OR variant_name ILIKE :q)
ORDER BY sku LIMIT :limit
""")
VARIANT = sql(f"SELECT {variants.COLUMNS} FROM skus WHERE sku = :sku")
RESERVATIONS = sql(f"""
SELECT {reservations.COLUMNS} FROM reservations
WHERE (:order_id ::text IS NULL OR order_id::text = :order_id) AND (:status ::text IS NULL OR status = :status)
  AND (:after ::text IS NULL OR order_id > CAST(:after AS uuid))
ORDER BY order_id LIMIT :limit
""")
MOVEMENTS = sql("""
SELECT id, sku, location, kind, on_hand, reserved, allocated, on_hand_after, reserved_after, allocated_after, reason,
       reference, order_id::text, actor, event_id::text, created_at
FROM stock_movements
WHERE (:sku ::text IS NULL OR sku = :sku) AND (:order_id ::text IS NULL OR order_id::text = :order_id)
  AND (:kind ::text IS NULL OR kind = :kind) AND (:after ::bigint IS NULL OR id < :after)
ORDER BY id DESC LIMIT :limit
""")


def find_variants(connection: Connection, wanted: dict[str, Any]) -> list[Variant]:
    """Return variants by `q`, `vendor_id` and `active`, from behind the SKU `after`, `limit` at most."""
    like = None if wanted["q"] is None else "%" + _escaped(wanted["q"]) + "%"
    return [Variant(*row) for row in connection.execute(VARIANTS, {**wanted, "q": like})]


def find_variant(connection: Connection, sku: str) -> Variant | None:
    """Return a variant, None where there is none."""
    row = connection.execute(VARIANT, {"sku": sku}).first()
    return None if row is None else Variant(*row)


def find_levels(connection: Connection, sku: str) -> list[StockLevel]:
    """Return the levels of a SKU, by location."""
    levels = stock.read_levels(connection, [sku]).levels
    return [levels[place] for place in sorted(levels)]


def find_reservations(connection: Connection, wanted: dict[str, Any]) -> list[Reservation]:
    """Return reservations by `order_id` and `status`, from behind the order `after`, `limit` at most."""
    return [reservations.to_reservation(row) for row in connection.execute(RESERVATIONS, wanted)]


def find_movements(connection: Connection, wanted: dict[str, Any]) -> Sequence[LedgerRow]:
    """Return movements by `sku`, `order_id` and `kind`, newest first, before the id `after`, `limit` at most."""
    rows = (row._asdict() for row in connection.execute(MOVEMENTS, wanted))
    return [LedgerRow(**{**row, "kind": MovementKind(row["kind"])}) for row in rows]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
