"""Watching an order: its history as Server-Sent Events, from the beginning or from where the caller was."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256

from flask import Response, request

from services.chassis.errors import Problem
from services.chassis.http.answers import answer
from services.chassis.http.endpoint import Api
from services.chassis.http.streams import ServerEvent, last_event_id
from services.chassis.idempotency import Answer
from services.order.api.access import OWNERS
from services.order.api.calls import PREFIX, OrderCall, known_order
from services.order.api.models.fields import Id
from services.order.api.models.streams import StreamedChange, StreamTicket
from services.order.api.problems import PROBLEMS
from services.order.api.views import history_row
from services.order.domain.history import Change
from services.order.domain.statuses import ENDED
from services.order.domain.streams import TICKET_SECONDS, IssueTicket, Ticket
from services.order.handlers.streams import changes_since, find_ticket, seen_by
from services.order.unit_of_work import OrderUnitOfWork

streams = Api("streams", prefix=PREFIX, about="Watching an order", problems=PROBLEMS)
_QUIET_SECONDS = 15


@streams.get(
    "/<order_id>/stream/",
    allow=OWNERS,
    answers={200: None, 204: None},
    refuses=["order_not_found", "too_many_streams", "invalid_header"],
)
def stream_order(call: OrderCall, order_id: Id) -> Response:
    """Send what becomes of an order as Server-Sent Events.

    Each is a row of its history; its id, the order's version, is what `Last-Event-ID` names to go on from there. The
    stream ends after the order is delivered, cancelled or refunded, and when the server goes down: come back then.
    204: the order has ended, and you have all of it; an EventSource then stays away.
    """
    known = known_order(call, order_id, OWNERS)
    return _stream(call, Ticket(known.order.id, known.scope.internal))


@streams.post("/<order_id>/stream/tickets/", allow=OWNERS, answers={201: StreamTicket}, refuses=["order_not_found"])
def create_stream_ticket(call: OrderCall, order_id: Id) -> Answer:
    """Get a ticket with which a browser, that can send no token, opens the stream, for an hour.

    It opens this order's stream alone, also where a browser comes back to it by itself. Whoever has the URL may use it.
    """
    known = known_order(call, order_id, OWNERS)
    ticket = secrets.token_urlsafe(24)
    command = IssueTicket(digest=_digest(ticket), order_id=known.order.id, internal=known.scope.internal)
    return call.submit(command, render=_Issued(ticket), subject=known.order.id)


@streams.get(
    "/stream/<ticket>/",
    allow=None,
    answers={200: None, 204: None},
    refuses=["ticket_invalid", "too_many_streams", "invalid_header"],
)
def stream_by_ticket(call: OrderCall, ticket: Id) -> Response:
    """Send what becomes of the order that a ticket is for, as `…/{order_id}/stream/` does."""
    with call.queries() as uow:
        opened = find_ticket(uow, _digest(ticket))
    if opened is None:
        detail = "there is no such ticket, or its hour is over; get another one"
        errors = [{"parameter": "ticket", "code": "ticket_invalid", "detail": detail}]
        raise Problem(404, "ticket_invalid", detail, errors=errors)
    return _stream(call, opened)


class _Issued:
    """Renders a new ticket."""

    def __init__(self, ticket: str) -> None:
        self._ticket = ticket

    def __call__(self, _issued: Ticket, uow: OrderUnitOfWork) -> Answer:
        expires_at = uow.tx.now + timedelta(seconds=TICKET_SECONDS)
        return answer(StreamTicket(url=f"{PREFIX}/stream/{self._ticket}/", expires_at=expires_at), 201)


def _digest(ticket: str) -> bytes:
    return sha256(ticket.encode()).digest()


def _stream(call: OrderCall, ticket: Ticket) -> Response:
    named = last_event_id(request.headers.get("Last-Event-ID"))
    with call.queries() as uow:
        after = seen_by(uow, ticket, named)
    if after is None:
        return Response(status=204)
    return call.application.streams.respond(_events(call, ticket, after))


def _events(call: OrderCall, ticket: Ticket, after: int) -> Iterator[ServerEvent | None]:
    """Yield the changes of an order as they come, None for a while in which none came, until it has ended."""
    waiters, seen = call.application.waiters, after
    while waiters is not None and not waiters.is_ending:
        with call.queries() as uow:
            changes = changes_since(uow, ticket.order_id, seen)
        yield from (_event(n, change) for n, change in changes if ticket.shows(change))
        if changes:
            seen, last = changes[-1]
            if last.status in ENDED:
                return
        if not waiters.wait(ticket.order_id, _QUIET_SECONDS, beyond=seen):
            yield None


def _event(version: int, change: Change) -> ServerEvent:
    shown = StreamedChange(**dict(history_row(change)), order_id=change.order_id, version=version)
    return ServerEvent(str(version), "change", shown)
