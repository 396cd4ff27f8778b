"""Analytics of a year: how long the worker counts it, a changed day, and how fast the API answers; beside naive SQL."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import median
from typing import Any

import requests

from deploy.local.stack import Stack
from deploy.local.tokens import mint
from services.chassis.connection import Engine
from services.chassis.database import transaction
from services.chassis.statements import sql
from services.order.bootstrap import SERVICE as ORDER
from tests.benchmark.drain import stop
from tests.benchmark.naive_analytics import Naive, ask, differences
from tests.benchmark.stage import Stage
from tests.benchmark.under_load import BadAnswers
from tests.benchmark.year import DAYS, VENDOR, live_through
from tests.support.eventually import eventually

ANSWERS = 20
_WARM_UP, _NAIVE = 3, 3
_COUNT_SECONDS = 900.0
_TIMEOUT = 60
_REFRESH = {"ANALYTICS_REFRESH_SECONDS": "0.5"}
_COUNTED = "SELECT as_of > :since FROM analytics_state WHERE as_of IS NOT NULL"
_NOW = "SELECT clock_timestamp()"
# An order of every day of a week in summer: what a look at changes finds.
_CHANGE = """
UPDATE orders SET updated_at = now(), conceded_minor = least(total_minor, conceded_minor + 1)
WHERE id IN (SELECT DISTINCT ON (created_at::date) id FROM orders WHERE status = 'delivered'
             AND created_at BETWEEN now() - interval '107 days' AND now() - interval '100 days')
"""


@dataclass(frozen=True, slots=True)
class Analytics:
    """What it came to, in seconds.

    Args:
        made: the year, by SQL.
        counted: all of it by the worker, for the first time.
        recounted: from a change of one order on each of eight days until it is in the figures.
        answered: what was asked → medians of the warm answers.
        naive: the same figures as the first of them by naive SQL.

    """

    made: float
    counted: float
    recounted: float
    answered: Mapping[str, float]
    naive: float


def measure(stage: Stage) -> Analytics:
    """Make a year of orders, have it counted, and ask for it.

    Raises:
        BadAnswers: an answer is not what naive SQL finds.

    """
    stack, order = stage.stack, stage.runtime(ORDER)
    try:
        began = time.monotonic()
        with transaction(order.engine) as connection:
            live_through(connection)
        stage.settle()
        made = time.monotonic() - began
        # The API asks for a catalog that was read to its end; whoever audits would find that no event made this year.
        reader = stack.start_process("order", "worker", "--only", "consumer:order-catalog")
        counted = _counted(stack, order.engine)
        with transaction(order.engine) as connection:
            connection.execute(sql(_CHANGE))
        recounted = _counted(stack, order.engine)
        stage.settle()
        api = stack.start_process("order", "api", name="order-api")
        stack.await_ready(api)
        answered, naive = _asked(stack, order.engine)
        stop(stack, [reader, api])
    finally:
        order.engine.dispose()
    return Analytics(made, counted, recounted, answered, naive)


def _counted(stack: Stack, engine: Engine) -> float:
    """Let an analyst count, and return the seconds that it took.

    A new one each time: after a long step one rests for long. And none stays: in such a hurry it would count what has
    just changed again and again; an installation's looks once a minute.
    """
    analyst = stack.start_process("order", "worker", "--only", "analytics", environment=_REFRESH)
    seconds = _until_counted(engine)
    stop(stack, [analyst])
    return seconds


def _until_counted(engine: Engine) -> float:
    """Wait until all that was changed by now is in the figures, and return for how long."""
    began = time.monotonic()
    with transaction(engine) as connection:
        now = connection.execute(sql(_NOW)).scalar_one()

    def is_counted() -> None:
        with transaction(engine) as connection:
            assert connection.execute(sql(_COUNTED), {"since": now}).scalar()

    eventually(is_counted, within=_COUNT_SECONDS)
    return time.monotonic() - began


def _asked(stack: Stack, engine: Engine) -> tuple[Mapping[str, float], float]:
    with transaction(engine) as connection:
        today: date = connection.execute(sql("SELECT (now() AT TIME ZONE 'UTC')::date")).scalar_one()
    year = {"from": (today - timedelta(DAYS - 1)).isoformat(), "to": today.isoformat()}
    admin, vendor = mint(stack.state.jwt, role="admin"), mint(stack.state.jwt, role="vendor", vendor=VENDOR)
    asked: Mapping[str, tuple[str, Mapping[str, str]]] = {
        "a year": (admin, year),
        "a year, and the one before": (admin, {**year, "compare": "previous_period"}),
        "a year of a vendor": (vendor, year),
        "a month, and the one before": (admin, {"period": "month", "compare": "previous_period"}),
    }
    answers = {what: _answered(stack, token, parameters) for what, (token, parameters) in asked.items()}
    naive = _naive(engine, year)
    if found := list(differences(naive, answers["a year"][1])):
        raise BadAnswers(f"not what the tables say: {'; '.join(found[:3])}")
    return {what: seconds for what, (seconds, _) in answers.items()}, naive.seconds


def _answered(stack: Stack, token: str, parameters: Mapping[str, str]) -> tuple[float, Any]:
    """Return the median of some warm answers, and the last of them."""
    url, took = f"{stack.state.services['order'].url}/api/v1/orders/analytics/", []
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        for _ in range(_WARM_UP + ANSWERS):
            began = time.monotonic()
            answer = session.get(url, params=parameters, timeout=_TIMEOUT)
            took.append(time.monotonic() - began)
            if answer.status_code != requests.codes.ok:
                raise BadAnswers(f"{answer.status_code}: {answer.text[:200]}")
    return median(took[_WARM_UP:]), answer.json()


def _naive(engine: Engine, year: Mapping[str, str]) -> Naive:
    found = []
    for _ in range(_NAIVE):
        with transaction(engine) as connection:
            connection.execute(sql("SET LOCAL statement_timeout = 0"))
            found.append(ask(connection, year["from"], year["to"]))
    return Naive(found[-1].rows, median(one.seconds for one in found))
