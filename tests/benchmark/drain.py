"""The drain itself, with the clock and the CPU meter: the same for both sides.

All processes of a side are up, their consumers have their partitions, and nothing happens, since the benchmark holds
the lock that elects the order service's relay. It lets go of it, and the clock starts when the side's own relay has
the lock. So no start of a process and no joining of a group is measured, and every hop of the saga is, from the
outbox of the order service on. It is stopped when the last order is confirmed and its notifications stand, and read
once more when everything is at rest: the stock of every order allocated, every outbox empty.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from deploy.local.stack import Stack
from schemas.contracts import OrderConfirmed, StockAllocated
from tests.benchmark.broker import Broker
from tests.benchmark.meter import Meter, Reading
from tests.benchmark.observer import Observer

# A look costs the broker about a millisecond, which is charged to the side: rarely, then, and late by as much at most.
_LOOK_SECONDS = 0.2
_GATE_LOOK_SECONDS = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two that are compared.

    Args:
        name: for the output.
        make_ready: changes the databases as this side needs them, before anything runs.
        start: starts its processes and returns their names.
        groups: consumer group → the topics that it reads.
        unpublished: the query that counts the outbox rows that are still to be published.

    """

    name: str
    make_ready: Callable[[Stack], None]
    start: Callable[[Stack], Sequence[str]]
    groups: Mapping[str, Sequence[str]]
    unpublished: str


@dataclass(frozen=True, slots=True)
class Drain:
    """Three readings of one drain, and the processes that did not end as they should."""

    began: Reading
    confirmed: Reading
    at_rest: Reading
    crashes: Sequence[str]


def drain(side: Side, stack: Stack, orders: int, seconds: float) -> Drain:
    """Start a side over a backlog of orders, return the readings, and stop it.

    Args:
        side: who drains.
        stack: on which the stage is set.
        orders: how many there are, drained before or waiting.
        seconds: how long it may take.

    Raises:
        NotDrained: it took longer, or one of the processes ended.

    """
    broker = Broker(stack.kafka.bootstrap_servers)
    with Observer(stack, side.unpublished) as observer:
        observer.hold_relay()
        names = side.start(stack)
        meter = Meter(stack, names, without=observer.backends)
        deadline = time.monotonic() + seconds

        def until(condition: Callable[[], bool], what: str, pause: float = _LOOK_SECONDS) -> None:
            meter.until(condition, what, deadline, observer.outstanding, pause)

        until(lambda: broker.have_partitions(side.groups), "no partitions")
        observer.let_relay_go()
        until(observer.relay_works, "no relay", _GATE_LOOK_SECONDS)
        began = meter.read()
        # The log is asked first, which costs next to nothing: each order has two events on each topic in the end.
        until(lambda: broker.records(OrderConfirmed.TOPIC) >= 2 * orders, "not all told")
        until(lambda: observer.all_confirmed(orders), "not all confirmed")
        confirmed = meter.read()
        until(lambda: broker.records(StockAllocated.TOPIC) >= 2 * orders, "not all allocated")
        until(lambda: observer.at_rest(orders), "not at rest")
        at_rest = meter.read()
    return Drain(began, confirmed, at_rest, stop(stack, names))


def stop(stack: Stack, names: Sequence[str]) -> list[str]:
    """Stop processes, and return what is to be said of those that did not end as they should."""
    statuses = {name: stack.processes.stop(name) for name in names}
    return [f"{name} ended with status {status}" for name, status in statuses.items() if status]
