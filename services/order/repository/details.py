"""What belongs to orders beside their state, read in a fixed number of steps."""

from collections.abc import Sequence

from services.chassis.connection import Connection
from services.order.domain.details import OrderDetails
from services.order.repository import history, lines, revisions, shipments


def details(connection: Connection, order_ids: Sequence[str]) -> dict[str, OrderDetails]:
    """Return everything of orders: five statements at most, however many they are."""
    found = lines.contents(connection, order_ids)
    changes = history.of_orders(connection, order_ids) if found else {}
    parts = shipments.of_orders(connection, order_ids)
    # Most orders are never edited; whether one was, its history says.
    edited = [order_id for order_id, rows in changes.items() if any(row.reason == "revision_requested" for row in rows)]
    edits = revisions.newest_of_orders(connection, edited)
    return {
        order_id: OrderDetails(
            content, tuple(changes.get(order_id, ())), tuple(parts.get(order_id, ())), edits.get(order_id)
        )
        for order_id, content in found.items()
    }
