"""Analytics, read from facts of days, months, quarters and years: one statement a kind, however long the period."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from services.chassis.connection import Connection
from services.chassis.results import Row
from services.chassis.statements import sql
from services.order.domain.analytics import FIRST_DAY, BoughtTogether, Facts, ProductSales, Span, Units, cover
from services.order.domain.scopes import Scope

TODAY = sql("""
SELECT (now() AT TIME ZONE :zone)::date AS today, (SELECT as_of FROM analytics_state WHERE zone = :zone) AS as_of
""")
_UNITS = "unnest(:grains ::text[], :days ::date[], :signs ::int[]) u(grain, day, sign)"
COUNTS = sql(f"""
SELECT f.currency, f.measure, f.key, bigint_sum(u.sign * f.n) AS n
FROM {_UNITS} JOIN analytics_facts f ON f.grain = u.grain AND f.day = u.day
WHERE f.zone = :zone AND f.scope = :scope GROUP BY 1, 2, 3 HAVING bigint_sum(u.sign * f.n) <> 0
""")
LIFETIME = sql(f"""
SELECT f.currency, bigint_sum(u.sign * f.n) FILTER (WHERE f.measure = 'identified') AS revenue,
    bigint_sum(u.sign * f.n) FILTER (WHERE f.measure = 'new') AS customers
FROM {_UNITS} JOIN analytics_facts f ON f.grain = u.grain AND f.day = u.day
WHERE f.zone = :zone AND f.scope = 'all' AND f.measure IN ('identified', 'new') GROUP BY 1
""")
# The best by revenue, and those in most orders. Of many SKUs few are shown: they are picked, not all of them sorted.
PRODUCTS = sql(f"""
WITH sold AS MATERIALIZED (
    SELECT p.currency, p.sku, bigint_sum(u.sign * p.units) AS units,
        bigint_sum(u.sign * p.revenue_minor) AS revenue_minor, bigint_sum(u.sign * p.orders) AS orders
    FROM {_UNITS} JOIN analytics_products p ON p.grain = u.grain AND p.day = u.day
    WHERE p.zone = :zone AND p.scope = :scope GROUP BY 1, 2
), picked AS (
    SELECT false AS frequent, best.* FROM unnest(:currencies ::text[]) c(currency) CROSS JOIN LATERAL (
        SELECT * FROM sold s WHERE s.currency = c.currency AND s.orders <> 0
        ORDER BY s.revenue_minor DESC, s.sku LIMIT :best) best
    UNION ALL
    SELECT true, frequent.* FROM unnest(:currencies ::text[]) c(currency) CROSS JOIN LATERAL (
        SELECT * FROM sold s WHERE s.currency = c.currency AND s.orders <> 0
        ORDER BY s.orders DESC, s.sku LIMIT :frequent) frequent
)
SELECT p.*, v.product_name AS name FROM picked p LEFT JOIN catalog_variants v ON v.sku = p.sku
ORDER BY p.revenue_minor DESC, p.sku
""")
# Of pairs among these SKUs, which are few of very many: one walk through the index a currency and range of days, which
# goes from one pair of the two lists to the next. As a join it would be a descent for each pair; without `OFFSET 0`
# the planner, which expects that nearly nothing is found, reads all pairs of each SKU.
PAIRS = sql("""
WITH wanted AS MATERIALIZED (
    SELECT currency, array_agg(sku COLLATE "C") AS skus
    FROM unnest(:currencies ::text[], :skus ::text[]) w(currency, sku) GROUP BY 1
), summed AS (
    SELECT w.currency, found.sku_a, found.sku_b, bigint_sum(u.sign * found.orders) AS orders
    FROM wanted w
    CROSS JOIN unnest(:grains ::text[], :since ::date[], :until ::date[], :signs ::int[]) u(grain, since, until, sign)
    CROSS JOIN LATERAL (
        SELECT p.sku_a, p.sku_b, p.orders FROM analytics_pairs p
        WHERE p.zone = :zone AND p.scope = :scope AND p.currency = w.currency
            AND p.sku_a = ANY(w.skus) AND p.sku_b = ANY(w.skus)
            AND p.grain = u.grain AND p.day >= u.since AND p.day < u.until
        OFFSET 0
    ) found
    GROUP BY 1, 2, 3
)
SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY currency ORDER BY orders DESC, sku_a, sku_b) AS rank
    FROM summed WHERE orders > 0
) ranked WHERE rank <= :best ORDER BY rank
""")
# Of pairs: coarser ones would have to be looked up too, for each pair.
PAIR_GRAINS = ("day", "month")


class Analytics:
    """What one transaction reads of the facts."""

    # How many products and pairs are shown, and among how many products pairs are looked for.
    BEST, FREQUENT = 10, 50

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def today(self, zone: str) -> tuple[date, datetime | None]:
        """Return the day that it is in a time zone, and until when its facts are complete, None before they are."""
        row = self._connection.execute(TODAY, {"zone": zone}).one()
        return row.today, row.as_of

    def facts(self, scope: Scope, zone: str, span: Span, today: date) -> dict[str, Facts]:
        """Return the facts of some days by currency: all, or a vendor's."""
        seen = "all" if scope.vendor_id is None else f"vendor:{scope.vendor_id}"
        about = {"zone": zone, "scope": seen, **_each(cover(span, today))}
        counts: dict[str, dict[str, dict[str, int]]] = {}
        for row in self._connection.execute(COUNTS, about):
            counts.setdefault(row.currency, {}).setdefault(row.measure, {})[row.key] = row.n
        wanted = about | {"currencies": list(counts), "best": self.BEST, "frequent": self.FREQUENT}
        picked = self._connection.execute(PRODUCTS, wanted).all()
        frequent = [(row.currency, row.sku) for row in picked if row.frequent]
        pairs = self._pairs(cover(span, today, PAIR_GRAINS), zone, seen, frequent)
        products: dict[str, list[ProductSales]] = {}
        for row in picked:
            if not row.frequent:
                products.setdefault(row.currency, []).append(_product(row))
        lifetime = self._lifetime(zone, Span(FIRST_DAY, span.last), today) if scope.vendor_id is None else {}
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
            "signs": [unit.sign for unit in units],
            "best": self.BEST,
        }
        found: dict[str, list[BoughtTogether]] = {}
        for row in self._connection.execute(PAIRS, about):
            pair = BoughtTogether(skus=(row.sku_a, row.sku_b), orders=row.orders)
            found.setdefault(row.currency, []).append(pair)
        return found

    def _lifetime(self, zone: str, span: Span, today: date) -> dict[str, tuple[int, int]]:
        rows = self._connection.execute(LIFETIME, {"zone": zone, **_each(cover(span, today))})
        return {row.currency: (row.revenue, row.customers) for row in rows}


def _each(units: Sequence[Units]) -> Mapping[str, Sequence[str | int]]:
    each = [(unit, day) for unit in units for day in unit.each()]
    return {
        "grains": [unit.grain for unit, _ in each],
        "days": [day.isoformat() for _, day in each],
        "signs": [unit.sign for unit, _ in each],
    }


def _product(row: Row) -> ProductSales:
    return ProductSales(sku=row.sku, name=row.name, units=row.units, revenue_minor=row.revenue_minor, orders=row.orders)
