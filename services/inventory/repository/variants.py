"""The catalog's rows: one a SKU, locked before anything of the SKU is changed."""

from collections.abc import Iterable, Sequence
from dataclasses import fields

from services.chassis.connection import Connection
from services.chassis.statements import often, sql
from services.inventory.domain.variants import Variant

# In the order of the class' fields, so that a row is its arguments.
COLUMNS = ", ".join(field.name for field in fields(Variant))
# In one global order, so that two transactions that want the same SKUs meet at the first of them.
LOCK_SKUS = often(f"SELECT {COLUMNS} FROM skus WHERE sku = ANY(:skus ::text[]) ORDER BY sku FOR NO KEY UPDATE")
INSERT_SKUS = sql("""
INSERT INTO skus (sku, product_name, variant_name, vendor_id, price_minor, currency, low_stock_threshold, active,
                  retired, version, low_stock_open, out_of_stock_open, catalog_events, stock_events)
SELECT * FROM unnest(:skus ::text[], :product_names ::text[], :variant_names ::text[], :vendor_ids ::text[],
                     :prices ::bigint[], :currencies ::text[], :thresholds ::int[], :active ::boolean[],
                     :retired ::boolean[], :versions ::bigint[], :low ::boolean[], :out ::boolean[],
                     :catalog_events ::bigint[], :stock_events ::bigint[])
""")
UPDATE_SKUS = sql("""
UPDATE skus s SET product_name = d.product_name, variant_name = d.variant_name, vendor_id = d.vendor_id,
    price_minor = d.price_minor, currency = d.currency, low_stock_threshold = d.threshold, active = d.active,
    retired = d.retired, version = d.version, low_stock_open = d.low, out_of_stock_open = d.out,
    catalog_events = d.catalog_events, stock_events = d.stock_events, updated_at = now()
FROM unnest(:skus ::text[], :product_names ::text[], :variant_names ::text[], :vendor_ids ::text[],
            :prices ::bigint[], :currencies ::text[], :thresholds ::int[], :active ::boolean[],
            :retired ::boolean[], :versions ::bigint[], :low ::boolean[], :out ::boolean[],
            :catalog_events ::bigint[], :stock_events ::bigint[])
    d(sku, product_name, variant_name, vendor_id, price_minor, currency, threshold, active, retired, version, low,
      out, catalog_events, stock_events)
WHERE s.sku = d.sku
""")


def lock(connection: Connection, skus: Iterable[str]) -> dict[str, Variant]:
    """Lock the rows of SKUs, sorted, and return what is known of each."""
    wanted = sorted(set(skus))
    if not wanted:
        return {}
    found = [Variant(*row) for row in connection.execute(LOCK_SKUS, {"skus": wanted}).all()]
    return {variant.sku: variant for variant in found}


def insert(connection: Connection, variants: Sequence[Variant]) -> None:
    """Add variants that have no row yet."""
    if variants:
        connection.execute(INSERT_SKUS, _columns(variants))


def update(connection: Connection, variants: Sequence[Variant]) -> None:
    """Write variants whose rows are locked."""
    if variants:
        connection.execute(UPDATE_SKUS, _columns(variants))


def _columns(variants: Sequence[Variant]) -> dict[str, object]:
    return {
        "skus": [variant.sku for variant in variants],
        "product_names": [variant.product_name for variant in variants],
        "variant_names": [variant.variant_name for variant in variants],
        "vendor_ids": [variant.vendor_id for variant in variants],
        "prices": [variant.price_minor for variant in variants],
        "currencies": [variant.currency for variant in variants],
        "thresholds": [variant.low_stock_threshold for variant in variants],
        "active": [variant.active for variant in variants],
        "retired": [variant.retired for variant in variants],
        "versions": [variant.version for variant in variants],
        "low": [variant.low_stock_open for variant in variants],
        "out": [variant.out_of_stock_open for variant in variants],
        "catalog_events": [variant.catalog_events for variant in variants],
        "stock_events": [variant.stock_events for variant in variants],
    }
