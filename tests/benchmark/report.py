"""The output: a table for people, and the same as JSON for machines."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmark.analytics import ANSWERS, Analytics
from tests.benchmark.figures import Figures, Result, ratio
from tests.benchmark.low_load import RATE, LowLoad
from tests.benchmark.under_load import STREAMS, WAITING, UnderLoad
from tests.benchmark.year import ORDERS

# The row of the table in which a process stands; a relay of its own is part of its service.
_ROWS: Mapping[str, Sequence[str]] = {
    "PostgreSQL": ("postgres",),
    "Kafka (JVM)": ("kafka",),
    "API": ("order-api", "textbook-api"),
    "order": ("order-worker", "order", "order-relay"),
    "inventory": ("inventory-worker", "inventory", "inventory-relay"),
    "notification": ("notification-worker", "notification"),
}
_DRAIN_RULES = (
    "All processes are up and have their partitions when the clock starts, with the election of the order service's "
    "relay; all orders wait in its outbox. Notification runs its consumer alone: its rows are written, no mail is "
    "sent. fsync is on, PostgreSQL is reached over its socket; a fresh PostgreSQL and a fresh Kafka for each side, "
    "which have drained a quarter as many orders before."
)
_LOAD_RULES = (
    "64 keep-alive connections, one POST each at a time, three lines an order. The saga: until the last order is "
    "confirmed and its notifications stand. Latencies are the client's, whose CPU is not counted. The report is "
    "the download of all orders as CSV."
)
_LOW_RULES = (
    "From the commit of the order to the commit of the notification's row, on PostgreSQL's clock, all processes "
    "running, mails sent. Idle: all of them before the first order."
)
_ANALYTICS_RULES = (
    f"Each answer is the median of {ANSWERS} warm ones over HTTP. Naive: the same figures by a query each over the "
    "tables of orders, on the database's own connection; the figures of both are the same."
)


def show_drain(console: Console, ours: Result, textbook: Result) -> None:
    """Print the backlog drain of both sides."""
    table = _table("Backlog drain", _DRAIN_RULES)
    _compare(table, ours.confirmed, textbook.confirmed, "")
    table.add_section()
    table.add_row("orders/s until at rest", *(f"{s.at_rest.orders_per_second:,.0f}" for s in (ours, textbook)))
    table.add_row("CPU µs an order until at rest", *(f"{s.at_rest.total_micros:,.0f}" for s in (ours, textbook)))
    console.print(table)


def show_load(console: Console, ours: UnderLoad, textbook: UnderLoad) -> None:
    """Print what single POSTs came to, of both sides."""
    table = _table("Single POSTs", _LOAD_RULES)
    for title, mine, theirs in (
        ("API alone", ours.alone, textbook.alone),
        ("whole saga", ours.saga, textbook.saga),
    ):
        _compare(table, mine.figures, theirs.figures, f"{title}: ")
        table.add_row(f"{title}: p50 / p99 of placing, ms", *(_spread(p.p50, p.p99) for p in (mine, theirs)))
        table.add_section()
    calm = ours.calm
    if calm is not None:
        table.add_row(
            f"p99 of placing at {calm.rate:,.0f}/s, half of the API alone, ms", f"{calm.quiet * 1000:.0f}", ""
        )
        slow = f"the same beside {STREAMS} streams, {WAITING} waiting requests and a download of all orders, ms"
        table.add_row(slow, f"{calm.beside_slow * 1000:.0f}", "")
    console.print(table)


def show_low(console: Console, low: LowLoad) -> None:
    """Print what low load came to."""
    table = Table(title=f"Low load: {RATE:.0f} orders/s", caption=_LOW_RULES, caption_justify="left")
    table.add_column("")
    table.add_column("ours", justify="right")
    for template, spread in low.told.items():
        table.add_row(f"to the row of {template}: p50 / p99, ms", _spread(spread.p50, spread.p99))
    table.add_row("answer to the POST: p50 / p99, ms", _spread(low.answered.p50, low.answered.p99))
    table.add_row("CPU µs an order, without the broker", f"{_without_broker(low.micros):,.0f}")
    table.add_row("idle: share of a core, without the broker", f"{low.idle_share:.1%}")
    console.print(table)


def show_analytics(console: Console, measured: Analytics) -> None:
    """Print what analytics came to."""
    table = Table(title=f"Analytics of {ORDERS:,} orders", caption=_ANALYTICS_RULES, caption_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    for what, seconds in measured.answered.items():
        table.add_row(f"{what}, ms", f"{seconds * 1000:,.0f}")
    table.add_row("a year, naive SQL, ms", f"{measured.naive * 1000:,.0f}")
    table.add_section()
    table.add_row("the year counted for the first time, s", f"{measured.counted:,.1f}")
    table.add_row("from a change on each of eight days until it is counted, s", f"{measured.recounted:,.1f}")
    table.add_row("the year made by SQL, s", f"{measured.made:,.1f}")
    console.print(table)


def verdict(console: Console, missed: Sequence[str]) -> None:
    """Print whether the reach was kept."""
    console.print(f"[bold red]Reach missed:[/] {'; '.join(missed)}." if missed else "[bold green]Reach kept.[/]")


def drain_as_json(outcomes: Iterable[tuple[Result, Result]], ours: Result, textbook: Result) -> dict[str, Any]:
    """Return all that was measured of the drain: the medians, and each run."""
    return {
        "ratio": ratio(ours.confirmed, textbook.confirmed),
        "ours": _result(ours),
        "textbook": _result(textbook),
        "runs": [{"ours": _result(one), "textbook": _result(other)} for one, other in outcomes],
    }


def load_as_json(ours: UnderLoad, textbook: UnderLoad) -> dict[str, Any]:
    """Return all that was measured under load."""
    return {
        "ratio": {
            "api": ratio(ours.alone.figures, textbook.alone.figures),
            "saga": ratio(ours.saga.figures, textbook.saga.figures),
        },
        "ours": asdict(ours),
        "textbook": asdict(textbook),
    }


def low_as_json(low: LowLoad) -> dict[str, Any]:
    """Return all that was measured at low load."""
    return {**asdict(low), "idle_share": low.idle_share}


def write(file: Path, content: Mapping[str, Any]) -> None:
    """Write the machine-readable outcome."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _table(title: str, rules: str) -> Table:
    table = Table(title=title, caption=rules, caption_justify="left")
    table.add_column("")
    for heading in ("ours", "textbook"):
        table.add_column(heading, justify="right")
    return table


def _compare(table: Table, ours: Figures, textbook: Figures, prefix: str) -> None:
    sides = (ours, textbook)
    table.add_row(f"{prefix}orders/s", *(f"{side.orders_per_second:,.0f}" for side in sides))
    table.add_row(f"{prefix}ratio", f"{ratio(ours, textbook):.1f}", "1")
    for row, processes in _ROWS.items():
        if any(process in side.micros for side in sides for process in processes):
            table.add_row(f"{prefix}CPU µs an order: {row}", *(_share(side, processes) for side in sides))
    table.add_row(f"{prefix}CPU µs an order: all", *(f"{side.total_micros:,.0f}" for side in sides))


def _share(figures: Figures, processes: Sequence[str]) -> str:
    return f"{sum(figures.micros.get(process, 0.0) for process in processes):,.0f}"


def _spread(p50: float, p99: float) -> str:
    return f"{p50 * 1000:.0f} / {p99 * 1000:.0f}"


def _without_broker(micros: Mapping[str, float]) -> float:
    return sum(value for name, value in micros.items() if name != "kafka")


def _result(result: Result) -> dict[str, Any]:
    return {
        instant: asdict(figures) | {"total_micros": figures.total_micros}
        for instant, figures in {"confirmed": result.confirmed, "at_rest": result.at_rest}.items()
    }
