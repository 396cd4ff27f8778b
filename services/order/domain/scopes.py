"""Whose orders somebody may see: every query starts from a scope, so what is not theirs is not there."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A caller's part of all orders; without any restriction it is all of them.

    Args:
        customer_id: only this customer's.
        vendor_id: only those with a line of this vendor's, and only those lines.
        locations: only those of which something lies, or lay when it was handed over, at one of these.
        handling: to handle goods alone: nothing of who pays, and how much.
        internal: whether history rows that are not public, and e-mail addresses, may be seen.

    """

    customer_id: str | None = None
    vendor_id: str | None = None
    locations: frozenset[str] | None = None
    handling: bool = False
    internal: bool = False

    @property
    def shows_buyer(self) -> bool:
        """Whether the buyer's e-mail, billing address and money may be seen beside the lines and where they go."""
        return self.vendor_id is None and not self.handling


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders are meant; None means any. `sort` is a key of REST, with a minus for descending."""

    status: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    updated_from: datetime | None = None
    number: str | None = None
    request_id: str | None = None
    customer_id: str | None = None
    stuck: bool | None = None
    payment_status: str | None = None
    overdue: bool | None = None
    q: str | None = None
    sort: str = "-created_at"

    @property
    def sorted_by(self) -> str:
        """The key of the sort, whatever its direction."""
        return self.sort.lstrip("-")


def is_narrow(scope: Scope, wanted: OrderFilter) -> bool:
    """Return whether what is asked for is part of few orders: a person's, or some that are named or want attention.

    Those may be sorted and filtered at will. Of all orders only what an index has in order is given.
    """
    named = (scope.customer_id, wanted.customer_id, wanted.number, wanted.request_id)
    return any(value is not None for value in named) or bool(wanted.stuck) or bool(wanted.overdue)


def unindexed(scope: Scope, wanted: OrderFilter) -> str | None:
    """Return why a list would have to look at more orders than it shows, and what to ask instead; None if it does not.

    A vendor's orders are many or few; they are found by the vendor, or by the time, but by no other order of rows.
    """
    key = wanted.sorted_by
    if wanted.q is not None or scope.vendor_id is not None:
        what = "q" if wanted.q is not None else "a vendor's list"
        return None if key == "created_at" else f"{what} goes with sort=created_at or -created_at, not {wanted.sort}"
    if is_narrow(scope, wanted):
        return None
    by_created = wanted.created_from is not None or wanted.created_before is not None
    clashing = {
        "created_at[gte] and created_at[lt]": by_created and key != "created_at",
        "updated_at[gte]": wanted.updated_from is not None and key != "updated_at",
        "status": wanted.status is not None and key == "total_amount",
        "payment_status": wanted.payment_status is not None and key == "total_amount",
    }
    found = [name for name, clashes in clashing.items() if clashes]
    if not found:
        return None
    return (
        f"over all orders sort={wanted.sort} does not go with {' and '.join(found)}: ranges of a time go with the sort "
        "by that time, status and payment_status with both; or name a customer_id"
    )
