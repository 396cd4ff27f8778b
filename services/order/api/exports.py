"""Lists of orders as CSV: a download that is written while it is read, in memory a part of it at a time.

Each part is a look of its own, from behind the last row of the part before. One statement with a cursor would hold a
transaction, and with it vacuum, for as long as the slowest reader takes. Rows are in the order in which orders were
placed, which no change moves, so each order comes once.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from flask import Request, Response

from services.chassis.events import from_micros
from services.chassis.http.lists import PageQuery
from services.chassis.http.problems import refused
from services.chassis.money import decimal_string
from services.order.api.calls import OrderCall
from services.order.domain.lines import fulfillment_status
from services.order.domain.scopes import OrderFilter, Scope
from services.order.handlers.orders import OrderRow, export_orders

CSV, JSON = "text/csv", "application/json"
# While a part is made the other requests of its process wait; and some searches read as much for a part of any size.
_PART = 100
_NOT_IN_CSV = ("limit", "cursor", "expand")
COLUMNS = (
    *("id", "order_number", "status", "payment_status", "fulfillment_status", "reservation_status"),
    *("customer_id", "customer_email", "currency", "subtotal", "discount_amount", "tax_amount", "shipping_amount"),
    *("total_amount", "amount_due", "refunded_amount", "shipping_method", "payment_method", "country_code"),
    *("external_reference", "skus", "units", "created_at", "updated_at", "confirmed_at", "delivered_at"),
    *("cancelled_at", "cancel_reason"),
)
# A spreadsheet takes a cell that begins so for a formula, and much of what is in here was typed by strangers.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def wants_csv(request: Request) -> bool:
    """Return whether a caller prefers CSV to JSON."""
    return request.accept_mimetypes.best_match([JSON, CSV]) == CSV


def csv_of(call: OrderCall, scope: Scope, wanted: OrderFilter, query: PageQuery) -> Response:
    """Return all orders of a list.

    Raises:
        Problem: 400; the query has what only pages have, or another order of rows.

    """
    faults = [(name, "goes with JSON only") for name in _NOT_IN_CSV if name in query.model_fields_set]
    if wanted.sorted_by != "created_at":
        faults.append(("sort", "in CSV it is created_at or -created_at"))
    if faults:
        errors = [{"parameter": name, "code": "invalid_value", "detail": f"{name} {told}"} for name, told in faults]
        raise refused("invalid_request", "; ".join(error["detail"] for error in errors), errors)
    # Read before the answer begins, so that a database that is away is a 503.
    first = _part(call, scope, wanted, None)
    headers = {"Content-Disposition": 'attachment; filename="orders.csv"', "Vary": "Accept"}
    parts = call.application.pacer.paced(_parts(call, scope, wanted, first))
    return Response(parts, headers=headers, content_type=f"{CSV}; charset=utf-8")


def _part(call: OrderCall, scope: Scope, wanted: OrderFilter, after: tuple[Any, ...] | None) -> Sequence[OrderRow]:
    with call.queries() as uow:
        return export_orders(uow, scope, wanted, after, _PART)


def _parts(call: OrderCall, scope: Scope, wanted: OrderFilter, first: Sequence[OrderRow]) -> Iterator[bytes]:
    yield _written([COLUMNS])
    part = first
    while part:
        yield _written([_cells(row) for row in part])
        last = part[-1].order
        part = _part(call, scope, wanted, (from_micros(last.created_at), last.id)) if len(part) == _PART else ()


def _written(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


def _cells(row: OrderRow) -> list[object]:
    order, content = row.order, row.content
    amounts = (content.subtotal_minor, content.discount_minor, content.tax_minor, content.shipping_minor)
    totals = (order.total_minor, order.amount_due_minor, order.refunded_minor)
    return [
        *(order.id, _text(order.number), order.status, order.payment_status, fulfillment_status(content.lines)),
        *(order.reservation_status, _text(order.customer_id), _text(content.customer_email), order.currency),
        *(decimal_string(minor, order.currency) for minor in (*amounts, *totals)),
        *(content.shipping_method, order.payment_method, _text(content.shipping_address.get("country_code"))),
        _text(content.external_reference),
        _text(" ".join(f"{line.sku}*{line.quantity}" for line in content.lines)),
        sum(line.quantity for line in content.lines),
        *(_time(order.created_at), _time(order.updated_at), _time(order.confirmed_at), _time(order.delivered_at)),
        *(_time(order.cancelled_at), order.cancel_reason or ""),
    ]


def _text(value: str | None) -> str:
    text = value or ""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _time(micros: int | None) -> str:
    return "" if micros is None else from_micros(micros).isoformat().replace("+00:00", "Z")
