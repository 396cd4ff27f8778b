"""Payments: a provider's reference is used once over all orders."""

from collections.abc import Iterable

from services.chassis.connection import Connection
from services.chassis.events import from_micros
from services.chassis.statements import sql
from services.order.domain.payments import Payment

# Locked after the orders: whoever records a payment for one holds that order's row.
HOLDERS = sql("""
SELECT provider, reference, order_id::text FROM payments
JOIN unnest(:providers ::text[], :references ::text[]) d(provider, reference) USING (provider, reference)
""")
OF_ORDER = sql("""
SELECT provider, reference, amount_minor, currency FROM payments WHERE order_id = :order_id ::uuid
ORDER BY recorded_at, provider, reference
""")
INSERT = sql("""
INSERT INTO payments (provider, reference, order_id, amount_minor, currency, recorded_at)
VALUES (:provider, :reference, :order_id ::uuid, :amount_minor, :currency, :recorded_at)
""")


class Payments:
    """The payments that one transaction looks at, of orders whose rows it has locked."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._holders: dict[tuple[str, str], str] = {}

    def load(self, payments: Iterable[Payment]) -> None:
        """Read which orders hold these payments; one statement, however many they are."""
        wanted = sorted({(payment.provider, payment.reference) for payment in payments})
        if wanted:
            parameters = {"providers": [p for p, _ in wanted], "references": [r for _, r in wanted]}
            rows = self._connection.execute(HOLDERS, parameters)
            self._holders |= {(row.provider, row.reference): row.order_id for row in rows}

    def holder(self, payment: Payment) -> str | None:
        """Return the order that a loaded payment's reference is recorded for."""
        return self._holders.get((payment.provider, payment.reference))

    def of(self, order_id: str) -> list[Payment]:
        """Return an order's payments, oldest first."""
        return [Payment(**row._asdict()) for row in self._connection.execute(OF_ORDER, {"order_id": order_id})]

    def add(self, order_id: str, payment: Payment, at: int) -> None:
        """Record a payment at `at` (microseconds since the epoch); its reference must be new."""
        self._holders[payment.provider, payment.reference] = order_id
        parameters = {
            "provider": payment.provider,
            "reference": payment.reference,
            "order_id": order_id,
            "amount_minor": payment.amount_minor,
            "currency": payment.currency,
            "recorded_at": from_micros(at),
        }
        self._connection.execute(INSERT, parameters)
