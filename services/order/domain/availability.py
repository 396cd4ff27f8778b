"""What inventory's alerts last said of a variant: enough to tell a customer, never a promise.

Stock is decided where an order is reserved. Between two alerts units come and go untold, so the state of a variant of
which nothing is known to the contrary is `in_stock`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from schemas.contracts import BackInStock, LowStockReached, OutOfStock
from services.order.domain.orders import OrderContent
from services.order.domain.refusals import Refusal, RefusalCode

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


def none_left(before: OrderContent, after: OrderContent, told: Mapping[str, Availability]) -> Refusal | None:
    """Return why a change could not be held, as far as that is known: it wants more of what is out of stock."""
    wanted = _units(after) - _units(before)
    out = sorted(sku for sku in wanted if told.get(sku) is Availability.OUT_OF_STOCK)
    if not out:
        return None
    return Refusal(RefusalCode.INSUFFICIENT_STOCK, f"out of stock: {', '.join(out)}")


def _units(content: OrderContent) -> Counter[str]:
    units = Counter[str]()
    for line in content.lines:
        units[line.sku] += line.quantity
    return units
