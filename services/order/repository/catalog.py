"""The catalog's projection: the newest version of each SKU, whatever order and however often it is told."""

from collections.abc import Iterable, Sequence

from schemas.contracts import VariantPublished, VariantRetired
from services.chassis.connection import Connection
from services.chassis.statements import often, sql
from services.order.domain.drafts import CatalogVariant

UPSERT = sql("""
INSERT INTO catalog_variants AS c (sku, product_name, variant_name, vendor_id, price_minor, currency, active, version)
SELECT * FROM unnest(:skus ::text[], :products ::text[], :variants ::text[], :vendors ::text[], :prices ::bigint[],
                     :currencies ::text[], :active ::boolean[], :versions ::bigint[])
ON CONFLICT (sku) DO UPDATE SET product_name = excluded.product_name, variant_name = excluded.variant_name,
    vendor_id = excluded.vendor_id, price_minor = excluded.price_minor, currency = excluded.currency,
    active = excluded.active, version = excluded.version
WHERE c.version < excluded.version
""")
# A SKU that was retired before it was read for the first time is remembered too: an old publication may follow.
RETIRE = sql("""
INSERT INTO catalog_variants AS c (sku, product_name, variant_name, price_minor, currency, active, version)
SELECT d.sku, '', '', 0, '', false, d.version FROM unnest(:skus ::text[], :versions ::bigint[]) d(sku, version)
ON CONFLICT (sku) DO UPDATE SET active = false, version = excluded.version WHERE c.version < excluded.version
""")
READ = often("""
SELECT sku, product_name, variant_name, vendor_id, price_minor, currency, active, version
FROM catalog_variants WHERE sku = ANY(:skus ::text[])
""")


def publish(connection: Connection, events: Sequence[VariantPublished]) -> None:
    """Take publications; each SKU at most once."""
    connection.execute(
        UPSERT,
        {
            "skus": [event.sku for event in events],
            "products": [event.product_name for event in events],
            "variants": [event.variant_name for event in events],
            "vendors": [event.vendor_id for event in events],
            "prices": [event.price_minor for event in events],
            "currencies": [event.currency for event in events],
            "active": [event.active for event in events],
            "versions": [event.version for event in events],
        },
    )


def retire(connection: Connection, events: Sequence[VariantRetired]) -> None:
    """Take retirements; each SKU at most once."""
    columns = {"skus": [event.sku for event in events], "versions": [event.version for event in events]}
    connection.execute(RETIRE, columns)


def read(connection: Connection, skus: Iterable[str]) -> dict[str, CatalogVariant]:
    """Return what the catalog says of SKUs."""
    # A request by Kafka may name anything; no SKU has a NUL, and PostgreSQL cannot even be asked for one.
    wanted = sorted({sku for sku in skus if "\x00" not in sku})
    if not wanted:
        return {}
    return {row.sku: CatalogVariant(**row._asdict()) for row in connection.execute(READ, {"skus": wanted})}
