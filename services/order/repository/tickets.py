"""Tickets for streams: kept as hashes, taken away by their use, and once their time is over."""

from datetime import datetime

import sqlalchemy as sa

from services.order.domain.streams import Ticket

# The old go with the new: nobody else has to clean up.
INSERT = sa.text("""
WITH old AS (DELETE FROM stream_tickets WHERE expires_at < now())
INSERT INTO stream_tickets (digest, order_id, internal, expires_at)
VALUES (:digest, :order_id ::uuid, :internal, :expires_at)
""")
TAKE = sa.text("""
DELETE FROM stream_tickets WHERE digest = :digest RETURNING order_id::text, internal, expires_at >= now() AS valid
""")


class Tickets:
    """The tickets that one transaction issues and redeems."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection

    def add(self, digest: bytes, ticket: Ticket, expires_at: datetime) -> None:
        """Keep a ticket."""
        parameters = {"digest": digest, "order_id": ticket.order_id, "internal": ticket.internal}
        self._connection.execute(INSERT, {**parameters, "expires_at": expires_at})

    def take(self, digest: bytes) -> Ticket | None:
        """Use a ticket up; None where there is none, it was used, or its time is over."""
        row = self._connection.execute(TAKE, {"digest": digest}).one_or_none()
        return Ticket(row.order_id, row.internal) if row is not None and row.valid else None
