"""Stock of a SKU: levels by location, and the movements that are their only way to change.

Invariants: every term ≥ 0; on_hand ≥ reserved + allocated; a level is the sum of its movements.
`available = on_hand - reserved - allocated - safety_stock` (units); reserving looks at it, so safety stock can be
raised above what is free without making anything invalid.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

DEFAULT_LOCATION = "main"


class MovementKind(StrEnum):
    """Why stock changed."""

    RECEIVED = "received"
    RESERVED = "reserved"
    RELEASED = "released"
    RESERVATION_EXPIRED = "reservation_expired"
    ALLOCATED = "allocated"
    SHIPPED = "shipped"
    RETURNED = "returned"
    ADJUSTED = "adjusted"
    WRITTEN_OFF = "written_off"


@dataclass(frozen=True, slots=True, kw_only=True)
class Because:
    """What a movement refers to.

    Args:
        event_id: the causing event, request or deadline; a movement is unique per (event, sku, location, kind).
        actor: who did it: a user's id, or the service that reacted.
        order_id: the order it was done for.
        reason: in the words of whoever adjusted.
        reference: the document behind it, such as a delivery note.

    """

    event_id: str
    actor: str
    order_id: str | None = None
    reason: str | None = None
    reference: str | None = None


class Movement(NamedTuple):
    """One line of the ledger: deltas per bucket, and the level after it."""

    sku: str
    location: str
    kind: MovementKind
    on_hand: int
    reserved: int
    allocated: int
    on_hand_after: int
    reserved_after: int
    allocated_after: int
    because: Because


@dataclass(slots=True)
class StockLevel:
    """Units of a SKU at a location."""

    sku: str
    location: str
    on_hand: int = 0
    reserved: int = 0
    allocated: int = 0
    safety_stock: int = 0
    version: int = 0

    @property
    def available(self) -> int:
        """Units that can still be promised; negative where safety stock exceeds what is free."""
        return self.on_hand - self.reserved - self.allocated - self.safety_stock

    def move(
        self, kind: MovementKind, because: Because, *, on_hand: int = 0, reserved: int = 0, allocated: int = 0
    ) -> Movement:
        """Change the level by these deltas and return the movement.

        Raises:
            ValueError: a term would become negative, or more would be held than is there.

        """
        after = (self.on_hand + on_hand, self.reserved + reserved, self.allocated + allocated)
        if min(after) < 0 or after[0] < after[1] + after[2]:
            raise ValueError(
                f"{kind} of {self.sku} at {self.location} would leave {after} on hand, reserved, allocated"
            )
        self.on_hand, self.reserved, self.allocated = after
        self.version += 1
        return Movement(
            sku=self.sku,
            location=self.location,
            kind=kind,
            on_hand=on_hand,
            reserved=reserved,
            allocated=allocated,
            on_hand_after=after[0],
            reserved_after=after[1],
            allocated_after=after[2],
            because=because,
        )


@dataclass(slots=True)
class Stock:
    """The levels that one transaction holds locked, and what it moved.

    Args:
        levels: (sku, location) → level. A SKU without a level has none in stock.

    """

    levels: dict[tuple[str, str], StockLevel] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)

    def level(self, sku: str, location: str = DEFAULT_LOCATION) -> StockLevel:
        """Return the level, an empty one where there is none yet."""
        known = self.levels.get((sku, location))
        return known if known is not None else StockLevel(sku=sku, location=location)

    def move(
        self,
        place: tuple[str, str],
        kind: MovementKind,
        because: Because,
        *,
        on_hand: int = 0,
        reserved: int = 0,
        allocated: int = 0,
    ) -> None:
        """Move stock at (sku, location) and write the ledger's line.

        Raises:
            ValueError: the level does not allow it; nothing has changed.

        """
        level = self.level(*place)
        self.movements.append(level.move(kind, because, on_hand=on_hand, reserved=reserved, allocated=allocated))
        self.levels[place] = level

    def available(self) -> dict[str, int]:
        """Return for each SKU the units that can still be promised, over all its locations."""
        totals: dict[str, int] = {}
        for (sku, _), level in self.levels.items():
            totals[sku] = totals.get(sku, 0) + level.available
        return totals

    def moved(self) -> Iterator[StockLevel]:
        """Yield each level that was moved, once, in order of (sku, location)."""
        for place in sorted({(movement.sku, movement.location) for movement in self.movements}):
            yield self.levels[place]


def added_up(quantities: Iterable[tuple[str, int]]) -> Mapping[str, int]:
    """Add up the quantities of each SKU, in order of first mention: two lines of one SKU compete for one level.

    Raises:
        ValueError: a quantity is not positive.

    """
    total: dict[str, int] = {}
    for sku, quantity in quantities:
        if quantity <= 0:
            raise ValueError(f"a line of {sku} has quantity {quantity}")
        total[sku] = total.get(sku, 0) + quantity
    return total
