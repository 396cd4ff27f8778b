"""Analytics, read from the facts that are kept of days and months: one statement a kind, however long the period."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import sqlalchemy as sa

from services.order.domain.analytics import BoughtTogether, Facts, ProductSales, Span, Units, cover
from services.order.domain.scopes import Scope

TODAY = sa.text("""
SELECT (now() AT TIME ZONE :zone)::date AS today, (SELECT as_of FROM analytics_state WHERE zone = :zone) AS as_of
""")
_UNITS = "unnest(:grains ::text[], :days ::date[]) u(grain, day)"
COUNTS = sa.text(f"""
SELECT f.currency, f.measure, f.key, sum(f.n)::bigint AS n
FROM {_UNITS} JOIN analytics_facts f ON f.grain = u.grain AND f.day = u.day
WHERE f.zone = :zone AND f.scope = :scope GROUP BY 1, 2, 3
""")
# Since the first order.
LIFETIME = sa.text("""
SELECT f.currency, sum(n) FILTER (WHERE measure = 'identified')::bigint AS revenue,
    sum(n) FILTER (WHERE measure = 'new')::bigint AS customers
FROM (
    SELECT 'month' AS grain, month::date AS day
    FROM (SELECT min(day) AS day FROM analytics_facts WHERE zone = :zone AND grain = 'month') first,
        generate_series(first.day, :until ::date - 1, '1 month') month
    WHERE month < date_trunc('month', :until ::date)
    UNION ALL
    SELECT 'day', day::date
    FROM generate_series(date_trunc('month', :until ::date), :until ::date - 1, '1 day') day
) u JOIN analytics_facts f ON f.grain = u.grain AND f.day = u.day
WHERE f.zone = :zone AND f.scope = 'all' AND f.measure IN ('identified', 'new') GROUP BY 1
""")
# The best by revenue, and those in most orders.
PRODUCTS = sa.text(f"""
WITH sold AS (
    SELECT p.currency, p.sku, sum(p.units)::bigint AS units, sum(p.revenue_minor)::bigint AS revenue_minor,
        sum(p.orders)::bigint AS orders
    FROM {_UNITS} JOIN analytics_products p ON p.grain = u.grain AND p.day = u.day
    WHERE p.zone = :zone AND p.scope = :scope GROUP BY 1, 2
), ranked AS (
    SELECT *, row_number() OVER (PARTITION BY currency ORDER BY revenue_minor DESC, sku) AS by_revenue,
        row_number() OVER (PARTITION BY currency ORDER BY orders DESC, sku) AS by_orders
    FROM sold WHERE orders <> 0
)
SELECT r.*, v.product_name AS name FROM ranked r LEFT JOIN catalog_variants v ON v.sku = r.sku
WHERE by_revenue <= :best OR by_orders <= :frequent ORDER BY by_revenue
""")
# Of pairs among these SKUs. Each is looked up by itself: they are few of very many.
PAIRS = sa.text("""
WITH wanted AS (
    SELECT currency, sku COLLATE "C" AS sku FROM unnest(:currencies ::text[], :skus ::text[]) w(currency, sku)
), summed AS (
    SELECT a.currency, a.sku AS sku_a, b.sku AS sku_b, sum(found.orders)::bigint AS orders
    FROM wanted a JOIN wanted b ON b.currency = a.currency AND b.sku > a.sku
    CROSS JOIN unnest(:grains ::text[], :since ::date[], :until ::date[]) u(grain, since, until)
    CROSS JOIN LATERAL (
        SELECT sum(p.orders) AS orders FROM analytics_pairs p
        WHERE p.zone = :zone AND p.scope = :scope AND p.currency = a.currency AND p.sku_a = a.sku AND p.sku_b = b.sku
            AND p.grain = u.grain AND p.day >= u.since AND p.day < u.until
    ) found
    GROUP BY 1, 2, 3
)
SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY currency ORDER BY orders DESC, sku_a, sku_b) AS rank
    FROM summed WHERE orders > 0
) ranked WHERE rank <= :best ORDER BY rank
""")


class Analytics:
    """What one transaction reads of the facts."""

    # How many products and pairs are shown, and among how many products pairs are looked for.
    BEST, FREQUENT = 10, 50

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def today(self, zone: str) -> tuple[date, datetime | None]:
        """Return the day that it is in a time zone, and until when its facts are complete, None before they are."""
        row = self._connection.execute(TODAY, {"zone": zone}).one()
        return row.today, row.as_of

    def facts(self, scope: Scope, zone: str, span: Span, today: date) -> dict[str, Facts]:
        """Return the facts of some days by currency: all, or a vendor's."""
        units = cover(span, today)
        seen = "all" if scope.vendor_id is None else f"vendor:{scope.vendor_id}"
        about = {"zone": zone, "scope": seen, **_each(units)}
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for row in self._connection.execute(COUNTS, about):
            counts.setdefault(row.currency, {}).setdefault(row.measure, {})[row.key] = row.n
        ranked = self._connection.execute(PRODUCTS, about | {"best": self.BEST, "frequent": self.FREQUENT}).all()
        pairs = self._pairs(units, zone, seen, [(row.currency, row.sku) for row in ranked if self._is_frequent(row)])
        products: dict[str, list[ProductSales]] = {}
        for row in ranked:
            if row.by_revenue <= self.BEST:
                products.setdefault(row.currency, []).append(_product(row))
        lifetime = self._lifetime(zone, units) if scope.vendor_id is None else {}
        return {
            currency: Facts(
                currency,
                counted,
                products.get(currency, []),
                pairs.get(currency, []),
                lifetime.get(currency, (0, 0)),
            )
            for currency, counted in sorted(counts.items())
            if sum(counted.get("status", {}).values())
        }

    def _is_frequent(self, row: "sa.Row[tuple[object, ...]]") -> bool:
        return int(row.by_orders) <= self.FREQUENT

    def _pairs(
        self, units: Sequence[Units], zone: str, scope: str, skus: Sequence[tuple[str, str]]
    ) -> dict[str, list[BoughtTogether]]:
        about = {
            "zone": zone,
            "scope": scope,
            "currencies": [currency for currency, _ in skus],
            "skus": [sku for _, sku in skus],
            "grains": [unit.grain for unit in units],
            "since": [unit.since.isoformat() for unit in units],
            "until": [unit.until.isoformat() for unit in units],
            "best": self.BEST,
        }
        found: dict[str, list[BoughtTogether]] = {}
        for row in self._connection.execute(PAIRS, about):
            pair = BoughtTogether(skus=(row.sku_a, row.sku_b), orders=row.orders)
            found.setdefault(row.currency, []).append(pair)
        return found

    def _lifetime(self, zone: str, units: Sequence[Units]) -> dict[str, tuple[int, int]]:
        until = max(unit.until for unit in units)
        rows = self._connection.execute(LIFETIME, {"zone": zone, "until": until})
        return {row.currency: (row.revenue or 0, row.customers or 0) for row in rows}


def _each(units: Sequence[Units]) -> Mapping[str, list[str]]:
    each = [(unit.grain, day.isoformat()) for unit in units for day in unit.each()]
    return {"grains": [grain for grain, _ in each], "days": [day for _, day in each]}


def _product(row: "sa.Row[tuple[object, ...]]") -> ProductSales:
    return ProductSales(sku=row.sku, name=row.name, units=row.units, revenue_minor=row.revenue_minor, orders=row.orders)
