"""What a run comes to: orders a second and CPU an order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmark.cpu import per_order
from tests.benchmark.drain import Drain
from tests.benchmark.meter import Reading


@dataclass(frozen=True, slots=True)
class Figures:
    """One side from the start of the clock to one instant.

    Args:
        orders_per_second: orders over seconds.
        micros: process → CPU microseconds an order.

    """

    orders_per_second: float
    micros: Mapping[str, float]

    @property
    def total_micros(self) -> float:
        """CPU microseconds an order, all processes together."""
        return sum(self.micros.values())


@dataclass(frozen=True, slots=True)
class Result:
    """One side's run: until the last order was confirmed (what is compared), and until everything was at rest."""

    confirmed: Figures
    at_rest: Figures


def result_of(drain: Drain, orders: int) -> Result:
    """Return the figures of a drain."""
    return Result(figures_of(drain.began, drain.confirmed, orders), figures_of(drain.began, drain.at_rest, orders))


def middle(results: Sequence[Result]) -> Result:
    """Return the medians over several runs of one side."""
    return Result(_middle([r.confirmed for r in results]), _middle([r.at_rest for r in results]))


def ratio(ours: Figures, textbook: Figures) -> float:
    """Return how many times faster we drain."""
    return ours.orders_per_second / textbook.orders_per_second


def figures_of(began: Reading, ended: Reading, orders: int) -> Figures:
    """Return the figures between two readings in which so many orders were done."""
    return Figures(orders / (ended.at - began.at), per_order(began.cpu, ended.cpu, orders))


def _middle(figures: Sequence[Figures]) -> Figures:
    processes = figures[0].micros
    return Figures(
        median(one.orders_per_second for one in figures),
        {process: median(one.micros[process] for one in figures) for process in processes},
    )
