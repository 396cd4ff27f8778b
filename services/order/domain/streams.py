"""Watching an order from a browser, which can send no token: a ticket opens one stream, once, and soon."""

from dataclasses import dataclass

TICKET_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class IssueTicket:
    """Keep a ticket.

    Args:
        digest: SHA-256 of the ticket, which nobody keeps.
        internal: whether it shows history rows that are not public.

    """

    digest: bytes
    order_id: str
    internal: bool


@dataclass(frozen=True, slots=True)
class RedeemTicket:
    """Use a ticket up."""

    digest: bytes


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket opens."""

    order_id: str
    internal: bool
