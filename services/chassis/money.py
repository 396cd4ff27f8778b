"""Money on the wire: decimal strings outside, whole minor units inside, never a float (DESIGN 2.4).

The digits of a currency are those of ISO 4217, from CLDR's data in Babel.
"""

from decimal import Decimal
from functools import cache

from babel.numbers import get_currency_precision, is_currency


@cache
def digits(currency: str) -> int:
    """Return how many decimals a currency has.

    Raises:
        ValueError: there is no such currency.

    """
    if not is_currency(currency):
        raise ValueError(f"{currency!r} is no currency of ISO 4217")
    return get_currency_precision(currency)


def minor_units(amount: Decimal, currency: str) -> int:
    """Return an amount in whole minor units.

    Raises:
        ValueError: the amount has more decimals than the currency, or there is no such currency.

    """
    scaled = amount.scaleb(digits(currency))
    if scaled != scaled.to_integral_value():
        raise ValueError(f"{amount} has more decimals than {currency} has ({digits(currency)})")
    return int(scaled)


def decimal_string(minor: int, currency: str) -> str:
    """Return an amount as REST shows it, for example "19.99"."""
    places = digits(currency)
    if places == 0:
        return str(minor)
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    return f"{sign}{whole // 10**places}.{whole % 10**places:0{places}d}"
