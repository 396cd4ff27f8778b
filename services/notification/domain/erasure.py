"""Erasing whom the mails about orders went to: that they were sent, and when, stays."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EraseOrders:
    """Erase the addresses of the mails about some orders."""

    order_ids: Sequence[str]
