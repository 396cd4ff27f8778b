"""Tickets for streams: kept as hashes until their time is over."""

from datetime import datetime

from services.chassis.connection import Connection
from services.chassis.statements import sql
from services.order.domain.streams import Ticket

# The old go with the new: nobody else has to clean up.
INSERT = sql("""
WITH old AS (DELETE FROM stream_tickets WHERE expires_at < now())
INSERT INTO stream_tickets (digest, order_id, internal, expires_at)
VALUES (:digest, :order_id ::uuid, :internal, :expires_at)
""")
FIND = sql("""
SELECT order_id::text, internal FROM stream_tickets WHERE digest = :digest AND expires_at > now()
""")


class Tickets:
    """The tickets that one transaction issues and looks up."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, digest: bytes, ticket: Ticket, expires_at: datetime) -> None:
        """Keep a ticket."""
        parameters = {"digest": digest, "order_id": ticket.order_id, "internal": ticket.internal}
        self._connection.execute(INSERT, {**parameters, "expires_at": expires_at})

    def find(self, digest: bytes) -> Ticket | None:
        """Return what a ticket opens; None where there is no such ticket, or its time is over."""
        row = self._connection.execute(FIND, {"digest": digest}).one_or_none()
        return None if row is None else Ticket(row.order_id, row.internal)
