"""What is sold and what is ordered: the same for every run, made from a seed."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

LINES = 3
STOCK = 100_000
_SEED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """How much is drained.

    Args:
        orders: placed before the clock starts.
        skus: that are sold; each has more units than all orders together could ask for.

    """

    orders: int
    skus: int

    def first(self, orders: int) -> "Workload":
        """Return the workload of the first so many orders."""
        return Workload(orders=orders, skus=self.skus)

    def catalog(self) -> list[str]:
        """Return the SKUs."""
        return [f"BENCH-{number:05d}" for number in range(self.skus)]

    def wishes(self) -> Iterator[tuple[tuple[str, int], ...]]:
        """Yield the lines of each order: three different SKUs, each with a quantity."""
        catalog = self.catalog()
        chance = random.Random(_SEED)
        for _ in range(self.orders):
            yield tuple((sku, chance.randint(1, 3)) for sku in chance.sample(catalog, LINES))

    def units(self) -> Counter[str]:
        """Return how many units of each SKU are ordered."""
        units: Counter[str] = Counter()
        for wish in self.wishes():
            units.update(dict(wish))
        return units
