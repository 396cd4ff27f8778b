"""What a run comes to, and whether it may be told: orders a second and CPU an order, of both sides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from tests.benchmark.cpu import per_order
from tests.benchmark.drain import Drain, Reading

# A textbook beyond these is no textbook to compare with, and this is what is to be reached.
TEXTBOOK_ORDERS_PER_SECOND = 150.0
TEXTBOOK_MICROS = 9_000.0
RATIO = 12.0
MICROS = 600.0


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
    return Result(_figures(drain.began, drain.confirmed, orders), _figures(drain.began, drain.at_rest, orders))


def middle(results: Sequence[Result]) -> Result:
    """Return the medians over several runs of one side."""
    return Result(_middle([r.confirmed for r in results]), _middle([r.at_rest for r in results]))


def ratio(ours: Figures, textbook: Figures) -> float:
    """Return how many times faster we drain."""
    return ours.orders_per_second / textbook.orders_per_second


def objection(textbook: Result) -> str | None:
    """Return why this textbook cannot be compared with, None where it can."""
    speed, micros = textbook.confirmed.orders_per_second, textbook.confirmed.total_micros
    if speed < TEXTBOOK_ORDERS_PER_SECOND:
        return f"the textbook drained {speed:.0f} orders/s, below {TEXTBOOK_ORDERS_PER_SECOND:.0f} it says nothing"
    if micros > TEXTBOOK_MICROS:
        return f"the textbook took {micros:.0f} CPU µs an order, above {TEXTBOOK_MICROS:.0f} it says nothing"
    return None


def missed(ours: Result, textbook: Result) -> list[str]:
    """Return what of the reach was missed."""
    times = ratio(ours.confirmed, textbook.confirmed)
    micros = ours.confirmed.total_micros
    found = []
    if times < RATIO:
        found.append(f"ratio {times:.1f}, {RATIO:.0f} is the reach")
    if micros > MICROS:
        found.append(f"{micros:.0f} CPU µs an order, {MICROS:.0f} is the reach")
    return found


def _figures(began: Reading, ended: Reading, orders: int) -> Figures:
    return Figures(orders / (ended.at - began.at), per_order(began.cpu, ended.cpu, orders))


def _middle(figures: Sequence[Figures]) -> Figures:
    processes = figures[0].micros
    return Figures(
        median(one.orders_per_second for one in figures),
        {process: median(one.micros[process] for one in figures) for process in processes},
    )
