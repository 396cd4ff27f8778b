"""Orders that wait too long: for what, since when, what stands in the way, what is to be done."""

from dataclasses import dataclass
from datetime import datetime

_NEVER = float("inf")
# A consumer that is well looks every second.
_BEHIND_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class StuckOrder:
    """An order that waits, and what stands in its way.

    Args:
        waits_for: the answer that is awaited, or why it was listed.
        since: when its state changed last.
        parked: topics and fingerprints of its parked events.
        unpublished: whether an event of it waits in the outbox.
        behind_seconds: how long ago this service's consumer had read all that there was; infinite where it never had.

    """

    order_id: str
    order_number: str
    status: str
    waits_for: str
    since: datetime
    deadline_at: datetime | None
    parked: str | None
    unpublished: bool
    behind_seconds: float | None

    @property
    def next_step(self) -> str:
        """What stands in the way, and what an operator does about it."""
        if self.parked is not None:
            return f"{self.parked}; repair the cause, then retry"
        if self.unpublished:
            return "its event waits in the outbox; look at the relay's /readyz and the broker"
        if self.behind_seconds is not None and self.behind_seconds > _BEHIND_SECONDS:
            ago = "never yet" if self.behind_seconds == _NEVER else f"{self.behind_seconds:.0f} s ago"
            return f"our own consumer is behind (caught up {ago}); look at the order worker's /readyz and the broker"
        if self.waits_for == "stock_shortfall":
            return "it was sent on without stock; restock and ship, or cancel it"
        return "inventory has not answered; look at its worker's /readyz and `parked list`"

    @property
    def command(self) -> str | None:
        """The command of this service that the next step is to be done with, None where it is done otherwise."""
        return None if self.parked is None else f"parked retry --key {self.order_id}"
