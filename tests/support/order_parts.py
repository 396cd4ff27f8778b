"""What the reference of an order's life is made of, and what things cost: plain numbers, nothing from the services."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

# The shop: what things cost, the tax on top, shipping, and from which subtotal on that is free.
PRICES = {"MUG": 1000, "TEE": 333}
TAX_PERCENT, SHIPPING, FREE_FROM = 7, 490, 5000


@dataclass
class Line:
    """A line."""

    sku: str
    quantity: int
    shipped: int = 0
    returned: int = 0
    total: int = 0


@dataclass
class Back:
    """A refund; `conceded` is how much of it the customer had owed."""

    amount: int
    payment: str
    conceded: int
    status: str = "pending"
    units: Mapping[str, int] = field(default_factory=dict)
    shipping: int = 0


@dataclass
class Sent:
    """A return: item → units that are to come, and that came."""

    wanted: dict[str, int]
    status: str
    came: Counter[str] = field(default_factory=Counter)


@dataclass
class Wanted:
    """Money that is to go back: how much, of it what nobody owed, and what it is for."""

    amount: int
    due: int
    units: Mapping[str, int] = field(default_factory=dict)
    shipping: int = 0


def half_up(amount: Fraction) -> int:
    """Return whole minor units."""
    return int(amount + Fraction(1, 2))


def spread(amount: int, weights: Sequence[int]) -> list[int]:
    """Split by largest remainder; of equal ones the first."""
    exact = [Fraction(amount * weight, sum(weights)) for weight in weights]
    parts = [int(part) for part in exact]
    order = sorted(range(len(parts)), key=lambda i: (parts[i] - exact[i], i))
    for i in order[: amount - sum(parts)]:
        parts[i] += 1
    return parts


def priced(lines: Mapping[str, Line], discount: int) -> int:
    """Set the lines' totals, and return the order's."""
    gross = [PRICES[line.sku] * line.quantity for line in lines.values()]
    for line, full, off in zip(lines.values(), gross, spread(discount, gross), strict=True):
        line.total = full - off + half_up(Fraction((full - off) * TAX_PERCENT, 100))
    shipping = 0 if sum(gross) >= FREE_FROM else SHIPPING
    return sum(line.total for line in lines.values()) + shipping + half_up(Fraction(shipping * TAX_PERCENT, 100))
