"""What may be told of a run, what is to be reached, and what of it was missed."""

from collections.abc import Iterator

from tests.benchmark.analytics import Analytics
from tests.benchmark.figures import Result, ratio
from tests.benchmark.low_load import LowLoad
from tests.benchmark.under_load import UnderLoad

# A textbook beyond these is no textbook to compare with.
TEXTBOOK_ORDERS_PER_SECOND, TEXTBOOK_MICROS = 150.0, 9_000.0
TEXTBOOK_API_PER_SECOND = 500.0

DRAIN_RATIO, DRAIN_MICROS = 12.0, 600.0
API_RATIO, SAGA_RATIO = 3.0, 6.0
HALF_LOAD_P99, SLOW_RATIO = 0.050, 2.0
LOW_P50, LOW_P99, IDLE_SHARE = 0.050, 0.150, 0.03
ANALYTICS_MEDIAN = 0.150


def drain_objection(textbook: Result) -> str | None:
    """Return why this textbook cannot be compared with, None where it can."""
    speed, micros = textbook.confirmed.orders_per_second, textbook.confirmed.total_micros
    if speed < TEXTBOOK_ORDERS_PER_SECOND:
        return f"the textbook drained {speed:.0f} orders/s, below {TEXTBOOK_ORDERS_PER_SECOND:.0f} it says nothing"
    if micros > TEXTBOOK_MICROS:
        return f"the textbook took {micros:.0f} CPU µs an order, above {TEXTBOOK_MICROS:.0f} it says nothing"
    return None


def drain_missed(ours: Result, textbook: Result) -> Iterator[str]:
    """Yield what of the reach of the backlog drain was missed."""
    times, micros = ratio(ours.confirmed, textbook.confirmed), ours.confirmed.total_micros
    if times < DRAIN_RATIO:
        yield f"ratio {times:.1f}, {DRAIN_RATIO:.0f} is the reach"
    if micros > DRAIN_MICROS:
        yield f"{micros:.0f} CPU µs an order, {DRAIN_MICROS:.0f} is the reach"


def load_objection(textbook: UnderLoad) -> str | None:
    """Return why this textbook cannot be compared with, None where it can."""
    speed = textbook.alone.figures.orders_per_second
    if speed < TEXTBOOK_API_PER_SECOND:
        return f"the textbook API placed {speed:.0f} orders/s, below {TEXTBOOK_API_PER_SECOND:.0f} it says nothing"
    return None


def load_missed(ours: UnderLoad, textbook: UnderLoad) -> Iterator[str]:
    """Yield what of the reach of single POSTs was missed."""
    alone = ratio(ours.alone.figures, textbook.alone.figures)
    if alone < API_RATIO:
        yield f"API alone {alone:.1f} times, {API_RATIO:.0f} is the reach"
    saga = ratio(ours.saga.figures, textbook.saga.figures)
    if saga < SAGA_RATIO:
        yield f"whole saga {saga:.1f} times, {SAGA_RATIO:.0f} is the reach"
    calm = ours.calm
    if calm is not None and calm.quiet > HALF_LOAD_P99:
        yield f"p99 of placing {calm.quiet * 1000:.0f} ms at half load, {HALF_LOAD_P99 * 1000:.0f} is the reach"
    if calm is not None and calm.beside_slow > SLOW_RATIO * calm.quiet:
        times = calm.beside_slow / calm.quiet
        yield f"p99 of placing {times:.1f} times as long beside slow requests, {SLOW_RATIO:.0f} is the reach"


def low_missed(low: LowLoad) -> Iterator[str]:
    """Yield what of the reach at low load was missed."""
    for template, spread in low.told.items():
        if spread.p50 > LOW_P50:
            yield f"{template}: p50 {spread.p50 * 1000:.0f} ms, {LOW_P50 * 1000:.0f} is the reach"
        if spread.p99 > LOW_P99:
            yield f"{template}: p99 {spread.p99 * 1000:.0f} ms, {LOW_P99 * 1000:.0f} is the reach"
    if low.idle_share > IDLE_SHARE:
        yield f"idle at {low.idle_share:.1%} of a core, {IDLE_SHARE:.0%} is the reach"


def analytics_missed(measured: Analytics) -> Iterator[str]:
    """Yield which analytics were answered too slowly."""
    for what, seconds in measured.answered.items():
        if seconds > ANALYTICS_MEDIAN:
            yield f"{what}: {seconds * 1000:.0f} ms, {ANALYTICS_MEDIAN * 1000:.0f} is the reach"
