"""Prices, discounts, taxes and totals, to the minor unit."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.order.domain.pricing import NO_TAX, ShippingMethod, TaxRate, prorate, total_up
from services.order.domain.requests import MAX_ITEMS
from tests.support.saga_builders import a_rate, shop_terms, unhurried

# Up to a billion in minor units a piece; free samples and whole-sale quantities included.
PRICES = st.integers(0, 10**11)
LINES = st.lists(st.tuples(PRICES, st.integers(1, 1_000_000)), min_size=1, max_size=20)
RATES = st.builds(TaxRate, st.decimals("0", "1", places=4), inclusive=st.booleans())
SHARES = st.fractions(0, 1)


def half_up(amount: Fraction) -> int:
    return floor(amount + Fraction(1, 2))


# --- largest remainder


@pytest.mark.parametrize(
    ("amount", "weights", "parts"),
    [
        pytest.param(100, [1, 1, 1], [34, 33, 33], id="the first of equal remainders gets the odd unit"),
        pytest.param(200, [1, 1, 1], [67, 67, 66], id="two odd units go to the first two"),
        pytest.param(10, [1, 2, 7], [1, 2, 7], id="what divides evenly is divided evenly"),
        pytest.param(10, [333, 333, 334], [3, 3, 4], id="the largest remainder gets the odd unit"),
        pytest.param(1, [10, 90], [0, 1], id="one unit goes to the largest"),
        pytest.param(5, [0, 7], [0, 5], id="a free line gets nothing"),
        pytest.param(0, [3, 4], [0, 0], id="nothing is nothing for all"),
        pytest.param(0, [0, 0], [0, 0], id="nothing of nothing"),
        pytest.param(7, [7], [7], id="one line gets all"),
    ],
)
def test_an_amount_is_split_by_largest_remainder(amount: int, weights: list[int], parts: list[int]) -> None:
    assert prorate(amount, weights) == parts


@unhurried
@given(weights=st.lists(st.integers(0, 10**15), min_size=1, max_size=MAX_ITEMS), share=SHARES)
def test_the_parts_add_up_and_each_is_its_exact_share_rounded_down_or_up(weights: list[int], share: Fraction) -> None:
    whole = sum(weights)
    amount = floor(whole * share)
    parts = prorate(amount, weights)
    assert sum(parts) == amount
    for part, weight in zip(parts, weights, strict=True):
        exact = Fraction(amount * weight, whole or 1)
        assert exact - 1 < part < exact + 1
        assert 0 <= part <= weight


@unhurried
@given(weights=st.lists(st.integers(0, 10**6), min_size=1, max_size=20), share=SHARES)
def test_who_gets_an_odd_unit_has_no_smaller_remainder_than_who_does_not(weights: list[int], share: Fraction) -> None:
    whole = sum(weights)
    amount = floor(whole * share)
    remainders = [amount * weight % (whole or 1) for weight in weights]
    odd = [p - amount * w // (whole or 1) for p, w in zip(prorate(amount, weights), weights, strict=True)]
    luckless = [remainder for remainder, got in zip(remainders, odd, strict=True) if not got]
    lucky = [remainder for remainder, got in zip(remainders, odd, strict=True) if got]
    assert max(luckless, default=0) <= min(lucky, default=whole)


# --- taxes


@pytest.mark.parametrize(
    ("rate", "inclusive", "amount", "tax"),
    [
        pytest.param("0.19", False, 100, 19, id="on top"),
        pytest.param("0.19", True, 119, 19, id="inside"),
        pytest.param("0.05", False, 10, 1, id="half a unit is rounded up"),
        pytest.param("0.05", False, 30, 2, id="one and a half too: not to the even one"),
        pytest.param("0.05", False, 50, 3, id="two and a half too: not to the even one"),
        pytest.param("0.05", False, 9, 0, id="less than half is rounded down"),
        pytest.param("1", True, 1, 1, id="half a unit inside is rounded up"),
        pytest.param("0", False, 100, 0, id="no rate"),
        pytest.param("0.19", True, 0, 0, id="nothing"),
    ],
)
def test_tax_is_rounded_half_up(rate: str, inclusive: bool, amount: int, tax: int) -> None:
    assert a_rate(rate, inclusive=inclusive).of(amount) == tax


@unhurried
@given(rate=RATES, amount=st.integers(0, 10**15))
def test_tax_is_exact_before_it_is_rounded(rate: TaxRate, amount: int) -> None:
    fraction = Fraction(rate.rate)
    exact = amount * fraction / (1 + fraction) if rate.inclusive else amount * fraction
    assert rate.of(amount) == half_up(exact)


def test_tax_that_comes_on_top_is_added_to_the_line_and_to_shipping() -> None:
    totals = total_up([(1000, 2), (333, 1)], 0, 490, a_rate("0.19", inclusive=False))
    assert [(line.gross, line.tax, line.total) for line in totals.lines] == [(2000, 380, 2380), (333, 63, 396)]
    assert (totals.subtotal, totals.shipping, totals.tax) == (2333, 490, 380 + 63 + 93)
    assert totals.total == 2380 + 396 + 490 + 93


def test_tax_that_prices_include_changes_no_total() -> None:
    totals = total_up([(1190, 2)], 0, 595, a_rate("0.19", inclusive=True))
    assert [(line.tax, line.total) for line in totals.lines] == [(380, 2380)]
    assert (totals.tax, totals.total) == (380 + 95, 2380 + 595)


def test_tax_is_taken_on_what_is_left_after_the_discount() -> None:
    totals = total_up([(1000, 1)], 200, 0, a_rate("0.10", inclusive=False))
    [line] = totals.lines
    assert (line.gross, line.discount, line.tax, line.total) == (1000, 200, 80, 880)


def test_tax_is_rounded_a_line_and_not_on_the_sum() -> None:
    totals = total_up([(10, 1), (10, 1), (10, 1)], 0, 0, a_rate("0.05", inclusive=False))
    assert totals.tax == 3, "0.5 a line, rounded up three times; on the sum it would be 2"


def test_shipping_is_taxed_like_a_line_of_its_own() -> None:
    totals = total_up([(10, 1)], 0, 10, a_rate("0.05", inclusive=False))
    assert (totals.tax, totals.total) == (2, 22)


def test_without_a_rate_there_is_no_tax() -> None:
    totals = total_up([(1000, 1)], 0, 490, NO_TAX)
    assert (totals.tax, totals.total) == (0, 1490)


# --- sums


@unhurried
@given(lines=LINES, share=SHARES, shipping=PRICES, tax=RATES)
def test_all_sums_of_an_order_agree_to_the_minor_unit(
    lines: list[tuple[int, int]], share: Fraction, shipping: int, tax: TaxRate
) -> None:
    discount = floor(sum(price * quantity for price, quantity in lines) * share)
    totals = total_up(lines, discount, shipping, tax)
    shipping_tax = totals.tax - sum(line.tax for line in totals.lines)
    assert totals.subtotal == sum(line.gross for line in totals.lines)
    assert totals.discount == discount == sum(line.discount for line in totals.lines)
    assert totals.total == sum(line.total for line in totals.lines) + shipping + (0 if tax.inclusive else shipping_tax)
    assert totals.total == totals.subtotal - discount + shipping + (0 if tax.inclusive else totals.tax)


@unhurried
@given(lines=LINES, share=SHARES, tax=RATES)
def test_no_amount_of_a_line_is_negative(lines: list[tuple[int, int]], share: Fraction, tax: TaxRate) -> None:
    discount = floor(sum(price * quantity for price, quantity in lines) * share)
    for (price, quantity), line in zip(lines, total_up(lines, discount, 0, tax).lines, strict=True):
        assert line.gross == price * quantity
        assert 0 <= line.discount <= line.gross
        assert line.tax >= 0
        assert line.total >= 0


@unhurried
@given(lines=LINES, tax=RATES)
def test_a_discount_of_the_whole_subtotal_leaves_lines_that_cost_nothing(
    lines: list[tuple[int, int]], tax: TaxRate
) -> None:
    totals = total_up(lines, sum(price * quantity for price, quantity in lines), 0, tax)
    assert (totals.tax, totals.total) == (0, 0)


# --- shipping and places


SHIPPING = ShippingMethod("standard", {"EUR": 490, "JPY": 900}, {"EUR": 5000}, "DHL", 3, None)


@pytest.mark.parametrize(
    ("subtotal", "currency", "price"),
    [
        pytest.param(4999, "EUR", 490, id="below the limit"),
        pytest.param(5000, "EUR", 0, id="free from the limit on"),
        pytest.param(1_000_000, "JPY", 900, id="no limit in this currency"),
    ],
)
def test_shipping_costs_its_price_until_it_is_free(subtotal: int, currency: str, price: int) -> None:
    assert SHIPPING.price(subtotal, currency) == price


@pytest.mark.parametrize(
    ("country", "region", "rate"),
    [
        pytest.param("US", "CA", "0.0725", id="the region's"),
        pytest.param("US", "OR", "0", id="a region without one takes the country's: none here"),
        pytest.param("DE", "BY", "0.19", id="a region without one takes the country's"),
        pytest.param("DE", None, "0.19", id="the country's"),
        pytest.param("FR", None, "0", id="an unlisted country pays none"),
    ],
)
def test_the_tax_rate_is_that_of_where_the_goods_go(country: str, region: str | None, rate: str) -> None:
    rates = {"DE": a_rate("0.19", inclusive=True), "US-CA": a_rate("0.0725", inclusive=False)}
    found = shop_terms(tax_rates=rates).tax_for({"country_code": country, "state_province": region})
    assert found.rate == a_rate(rate, inclusive=True).rate
