"""Watching an order: what became of it since, and tickets for browsers."""

from collections.abc import Sequence
from datetime import timedelta

from services.chassis.commands import Submitted
from services.order.domain.history import Change
from services.order.domain.statuses import ENDED
from services.order.domain.streams import TICKET_SECONDS, IssueTicket, Ticket
from services.order.unit_of_work import OrderUnitOfWork


def issue_ticket(submitted: Submitted[IssueTicket], uow: OrderUnitOfWork) -> Ticket:
    """Keep a ticket for a stream."""
    command = submitted.command
    ticket = Ticket(command.order_id, command.internal)
    uow.tickets.add(command.digest, ticket, uow.tx.now + timedelta(seconds=TICKET_SECONDS))
    return ticket


def find_ticket(uow: OrderUnitOfWork, digest: bytes) -> Ticket | None:
    """Return what a ticket opens; None where there is no such ticket, or its time is over."""
    return uow.tickets.find(digest)


def changes_since(uow: OrderUnitOfWork, order_id: str, version: int) -> Sequence[tuple[int, Change]]:
    """Return (version, change) of an order behind a version, oldest first."""
    return [(n, change) for n, change in enumerate(uow.history(order_id), start=1) if n > version]


def seen_by(uow: OrderUnitOfWork, ticket: Ticket, version: int) -> int | None:
    """Return the version from which on a stream goes on; None where nothing is left to tell of an order that has ended.

    Args:
        uow: the orders.
        ticket: what the stream shows.
        version: what its caller says to have seen. Of a database that was restored that may be more than there is.

    """
    history = uow.history(ticket.order_id)
    seen = min(version, len(history))
    is_over = history[-1].status in ENDED and not any(ticket.shows(change) for change in history[seen:])
    return None if is_over else seen
