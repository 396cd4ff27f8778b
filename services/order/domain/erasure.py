"""Erasing a customer: what tells who they were goes from orders that have ended; what was bought and paid stays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from services.order.domain.history import Actor, When
from services.order.domain.orders import Order, OrderContent
from services.order.domain.returns import TRANSITIONS as RETURNS
from services.order.domain.returns import Return
from services.order.domain.statuses import ENDED

# Where goods went decides about taxes, and is nobody's address.
_KEPT = ("country_code",)
_REQUIRED = ("first_name", "last_name", "address1", "city", "postal_code")
_ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseCustomer:
    """Erase a customer from their orders that have ended, and their saved addresses."""

    customer_id: str
    actor: Actor


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What became of a customer's orders and saved addresses.

    Args:
        ended: ids of those that have ended; there is nothing left of who they were for.
        newly: how many of them were erased now, and not before.
        left: how many have not ended.
        addresses: how many they had saved, and have not any more.

    """

    ended: Sequence[str]
    newly: int
    left: int
    addresses: int


def has_ended(order: Order, returns: Sequence[Return]) -> bool:
    """Return whether nobody needs the names any more: nothing is to be sent, paid, or to come or be paid back."""
    settled = not order.refund_due_minor and not order.amount_due_minor
    return order.status in ENDED and settled and not any(RETURNS[one.status] for one in returns)


def erase(order: Order, content: OrderContent, when: When) -> OrderContent | None:
    """Return what an order that has ended is about without who it was for; None where it was erased before."""
    erased = replace(
        content,
        customer_email=None,
        notes=None,
        external_reference=None,
        metadata={},
        shipping_address=_blank(content.shipping_address),
        billing_address=_blank(content.billing_address),
    )
    if erased == content:
        return None
    order.note_change(order.status, "erased", when, public=False)
    return erased


def _blank(address: Mapping[str, str | None]) -> Mapping[str, str | None]:
    return {name: value if name in _KEPT else _ERASED if name in _REQUIRED else None for name, value in address.items()}
