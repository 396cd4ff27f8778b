"""The order service with two slow endpoints beside its own: a report of five seconds, and a stream.

python -m tests.benchmark.slow_order api

The report works, it does not sleep: it reads the lines of all orders page by page, which waits for PostgreSQL, and
writes them down as CSV, which computes. It does the latter as an endpoint has to that computes for long: in a thread
of its own, since greenlets give way only where they wait. That thread and the placing of orders take turns at one
interpreter. No shop of a benchmark has orders for five seconds, so it begins anew until they are over; and what it
wrote is counted and dropped, where a real one would be kept.
"""

from services.chassis.http.prelude import prepare_process
from services.chassis.results import Row
from services.chassis.statements import sql

prepare_process()

import csv  # noqa: E402  # the prelude comes first
import dataclasses  # noqa: E402
import io  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator, Sequence  # noqa: E402

from flask import Response  # noqa: E402

from services.chassis.cli import main  # noqa: E402
from services.chassis.http.endpoint import Api  # noqa: E402
from services.chassis.http.roles import ANY_ROLE  # noqa: E402
from services.chassis.http.threads import in_thread  # noqa: E402
from services.order.api.calls import OrderCall  # noqa: E402
from services.order.bootstrap import SERVICE  # noqa: E402

_REPORT_SECONDS = 5.0
_PAGE = sql("""
SELECT o.id::text, o.order_number, o.created_at, o.customer_id, o.shipping_address->>'city' AS city, o.status,
       i.position, i.sku, i.product_name, i.quantity, i.unit_price_minor, i.tax_minor, i.total_minor, o.currency
FROM (SELECT * FROM orders WHERE id > :after ::uuid ORDER BY id LIMIT 200) o JOIN order_items i ON i.order_id = o.id
ORDER BY o.id, i.position
""")
_FIRST = "00000000-0000-0000-0000-000000000000"
_STREAM_SECONDS = 60
slow = Api("slow", prefix="/slow", about="What takes long")


@slow.get("/report/", allow=ANY_ROLE, answers={200: None})
def report(call: OrderCall) -> Response:
    """Write every line of every order as CSV, again and again for five seconds."""
    lines, characters, after = 0, 0, _FIRST
    until = time.monotonic() + _REPORT_SECONDS
    while time.monotonic() < until:
        with call.queries() as uow:
            page = uow.tx.connection.execute(_PAGE, {"after": after}).all()
        if not page and after == _FIRST:
            raise RuntimeError("there is no order to report on")
        after = page[-1].id if page else _FIRST
        characters += in_thread(_written, page)
        lines += len(page)
    return Response(f"{lines} lines of orders, {characters} characters of CSV")


def _written(page: Sequence[Row]) -> int:
    """Write a page as CSV, money with its decimals and times as RFC 3339, and return how much that is."""
    text = io.StringIO()
    writer = csv.writer(text)
    for row in page:
        prices = [f"{minor / 100:.2f}" for minor in (row.unit_price_minor, row.tax_minor, row.total_minor)]
        writer.writerow([*row[:2], row.created_at.isoformat(), *row[3:10], *prices, row.currency])
    return len(text.getvalue())


@slow.get("/stream/", allow=ANY_ROLE, answers={200: None})
def stream(call: OrderCall) -> Response:  # noqa: ARG001  # every endpoint is called with its call
    """Send a line a second."""
    return Response(_lines(), content_type="text/event-stream")


def _lines() -> Iterator[str]:
    for i in range(_STREAM_SECONDS):
        yield f"data: {i}\n\n"
        time.sleep(1)


main(dataclasses.replace(SERVICE, blueprints=[*SERVICE.blueprints, slow]))
