"""Returns: goods that are to come back, what was decided about them, and what arrived.

Invariant: of a line no more units are ever back or on their way back than have left. A declined return frees its
units, and so does one that is closed before all of it arrived; whoever opens or receives one holds the order's row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from schemas.contracts import (
    ReturnApproved,
    ReturnDeclined,
    ReturnRequested,
    ReturnRequestedLine,
)
from services.order.domain.history import Actor, When
from services.order.domain.lines import OrderLine
from services.order.domain.numbers import order_number
from services.order.domain.orders import Order, OrderContent
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus

ReturnEvent = ReturnRequested | ReturnApproved | ReturnDeclined
# The reason of a line that nobody asked to send back: its order was cancelled after it had left.
EXPECTED_REASON = "order_cancelled"


class ReturnStatus(StrEnum):
    """How far a return is."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DECLINED = "declined"
    PARTIALLY_RECEIVED = "partially_received"
    RECEIVED = "received"


_S = ReturnStatus
TRANSITIONS: Mapping[ReturnStatus, tuple[ReturnStatus, ...]] = {
    _S.REQUESTED: (_S.APPROVED, _S.DECLINED),
    _S.APPROVED: (_S.PARTIALLY_RECEIVED, _S.RECEIVED),
    _S.PARTIALLY_RECEIVED: (_S.PARTIALLY_RECEIVED, _S.RECEIVED),
    _S.DECLINED: (),
    _S.RECEIVED: (),
}


class Disposition(StrEnum):
    """What becomes of undamaged units: only `restock` puts them back on hand."""

    RESTOCK = "restock"
    WRITE_OFF = "write_off"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnLine:
    """Units of an order's line that are to come back.

    Args:
        reason: a code, no words of the customer's.
        received: units that arrived, damaged ones too.
        restocked: how many of them inventory was told to put back on hand.
        disposition: of the last receipt; None while none came.

    """

    item_id: str
    sku: str
    quantity: int
    reason: str
    received: int = 0
    damaged: int = 0
    restocked: int = 0
    disposition: Disposition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Goods of one order that are to come back; times in microseconds since the epoch.

    Args:
        expected: nobody asked for it; the order was cancelled after they had left.
        note: in the words of whoever opened it.
        decline_reason: a code.

    """

    id: str
    order_id: str
    number: str
    status: ReturnStatus
    expected: bool
    note: str | None
    decline_reason: str | None = None
    lines: tuple[ReturnLine, ...]
    requested_at: int
    decided_at: int | None = None
    received_at: int | None = None

    def units_of(self, item_id: str) -> int:
        """Return how many units of a line it takes up beside what has arrived: those on their way."""
        if self.status in (ReturnStatus.DECLINED, ReturnStatus.RECEIVED):
            return 0
        return sum(line.quantity - line.received for line in self.lines if line.item_id == item_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a new return is called, drawn beforehand; `number_key` permutes `count` as of order numbers."""

    return_id: str
    count: int
    number_key: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ReturnTerms:
    """The shop's rules for returns.

    Args:
        window_days: how long after its delivery a return of an order may be asked for.
        number_prefix: of return numbers.
        number_length: digits of return numbers.

    """

    window_days: int
    number_prefix: str
    number_length: int


@dataclass(frozen=True, slots=True)
class WantedLine:
    """Units of a line that somebody wants to send back."""

    item_id: str
    quantity: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestReturn:
    """Ask to send goods back.

    Args:
        within_window: whether the shop's window holds for this actor.
        of_cancelled: whether this actor may send back what left of an order that was cancelled.

    """

    order_id: str
    actor: Actor
    lines: tuple[WantedLine, ...]
    within_window: bool
    of_cancelled: bool = False
    note: str | None = None
    expected_versions: frozenset[int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideReturn:
    """Approve or decline a return; `reason` is a code for the latter."""

    order_id: str
    return_id: str
    actor: Actor
    status: ReturnStatus
    reason: str = "other"
    note: str | None = None
    expected_versions: frozenset[int] | None = None


_MICROS_A_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Returnable:
    """An order whose row is locked, with its lines and all its returns."""

    order: Order
    content: OrderContent
    returns: Sequence[Return]

    def units_of(self, line: OrderLine) -> int:
        """Return how many units of a line have left, and are neither back nor on their way back."""
        on_their_way = sum(one.units_of(line.item_id) for one in self.returns)
        return line.shipped_quantity - line.returned_quantity - on_their_way


def request(
    known: Returnable, command: RequestReturn, when: When, *, identity: Identity, terms: ReturnTerms
) -> tuple[Return, ReturnRequested] | Refusal:
    """Ask to send goods back: of a delivered order, or of one that was cancelled after they had left.

    Args:
        known: the order, which is changed in place.
        command: what is to come back.
        when: time and actor.
        identity: of the new return.
        terms: the shop's rules.

    """
    refusal = _may_request(known.order, command, when, terms) or _refuse_lines(known, command.lines)
    if refusal is not None:
        return refusal
    skus = {line.item_id: line.sku for line in known.content.lines}
    lines = tuple(
        ReturnLine(item_id=line.item_id, sku=skus[line.item_id], quantity=line.quantity, reason=line.reason)
        for line in command.lines
    )
    return _open(known.order, lines, when, identity=identity, terms=terms, expected=False)


def expect(
    known: Returnable, left: Mapping[str, int], when: When, *, identity: Identity, terms: ReturnTerms
) -> tuple[Return, list[ReturnEvent]] | None:
    """Expect back what left of a cancelled order: a return that is approved already; None for nothing.

    Args:
        known: the order, which is changed in place.
        left: item id → units that left; of them, those count that are neither back nor on their way back.
        when: as of `request`, and so are the others.
        identity: of the new return.
        terms: the shop's rules.

    """
    lines = tuple(
        ReturnLine(item_id=line.item_id, sku=line.sku, quantity=units, reason=EXPECTED_REASON)
        for line in known.content.lines
        for units in [min(left.get(line.item_id, 0), known.units_of(line))]
        if units > 0
    )
    if not lines:
        return None
    opened, requested = _open(known.order, lines, when, identity=identity, terms=terms, expected=True)
    approved, told = _approve(known.order, opened, when)
    return approved, [requested, told]


def decide(
    order: Order, known: Return, command: DecideReturn, when: When
) -> tuple[Return, list[ReturnEvent]] | Refusal:
    """Approve or decline a return; the same decision again changes nothing."""
    if known.status is command.status:
        return known, []
    if command.status not in TRANSITIONS[known.status]:
        return refuse_move(known, command.status)
    if command.status is ReturnStatus.APPROVED:
        approved, told = _approve(order, known, when)
        return approved, [told]
    order.note_change(order.status, "return_declined", when)
    declined = replace(known, status=ReturnStatus.DECLINED, decline_reason=command.reason, decided_at=when.now)
    event = ReturnDeclined(
        order_id=order.id,
        order_number=order.number,
        return_id=known.id,
        return_number=known.number,
        reason=command.reason,
        declined_at=when.now,
    )
    return declined, [event]


def refuse_move(known: Return, to: ReturnStatus) -> Refusal:
    """Return the refusal of a move that the table does not have."""
    allowed = [status.value for status in TRANSITIONS[known.status]]
    detail = f"return {known.number} is {known.status}; it can become {', '.join(allowed) or 'nothing else'}"
    facts = {"from": known.status.value, "to": to.value, "allowed": allowed}
    return Refusal(RefusalCode.INVALID_RETURN_TRANSITION, detail, facts=facts)


def _may_request(order: Order, command: RequestReturn, when: When, terms: ReturnTerms) -> Refusal | None:
    if order.status is OrderStatus.CANCELLED and command.of_cancelled:
        return None
    if order.status not in (OrderStatus.DELIVERED, OrderStatus.REFUNDED):
        detail = f"order {order.number} is {order.status}; goods are sent back once it is delivered"
        return Refusal(RefusalCode.RETURN_NOT_ALLOWED, detail)
    delivered_at = order.delivered_at or order.updated_at
    if command.within_window and when.now - delivered_at > terms.window_days * _MICROS_A_DAY:
        detail = f"order {order.number} was delivered more than {terms.window_days} days ago"
        return Refusal(RefusalCode.RETURN_WINDOW_CLOSED, detail)
    return None


def _refuse_lines(known: Returnable, wanted: Sequence[WantedLine]) -> Refusal | None:
    lines = {line.item_id: line for line in known.content.lines}
    faults = []
    for i, asked in enumerate(wanted):
        line = lines.get(asked.item_id)
        if line is None:
            detail = f"order {known.order.number} has no item {asked.item_id!r}"
            faults.append(Fault(f"/lines/{i}/item_id", RefusalCode.UNKNOWN_ITEM.value, detail))
        elif asked.quantity > known.units_of(line):
            left = known.units_of(line)
            detail = f"{left} of {line.sku!r} left and are neither back nor on their way, not {asked.quantity}"
            faults.append(Fault(f"/lines/{i}/quantity", RefusalCode.RETURN_TOO_LARGE.value, detail))
    return Refusal(RefusalCode(faults[0].code), faults[0].detail, faults) if faults else None


def _open(
    order: Order, lines: tuple[ReturnLine, ...], when: When, *, identity: Identity, terms: ReturnTerms, expected: bool
) -> tuple[Return, ReturnRequested]:
    if expected:
        order.note_change(order.status, "return_expected", when)
    else:
        order.note_change(order.status, "return_requested", when)
    opened = Return(
        id=identity.return_id,
        order_id=order.id,
        number=order_number(identity.count, identity.number_key, terms.number_prefix, terms.number_length),
        status=ReturnStatus.REQUESTED,
        expected=expected,
        note=when.note,
        lines=lines,
        requested_at=when.now,
    )
    told = ReturnRequested(
        order_id=order.id,
        order_number=order.number,
        return_id=opened.id,
        return_number=opened.number,
        lines=tuple(
            ReturnRequestedLine(item_id=line.item_id, sku=line.sku, quantity=line.quantity, reason=line.reason)
            for line in lines
        ),
        expected=expected,
        requested_at=when.now,
    )
    return opened, told


def _approve(order: Order, known: Return, when: When) -> tuple[Return, ReturnApproved]:
    order.note_change(order.status, "return_approved", when)
    told = ReturnApproved(
        order_id=order.id,
        order_number=order.number,
        return_id=known.id,
        return_number=known.number,
        expected=known.expected,
        approved_at=when.now,
    )
    return replace(known, status=ReturnStatus.APPROVED, decided_at=when.now), told
