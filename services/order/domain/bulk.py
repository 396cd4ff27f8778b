"""Many orders at once: placed, or moved on. Each is decided as if it came alone."""

import re
from dataclasses import dataclass
from enum import StrEnum

from services.order.domain.drafts import OrderDraft
from services.order.domain.history import Actor
from services.order.domain.orders import CancelOrder
from services.order.domain.payments import ConfirmOrder
from services.order.domain.refund_requests import RefundRest
from services.order.domain.shipments import AdvanceOrder
from services.order.domain.statuses import CancelReason, OrderStatus

MAX_ROWS = 500
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class BulkMode(StrEnum):
    """What becomes of the good rows where others are refused."""

    ATOMIC = "atomic"
    BEST_EFFORT = "best_effort"
    DRY_RUN = "dry_run"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceOrders:
    """Place many orders; what is wrong with one is no matter of the others.

    Args:
        keys: of the drafts, one each; None for one without. Of a key that was answered before, nothing is placed.

    """

    drafts: tuple[OrderDraft, ...]
    keys: tuple[str | None, ...]
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateOrders:
    """Move many orders to a status, each once; `rows` are their ids, or what was sent where there is none."""

    rows: tuple[str, ...]
    status: OrderStatus
    actor: Actor
    mode: BulkMode
    note: str | None = None

    @property
    def order_ids(self) -> tuple[str, ...]:
        """The orders that are locked: what does not even look like an id is none's."""
        return tuple(row for row in self.rows if _ID.fullmatch(row))

    def of(self, order_id: str) -> ConfirmOrder | CancelOrder | RefundRest | AdvanceOrder:
        """Return the command that moves one of them: the same as that of a status update."""
        if self.status is OrderStatus.CONFIRMED:
            return ConfirmOrder(order_id=order_id, payment=None, actor=self.actor, note=self.note)
        if self.status is OrderStatus.CANCELLED:
            reason = CancelReason.CUSTOMER_REQUEST
            return CancelOrder(order_id=order_id, reason=reason, actor=self.actor, note=self.note)
        if self.status is OrderStatus.REFUNDED:
            return RefundRest(order_id=order_id, actor=self.actor, note=self.note)
        return AdvanceOrder(order_id=order_id, status=self.status, actor=self.actor, note=self.note)
