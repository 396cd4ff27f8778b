"""The ledger as it is read."""

from dataclasses import dataclass
from datetime import datetime

from services.inventory.domain.stock import MovementKind


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """A movement as it stands in the ledger."""

    id: int
    sku: str
    location: str
    kind: MovementKind
    on_hand: int
    reserved: int
    allocated: int
    on_hand_after: int
    reserved_after: int
    allocated_after: int
    reason: str | None
    reference: str | None
    order_id: str | None
    actor: str
    event_id: str
    created_at: datetime
