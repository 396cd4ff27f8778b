"""The lines of an order: what the catalog said at placement, and where inventory holds their units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from schemas.frozen import fast_init
from services.order.domain.statuses import FulfillmentStatus

# Where goods lie in a shop that has said nothing of locations.
DEFAULT_LOCATION = "main"


@dataclass(frozen=True, slots=True)
class Shortage:
    """A SKU that did not fit, in units."""

    sku: str
    requested: int
    available: int
    expected_at: int | None = None


class Held(NamedTuple):
    """Units of a SKU that inventory holds for the order at a location."""

    sku: str
    location: str
    quantity: int


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderLine:
    """A line, with what the catalog said when it was added; amounts in minor units.

    Args:
        shipped_quantity: units that left.
        returned_quantity: units that came back, damaged ones too.
        added_at: microseconds since the epoch; None for a line that was placed with its order.

    """

    item_id: str
    sku: str
    product_name: str
    variant_name: str
    vendor_id: str | None
    quantity: int
    unit_price_minor: int
    discount_minor: int
    tax_minor: int
    total_minor: int
    shipped_quantity: int = 0
    returned_quantity: int = 0
    added_at: int | None = None

    @property
    def unshipped(self) -> int:
        """Units that have not left."""
        return self.quantity - self.shipped_quantity


def fulfillment_status(lines: Sequence[OrderLine]) -> FulfillmentStatus:
    """Return how much of an order has left and come back; what left stays so, whatever became of the order."""
    units = sum(line.quantity for line in lines)
    shipped, returned = sum(line.shipped_quantity for line in lines), sum(line.returned_quantity for line in lines)
    if returned:
        return FulfillmentStatus.RETURNED if returned == shipped else FulfillmentStatus.PARTIALLY_RETURNED
    if not shipped:
        return FulfillmentStatus.UNFULFILLED
    return FulfillmentStatus.FULFILLED if shipped == units else FulfillmentStatus.PARTIALLY_FULFILLED


def with_shipped(lines: Sequence[OrderLine], units: Mapping[str, int]) -> tuple[OrderLine, ...]:
    """Return lines of which these units (item id → number) left too."""
    return tuple(replace(line, shipped_quantity=line.shipped_quantity + units.get(line.item_id, 0)) for line in lines)


def with_returned(lines: Sequence[OrderLine], units: Mapping[str, int]) -> tuple[OrderLine, ...]:
    """Return lines of which these units (item id → number) came back too."""
    return tuple(replace(line, returned_quantity=line.returned_quantity + units.get(line.item_id, 0)) for line in lines)


def by_location(lines: Sequence[OrderLine], held: Sequence[Held]) -> list[tuple[OrderLine, str, int]]:
    """Spread what has not left over the locations at which inventory holds it: (line, location, units) each.

    Raises:
        ValueError: inventory holds fewer units than the lines need.

    """
    left = {(place.sku, place.location): place.quantity for place in held}
    spread = []
    for line in lines:
        wanted = line.unshipped
        for place in [place for place in left if place[0] == line.sku]:
            taken = min(wanted, left[place])
            if taken:
                spread.append((line, place[1], taken))
                left[place] -= taken
                wanted -= taken
        if wanted:
            raise ValueError(f"{wanted} of {line.sku} are not held anywhere")
    return spread


def held_without(held: Sequence[Held], location: str, units: Mapping[str, int]) -> tuple[Held, ...]:
    """Return what is held once these units (SKU → number) have left a location."""
    rest = []
    for place in held:
        gone = units.get(place.sku, 0) if place.location == location else 0
        if place.quantity > gone:
            rest.append(place._replace(quantity=place.quantity - gone))
    return tuple(rest)
