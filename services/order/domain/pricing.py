"""Prices and totals, in whole minor units of one currency.

Invariant: sums agree to the minor unit: `subtotal` is the sum of the lines' gross amounts, the lines' discounts add
up to the order's, and `total` is the sum of the lines' totals plus shipping (plus its tax where tax comes on top).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A rate, and whether prices already include it.

    Args:
        rate: a fraction, 0.19 for 19 %.
        inclusive: True where the price shown is what is paid.

    """

    rate: Decimal
    inclusive: bool

    def of(self, amount_minor: int) -> int:
        """Return the tax in (inclusive) or on (exclusive) an amount, half up, in minor units."""
        base = amount_minor * self.rate
        tax = base / (1 + self.rate) if self.inclusive else base
        return int(tax.quantize(Decimal(1), ROUND_HALF_UP))


NO_TAX = TaxRate(Decimal(0), inclusive=True)


@dataclass(frozen=True, slots=True)
class ShippingMethod:
    """A way to send an order.

    Args:
        code: its name in requests.
        prices_minor: currency → price in minor units; a currency that is not named costs nothing.
        free_from_minor: currency → subtotal in minor units from which it is free.
        carrier: who carries it.
        transit_days: working days on the way.
        tracking_url: with `{tracking_number}` where the number goes.

    """

    code: str
    prices_minor: Mapping[str, int]
    free_from_minor: Mapping[str, int]
    carrier: str
    transit_days: int
    tracking_url: str | None

    def price(self, subtotal_minor: int, currency: str) -> int:
        """Return what sending an order with this subtotal costs, in minor units."""
        free_from = self.free_from_minor.get(currency)
        if free_from is not None and subtotal_minor >= free_from:
            return 0
        return self.prices_minor.get(currency, 0)


@dataclass(frozen=True, slots=True)
class LineAmounts:
    """Amounts of one line, in minor units."""

    gross: int
    discount: int
    tax: int
    total: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Amounts of an order, in minor units; `tax` holds the lines' and shipping's."""

    lines: tuple[LineAmounts, ...]
    subtotal: int
    discount: int
    shipping: int
    tax: int
    total: int


def prorate(amount: int, weights: Sequence[int]) -> list[int]:
    """Split an amount in proportion to weights so that the parts add up to it (largest remainder, Hamilton's method).

    Args:
        amount: ≥ 0, in minor units.
        weights: ≥ 0; where all are 0 the amount must be 0.

    """
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [amount * weight // whole for weight in weights]
    remainders = [amount * weight % whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
    for i in by_remainder[: amount - sum(parts)]:
        parts[i] += 1
    return parts


def total_up(lines: Sequence[tuple[int, int]], discount: int, shipping: int, tax: TaxRate) -> Totals:
    """Compute every amount of an order.

    Args:
        lines: (unit price in minor units, quantity) of each line.
        discount: in minor units, at most the subtotal.
        shipping: the method's price in minor units.
        tax: the rate where the order goes.

    """
    gross = [price * quantity for price, quantity in lines]
    discounts = prorate(discount, gross)
    amounts = [_line(g, d, tax) for g, d in zip(gross, discounts, strict=True)]
    shipping_tax = tax.of(shipping)
    on_top = 0 if tax.inclusive else shipping_tax
    return Totals(
        lines=tuple(amounts),
        subtotal=sum(gross),
        discount=discount,
        shipping=shipping,
        tax=sum(line.tax for line in amounts) + shipping_tax,
        total=sum(line.total for line in amounts) + shipping + on_top,
    )


def _line(gross: int, discount: int, tax: TaxRate) -> LineAmounts:
    net = gross - discount
    amount = tax.of(net)
    return LineAmounts(gross, discount, amount, net if tax.inclusive else net + amount)
