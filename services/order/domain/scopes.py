"""Whose orders somebody may see: every query starts from a scope, so what is not theirs is not there."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A caller's part of all orders; without any restriction it is all of them.

    Args:
        customer_id: only this customer's.
        vendor_id: only those with a line of this vendor's, and only those lines.
        internal: whether history rows that are not public, and e-mail addresses, may be seen.

    """

    customer_id: str | None = None
    vendor_id: str | None = None
    internal: bool = False


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
    sort: str = "-created_at"
