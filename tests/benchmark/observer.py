"""What the benchmark asks of the databases while the saga runs: few questions, from backends that are not counted."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import psycopg2

from deploy.local.stack import Stack
from deploy.local.state import SERVICES
from services.chassis.database import RELAY_LOCK

_ELECTED = """
SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database
               WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = %s AND l.granted
                   AND l.pid <> pg_backend_pid())
"""


class Observer:
    """One connection to each service's database.

    Args:
        stack: whose databases.
        unpublished: the query that counts the outbox rows that are still to be published.

    """

    def __init__(self, stack: Stack, unpublished: str) -> None:
        self._unpublished = unpublished
        self._connections = {service: _connect(stack, service) for service in SERVICES}
        self.backends = frozenset(connection.get_backend_pid() for connection in self._connections.values())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._connections.values():
            connection.close()

    def ask(self, service: str, question: str, *values: object) -> Any:
        """Return the one value that a query gives."""
        with self._connections[service].cursor() as cursor:
            cursor.execute(question, values)
            row = cursor.fetchone()
        return row and row[0]

    def hold_relay(self) -> None:
        """Be elected as the order service's relay: nothing of the backlog is published meanwhile."""
        self.ask("order", "SELECT pg_advisory_lock(%s)", RELAY_LOCK)

    def let_relay_go(self) -> None:
        """Step down as the relay."""
        self.ask("order", "SELECT pg_advisory_unlock(%s)", RELAY_LOCK)

    def relay_works(self) -> bool:
        """Tell whether somebody else was elected as the order service's relay."""
        return bool(self.ask("order", _ELECTED, RELAY_LOCK))

    def all_confirmed(self, orders: int) -> bool:
        """Tell whether no order waits to be confirmed and two notifications an order stand (placed, confirmed)."""
        if self.ask("order", "SELECT EXISTS (SELECT FROM orders WHERE pending_operation = 'reserving')"):
            return False
        return bool(self.ask("notification", "SELECT count(*) FROM notifications") >= 2 * orders)

    def at_rest(self, orders: int) -> bool:
        """Tell whether, besides, all stock is allocated, every service knows it, and nothing is left to publish."""
        if self.ask("order", "SELECT EXISTS (SELECT FROM orders WHERE pending_operation IS NOT NULL)"):
            return False
        return self.all_confirmed(orders) and not any(self._outbox(service) for service in SERVICES)

    def outstanding(self) -> Mapping[str, Any]:
        """Return how far everything is: for a run that did not end in time."""
        orders = """SELECT jsonb_object_agg(status || '/' || reservation_status, n)
                    FROM (SELECT status, reservation_status, count(*) n FROM orders GROUP BY 1, 2) d"""
        return {
            "orders": self.ask("order", orders),
            "notifications": self.ask("notification", "SELECT count(*) FROM notifications"),
            "unpublished": {service: self._outbox(service) for service in SERVICES},
            "inbox": {service: self.ask(service, "SELECT count(*) FROM inbox") for service in SERVICES},
            "parked": {service: self.ask(service, "SELECT count(*) FROM parked_keys") for service in SERVICES},
        }

    def _outbox(self, service: str) -> int:
        return int(self.ask(service, self._unpublished))


def _connect(stack: Stack, service: str) -> Any:
    url = stack.environment(service)["DATABASE_URL"].replace("+psycopg2", "")
    connection = psycopg2.connect(url, application_name="benchmark")
    connection.autocommit = True
    return connection
