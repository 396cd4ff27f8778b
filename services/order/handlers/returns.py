"""Returns: asked for, decided, received; and what inventory says of the units that it put back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.contracts import StockRestocked
from services.chassis.commands import Submitted
from services.chassis.events import Cause, Received, new_id
from services.order.domain import receipts, returns
from services.order.domain.history import Actor, When
from services.order.domain.lines import with_returned
from services.order.domain.orders import Order
from services.order.domain.receipts import ReceiveReturn
from services.order.domain.refund_requests import CreateRefund, WantedRefund
from services.order.domain.refunds import Refund
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.returns import DecideReturn, RequestReturn, Return, Returnable
from services.order.handlers.commands import order_of, when_of
from services.order.handlers.refunds import create_refund, refundable
from services.order.unit_of_work import OrderUnitOfWork

_INVENTORY = Actor(type="system", id="inventory")


@dataclass(frozen=True, slots=True)
class Returned:
    """What a command made of a return.

    Args:
        proposed: the refund that a receipt makes due, None for nothing.
        refunds: those that were asked for at once.

    """

    order: Order
    one: Return
    proposed: WantedRefund | None = None
    refunds: Sequence[Refund] = ()


def request_return(submitted: Submitted[RequestReturn], uow: OrderUnitOfWork) -> Returned | Refusal:
    """Ask to send goods back.  Emits: ReturnRequested."""
    order, command = order_of(submitted, uow), submitted.command
    if isinstance(order, Refusal):
        return order
    known, identity = _returnable(order, uow), uow.returns.new_identity()
    when, terms = when_of(submitted, uow), uow.settings.return_terms
    asked = returns.request(known, command, when, identity=identity, terms=terms)
    if isinstance(asked, Refusal):
        return asked
    opened, told = asked
    uow.returns.add(opened)
    uow.tell(order, told, submitted.cause)
    return Returned(order, opened)


def expect_return(order: Order, left: Mapping[str, int], when: When, cause: Cause, uow: OrderUnitOfWork) -> None:
    """Expect back what left (item id → units) of a cancelled order.  Emits: ReturnRequested, ReturnApproved."""
    if not any(left.values()):
        return
    known, identity = _returnable(order, uow), uow.returns.new_identity()
    expected = returns.expect(known, left, when, identity=identity, terms=uow.settings.return_terms)
    if expected is not None:
        uow.returns.add(expected[0])
        for event in expected[1]:
            uow.tell(order, event, cause)


def decide_return(submitted: Submitted[DecideReturn], uow: OrderUnitOfWork) -> Returned | Refusal:
    """Approve or decline a return.  Emits: ReturnApproved | ReturnDeclined."""
    found, command = _found(submitted, uow), submitted.command
    if isinstance(found, Refusal):
        return found
    order, known = found
    decided = returns.decide(order, known, command, when_of(submitted, uow))
    if isinstance(decided, Refusal):
        return decided
    now, told = decided
    uow.returns.update(now)
    for event in told:
        uow.tell(order, event, submitted.cause)
    return Returned(order, now)


def receive_return(submitted: Submitted[ReceiveReturn], uow: OrderUnitOfWork) -> Returned | Refusal:
    """Take in what arrived.  Emits: ReturnReceived, and RefundRequested where the refund is asked for."""
    found, command = _found(submitted, uow), submitted.command
    if isinstance(found, Refusal):
        return found
    order, known = found
    received = receipts.receive(order, known, command, when_of(submitted, uow), receipt_id=new_id())
    if isinstance(received, Refusal):
        return received
    now, told = received
    uow.returns.update(now)
    units, content = {line.item_id: line.received for line in command.lines}, uow.content(order.id)
    uow.revise(replace(content, lines=with_returned(content.lines, units)))
    uow.tell(order, told, submitted.cause)
    proposed = receipts.propose(refundable(order, uow), units)
    made = _refund(submitted, proposed, uow) if command.refund and proposed is not None else ()
    return Returned(order, now, proposed, made)


def note_restocked(restocked: Sequence[Received[StockRestocked]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.StockRestocked.  Emits: nothing."""
    for received in restocked:
        order = uow.order(received.event.order_id)
        if order is None:
            uow.tx.defer(received, "order_missing")
            continue
        when = When(now=uow.now, actor=_INVENTORY, event_id=received.event_id)
        order.note_change(order.status, "stock_restocked", when, public=False)


def view_returns(uow: OrderUnitOfWork, order: Order) -> Sequence[Return]:
    """Return an order's returns, oldest first."""
    return uow.returns.of(order.id)


def _returnable(order: Order, uow: OrderUnitOfWork) -> Returnable:
    return Returnable(order, uow.content(order.id), uow.returns.of(order.id))


def _found(
    submitted: Submitted[DecideReturn] | Submitted[ReceiveReturn], uow: OrderUnitOfWork
) -> tuple[Order, Return] | Refusal:
    order, return_id = order_of(submitted, uow), submitted.command.return_id
    if isinstance(order, Refusal):
        return order
    for known in uow.returns.of(order.id):
        if return_id in (known.id, known.number):
            return order, known
    return Refusal(RefusalCode.RETURN_NOT_FOUND, f"order {order.number} has no return {return_id!r}")


def _refund(submitted: Submitted[ReceiveReturn], wanted: WantedRefund, uow: OrderUnitOfWork) -> Sequence[Refund]:
    command = submitted.command
    refund = CreateRefund(
        order_id=command.order_id, actor=command.actor, wanted=wanted, reason="returned", note=command.note
    )
    made = create_refund(Submitted(refund, submitted.cause, submitted.subject), uow)
    return () if isinstance(made, Refusal) else made.refunds
