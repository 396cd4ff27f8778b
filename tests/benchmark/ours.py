"""Our side: the worker processes of the three services, as an installation runs them.

Notification runs its consumer alone: the drain ends with the notification's row, so no mail is sent.
"""

from collections.abc import Sequence

from deploy.local.stack import Stack
from deploy.local.tokens import mint
from schemas.contracts import (
    NotificationSent,
    OrderPlaced,
    OrderRequested,
    OutOfStock,
    StockReserved,
    VariantPublished,
)
from services.chassis.connection import Engine
from services.chassis.database import transaction
from services.chassis.statements import sql
from tests.benchmark import placing
from tests.benchmark.drain import Side
from tests.benchmark.under_load import SlowRequests

_PROCESSES = {"order": (), "inventory": (), "notification": ("--only", "consumer")}


def _start(stack: Stack) -> Sequence[str]:
    return [
        stack.start_process(service, "worker", *arguments, name=f"{service}-worker")
        for service, arguments in _PROCESSES.items()
    ]


def start_api(stack: Stack, port: int) -> str:  # noqa: ARG001  # the order service's API has that port anyway
    """Start the order service's API, and return its name."""
    name = stack.start_process("order", "api", name="order-api")
    stack.await_ready(name)
    return name


def slow_requests(stack: Stack, streams: int) -> SlowRequests:
    """Return the slow requests that there are: a download of all orders, and the streams of so many of them."""
    token = mint(stack.state.jwt, role="admin")
    engine = Engine(stack.environment("order")["DATABASE_URL"], 1, "benchmark", statement_seconds=0)
    with transaction(engine) as connection:
        ids = connection.execute(sql("SELECT id::text FROM orders LIMIT :streams"), {"streams": streams}).scalars()
    engine.dispose()
    return SlowRequests(
        placing.request("GET", f"{placing.PATH}admin/", token, {"Accept": "text/csv"}),
        [placing.request("GET", f"{placing.PATH}{order_id}/stream/", token, {}) for order_id in ids],
    )


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
