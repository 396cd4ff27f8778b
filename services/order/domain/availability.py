"""What inventory's alerts last said of a variant: enough to tell a customer, never a promise.

Stock is decided where an order is reserved. Between two alerts units come and go untold, so the state of a variant of
which nothing is known to the contrary is `in_stock`.
"""

from dataclasses import dataclass
from enum import StrEnum

from schemas.contracts import BackInStock, LowStockReached, OutOfStock

StockAlert = LowStockReached | OutOfStock | BackInStock


class Availability(StrEnum):
    """Whether a variant can be had, as far as it is known."""

    IN_STOCK = "in_stock"
    LOW_STOCK = "low_stock"
    OUT_OF_STOCK = "out_of_stock"


@dataclass(frozen=True, slots=True)
class ToldStock:
    """What an alert says of a variant; `at` in microseconds since the epoch."""

    sku: str
    availability: Availability
    at: int


def told_by(alert: StockAlert) -> ToldStock:
    """Return what an alert says."""
    if isinstance(alert, OutOfStock):
        return ToldStock(alert.sku, Availability.OUT_OF_STOCK, alert.out_since)
    if isinstance(alert, LowStockReached):
        return ToldStock(alert.sku, Availability.LOW_STOCK, alert.reached_at)
    return ToldStock(alert.sku, Availability.IN_STOCK, alert.back_at)
