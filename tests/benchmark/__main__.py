"""`make bench`: measures this product beside a textbook one, checks both, and prints the figures.

Four parts: the backlog drain of the saga; single POSTs against the API, alone and with the saga behind; low load;
analytics of a year of orders, beside naive SQL.
Exit codes: 0 measured (whether or not the reach was kept, which is said); 1 a check failed or a side did not come to
its end; 2 a textbook was too slow or too dear to be compared with. A part without 0 has no valid figures.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console

from deploy.local.errors import StackError
from deploy.local.signals import ending_by_exception
from deploy.local.stack import DIRECTORY
from tests.benchmark import analytics, low_load, ours, reach, report, textbook_api, under_load
from tests.benchmark.books import faults
from tests.benchmark.drain import Side, drain
from tests.benchmark.figures import Result, middle, result_of
from tests.benchmark.meter import NotDrained
from tests.benchmark.ours import OURS
from tests.benchmark.stage import staged
from tests.benchmark.textbook import TEXTBOOK
from tests.benchmark.under_load import ApiSide, BadAnswers, UnderLoad
from tests.benchmark.workload import Workload

_FILE = DIRECTORY / "bench.json"
_STACKS = DIRECTORY / "bench"
_FAILED, _NO_TEXTBOOK = 1, 2
# A part of the orders is drained before the clock starts: a JVM that has just started interprets, and compiles at the
# cost of whoever happens to be measured then.
_WARM_UP_DIVISOR = 4
# How long one saga may take to its end.
_SECONDS = 120.0

Part = Annotated[list[str] | None, typer.Option(help="run only: drain, load, low, analytics; may be repeated")]
Orders = Annotated[int, typer.Option(min=1, help="orders that we drain")]
TextbookOrders = Annotated[int, typer.Option(min=1, help="orders that the textbook drains")]
Skus = Annotated[int, typer.Option(min=3, help="SKUs that are sold")]
Repeat = Annotated[int, typer.Option(min=1, help="drains of both sides; the medians are shown")]


class Refused(Exception):
    """A part has no figures, and why; `code` is the exit code."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


def main(
    part: Part = None,
    orders: Orders = 20_000,
    textbook_orders: TextbookOrders = 4_000,
    skus: Skus = 10_000,
    repeat: Repeat = 1,
) -> None:
    """Measure."""
    bench = _Bench(Console(highlight=False, soft_wrap=True), skus)
    parts: Mapping[str, Callable[[], dict[str, Any]]] = {
        "drain": lambda: bench.drain(orders, textbook_orders, repeat),
        "load": bench.load,
        "low": bench.low,
        "analytics": bench.analytics,
    }
    wanted = part or list(parts)
    if unknown := [name for name in wanted if name not in parts]:
        raise typer.BadParameter(f"{unknown[0]!r}; there are: {', '.join(parts)}", param_hint="--part")
    with ending_by_exception():
        outcome = {name: bench.outcome(parts[name]) for name in wanted}
    report.write(_FILE, outcome)
    bench.console.print(f"written to {_FILE}")
    sys.exit(max(one.get("code", 0) for one in outcome.values()))


class _Bench:
    def __init__(self, console: Console, skus: int) -> None:
        self.console = console
        self._skus = skus

    def outcome(self, part: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Run a part, and return its figures or why there are none."""
        try:
            return {"valid": True, **part()}
        except Refused as refused:
            reason, code = str(refused), refused.code
        except (BadAnswers, NotDrained, StackError) as error:
            reason, code = str(error), _FAILED
        self.console.print(f"[bold red]Not valid:[/] {reason}")
        return {"valid": False, "reason": reason, "code": code}

    def drain(self, orders: int, textbook_orders: int, repeat: int) -> dict[str, Any]:
        """Drain a backlog with both sides."""
        outcomes = [(self._drained(OURS, orders), self._drained(TEXTBOOK, textbook_orders)) for _ in range(repeat)]
        mine, theirs = (middle(results) for results in zip(*outcomes, strict=True))
        self._require_textbook(reach.drain_objection(theirs))
        report.show_drain(self.console, mine, theirs)
        missed = self._verdict(list(reach.drain_missed(mine, theirs)))
        return {**missed, **report.drain_as_json(outcomes, mine, theirs)}

    def load(self) -> dict[str, Any]:
        """Place single orders with both sides."""
        mine = self._loaded(
            ApiSide(
                side=OURS,
                start=ours.start_api,
                saga_orders=10_000,
                alone_orders=15_000,
                slow=ours.slow_requests,
            )
        )
        theirs = self._loaded(ApiSide(side=TEXTBOOK, start=textbook_api.start, saga_orders=2_000, alone_orders=4_000))
        # Shown in any case: what is said of our latency compares with nothing.
        report.show_load(self.console, mine, theirs)
        missed = self._verdict(list(reach.load_missed(mine, theirs)))
        self._require_textbook(reach.load_objection(theirs))
        return {**missed, **report.load_as_json(mine, theirs)}

    def low(self) -> dict[str, Any]:
        """Place few orders a second with ours, and none at all."""
        self.console.print("ours: low load …")
        workload = Workload(orders=low_load.ORDERS, skus=self._skus)
        with staged(_STACKS / "low", workload, low_load.SETTINGS) as stage:
            stage.set()
            measured = low_load.measure(stage, _SECONDS)
            found = faults(stage.stack, OURS.unpublished, workload)
        self._require_right(OURS, found)
        report.show_low(self.console, measured)
        missed = self._verdict(list(reach.low_missed(measured)))
        return {**missed, **report.low_as_json(measured)}

    def analytics(self) -> dict[str, Any]:
        """Ask for the analytics of a year."""
        self.console.print("ours: a year of orders …")
        with staged(_STACKS / "analytics", Workload(orders=0, skus=self._skus)) as stage:
            measured = analytics.measure(stage)
        report.show_analytics(self.console, measured)
        return {**self._verdict(list(reach.analytics_missed(measured))), **asdict(measured)}

    def _drained(self, side: Side, orders: int) -> Result:
        """Drain a backlog on fresh servers, and check what is left."""
        warm_up = orders // _WARM_UP_DIVISOR
        workload = Workload(orders=warm_up + orders, skus=self._skus)
        self.console.print(f"{side.name}: servers, {workload.skus:,} SKUs, {orders:,} orders after {warm_up:,} …")
        with staged(_STACKS / side.name, workload) as stage:
            stage.set()
            side.make_ready(stage.stack)
            stage.place(0, warm_up)
            warmed_up = drain(side, stage.stack, warm_up, _SECONDS)
            stage.place(warm_up, workload.orders)
            self.console.print(f"{side.name}: draining …")
            measured = drain(side, stage.stack, workload.orders, _SECONDS)
            crashes = [*warmed_up.crashes, *measured.crashes]
            found = [*crashes, *faults(stage.stack, side.unpublished, workload)]
        self._require_right(side, found)
        return result_of(measured, orders)

    def _loaded(self, api: ApiSide) -> UnderLoad:
        """Place single orders on fresh servers, and check what is left."""
        workload = Workload(orders=api.orders, skus=self._skus)
        self.console.print(f"{api.side.name}: single POSTs …")
        with staged(_STACKS / api.side.name, workload) as stage:
            stage.set()
            api.side.make_ready(stage.stack)
            measured = under_load.measure(api, stage, _SECONDS)
        self._require_right(api.side, measured.faults)
        return measured

    def _require_right(self, side: Side, found: object) -> None:
        if found:
            raise Refused(f"{side.name}: {found}", _FAILED)
        self.console.print(f"{side.name}: nothing lost, doubled or oversold")

    def _require_textbook(self, objection: str | None) -> None:
        if objection is not None:
            raise Refused(objection, _NO_TEXTBOOK)

    def _verdict(self, missed: list[str]) -> dict[str, Any]:
        report.verdict(self.console, missed)
        return {"missed": missed}


if __name__ == "__main__":
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(main)
    app()
