"""The order service with two slow endpoints beside its own: a report of five seconds, and a stream.

python -m tests.benchmark.slow_order api
"""

from services.chassis.http.prelude import prepare_process

prepare_process()

import dataclasses  # noqa: E402  # the prelude comes first
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402

import sqlalchemy as sa  # noqa: E402
from flask import Response  # noqa: E402

from services.chassis.cli import main  # noqa: E402
from services.chassis.http.endpoint import Api  # noqa: E402
from services.chassis.http.roles import ANY_ROLE  # noqa: E402
from services.order.api.calls import OrderCall  # noqa: E402
from services.order.bootstrap import SERVICE  # noqa: E402

_REPORT = sa.text("SELECT pg_sleep(5)")
_STREAM_SECONDS = 60
slow = Api("slow", prefix="/slow", about="What takes long")


@slow.get("/report/", allow=ANY_ROLE, answers={200: None})
def report(call: OrderCall) -> Response:
    """Ask the database for something that takes five seconds."""
    with call.queries() as uow:
        uow.tx.connection.execute(_REPORT)
    return Response("done")


@slow.get("/stream/", allow=ANY_ROLE, answers={200: None})
def stream(call: OrderCall) -> Response:  # noqa: ARG001  # every endpoint is called with its call
    """Send a line a second."""
    return Response(_lines(), content_type="text/event-stream")


def _lines() -> Iterator[str]:
    for i in range(_STREAM_SECONDS):
        yield f"data: {i}\n\n"
        time.sleep(1)


main(dataclasses.replace(SERVICE, blueprints=[*SERVICE.blueprints, slow]))
