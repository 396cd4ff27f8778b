"""Watching an order: what became of it since, and tickets for browsers."""

from collections.abc import Sequence
from datetime import timedelta

from services.chassis.commands import Submitted
from services.order.domain.history import Change
from services.order.domain.streams import TICKET_SECONDS, IssueTicket, RedeemTicket, Ticket
from services.order.unit_of_work import OrderUnitOfWork


def issue_ticket(submitted: Submitted[IssueTicket], uow: OrderUnitOfWork) -> Ticket:
    """Keep a ticket for a stream."""
    command = submitted.command
    ticket = Ticket(command.order_id, command.internal)
    uow.tickets.add(command.digest, ticket, uow.tx.now + timedelta(seconds=TICKET_SECONDS))
    return ticket


def redeem_ticket(submitted: Submitted[RedeemTicket], uow: OrderUnitOfWork) -> Ticket | None:
    """Use a ticket up."""
    return uow.tickets.take(submitted.command.digest)


def changes_since(uow: OrderUnitOfWork, order_id: str, version: int) -> Sequence[tuple[int, Change]]:
    """Return (version, change) of an order behind a version, oldest first."""
    return [(n, change) for n, change in enumerate(uow.history(order_id), start=1) if n > version]
