"""What the services' databases hold, read by the tests: state that no API shows, and whether an event was taken."""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from deploy.local.state import StackState
from tests.support.eventually import eventually

# The consumer of each service that takes events through the inbox.
CONSUMERS = {"order": "order", "inventory": "inventory", "notification": "notification"}
Row = Mapping[str, Any]


class Probe:
    """Reads every database of a running stack; each query is a transaction of its own."""

    def __init__(self, state: StackState) -> None:
        self._engines = {
            name: sa.create_engine(address.database_url, pool_size=2, isolation_level="AUTOCOMMIT")
            for name, address in state.services.items()
        }

    def close(self) -> None:
        """Close every connection."""
        for engine in self._engines.values():
            engine.dispose()

    def engine(self, service: str) -> sa.Engine:
        """Return the way into a service's database."""
        return self._engines[service]

    def rows(self, service: str, query: str, **parameters: object) -> list[Row]:
        """Return the rows of a query."""
        with self._engines[service].connect() as connection:
            return [row._asdict() for row in connection.execute(sa.text(query), parameters)]

    def value(self, service: str, query: str, **parameters: object) -> Any:
        """Return the only value of a query."""
        (row,) = self.rows(service, query, **parameters)
        (value,) = row.values()
        return value

    def execute(self, service: str, statement: str, **parameters: object) -> None:
        """Run a statement."""
        with self._engines[service].connect() as connection:
            connection.execute(sa.text(statement), parameters)

    def taken(self, service: str, event_ids: Iterable[str]) -> bool:
        """Tell whether a service's consumer has claimed these events: handled or parked, and committed."""
        wanted = sorted(set(event_ids))
        found = self.value(
            service,
            "SELECT count(*) FROM inbox WHERE consumer = :consumer AND event_id = ANY(CAST(:ids AS uuid[]))",
            consumer=CONSUMERS[service],
            ids=wanted,
        )
        return bool(found == len(wanted))

    def await_taken(self, service: str, *event_ids: str, within: float = 15.0) -> None:
        """Wait until a service's consumer has claimed these events."""

        def claimed() -> None:
            assert self.taken(service, event_ids), f"{service} has not taken {event_ids}"

        eventually(claimed, within=within)

    def await_published(self, within: float = 20.0) -> None:
        """Wait until no event of any service waits to be published."""

        def empty() -> None:
            for service in self._engines:
                assert not self.value(service, "SELECT count(*) FROM outbox"), f"{service}'s outbox is not empty"

        eventually(empty, within=within)

    def parked(self, service: str, key: str) -> list[Row]:
        """Return what is parked under a key, in order: event ids, and the state and reason of the key."""
        return self.rows(
            service,
            """SELECT k.topic, k.state, k.fingerprint, e.event_id::text FROM parked_keys k
               JOIN parked_events e USING (consumer, topic, key) WHERE key = :key ORDER BY e.id""",
            key=key,
        )

    def order(self, order_id: str) -> Row | None:
        """Return an order's row."""
        rows = self.rows("order", "SELECT * FROM orders WHERE id = CAST(:id AS uuid)", id=order_id)
        return rows[0] if rows else None

    def reservation(self, order_id: str) -> Row | None:
        """Return an order's reservation: its status, lines and how many events were told of it."""
        rows = self.rows(
            "inventory",
            "SELECT status, lines, deadline_at, events FROM reservations WHERE order_id = CAST(:id AS uuid)",
            id=order_id,
        )
        return rows[0] if rows else None

    def movements(self, order_id: str) -> list[tuple[str, str, int, int, int]]:
        """Return the ledger of an order: (kind, sku, on_hand, reserved, allocated), in order."""
        rows = self.rows(
            "inventory",
            """SELECT kind, sku, on_hand, reserved, allocated FROM stock_movements
               WHERE order_id = CAST(:id AS uuid) ORDER BY id""",
            id=order_id,
        )
        return [(row["kind"], row["sku"], row["on_hand"], row["reserved"], row["allocated"]) for row in rows]
