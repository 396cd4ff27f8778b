"""Money on the wire: the digits of ISO 4217, and nothing that gets lost on the way."""

from decimal import Decimal

import pytest

from services.chassis.money import amount_text, decimal_string, minor_units


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("19.99", "EUR", 1999), ("19.9", "EUR", 1990), ("500", "JPY", 500), ("1.234", "KWD", 1234), ("1.5", "RSD", 150)],
)
def test_an_amount_has_the_decimals_that_iso_4217_gives_its_currency(amount: str, currency: str, minor: int) -> None:
    assert minor_units(Decimal(amount), currency) == minor


@pytest.mark.parametrize(("amount", "currency"), [("19.999", "EUR"), ("0.5", "JPY"), ("1.2345", "KWD")])
def test_an_amount_with_more_decimals_than_its_currency_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match=currency):
        minor_units(Decimal(amount), currency)


@pytest.mark.parametrize("currency", ["ZZZ", "eur", "", "XAU"])
def test_what_is_no_currency_to_pay_with_is_refused(currency: str) -> None:
    with pytest.raises(ValueError, match=repr(currency)):
        minor_units(Decimal(1), currency)


@pytest.mark.parametrize(
    ("minor", "currency", "shown"),
    [(1999, "EUR", "19.99"), (5, "EUR", "0.05"), (0, "EUR", "0.00"), (-1999, "EUR", "-19.99"), (500, "JPY", "500")],
)
def test_an_amount_is_shown_with_all_its_decimals(minor: int, currency: str, shown: str) -> None:
    assert decimal_string(minor, currency) == shown


@pytest.mark.parametrize(
    ("minor", "currency", "told"),
    [(1999, "EUR", "19.99 EUR"), (500, "JPY", "500 JPY"), (500, "ZZZ", "500 minor units of ZZZ")],
)
def test_an_amount_that_is_refused_is_told_in_any_currency(minor: int, currency: str, told: str) -> None:
    assert amount_text(minor, currency) == told
