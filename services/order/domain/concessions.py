"""Concessions: what was paid back though the customer owed it, and what becomes of that when an order is changed.

What a change takes off an order is not owed any more. Had it been paid back before, that refund concedes nothing of
what is left: otherwise the same units would be paid back twice, once by the refund and once by the lower total.
"""

from collections.abc import Sequence
from dataclasses import replace

from services.order.domain.orders import Order, OrderContent
from services.order.domain.refunds import Refund, Refundable, RefundLine


def withdraw(known: Refundable, before: OrderContent) -> list[Refund]:
    """Withdraw what was conceded of something that an order does not have any more; the order is changed in place.

    Units that were paid back go first.

    Args:
        known: the order as it is now.
        before: what it was about.

    Returns:
        The refunds that are others now.

    """
    concessions = _Concessions(known.order, known.refunds)
    quantities = {line.item_id: line.quantity for line in known.content.lines}
    for line in before.lines:
        concessions.take_units(line.item_id, line.quantity - quantities.get(line.item_id, 0))
    concessions.take_shipping(-known.shipping_minor)
    concessions.take(known.order.conceded_minor - known.order.total_minor, list(concessions.refunds))
    return [refund for old in known.refunds for refund in [concessions.refunds[old.id]] if refund != old]


class _Concessions:
    """An order's refunds, newest first, while something is taken off the order.

    Refunds that failed are told too, for they may be tried again; what they conceded is not in the order's sum.
    """

    def __init__(self, order: Order, refunds: Sequence[Refund]) -> None:
        self._order = order
        self.refunds = {refund.id: refund for refund in reversed(refunds)}

    def take_units(self, item_id: str, units: int) -> None:
        for refund in list(self.refunds.values()):
            gone, cost, rest = _without(refund.lines, item_id, units)
            if not gone:
                continue
            self.refunds[refund.id] = replace(refund, lines=rest)
            self.take(cost, self._made_with(refund))
            units -= gone if refund.is_live else 0

    def take_shipping(self, amount: int) -> None:
        for refund in list(self.refunds.values()):
            gone = min(amount, refund.shipping_minor)
            if gone <= 0:
                continue
            self.refunds[refund.id] = replace(refund, shipping_minor=refund.shipping_minor - gone)
            self.take(gone, self._made_with(refund))
            amount -= gone if refund.is_live else 0

    def take(self, amount: int, ids: Sequence[str]) -> None:
        """Withdraw an amount, as far as these refunds conceded it."""
        for refund_id in ids:
            refund = self.refunds[refund_id]
            gone = min(amount, refund.conceded_minor)
            if gone <= 0:
                continue
            self.refunds[refund_id] = replace(refund, conceded_minor=refund.conceded_minor - gone)
            self._order.conceded_minor -= gone if refund.is_live else 0
            amount -= gone

    def _made_with(self, refund: Refund) -> list[str]:
        """Return the refunds over which one was spread, itself first: its lines and shipping are told of one alone."""
        others = [r.id for r in self.refunds.values() if r.created_at == refund.created_at and r.id != refund.id]
        return [refund.id, *others]


def _without(lines: Sequence[RefundLine], item_id: str, units: int) -> tuple[int, int, tuple[RefundLine, ...]]:
    """Return how many of some units of an item the lines have, what they cost there, and the lines without them."""
    line = next((line for line in lines if line.item_id == item_id), None)
    gone = min(units, line.quantity) if line else 0
    if line is None or gone <= 0:
        return 0, 0, tuple(lines)
    kept = replace(line, quantity=line.quantity - gone, amount_minor=_part(line, line.quantity - gone))
    rest = tuple(kept if one is line else one for one in lines if one is not line or kept.quantity)
    return gone, line.amount_minor - kept.amount_minor, rest


def _part(line: RefundLine, units: int) -> int:
    return line.amount_minor * units // line.quantity
