"""Low load: from placing to the notification's row at 100 orders a second, and what the system costs while idle.

The times are those of the commits, told by PostgreSQL itself (`track_commit_timestamp`), so that nobody has to look
while it runs.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg2

from deploy.local.ports import LOOPBACK
from deploy.local.stack import Stack
from deploy.local.state import SERVICES
from deploy.local.tokens import mint
from tests.benchmark.drain import stop
from tests.benchmark.meter import Meter
from tests.benchmark.observer import Observer
from tests.benchmark.ours import OURS
from tests.benchmark.placing import Requests
from tests.benchmark.sender import Load, Sender, Sent
from tests.benchmark.stage import Stage
from tests.benchmark.under_load import BadAnswers

RATE = 100.0
SETTINGS: Mapping[str, str] = {"track_commit_timestamp": "on"}
_WARM_UP_SECONDS, _MEASURED_SECONDS = 5, 20
_IDLE_SECONDS = 10.0
_SETTLE_SECONDS = 3.0
_LOOK_SECONDS = 0.2
_PLACED = "SELECT order_id::text, pg_xact_commit_timestamp(xmin) FROM order_history WHERE version = 1"
# The row of the inbox came with the notification's, which the mailer has changed since.
_NOTIFIED = """
SELECT n.subject, pg_xact_commit_timestamp(i.xmin) FROM notifications n
JOIN inbox i ON i.event_id = n.event_id AND i.consumer = 'notification' WHERE n.template = %s
"""
_UNSENT = "SELECT count(*) FROM notifications WHERE status <> 'sent'"
ORDERS = int(RATE * (_WARM_UP_SECONDS + _MEASURED_SECONDS))


@dataclass(frozen=True, slots=True)
class Spread:
    """Latencies in seconds."""

    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class LowLoad:
    """What it came to.

    Args:
        told: template → from the commit of the order to the commit of its notification's row.
        answered: of the requests that placed them.
        micros: process → CPU microseconds an order.
        idle: process → share of a core, before the first order.

    """

    told: Mapping[str, Spread]
    answered: Spread
    micros: Mapping[str, float]
    idle: Mapping[str, float]

    @property
    def idle_share(self) -> float:
        """Share of a core that all takes while idle, without the broker."""
        return sum(share for name, share in self.idle.items() if name != "kafka")


def measure(stage: Stage, seconds: float) -> LowLoad:
    """Measure ours.

    Args:
        stage: with its catalog loaded and no order, on a PostgreSQL with `SETTINGS`.
        seconds: how long the end of the saga may be waited for.

    Raises:
        BadAnswers: a request was refused.
        NotDrained: the saga did not come to its end.

    """
    stack = stage.stack
    stack.start_mail()
    names = [stack.start_process(service, role) for service in SERVICES for role in ("api", "worker")]
    stack.await_ready(*names)
    requests = Requests(stage.workload, mint(stack.state.jwt, role="service"))
    with Observer(stack, OURS.unpublished) as observer:
        meter = Meter(stack, names, without=observer.backends)
        idle = _idle(meter)
        sender = Sender()
        try:
            _send(sender, stack, requests, _WARM_UP_SECONDS)
            began = meter.read()
            sent = _send(sender, stack, requests, _MEASURED_SECONDS)
            ended = meter.read()
        finally:
            sender.close()
        deadline = time.monotonic() + seconds

        def at_rest() -> bool:
            return not observer.ask("notification", _UNSENT) and observer.at_rest(ORDERS)

        meter.until(at_rest, "not at rest", deadline, observer.outstanding, _LOOK_SECONDS)
        told = {template: _told(stack, template) for template in ("order_placed", "order_confirmed")}
    stop(stack, names)
    orders = len(sent.latencies)
    micros = {name: (ended.cpu[name] - began.cpu[name]) / orders * 1_000_000 for name in ended.cpu}
    return LowLoad(told, Spread(sent.quantile(0.5), sent.quantile(0.99)), micros, idle)


def _idle(meter: Meter) -> dict[str, float]:
    """Return what each process takes of a core while nothing is asked of it."""
    time.sleep(_SETTLE_SECONDS)
    began = meter.read()
    time.sleep(_IDLE_SECONDS)
    ended = meter.read()
    return {name: (ended.cpu[name] - began.cpu[name]) / (ended.at - began.at) for name in ended.cpu}


def _send(sender: Sender, stack: Stack, requests: Requests, seconds: int) -> Sent:
    port = urlsplit(stack.state.services["order"].url).port or 0
    sent = sender.send(Load(host=LOOPBACK, port=port, requests=requests.take(int(RATE * seconds)), rate=RATE))
    if set(sent.statuses) != {201}:
        raise BadAnswers(f"not every order was taken: {dict(sent.statuses)}")
    return sent


def _told(stack: Stack, template: str) -> Spread:
    """Return how long the rows of one kind of mail took, from the order's commit; the warm-up left out."""
    placed = sorted(_rows(stack, "order", _PLACED), key=lambda row: row[1])[int(RATE * _WARM_UP_SECONDS) :]
    notified = dict(_rows(stack, "notification", _NOTIFIED, template))
    took = sorted((notified[order_id] - at).total_seconds() for order_id, at in placed)
    return Spread(took[len(took) // 2], took[int(len(took) * 0.99)])


def _rows(stack: Stack, service: str, query: str, *values: object) -> Sequence[tuple[str, datetime]]:
    url = stack.environment(service)["DATABASE_URL"].replace("+psycopg2", "")
    connection: Any = psycopg2.connect(url, application_name="benchmark")
    try:
        with connection.cursor() as cursor:
            cursor.execute(query, values)
            rows: Sequence[tuple[str, datetime]] = cursor.fetchall()
            return rows
    finally:
        connection.close()
