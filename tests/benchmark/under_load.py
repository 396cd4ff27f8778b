"""Single POSTs over 64 keep-alive connections: the API alone, and with the whole saga behind it, of both sides.

On one stage, one after the other: the saga under load (from the first request until the last order is confirmed and
its notifications stand); the check of the books; then, without the workers, the API alone. Of ours also the latency of
placing at half of what the API alone can do, quiet and beside slow requests.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack
from deploy.local.tokens import mint
from tests.benchmark import placing
from tests.benchmark.books import faults
from tests.benchmark.broker import Broker
from tests.benchmark.drain import Side, stop
from tests.benchmark.figures import Figures, figures_of
from tests.benchmark.meter import Meter
from tests.benchmark.observer import Observer
from tests.benchmark.sender import Load, Sender, Sent
from tests.benchmark.stage import Stage

_WARM_UP = 200
_LOOK_SECONDS = 0.2
_CALM_SECONDS = 8
_HALF_LOAD_MAX = 5_000
_SETTLE_SECONDS = 1.0
_REPORT_SECONDS = 5.0
# Beside which placing must not become slow: so many open streams, so many requests that wait, and a report. That is
# asked for several times, one after the other, so that it lasts for `_REPORT_SECONDS` on a fast machine too.
STREAMS, WAITING = 200, 200
_REPORTS = 3
_WAIT = {"Prefer": "wait=20"}


@dataclass(frozen=True, slots=True)
class SlowRequests:
    """Requests that take long.

    Args:
        report: reads all orders.
        streams: each stays open.

    """

    report: bytes
    streams: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSide:
    """One of the two that are compared.

    Args:
        side: its saga.
        start: starts its API at a port and returns the name of the process.
        saga_orders: placed with the saga behind.
        alone_orders: placed with nothing behind.
        slow: makes the requests beside which placing is measured, with so many streams; None where it is not.

    """

    side: Side
    start: Callable[[Stack, int], str]
    saga_orders: int
    alone_orders: int
    slow: Callable[[Stack, int], SlowRequests] | None = None

    @property
    def judged(self) -> int:
        """Orders that the books have to show in the end of the saga."""
        return _WARM_UP + self.saga_orders

    @property
    def orders(self) -> int:
        """Orders that may be placed in all; no side has half of this speed, so there is enough for half load too."""
        return self.judged + self.alone_orders + 2 * _CALM_SECONDS * _HALF_LOAD_MAX + WAITING


@dataclass(frozen=True, slots=True)
class Placed:
    """One load: what the client saw, and what it cost."""

    figures: Figures
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Calm:
    """The latency of placing at half load, in seconds: quiet, and beside slow requests."""

    rate: float
    quiet: float
    beside_slow: float


@dataclass(frozen=True, slots=True)
class UnderLoad:
    """What one side came to; `faults` is everything that is wrong."""

    saga: Placed
    alone: Placed
    calm: Calm | None
    faults: Sequence[str]


class BadAnswers(Exception):
    """Requests were not answered as a measurement of them needs."""


def measure(api: ApiSide, stage: Stage, seconds: float) -> UnderLoad:
    """Measure one side.

    Args:
        api: the side.
        stage: with its catalog loaded and no order.
        seconds: how long the saga may take.

    Raises:
        BadAnswers: a request was refused.
        NotDrained: the saga did not come to its end.

    """
    return _Run(api, stage, seconds).measure()


class _Run:
    def __init__(self, api: ApiSide, stage: Stage, seconds: float) -> None:
        self._api = api
        self._stage = stage
        self._stack = stage.stack
        self._seconds = seconds
        self._token = mint(self._stack.state.jwt, role="service")
        self._requests = placing.Requests(stage.workload, self._token)
        self._port = urlsplit(self._stack.state.services["order"].url).port or 0

    def measure(self) -> UnderLoad:
        with ExitStack() as closing:
            sender, *others = Sender(), Sender(), Sender()
            for one in (sender, *others):
                closing.callback(one.close)
            saga, crashes = self._with_saga(sender)
            found = faults(self._stack, self._api.side.unpublished, self._stage.workload.first(self._api.judged))
            alone = self._alone(sender, self._api.alone_orders)
            calm = self._calm(sender, others, alone.figures.orders_per_second / 2)
        crashes += stop(self._stack, [self._name])
        return UnderLoad(saga, alone, calm, [*crashes, *found])

    def _with_saga(self, sender: Sender) -> tuple[Placed, list[str]]:
        stack, side, orders = self._stack, self._api.side, self._api.saga_orders
        broker = Broker(stack.kafka.bootstrap_servers)
        deadline = time.monotonic() + self._seconds
        with Observer(stack, side.unpublished) as observer:
            self._name = self._api.start(stack, self._port)
            workers = side.start(stack)
            meter = Meter(stack, [self._name, *workers], without=observer.backends)

            def until(condition: Callable[[], bool], what: str) -> None:
                meter.until(condition, what, deadline, observer.outstanding, _LOOK_SECONDS)

            until(lambda: broker.have_partitions(side.groups), "no partitions")
            self._send(sender, _WARM_UP)
            until(lambda: observer.at_rest(_WARM_UP), "the warm-up not at rest")
            began = meter.read()
            sent = self._send(sender, orders)
            until(lambda: observer.all_confirmed(self._api.judged), "not all confirmed")
            confirmed = meter.read()
            until(lambda: observer.at_rest(self._api.judged), "not at rest")
        placed = Placed(figures_of(began, confirmed, orders), sent.quantile(0.5), sent.quantile(0.99))
        return placed, stop(stack, workers)

    def _alone(self, sender: Sender, orders: int) -> Placed:
        meter = Meter(self._stack, [self._name])
        began = meter.read()
        sent = self._send(sender, orders)
        return Placed(figures_of(began, meter.read(), orders), sent.quantile(0.5), sent.quantile(0.99))

    def _calm(self, sender: Sender, others: Sequence[Sender], rate: float) -> Calm | None:
        if self._api.slow is None:
            return None
        # As autovacuum and checkpoints leave a database that has run for a while. Else there are new WAL files to make,
        # for which whoever commits waits 60 ms and more; and without statistics the database may read much more for a
        # part of the report, until autovacuum comes, if it does while we measure.
        self._stage.settle()
        quiet = self._send(sender, int(rate * _CALM_SECONDS), rate)
        loads = self._slow(self._api.slow(self._stack, STREAMS))
        answers = [other.start(load) for other, load in zip(others, loads, strict=True)]
        time.sleep(_SETTLE_SECONDS)
        # Not longer than the report: after it there is less to be slow beside.
        beside = self._send(sender, int(rate * (_REPORT_SECONDS - _SETTLE_SECONDS)), rate)
        reports, waits = (answer.result() for answer in answers)
        if reports.statuses != {200: _REPORTS} or waits.statuses != {201: WAITING}:
            raise BadAnswers(f"slow requests were refused: {dict(reports.statuses)}, {dict(waits.statuses)}")
        if min(reports.ended - reports.began, waits.latencies[0]) < _REPORT_SECONDS:
            seconds = f"{reports.ended - reports.began:.1f} s, {waits.latencies[0]:.1f} s"
            raise BadAnswers(f"the slow requests were not slow: {seconds}")
        return Calm(rate, quiet.quantile(0.99), beside.quantile(0.99))

    def _slow(self, requests: SlowRequests) -> tuple[Load, Load]:
        if len(requests.streams) != STREAMS:
            raise BadAnswers(f"there are {len(requests.streams)} streams to be opened, {STREAMS} are wanted")
        waiting = self._requests.take(WAITING, _WAIT)
        reports = self._load([requests.report] * _REPORTS, connections=1, streams=requests.streams)
        return reports, self._load(waiting, connections=WAITING)

    def _send(self, sender: Sender, count: int, rate: float | None = None) -> Sent:
        sent = sender.send(self._load(self._requests.take(count), rate=rate))
        if set(sent.statuses) != {201}:
            raise BadAnswers(f"{self._api.side.name}: not every order was taken: {dict(sent.statuses)}")
        return sent

    def _load(
        self,
        requests: Sequence[bytes],
        *,
        rate: float | None = None,
        connections: int = 64,
        streams: Sequence[bytes] = (),
    ) -> Load:
        return Load(
            host=LOOPBACK, port=self._port, requests=requests, rate=rate, connections=connections, streams=streams
        )
