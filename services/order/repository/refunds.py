"""Refunds of orders whose rows are locked."""

from pydantic_core import to_json

from services.chassis.connection import Connection
from services.chassis.events import from_micros, to_micros
from services.chassis.results import Row
from services.chassis.statements import sql
from services.order.domain.refunds import Refund, RefundLine, RefundStatus

OF_ORDER = sql("""
SELECT id::text, order_id::text, status, amount_minor, conceded_minor, shipping_minor, currency, reason, note, lines,
       provider, reference, provider_reference, failure_code, created_at, settled_at
FROM refunds WHERE order_id = :order_id ::uuid ORDER BY created_at, id
""")
INSERT = sql("""
INSERT INTO refunds (id, order_id, status, amount_minor, conceded_minor, shipping_minor, currency, reason, note, lines,
                     provider, reference, provider_reference, failure_code, created_at, settled_at)
VALUES (:id ::uuid, :order_id ::uuid, :status, :amount_minor, :conceded_minor, :shipping_minor, :currency, :reason,
        :note, :lines ::jsonb, :provider, :reference, :provider_reference, :failure_code, :created_at, :settled_at)
""")
UPDATE = sql("""
UPDATE refunds SET status = :status, conceded_minor = :conceded_minor, shipping_minor = :shipping_minor,
    lines = :lines ::jsonb, provider_reference = :provider_reference, failure_code = :failure_code,
    settled_at = :settled_at
WHERE id = :id ::uuid
""")
NAMED = sql("SELECT id::text FROM refunds WHERE provider_reference = :reference")


class Refunds:
    """The refunds that one transaction looks at."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of(self, order_id: str) -> list[Refund]:
        """Return an order's refunds, oldest first."""
        return [_refund(row) for row in self._connection.execute(OF_ORDER, {"order_id": order_id})]

    def named(self, provider_reference: str) -> set[str]:
        """Return the ids of the refunds, of whichever order, that have this name at their provider."""
        return set(self._connection.execute(NAMED, {"reference": provider_reference}).scalars())

    def add(self, refund: Refund) -> None:
        """Keep a new refund."""
        parameters = {
            "order_id": refund.order_id,
            "amount_minor": refund.amount_minor,
            "currency": refund.currency,
            "reason": refund.reason,
            "note": refund.note,
            "provider": refund.provider,
            "reference": refund.reference,
            "created_at": from_micros(refund.created_at),
        }
        self._connection.execute(INSERT, parameters | _state(refund))

    def update(self, refund: Refund) -> None:
        """Keep what became of a refund, and of what it was for."""
        self._connection.execute(UPDATE, _state(refund))


def _state(refund: Refund) -> dict[str, object]:
    return {
        "id": refund.id,
        "status": refund.status.value,
        "conceded_minor": refund.conceded_minor,
        "shipping_minor": refund.shipping_minor,
        "lines": to_json(refund.lines).decode(),
        "provider_reference": refund.provider_reference,
        "failure_code": refund.failure_code,
        "settled_at": None if refund.settled_at is None else from_micros(refund.settled_at),
    }


def _refund(row: Row) -> Refund:
    return Refund(
        id=row.id,
        order_id=row.order_id,
        status=RefundStatus(row.status),
        amount_minor=row.amount_minor,
        conceded_minor=row.conceded_minor,
        shipping_minor=row.shipping_minor,
        currency=row.currency,
        reason=row.reason,
        note=row.note,
        lines=tuple(RefundLine(**line) for line in row.lines),
        provider=row.provider,
        reference=row.reference,
        provider_reference=row.provider_reference,
        failure_code=row.failure_code,
        created_at=to_micros(row.created_at),
        settled_at=None if row.settled_at is None else to_micros(row.settled_at),
    )
