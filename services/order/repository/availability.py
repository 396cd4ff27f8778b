"""What inventory's alerts last said of variants."""

from collections.abc import Iterable, Sequence

from services.chassis.connection import Connection
from services.chassis.events import from_micros
from services.chassis.statements import sql
from services.order.domain.availability import Availability, ToldStock

# Sorted, so that two transactions never wait for each other. What was said later stands, whenever it is heard.
NOTE = sql("""
INSERT INTO stock_told AS s (sku, availability, told_at)
SELECT * FROM unnest(:skus ::text[], :states ::text[], :moments ::timestamptz[])
ON CONFLICT (sku) DO UPDATE SET availability = excluded.availability, told_at = excluded.told_at
WHERE s.told_at <= excluded.told_at
""")
# That a variant has recovered from low stock is not told, so its alert is believed for as long as its topic keeps it.
READ = sql("""
SELECT sku, availability FROM stock_told WHERE sku = ANY(:skus ::text[])
    AND (availability <> 'low_stock' OR told_at > now() - interval '7 days')
""")


class StockTold:
    """What one transaction hears and asks of variants."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def note(self, told: Sequence[ToldStock]) -> None:
        """Keep what alerts say; each SKU at most once."""
        rows = sorted(told, key=lambda row: row.sku)
        columns = {
            "skus": [row.sku for row in rows],
            "states": [row.availability.value for row in rows],
            "moments": [from_micros(row.at) for row in rows],
        }
        self._connection.execute(NOTE, columns)

    def of(self, skus: Iterable[str]) -> dict[str, Availability]:
        """Return what is known of SKUs; one of which nothing is known is missing."""
        rows = self._connection.execute(READ, {"skus": sorted(set(skus))})
        return {row.sku: Availability(row.availability) for row in rows}
