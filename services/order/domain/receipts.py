"""What arrived of a return: how far that brings it, and what it makes due.

Inventory puts back on hand what `ReturnReceived` says can be sold; here the units are counted, damaged ones too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from schemas.contracts import ReturnReceived, ReturnReceivedLine, ReturnReceivedLineDisposition
from services.order.domain.history import Actor, When
from services.order.domain.orders import Order
from services.order.domain.refund_requests import WantedRefund
from services.order.domain.refunds import Refundable
from services.order.domain.refusals import Fault, Refusal, RefusalCode
from services.order.domain.returns import TRANSITIONS, Disposition, Return, ReturnLine, ReturnStatus, refuse_move


@dataclass(frozen=True, slots=True)
class Arrived:
    """Units of a line that arrived, damaged ones included."""

    item_id: str
    received: int
    damaged: int
    disposition: Disposition


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiveReturn:
    """Take in what arrived of a return.

    Args:
        location: of the stock that it arrived at.
        complete: nothing more will come, whatever is missing.
        refund: whether to ask for the refund that the receipt proposes.

    """

    order_id: str
    return_id: str
    actor: Actor
    location: str
    lines: tuple[Arrived, ...]
    complete: bool
    refund: bool
    note: str | None = None
    expected_versions: frozenset[int] | None = None


def receive(
    order: Order, known: Return, command: ReceiveReturn, when: When, *, receipt_id: str
) -> tuple[Return, ReturnReceived] | Refusal:
    """Take in what arrived of an approved return, all of it or some; the order's lines are the caller's to change.

    Args:
        order: changed in place.
        known: the return.
        command: what arrived.
        when: time and actor.
        receipt_id: by which inventory knows the receipt again.

    Returns:
        The return as it is now and what others are told, or why not.

    """
    refusal = _may_receive(known, command)
    if refusal is not None:
        return refusal
    arrived = {line.item_id: line for line in command.lines}
    lines = tuple(_with(line, arrived.get(line.item_id)) for line in known.lines)
    complete = command.complete or all(line.received == line.quantity for line in lines)
    status = ReturnStatus.RECEIVED if complete else ReturnStatus.PARTIALLY_RECEIVED
    if complete:
        order.note_change(order.status, "return_received", when)
    else:
        order.note_change(order.status, "return_partially_received", when)
    skus = {line.item_id: line.sku for line in known.lines}
    told = ReturnReceived(
        order_id=order.id,
        order_number=order.number,
        return_id=known.id,
        return_number=known.number,
        receipt_id=receipt_id,
        location=command.location,
        lines=tuple(
            ReturnReceivedLine(
                item_id=line.item_id,
                sku=skus[line.item_id],
                received=line.received,
                damaged=line.damaged,
                disposition=ReturnReceivedLineDisposition(line.disposition.value),
            )
            for line in command.lines
        ),
        complete=complete,
        received_at=when.now,
    )
    return replace(known, status=status, lines=lines, received_at=when.now), told


def propose(known: Refundable, units: Mapping[str, int]) -> WantedRefund | None:
    """Return the refund that units which came back (item id → number) make due; None for nothing.

    Damaged units count: who pays for them is between the shop and the customer, and the shop's to refuse before.
    Units that were paid back already count no more, and it is never more than is left of what was paid.
    """
    lines = {line.item_id: line for line in known.content.lines}
    open_units = {i: min(n, lines[i].quantity - known.units_of(i)) for i, n in units.items()}
    open_units = {i: n for i, n in open_units.items() if n > 0}
    amount = min(sum(line.amount_minor for line in known.priced(open_units)), known.rest_minor)
    return WantedRefund(amount_minor=amount, units=open_units) if amount > 0 else None


def _may_receive(known: Return, command: ReceiveReturn) -> Refusal | None:
    if ReturnStatus.RECEIVED not in TRANSITIONS[known.status]:
        return refuse_move(known, ReturnStatus.RECEIVED)
    lines = {line.item_id: line for line in known.lines}
    faults = []
    for i, arrived in enumerate(command.lines):
        line = lines.get(arrived.item_id)
        if line is None:
            detail = f"return {known.number} has no item {arrived.item_id!r}"
            faults.append(Fault(f"/lines/{i}/item_id", RefusalCode.UNKNOWN_ITEM.value, detail))
        elif arrived.received > line.quantity - line.received:
            detail = f"{line.quantity - line.received} of {line.sku!r} are still to come, not {arrived.received}"
            faults.append(Fault(f"/lines/{i}/received", RefusalCode.RETURN_TOO_LARGE.value, detail))
    return Refusal(RefusalCode(faults[0].code), faults[0].detail, faults) if faults else None


def _with(line: ReturnLine, arrived: Arrived | None) -> ReturnLine:
    if arrived is None:
        return line
    sellable = arrived.received - arrived.damaged if arrived.disposition is Disposition.RESTOCK else 0
    return replace(
        line,
        received=line.received + arrived.received,
        damaged=line.damaged + arrived.damaged,
        restocked=line.restocked + sellable,
        disposition=arrived.disposition,
    )
