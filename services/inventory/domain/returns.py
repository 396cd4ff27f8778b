"""What comes back: only units that arrived undamaged, and can be sold again, are put on hand.

What is damaged, written off or kept in quarantine changes no level: it left with its order, and stays gone.
"""

from schemas.contracts import ReturnReceived, ReturnReceivedLineDisposition, StockRestocked, StockRestockedLine
from services.inventory.domain.reservations import Reservation, ReservationStatus
from services.inventory.domain.stock import Because, MovementKind, Stock, added_up


def sellable(event: ReturnReceived) -> dict[str, int]:
    """Return the units of each SKU that can be sold again."""
    restock = ReturnReceivedLineDisposition.RESTOCK
    lines = [line for line in event.lines if line.disposition is restock and line.received > line.damaged]
    return dict(added_up((line.sku, line.received - line.damaged) for line in lines))


def put_back(
    event: ReturnReceived, reservation: Reservation, stock: Stock, because: Because, now: int
) -> StockRestocked | None:
    """Put on hand what can be sold again, once a receipt.

    Args:
        event: what arrived.
        reservation: of its order; changed in place where something is put back.
        stock: the levels of its SKUs; changed in place.
        because: what the movements refer to.
        now: microseconds since the epoch.

    Returns:
        What others are told, None where nothing was put back.

    """
    units = sellable(event)
    if not units or event.receipt_id in reservation.receipts:
        return None
    reservation.receipts = (*reservation.receipts, event.receipt_id)
    for sku, quantity in units.items():
        stock.move((sku, event.location), MovementKind.RETURNED, because, on_hand=quantity)
    lines = tuple(StockRestockedLine(sku=sku, quantity=n, location=event.location) for sku, n in units.items())
    return StockRestocked(order_id=event.order_id, return_id=event.return_id, lines=lines, restocked_at=now)


def remembered(event: ReturnReceived) -> Reservation:
    """Return the reservation of an order whose row was deleted long after it had been shipped.

    It counts the order's events and keeps its receipts.
    """
    return Reservation(order_id=event.order_id, status=ReservationStatus.SHIPPED)
