"""How the orders of the load end, and everything that is told of each on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

CANCEL = "/cancel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The end of an order, and its whole way there.

    Args:
        end: status, reservation, reason of the cancel, what is still awaited.
        order: events of the order service, in their order.
        inventory: events of inventory, in their order.
        mails: templates, sorted.
        movements: what each of its two lines did to the stock, sorted.

    """

    end: tuple[str, str, str | None, str | None]
    order: list[str]
    inventory: list[str]
    mails: list[str]
    movements: list[str]

    @property
    def told(self) -> dict[str, list[str]]:
        """Topic → names of the events under the order's key."""
        return {
            "order.events.v1": self.order,
            "inventory.events.v1": self.inventory,
            "notification.events.v1": ["NotificationSent" for _ in self.mails],
        }


FULFILLED = Story(
    end=("confirmed", "allocated", None, None),
    order=["OrderPlaced", "OrderConfirmed"],
    inventory=["StockReserved", "StockAllocated"],
    mails=["order_confirmed", "order_placed"],
    movements=["allocated", "reserved"],
)
REFUSED = Story(
    end=("cancelled", "rejected", "insufficient_stock", None),
    order=["OrderPlaced", "OrderCancelled"],
    inventory=["StockRejected"],
    mails=["order_cancelled", "order_placed"],
    movements=[],
)
CANCELLED = Story(
    end=("cancelled", "released", "customer_request", None),
    order=["OrderPlaced", "OrderCancelled"],
    inventory=["StockReserved", "StockReleased"],
    mails=["order_cancelled", "order_placed"],
    movements=["released", "reserved"],
)
CANCELLED_WHEN_CONFIRMED = replace(
    CANCELLED,
    order=["OrderPlaced", "OrderConfirmed", "OrderCancelled"],
    inventory=["StockReserved", "StockAllocated", "StockReleased"],
    mails=["order_cancelled", "order_confirmed", "order_placed"],
    movements=["allocated", "released", "reserved"],
)


def is_short_of_stock(key: str) -> bool:
    """Tell whether the order that is placed under this idempotency key wants what is not there."""
    return _number(key) % 10 == 9


def is_to_be_cancelled(key: str) -> bool:
    """Tell whether that order's buyer changes their mind at once."""
    return _number(key) % 10 in (2, 5)


def is_mailed(key: str) -> bool:
    """Tell whether that order's buyer left an address for mails."""
    return _number(key) % 5 == 4


def stories_of(accepted: Mapping[str, Mapping[str, Any]], confirmed: set[str]) -> dict[str, Story]:
    """Return the story that each accepted order must have, by the order's id.

    Args:
        accepted: the answers by idempotency key, of orders and of cancels.
        confirmed: ids of the orders that were confirmed once: a cancel may come before that or after.

    """
    stories: dict[str, Story] = {}
    placed = {key: answer["id"] for key, answer in accepted.items() if not key.endswith(CANCEL)}
    for key, order_id in placed.items():
        story = REFUSED if is_short_of_stock(key) else FULFILLED
        if key + CANCEL in accepted:
            story = CANCELLED_WHEN_CONFIRMED if order_id in confirmed else CANCELLED
        stories[order_id] = story if is_mailed(key) else replace(story, mails=[])
    assert len(stories) == len(placed), "two requests were answered with one order"
    return stories


def _number(key: str) -> int:
    return int(key.rpartition("-")[2])
