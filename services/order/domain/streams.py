"""Watching an order from a browser, which can send no token: a ticket opens the stream of one order, for a while.

A browser that lost its stream opens the same URL again, so a ticket is not used up: it opens streams until it expires.
"""

from dataclasses import dataclass

from services.order.domain.history import Change

TICKET_SECONDS = 3600


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
class Ticket:
    """What a ticket opens."""

    order_id: str
    internal: bool

    def shows(self, change: Change) -> bool:
        """Return whether a stream that it opens tells of a change."""
        return change.public or self.internal
