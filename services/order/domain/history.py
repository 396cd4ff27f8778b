"""What became of an order, by whom, when and why: a row for every change."""

from dataclasses import dataclass

from schemas.frozen import fast_init
from services.order.domain.statuses import OrderStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who changes an order.

    Args:
        type: customer, vendor, warehouse, admin, service, or system.
        id: the token's subject, or the name of the service that reacted.

    """

    type: str
    id: str


SYSTEM = Actor(type="system", id="order")


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A history row: what became of an order, why, and by whom."""

    order_id: str
    previous_status: OrderStatus | None
    status: OrderStatus
    reason: str
    note: str | None
    public: bool
    actor: Actor
    event_id: str | None
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """When and why something happens: handed to every change.

    Args:
        now: microseconds since the epoch.
        actor: who does it.
        event_id: the causing event, or the request.
        note: in the actor's words.

    """

    now: int
    actor: Actor = SYSTEM
    event_id: str | None = None
    note: str | None = None
