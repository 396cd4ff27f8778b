"""The timeline of an order, for whoever has to find out what happened."""

from collections.abc import Sequence

from flask import Response, request

from services.chassis.events import from_micros
from services.chassis.http.answers import answer
from services.chassis.http.endpoint import Api
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api.calls import PREFIX, OrderCall, known_order
from services.order.api.models.fields import Id
from services.order.api.models.timeline import Timeline, TimelineEntry
from services.order.api.problems import PROBLEMS
from services.order.domain.orders import Order
from services.order.domain.timeline import Entry
from services.order.handlers.timeline import view_timeline

timelines = Api("timelines", prefix=PREFIX, about="What happened to an order, across the services", problems=PROBLEMS)
_TEXT = "text/plain"


@timelines.get("/<order_id>/timeline/", allow={Role.ADMIN}, answers={200: Timeline}, refuses=["order_not_found"])
def show_timeline(call: OrderCall, order_id: Id) -> Answer | Response:
    """Show every event of the order's saga, each behind its cause, with its place in the log.

    `Accept: text/plain` gets the same as a tree to read.
    """
    known = known_order(call, order_id, {Role.ADMIN})
    with call.queries() as uow:
        entries = view_timeline(uow, known.order)
    if request.accept_mimetypes.best_match(["application/json", _TEXT]) == _TEXT:
        return Response(_tree(known.order, entries), content_type=f"{_TEXT}; charset=utf-8")
    shown = [_shown(entry) for entry in entries]
    return answer(Timeline(order_id=known.order.id, order_number=known.order.number, data=shown))


def _shown(entry: Entry) -> TimelineEntry:
    return TimelineEntry(
        id=entry.id,
        type=entry.type,
        service=entry.service,
        topic=entry.topic,
        partition=entry.partition,
        offset=entry.offset,
        at=from_micros(entry.at),
        caused_by=entry.caused_by,
        depth=entry.depth,
        latency_ms=None if entry.latency_us is None else entry.latency_us / 1000,
        detail=entry.detail,
    )


def _tree(order: Order, entries: Sequence[Entry]) -> str:
    return "\n".join([f"{order.number} {order.id} {order.status}", *(_line(entry) for entry in entries), ""])


def _line(entry: Entry) -> str:
    at = from_micros(entry.at).isoformat(timespec="milliseconds")
    later = "" if entry.latency_us is None else f" +{entry.latency_us / 1000:.0f} ms"
    place = "" if entry.offset is None else f" {entry.topic}/{entry.partition}@{entry.offset}"
    detail = "" if entry.detail is None else f" ({entry.detail})"
    return f"{at} {'  ' * entry.depth}{entry.service}: {entry.type.rpartition('.')[2]}{detail}{later}{place} {entry.id}"
