"""Money on the wire: decimal strings outside, whole minor units inside, never a float.

The digits of a currency are those of ISO 4217. CLDR's, which Babel formats with, are what people usually write: 0 for
RSD, where ISO 4217 has 2, so an amount of 19.99 RSD would be refused by them.
"""

from decimal import Decimal
from functools import cache

from iso4217 import Currency


@cache
def digits(currency: str) -> int:
    """Return how many decimals a currency has.

    Raises:
        ValueError: there is no such currency, or it has no units to pay with (gold, testing codes).

    """
    try:
        exponent = Currency(currency).exponent
    except ValueError as error:
        raise ValueError(f"{currency!r} is no currency of ISO 4217") from error
    if exponent is None:
        raise ValueError(f"{currency!r} is nothing to pay with")
    return exponent


def minor_units(amount: Decimal, currency: str) -> int:
    """Return an amount in whole minor units.

    Raises:
        ValueError: the amount has more decimals than the currency, or there is no such currency.

    """
    scaled = amount.scaleb(digits(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more decimals than {currency} has ({digits(currency)})")
    return int(scaled)


def amount_text(minor: int, currency: str) -> str:
    """Return an amount for people who read English, for example "19.99 EUR"; without decimals of an unknown currency.

    What is refused may be of any currency, so that this one raises nothing.
    """
    try:
        return f"{decimal_string(minor, currency)} {currency}"
    except ValueError:
        return f"{minor} minor units of {currency}"


def decimal_string(minor: int, currency: str) -> str:
    """Return an amount as REST shows it, for example "19.99"."""
    places = digits(currency)
    if places == 0:
        return str(minor)
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{whole // 10**places}.{whole % 10**places:0{places}d}"
