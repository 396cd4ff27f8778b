"""Analytics: which days are asked for, and what the facts of those days come to.

Facts are counts and sums by day, in minor units; here they become rates, averages and percentiles. Invariant: nothing
of two currencies is ever added up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum

from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.statuses import CancelReason, OrderStatus

FIRST_DAY, LAST_DAY, MOST_DAYS = date(2000, 1, 1), date(2999, 12, 31), 5 * 366
# What facts are added up by, the finest first.
GRAINS = ("day", "month", "quarter", "year")
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
# Buckets an octave in which times in a status are counted; the middle of one is within 2.2 % of all that is in it.
BUCKETS_AN_OCTAVE = 16
# Orders of more lines than this are one bar of the distribution of baskets.
MOST_LINES = 10
PERCENTILES = (50, 90, 99)
_DAY = timedelta(days=1)


class Period(StrEnum):
    """A period of the calendar; the one that contains today, until today."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


@dataclass(frozen=True, slots=True)
class Span:
    """Days, both ends included."""

    first: date
    last: date

    def before(self) -> "Span":
        """Return as many days right before these."""
        return Span(self.first - (self.last - self.first) - _DAY, self.first - _DAY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for: a period, or days.

    Args:
        period: of the calendar.
        first: the first day; wins over the period.
        last: the last day; today for None.
        zone: time zone in which days begin and end; the shop's first one for None.
        compare: whether the days right before are shown too.

    """

    period: Period = Period.MONTH
    first: date | None = None
    last: date | None = None
    zone: str | None = None
    compare: bool = False


def zone_of(wanted: Wanted, zones: Sequence[str]) -> str | Refusal:
    """Return the time zone that is meant, one of those that facts are kept for."""
    zone = wanted.zone or zones[0]
    if zone in zones:
        return zone
    detail = f"time_zone {zone[:100]!r} is not kept; there are: {', '.join(zones)}"
    return Refusal(RefusalCode.UNKNOWN_TIME_ZONE, detail, [Fault("time_zone", "unknown_time_zone", detail)])


def span_of(wanted: Wanted, today: date) -> Span | Refusal:
    """Return the days that are meant."""
    if wanted.first is None:
        return Span(_begin(wanted.period, today), today)
    last = wanted.last or today
    if last < wanted.first:
        return _refuse(f"from {wanted.first} is after to {last}" + ("" if wanted.last else ", which is today"), "from")
    if wanted.first < FIRST_DAY or last > LAST_DAY:
        return _refuse(f"days lie between {FIRST_DAY} and {LAST_DAY}", "from" if wanted.first < FIRST_DAY else "to")
    if (last - wanted.first).days >= MOST_DAYS:
        return _refuse(f"{(last - wanted.first).days + 1} days are more than {MOST_DAYS}, which are five years", "from")
    return Span(wanted.first, last)


def _refuse(detail: str, parameter: str) -> Refusal:
    return Refusal(RefusalCode.INVALID_PERIOD, detail, [Fault(parameter, "invalid_period", detail)])


def _begin(period: Period, today: date) -> date:
    return today - timedelta(days=today.weekday()) if period is Period.WEEK else _at_or_before(today, period.value)


@dataclass(frozen=True, slots=True)
class Units:
    """Whole days, months, quarters or years: from `since` until before `until`; to be added, or (-1) taken off."""

    grain: str
    since: date
    until: date
    sign: int = 1

    def each(self) -> Iterable[date]:
        """Return the first day of each."""
        day = self.since
        while day < self.until:
            yield day
            day = _next(day, self.grain)


def cover(span: Span, today: date, grains: Sequence[str] = GRAINS) -> list[Units]:
    """Return few units that come to some days: as coarse as they can be, finer ones in front of and behind them.

    Of most of a coarse unit the rest of it is taken off: four weeks of October are that month without three days. The
    unit that is running is a whole one where it is meant until today: nothing of it lies behind.
    """
    return _cover(span.first, span.last + _DAY, grains, running=span.last >= today)


def _cover(since: date, until: date, grains: Sequence[str], *, running: bool = False) -> list[Units]:
    *finer, grain = grains
    if since >= until or not finer:
        return [Units(grain, since, until)] if since < until else []
    if running:
        until = _at_or_after(until, grain)
    began, begin, end = _at_or_before(since, grain), _at_or_after(since, grain), _at_or_before(until, grain)
    if begin > end:
        around = _cover(began, since, finer) + _cover(until, begin, finer)
        return _fewer(_cover(since, until, finer), [Units(grain, began, begin), *_negative(around)])
    front = _fewer(_cover(since, begin, finer), [Units(grain, began, begin), *_negative(_cover(began, since, finer))])
    rest = Units(grain, end, _next(end, grain))
    back = _fewer(_cover(end, until, finer), [rest, *_negative(_cover(until, rest.until, finer))])
    return [*front, *([Units(grain, begin, end)] if begin < end else []), *back]


def _negative(units: Iterable[Units]) -> list[Units]:
    return [replace(unit, sign=-unit.sign) for unit in units]


def _fewer(plain: list[Units], without: list[Units]) -> list[Units]:
    """Return the shorter of two ways to come to the same days."""
    plainly, otherwise = (sum(len(list(unit.each())) for unit in units) for units in (plain, without))
    return plain if plainly <= otherwise else without


def _at_or_before(day: date, grain: str) -> date:
    """Return when the unit began that a day is in."""
    if grain == "day":
        return day
    months = day.year * 12 + day.month - 1
    months -= months % _MONTHS[grain]
    return date(months // 12, months % 12 + 1, 1)


def _next(day: date, grain: str) -> date:
    """Return when the unit behind the one begins that a day is in."""
    if grain == "day":
        return day + _DAY
    months = day.year * 12 + day.month - 1
    months += _MONTHS[grain] - months % _MONTHS[grain]
    return date(months // 12, months % 12 + 1, 1)


def _at_or_after(day: date, grain: str) -> date:
    return day if _at_or_before(day, grain) == day else _next(day, grain)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSales:
    """What was sold of a SKU; without cancelled orders."""

    sku: str
    name: str | None
    units: int
    revenue_minor: int
    orders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BoughtTogether:
    """In how many orders both SKUs are."""

    skus: tuple[str, str]
    orders: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorSales:
    """What was sold of a vendor; `vendor_id` is None for lines without one."""

    vendor_id: str | None
    orders: int
    units: int
    revenue_minor: int


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of some days in one currency.

    Args:
        currency: of all amounts.
        counts: measure → key → count or sum.
        products: those sold best by revenue, the best first.
        pairs: the most frequent first.
        lifetime: (revenue, customers) of all days up to the last one.

    """

    currency: str
    counts: Mapping[str, Mapping[str, int]]
    products: Sequence[ProductSales] = ()
    pairs: Sequence[BoughtTogether] = ()
    lifetime: tuple[int, int] = (0, 0)

    def of(self, measure: str, key: str = "") -> int:
        """Return one count; 0 where nothing was counted."""
        return self.counts.get(measure, {}).get(key, 0)

    def keys(self, measure: str) -> list[str]:
        """Return the keys under which something was counted."""
        return sorted(key for key, n in self.counts.get(measure, {}).items() if n)

    @property
    def orders(self) -> int:
        """Orders placed."""
        return sum(self.counts.get("status", {}).values())

    @property
    def sold(self) -> int:
        """Orders that are not cancelled."""
        return self.orders - self.of("status", OrderStatus.CANCELLED.value)

    @property
    def revenue_minor(self) -> int:
        """Totals of orders that are not cancelled, without what was given back of them."""
        return self.of("gross") - self.of("refunded")

    @property
    def average_minor(self) -> int | None:
        """Revenue an order that is not cancelled, rounded half up; None without any."""
        return None if not self.sold else _half_up(self.revenue_minor, self.sold)

    @property
    def lifetime_minor(self) -> int | None:
        """Revenue a customer, of all days until the last one, rounded half up; None without any."""
        revenue, customers = self.lifetime
        return None if not customers else _half_up(revenue, customers)

    @property
    def success_rate(self) -> float | None:
        """Share of the orders that were confirmed once, or still may be; None without any."""
        return ratio(self.orders - self.of("failed"), self.orders)

    def cancelled(self) -> list[tuple[CancelReason, int]]:
        """Return how many orders were cancelled for which reason, the most frequent first."""
        found = [(CancelReason(key), self.of("cancelled", key)) for key in self.keys("cancelled")]
        return sorted(found, key=lambda row: -row[1])

    def times(self) -> list[tuple[OrderStatus, int, list[int]]]:
        """Return (status, number of stays, percentiles of their length in microseconds), in the order of life."""
        found = []
        for status in OrderStatus:
            buckets = {int(key): n for key, n in self.counts.get(f"time:{status}", {}).items() if n}
            if buckets:
                found.append((status, sum(buckets.values()), [percentile(buckets, p) for p in PERCENTILES]))
        return found

    def vendors(self) -> list[VendorSales]:
        """Return what each vendor sold, the most revenue first."""
        found = [
            VendorSales(
                vendor_id=key or None,
                orders=self.of("vendor_orders", key),
                units=self.of("vendor_units", key),
                revenue_minor=self.of("vendor_revenue", key),
            )
            for key in self.keys("vendor_orders")
        ]
        return sorted(found, key=lambda row: -row.revenue_minor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is answered.

    Args:
        zone: in which days begin and end.
        as_of: until when all changes of orders are in it; None before the first look at them ended.
        span: the days.
        previous: the days right before, where they were asked for.
        facts: by currency.
        previous_facts: those of the days before.

    """

    zone: str
    as_of: datetime | None
    span: Span
    previous: Span | None
    facts: Mapping[str, Facts]
    previous_facts: Mapping[str, Facts]


def percentile(buckets: Mapping[int, int], percent: int) -> int:
    """Return a percentile in microseconds: the geometric middle of the bucket that holds it (nearest rank)."""
    rank, seen = -(-sum(buckets.values()) * percent // 100), 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return round(2 ** ((bucket + 0.5) / BUCKETS_AN_OCTAVE))
    raise ValueError("there are no percentiles of nothing")


def ratio(part: int, whole: int) -> float | None:
    """Return a share, rounded to four decimals; None of nothing."""
    return None if not whole else round(part / whole, 4)


def _half_up(amount: int, n: int) -> int:
    return (2 * amount + n) // (2 * n)
