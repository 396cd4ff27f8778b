"""The output: a table for people, and the same as JSON for machines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmark.figures import MICROS, RATIO, Figures, Result, missed, ratio

# The row of the table in which a process stands; a relay of its own is part of its service.
_ROWS: Mapping[str, Sequence[str]] = {
    "PostgreSQL": ("postgres",),
    "Kafka (JVM)": ("kafka",),
    "order": ("order-worker", "order", "order-relay"),
    "inventory": ("inventory-worker", "inventory", "inventory-relay"),
    "notification": ("notification-worker", "notification"),
}
_RULES = (
    "All processes are up and have their partitions when the clock starts, with the election of the order service's "
    "relay; all orders wait in its outbox. Notification runs its consumer alone: its rows are written, no mail is "
    "sent. fsync is on, PostgreSQL is reached over its socket; a fresh PostgreSQL and a fresh Kafka for each side."
)


def show(console: Console, ours: Result, textbook: Result) -> None:
    """Print both sides, and whether the reach was kept."""
    table = Table(title="Backlog drain", caption=_RULES, caption_justify="left")
    table.add_column("")
    for heading in ("ours", "textbook"):
        table.add_column(heading, justify="right")
    _speeds(table, ours, textbook)
    table.add_section()
    for row, processes in _ROWS.items():
        table.add_row(f"CPU µs an order: {row}", *(_share(side.confirmed, processes) for side in (ours, textbook)))
    table.add_row("CPU µs an order: all", *(f"{side.confirmed.total_micros:,.0f}" for side in (ours, textbook)))
    table.add_section()
    table.add_row("orders/s until at rest", *(f"{s.at_rest.orders_per_second:,.0f}" for s in (ours, textbook)))
    table.add_row("CPU µs an order until at rest", *(f"{s.at_rest.total_micros:,.0f}" for s in (ours, textbook)))
    console.print(table)
    faults = missed(ours, textbook)
    verdict = f"[bold red]Reach missed:[/] {'; '.join(faults)}." if faults else "[bold green]Reach kept:[/]"
    console.print(verdict, f"(reach: ratio ≥ {RATIO:.0f}, ≤ {MICROS:.0f} CPU µs an order)")


def as_json(outcomes: Sequence[tuple[Result, Result]], ours: Result, textbook: Result) -> dict[str, Any]:
    """Return everything that was measured: the medians, and each run."""
    return {
        "valid": True,
        "ratio": ratio(ours.confirmed, textbook.confirmed),
        "reach": {"ratio": RATIO, "cpu_micros_an_order": MICROS, "missed": missed(ours, textbook)},
        "ours": _side(ours),
        "textbook": _side(textbook),
        "runs": [{"ours": _side(one), "textbook": _side(other)} for one, other in outcomes],
    }


def write(file: Path, content: Mapping[str, Any]) -> None:
    """Write the machine-readable outcome."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _speeds(table: Table, ours: Result, textbook: Result) -> None:
    table.add_row("orders/s", *(f"{side.confirmed.orders_per_second:,.0f}" for side in (ours, textbook)))
    table.add_row("ratio", f"{ratio(ours.confirmed, textbook.confirmed):.1f}", "1")


def _share(figures: Figures, processes: Sequence[str]) -> str:
    return f"{sum(figures.micros.get(process, 0.0) for process in processes):,.0f}"


def _side(result: Result) -> dict[str, Any]:
    return {
        instant: asdict(figures) | {"total_micros": figures.total_micros}
        for instant, figures in {"confirmed": result.confirmed, "at_rest": result.at_rest}.items()
    }
