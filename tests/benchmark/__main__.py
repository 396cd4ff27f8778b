"""`make bench`: drains a backlog with this product and with a textbook saga, checks both, and prints the figures.

Exit codes: 0 measured (whether or not the reach was kept, which is said); 1 a check failed or a side did not come to
its end; 2 the textbook was too slow or too dear to be compared with. Without 0 there are no figures.
"""

import sys
from typing import Annotated

import typer
from rich.console import Console

from deploy.local.errors import StackError
from deploy.local.signals import ending_by_exception
from deploy.local.stack import DIRECTORY
from tests.benchmark import report
from tests.benchmark.books import faults
from tests.benchmark.drain import NotDrained, Side, drain
from tests.benchmark.figures import Result, middle, objection, result_of
from tests.benchmark.ours import OURS
from tests.benchmark.stage import staged
from tests.benchmark.textbook import TEXTBOOK
from tests.benchmark.workload import Workload

_FILE = DIRECTORY / "bench.json"
_STACKS = DIRECTORY / "bench"

Orders = Annotated[int, typer.Option(min=1, help="orders that we drain")]
TextbookOrders = Annotated[int, typer.Option(min=1, help="orders that the textbook drains")]
Skus = Annotated[int, typer.Option(min=3, help="SKUs that are sold")]
Repeat = Annotated[int, typer.Option(min=1, help="runs of both sides; the medians are shown")]
Seconds = Annotated[float, typer.Option(min=1, help="how long one drain may take")]


class CheckFailed(Exception):
    """A run lost, doubled or oversold something."""


def main(
    orders: Orders = 20_000,
    textbook_orders: TextbookOrders = 4_000,
    skus: Skus = 10_000,
    repeat: Repeat = 1,
    seconds: Seconds = 120.0,
) -> None:
    """Measure the backlog drain against a textbook saga."""
    console = Console(highlight=False, soft_wrap=True)
    sides = ((OURS, Workload(orders=orders, skus=skus)), (TEXTBOOK, Workload(orders=textbook_orders, skus=skus)))
    outcomes = []
    try:
        with ending_by_exception():
            for _ in range(repeat):
                ours, textbook = (_run(console, side, size, seconds) for side, size in sides)
                outcomes.append((ours, textbook))
    except (CheckFailed, NotDrained, StackError) as error:
        _refuse(console, str(error), 1)
    ours, textbook = (middle(results) for results in zip(*outcomes, strict=True))
    if (reason := objection(textbook)) is not None:
        _refuse(console, reason, 2)
    report.show(console, ours, textbook)
    report.write(_FILE, report.as_json(outcomes, ours, textbook))
    console.print(f"written to {_FILE}")


def _run(console: Console, side: Side, workload: Workload, seconds: float) -> Result:
    """Run one side on fresh servers and check what it left.

    Raises:
        CheckFailed: something is wrong.
        NotDrained: it did not come to its end.

    """
    console.print(f"{side.name}: servers, {workload.skus:,} SKUs, {workload.orders:,} orders …")
    with staged(_STACKS / side.name, workload) as stage:
        stage.set()
        side.make_ready(stage.stack)
        console.print(f"{side.name}: draining …")
        measured = drain(side, stage.stack, workload.orders, seconds)
        found = [*measured.crashes, *faults(stage.stack, side.unpublished, workload)]
    if found:
        raise CheckFailed(f"{side.name}: " + "; ".join(found))
    console.print(f"{side.name}: nothing lost, doubled or oversold")
    return result_of(measured, workload.orders)


def _refuse(console: Console, reason: str, code: int) -> None:
    console.print(f"[bold red]No figures:[/] {reason}")
    report.write(_FILE, {"valid": False, "reason": reason})
    sys.exit(code)


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
