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
from services.order.domain.statuses import TRANSITIONS
from services.order.domain.streams import TICKET_SECONDS, IssueTicket, RedeemTicket, Ticket
from services.order.handlers.streams import changes_since
from services.order.unit_of_work import OrderUnitOfWork

streams = Api("streams", prefix=PREFIX, about="Watching an order", problems=PROBLEMS)
_QUIET_SECONDS = 15


@streams.get(
    "/<order_id>/stream/",
    allow=OWNERS,
    answers={200: None},
    refuses=["order_not_found", "too_many_streams", "invalid_header"],
)
def stream_order(call: OrderCall, order_id: Id) -> Response:
    """Send what becomes of an order as Server-Sent Events.

    Each is a row of its history; its id, the order's version, is what `Last-Event-ID` names to go on from there. The
    stream ends after the order is cancelled or refunded, and when the server goes down: come back then.
    """
    known = known_order(call, order_id, OWNERS)
    return _stream(call, Ticket(known.order.id, known.scope.internal))


@streams.post("/<order_id>/stream/tickets/", allow=OWNERS, answers={201: StreamTicket}, refuses=["order_not_found"])
def create_stream_ticket(call: OrderCall, order_id: Id) -> Answer:
    """Get a ticket with which a browser, that can send no token, opens the stream: once, within a minute."""
    known = known_order(call, order_id, OWNERS)
    ticket = secrets.token_urlsafe(24)
    command = IssueTicket(digest=_digest(ticket), order_id=known.order.id, internal=known.scope.internal)
    return call.submit(command, render=_Issued(ticket), subject=known.order.id)


@streams.get(
    "/stream/<ticket>/",
    allow=None,
    answers={200: None},
    refuses=["ticket_invalid", "too_many_streams", "invalid_header"],
)
def stream_by_ticket(call: OrderCall, ticket: Id) -> Response:
    """Send what becomes of the order that a ticket is for; the ticket is used up by it."""
    redeemed: list[Ticket] = []
    call.submit(RedeemTicket(_digest(ticket)), render=lambda found, _uow: _redeemed(found, redeemed))
    return _stream(call, redeemed[0])


class _Issued:
    """Renders a new ticket."""

    def __init__(self, ticket: str) -> None:
        self._ticket = ticket

    def __call__(self, _issued: Ticket, uow: OrderUnitOfWork) -> Answer:
        expires_at = uow.tx.now + timedelta(seconds=TICKET_SECONDS)
        return answer(StreamTicket(url=f"{PREFIX}/stream/{self._ticket}/", expires_at=expires_at), 201)


def _redeemed(ticket: Ticket | None, redeemed: list[Ticket]) -> Answer:
    if ticket is None:
        detail = "there is no such ticket: each opens one stream, within a minute; get another one"
        errors = [{"parameter": "ticket", "code": "ticket_invalid", "detail": detail}]
        raise Problem(404, "ticket_invalid", detail, errors=errors)
    redeemed.append(ticket)
    return Answer(200, b"", {})


def _digest(ticket: str) -> bytes:
    return sha256(ticket.encode()).digest()


def _stream(call: OrderCall, ticket: Ticket) -> Response:
    after = last_event_id(request.headers.get("Last-Event-ID"))
    return call.application.streams.respond(_events(call, ticket, after))


def _events(call: OrderCall, ticket: Ticket, after: int) -> Iterator[ServerEvent | None]:
    """Yield the changes of an order as they come, None for a while in which none came, until it has ended."""
    waiters, seen = call.application.waiters, after
    while waiters is not None and not waiters.is_ending:
        with call.queries() as uow:
            changes = changes_since(uow, ticket.order_id, seen)
        yield from (_event(n, change) for n, change in changes if change.public or ticket.internal)
        if changes:
            seen, last = changes[-1]
            if not TRANSITIONS[last.status]:
                return
        if not waiters.wait(ticket.order_id, _QUIET_SECONDS, beyond=seen):
            yield None


def _event(version: int, change: Change) -> ServerEvent:
    shown = StreamedChange(**dict(history_row(change)), order_id=change.order_id, version=version)
    return ServerEvent(str(version), "change", shown)
