"""One order's life, written once more and simply: what people may ask of it, and what it then is and costs.

Plain numbers, names and dictionaries, nothing from the services: told as a person would tell them, so that
a mistake there cannot hide itself here. Each method takes what happens, changes what must be found afterwards, and
returns the code of the refusal, None where there must be none. Amounts are in minor units.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.order_parts import Back, Line, Sent, Wanted, priced

_NEXT = {
    "pending": {"confirmed", "cancelled"},
    "confirmed": {"processing", "cancelled"},
    "processing": {"shipped", "cancelled"},
    "shipped": {"delivered", "cancelled"},
    "delivered": {"refunded"},
    "cancelled": set[str](),
    "refunded": set[str](),
}
_EDITABLE = ("pending", "confirmed", "processing")


@dataclass
class Reference:
    """The order.

    Args:
        lines: item id → line.
        discount: that was granted.
        prepaid: whether the money comes first.

    Attributes:
        asked: refunds that must have been asked for since they were last looked at.

    """

    lines: dict[str, Line]
    discount: int
    prepaid: bool
    status: str = "pending"
    stock: str = "pending"
    awaits: str | None = "reserving"
    confirm_later: bool = False
    kept_on_cancel: bool = False
    handed_over: bool = False
    stuck: str | None = None
    paid: dict[str, int] = field(default_factory=dict)
    backs: dict[str, Back] = field(default_factory=dict)
    returns: dict[str, Sent] = field(default_factory=dict)
    # Item → units, of each shipment; and those that arrived.
    shipments: list[dict[str, int]] = field(default_factory=list)
    arrived: set[int] = field(default_factory=set)
    revision: int = 0
    proposal: dict[str, Line] = field(default_factory=dict)
    ends: list[str] = field(default_factory=list)
    asked: list[Wanted] = field(default_factory=list)

    # --- money

    @property
    def total(self) -> int:
        return priced(self.lines, self.discount)

    @property
    def captured(self) -> int:
        return sum(self.paid.values())

    def back(self, *statuses: str) -> int:
        return sum(back.amount for back in self.backs.values() if back.status in statuses)

    @property
    def kept(self) -> int:
        return self.captured - self.back("pending", "succeeded") - sum(wanted.amount for wanted in self.asked)

    @property
    def owed(self) -> int:
        if self.status == "cancelled" and not self.kept_on_cancel:
            return 0
        conceded = sum(back.conceded for back in self.backs.values() if back.status != "failed")
        return max(0, self.total - conceded - sum(wanted.amount - wanted.due for wanted in self.asked))

    @property
    def amount_due(self) -> int:
        return max(0, self.owed - self.kept)

    @property
    def refund_due(self) -> int:
        return max(0, self.captured - self.back("succeeded") - self.owed)

    @property
    def is_paid(self) -> bool:
        return self.captured > 0 and self.kept >= self.owed

    def ask_for_what_is_due(self) -> None:
        """Something has become due: it is asked for, by itself."""
        due = self.kept - self.owed
        if due > 0:
            self.asked.append(Wanted(due, due))

    # --- payments

    def confirm(self, payment: tuple[str, int] | None) -> str | None:
        if self.awaits == "revising":
            return "operation_in_progress"
        refused = self._pay(*payment) if payment and payment[0] not in self.paid else None
        if refused:
            return refused
        if self.status == "cancelled":
            return "order_cancelled"
        if self.status != "pending":
            return None if payment or self.status == "confirmed" else "invalid_status_transition"
        if self.prepaid and not self.is_paid:
            return "payment_required"
        if self.awaits == "reserving":
            self.confirm_later = True
        else:
            self._confirmed()
        return None

    def _pay(self, reference: str, amount: int) -> str | None:
        unwanted = self.status == "cancelled" or self.is_paid
        if amount != self.amount_due and not unwanted:
            return "payment_mismatch"
        already = self.is_paid and self.status != "cancelled"
        self.paid[reference] = amount
        self.ask_for_what_is_due()
        return "already_paid" if already else None

    def _confirmed(self) -> None:
        self.status, self.awaits = "confirmed", "allocating"

    # --- the way of the goods

    def process(self) -> str | None:
        if self.status == "processing":
            return None
        refused = self._may_become("processing")
        if refused:
            return refused
        if self.stock != "allocated":
            return "stock_not_allocated"
        if self.amount_due and self.prepaid:
            return "amount_due_open"
        self.status, self.handed_over = "processing", True
        return None

    def ship(self, units: Mapping[str, int] | None) -> str | None:
        """Ship units of items, or what is left."""
        if units is None and self.status == "shipped":
            return None
        refused = self._may_become("shipped") if units is None else self._may_ship()
        if refused:
            return refused
        left = {item: line.quantity - line.shipped for item, line in self.lines.items()}
        leaving = {item: n for item, n in (left if units is None else units).items() if n}
        if any(n > left[item] for item, n in leaving.items()):
            return "more_than_left"
        for item, n in leaving.items():
            self.lines[item].shipped += n
        self.shipments.append(leaving)
        if all(line.shipped == line.quantity for line in self.lines.values()):
            self.status, self.stuck = "shipped", None
        return None

    def _may_ship(self) -> str | None:
        if self.status != "processing":
            return "invalid_status_transition"
        return "operation_in_progress" if self.awaits == "revising" else None

    def arrive(self, shipment: int) -> None:
        """Let a shipment arrive, by what its carrier tells."""
        self.arrived.add(shipment)
        if self.status == "shipped" and len(self.arrived) == len(self.shipments):
            self.status = "delivered"

    def deliver(self) -> str | None:
        if self.status == "delivered":
            return None
        refused = self._may_become("delivered")
        if refused is None:
            self.status, self.arrived = "delivered", set(range(len(self.shipments)))
        return refused

    def _may_become(self, status: str) -> str | None:
        if status not in _NEXT[self.status]:
            return "invalid_status_transition"
        return "operation_in_progress" if self.awaits == "revising" else None

    # --- the end

    def cancel(self, *, refund: bool) -> str | None:
        if self.status == "cancelled":
            return None
        if "cancelled" not in _NEXT[self.status]:
            return "invalid_status_transition"
        self._cancelled(refund=refund)
        return None

    def _cancelled(self, *, refund: bool = True) -> None:
        if self.awaits == "revising":
            self.ends.append("cancelled")
        # Whatever was paid, all of it or a part.
        self.kept_on_cancel = self.captured > 0 and not refund
        self.status, self.awaits, self.confirm_later, self.stuck = "cancelled", None, False, None
        self.ask_for_what_is_due()

    @property
    def expected_back(self) -> dict[str, int]:
        """What has left, and is neither back nor on its way back."""
        return {item: self._returnable(item) for item in self.lines if self._returnable(item)}

    # --- edits

    def edit(self, after: dict[str, Line], refused: str | None = None) -> str | None:
        """Ask for other lines; `refused` is why these cannot be, whatever the order is."""
        if self.status not in _EDITABLE or any(line.shipped for line in self.lines.values()):
            return "not_editable"
        if self.awaits:
            return "operation_in_progress"
        if refused:
            return refused
        self.revision += 1
        self.awaits, self.proposal = "revising", after
        return None

    # --- inventory answers, and time passes

    def hear(self, answer: str, revision: int | None) -> None:
        if revision is not None:
            if self.awaits == "revising" and revision == self.revision:
                self._end_edit("applied" if answer == "StockReserved" else "insufficient_stock")
            return
        if answer == "StockReserved" and self.status == "pending" and self.awaits == "reserving":
            self.stock, self.awaits = "reserved", None
            if self.confirm_later or self.is_paid:
                self._confirmed()
        elif answer in ("StockRejected", "StockReservationExpired") and self.status == "pending":
            self.stock = "rejected" if answer == "StockRejected" else "expired"
            self._cancelled()
        elif answer == "StockAllocated" and self.status == "confirmed" and self.awaits == "allocating":
            self.stock, self.awaits, self.stuck = "allocated", None, None
        elif answer == "StockShortfall" and self.status == "confirmed":
            self.stock = "expired"
            self._cancelled()
        elif answer == "StockShortfall" and self.status in ("processing", "shipped", "delivered"):
            self.stuck = "stock_shortfall"
        elif answer == "StockReleased" and self.status in ("cancelled", "refunded"):
            self.stock = "released"

    def _end_edit(self, how: str) -> None:
        self.awaits = None
        self.ends.append(how)
        if how == "applied":
            self.lines = self.proposal
            self.ask_for_what_is_due()

    def time_out(self) -> None:
        if self.awaits == "reserving":
            self._cancelled()
        elif self.awaits == "revising":
            self._end_edit("timeout")
        elif self.awaits == "allocating" and self.stuck is None:
            self.stuck = "allocation_timeout"

    # --- money that goes back

    def refunded_units(self, item: str) -> int:
        return sum(back.units.get(item, 0) for back in self.backs.values() if back.status != "failed")

    def cost(self, units: Mapping[str, int]) -> int:
        """Return what units cost, behind those that were paid back: the shares of a line's units add up to it."""
        parts = []
        for item, n in units.items():
            line, before = self.lines[item], self.refunded_units(item)
            parts.append(line.total * (before + n) // line.quantity - line.total * before // line.quantity)
        return sum(parts)

    def refund(self, what: int | Mapping[str, int] | str) -> str | None:
        """Ask for an amount, for units of lines, for the `shipping`, or for the `rest`."""
        if self.status == "pending":
            return "refund_not_allowed"
        if self.kept <= 0:
            return "nothing_to_refund"
        units = what if isinstance(what, Mapping) else {}
        if any(n > self.lines[item].quantity - self.refunded_units(item) for item, n in units.items()):
            return "refund_too_large"
        amount = {"rest": self.kept, "shipping": self.shipping_left}[what] if isinstance(what, str) else what
        amount = self.cost(units) if units else amount
        return self._refund(amount, units, amount if what == "shipping" else 0)  # type: ignore[arg-type]

    @property
    def shipping_left(self) -> int:
        shipping = self.total - sum(line.total for line in self.lines.values())
        return shipping - sum(back.shipping for back in self.backs.values() if back.status != "failed")

    def _refund(self, amount: int, units: Mapping[str, int], shipping: int = 0) -> str | None:
        if amount <= 0:
            return "nothing_to_refund"
        if amount > self.kept:
            return "refund_too_large"
        # What nobody owes goes first; the rest is conceded.
        due = min(amount, max(0, self.kept - self.owed))
        self.asked.append(Wanted(amount, due, units, shipping))
        return None

    def rest_as_status(self) -> str | None:
        """Set the status `refunded`: the rest is asked for."""
        if self.status == "refunded":
            return None
        if "refunded" not in _NEXT[self.status]:
            return "invalid_status_transition"
        if self.back("pending") and self.kept <= 0:
            return None
        return self.refund("rest")

    def requested(self, parts: Sequence[tuple[str, int, str]]) -> None:
        """Take refunds that were asked for, as (id, amount, payment), which make up what had to be."""
        for wanted in self.asked:
            left, conceded, first = wanted.amount, wanted.amount - wanted.due, True
            while left > 0:
                refund_id, amount, payment = parts[0]
                parts = parts[1:]
                part = min(amount, conceded)
                told = (wanted.units, wanted.shipping) if first else ({}, 0)
                self.backs[refund_id] = Back(amount, payment, part, units=told[0], shipping=told[1])
                left, conceded, first = left - amount, conceded - part, False
            assert left == 0, "more was asked for than is due"
        assert not parts, f"nobody asked for {parts}"
        self.asked = []

    def settle(self, refund_id: str, status: str) -> str | None:
        back = self.backs[refund_id]
        if back.status == status:
            return None
        if back.status == "succeeded" or (back.status, status) == ("failed", "succeeded"):
            return "refund_settled"
        if status == "pending":
            of_payment = [other for other in self.backs.values() if other.payment == back.payment]
            live = sum(other.amount for other in of_payment if other.status != "failed")
            if back.amount > min(self.kept, self.paid[back.payment] - live):
                return "refund_too_large"
        back.status = status
        if self.status == "delivered" and status == "succeeded" and self.back("succeeded") == self.captured:
            self.status = "refunded"
        return None

    # --- goods that come back

    def _returnable(self, item: str) -> int:
        coming = sum(
            one.wanted.get(item, 0) - one.came[item]
            for one in self.returns.values()
            if one.status not in ("declined", "received")
        )
        return self.lines[item].shipped - self.lines[item].returned - coming

    def may_return(self, item: str, units: int) -> str | None:
        if self.status not in ("delivered", "refunded"):
            return "return_not_allowed"
        return "return_too_large" if units > self._returnable(item) else None

    def decide(self, return_id: str, status: str) -> str | None:
        one = self.returns[return_id]
        if one.status == status:
            return None
        if one.status != "requested":
            return "invalid_return_transition"
        one.status = status
        return None

    def receive(self, return_id: str, item: str, units: int, *, complete: bool, refund: bool) -> str | None:
        one = self.returns[return_id]
        if one.status not in ("approved", "partially_received"):
            return "invalid_return_transition"
        if units > one.wanted[item] - one.came[item]:
            return "return_too_large"
        one.came[item] += units
        self.lines[item].returned += units
        all_came = all(one.came[item] == n for item, n in one.wanted.items())
        one.status = "received" if complete or all_came else "partially_received"
        payable = min(units, self.lines[item].quantity - self.refunded_units(item))
        amount = min(self.cost({item: payable}), self.kept) if payable > 0 else 0
        if refund and amount > 0 and self.status != "pending":
            self._refund(amount, {item: payable})
        return None
