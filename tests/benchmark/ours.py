"""Our side: the worker processes of the three services, as an installation runs them.

Notification runs its consumer alone: the drain ends with the notification's row, so no mail is sent.
"""

from collections.abc import Sequence

from deploy.local.stack import Stack
from schemas.contracts import (
    NotificationSent,
    OrderPlaced,
    OrderRequested,
    OutOfStock,
    StockReserved,
    VariantPublished,
)
from tests.benchmark.drain import Side

_PROCESSES = {"order": (), "inventory": (), "notification": ("--only", "consumer")}


def _start(stack: Stack) -> Sequence[str]:
    return [
        stack.start_process(service, "worker", *arguments, name=f"{service}-worker")
        for service, arguments in _PROCESSES.items()
    ]


def start_api(stack: Stack, port: int) -> str:  # noqa: ARG001  # the order service's API has that port anyway
    """Start the order service's API, with slow endpoints beside its own, and return its name."""
    name = stack.start_process("order", "api", name="order-api", module="tests.benchmark.slow_order")
    stack.await_ready(name)
    return name


OURS = Side(
    name="ours",
    make_ready=lambda _stack: None,
    start=_start,
    groups={
        "order": (StockReserved.TOPIC, OrderRequested.TOPIC, OutOfStock.TOPIC, NotificationSent.TOPIC),
        "order-catalog": (VariantPublished.TOPIC,),
        "inventory": (OrderPlaced.TOPIC,),
        "notification": (OrderPlaced.TOPIC, OutOfStock.TOPIC),
    },
    unpublished="SELECT count(*) FROM outbox",
)
