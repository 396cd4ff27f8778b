"""Which days analytics are of, which units they are read from, and what facts come to."""

from collections import Counter
from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.order.domain.analytics import Facts, Period, Span, Units, Wanted, cover, percentile, span_of, zone_of
from services.order.domain.refusals import Refusal, RefusalCode

TODAY = date(2026, 11, 28)  # a Saturday
LONGEST = {"day": 1, "month": 31, "quarter": 92, "year": 366}
DAYS = st.dates(date(2020, 1, 1), date(2027, 12, 31))


@pytest.mark.parametrize(
    ("period", "first"),
    [
        (Period.DAY, TODAY),
        (Period.WEEK, date(2026, 11, 23)),
        (Period.MONTH, date(2026, 11, 1)),
        (Period.QUARTER, date(2026, 10, 1)),
        (Period.YEAR, date(2026, 1, 1)),
    ],
)
def test_a_period_is_the_one_that_contains_today_until_today(period: Period, first: date) -> None:
    assert span_of(Wanted(period=period), TODAY) == Span(first, TODAY)


def test_the_period_before_is_as_long_and_ends_the_day_before() -> None:
    assert Span(date(2026, 11, 1), TODAY).before() == Span(date(2026, 10, 4), date(2026, 10, 31))
    assert Span(TODAY, TODAY).before() == Span(TODAY - timedelta(days=1), TODAY - timedelta(days=1))


@pytest.mark.parametrize(
    ("first", "last", "parameter"),
    [
        (date(2026, 11, 2), date(2026, 11, 1), "from"),
        (TODAY + timedelta(days=1), None, "from"),
        (date(1999, 12, 31), date(2000, 1, 1), "from"),
        (date(2020, 1, 1), date(2025, 1, 5), "from"),
    ],
)
def test_days_that_there_are_none_of_are_refused_by_name(first: date, last: date | None, parameter: str) -> None:
    refused = span_of(Wanted(first=first, last=last), TODAY)
    assert isinstance(refused, Refusal)
    assert (refused.code, refused.faults[0].pointer) == (RefusalCode.INVALID_PERIOD, parameter)


def test_a_time_zone_that_is_not_kept_is_refused_with_those_that_are() -> None:
    assert zone_of(Wanted(), ("Europe/Berlin", "UTC")) == "Europe/Berlin"
    refused = zone_of(Wanted(zone="Mars"), ("Europe/Berlin", "UTC"))
    assert isinstance(refused, Refusal)
    assert "Europe/Berlin, UTC" in refused.detail


@given(first=DAYS, last=DAYS, today=DAYS)
def test_the_units_of_a_span_are_its_days_once_and_beyond_them_only_the_future(
    first: date, last: date, today: date
) -> None:
    span = Span(min(first, last), max(first, last))
    days: Counter[date] = Counter()
    for unit in cover(span, today):
        begins = [*unit.each(), unit.until]
        assert all(is_first_of(unit.grain, day) for day in begins)
        for i in range((begins[-1] - begins[0]).days):
            days[begins[0] + timedelta(days=i)] += unit.sign
        assert all(1 <= (end - begin).days <= LONGEST[unit.grain] for begin, end in pairwise(begins))
    counted = {day: n for day, n in days.items() if n}
    wanted = [span.first + timedelta(days=i) for i in range((span.last - span.first).days + 1)]
    assert set(counted.values()) == {1}
    assert sorted(day for day in counted if day <= span.last) == wanted
    assert all(day > today for day in counted if day > span.last)


@given(first=DAYS, last=DAYS, today=DAYS)
def test_no_span_takes_more_units_than_halves_of_coarser_ones(first: date, last: date, today: date) -> None:
    units = cover(Span(min(first, last), max(first, last)), today)
    # At either end half a month of days, a month, a quarter or two; and the years between.
    assert sum(len(list(unit.each())) for unit in units if unit.grain != "year") <= 2 * (16 + 2 + 3)


def is_first_of(grain: str, day: date) -> bool:
    months = {"day": None, "month": 1, "quarter": 3, "year": 12}[grain]
    return months is None or (day.day == 1 and (day.month - 1) % months == 0)


def test_a_year_until_today_is_a_whole_one_and_what_lies_in_front_of_it() -> None:
    assert cover(Span(date(2025, 11, 29), TODAY), TODAY) == [
        Units("day", date(2025, 11, 29), date(2025, 12, 1)),
        Units("month", date(2025, 12, 1), date(2026, 1, 1)),
        Units("year", date(2026, 1, 1), date(2027, 1, 1)),
    ]


def test_most_of_a_month_is_that_month_without_its_other_days() -> None:
    assert cover(Span(date(2026, 10, 4), date(2026, 10, 31)), TODAY) == [
        Units("month", date(2026, 10, 1), date(2026, 11, 1)),
        Units("day", date(2026, 10, 1), date(2026, 10, 4), sign=-1),
    ]


@given(st.lists(st.integers(0, 500), min_size=1))
def test_percentiles_are_in_the_bucket_of_the_nearest_rank(stays: list[int]) -> None:
    buckets = {bucket: stays.count(bucket) for bucket in stays}
    for percent in (50, 90, 99):
        rank = sorted(stays)[-(-len(stays) * percent // 100) - 1]
        assert percentile(buckets, percent) == round(2 ** ((rank + 0.5) / 16))


def test_nothing_is_divided_by_nothing() -> None:
    facts = Facts("EUR", {})
    assert (facts.average_minor, facts.lifetime_minor, facts.success_rate) == (None, None, None)


def test_averages_are_rounded_half_up() -> None:
    assert Facts("EUR", {"status": {"pending": 2}, "gross": {"": 5}}).average_minor == 3
