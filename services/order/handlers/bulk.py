"""Many orders at once, each by the handler of the one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.chassis.commands import CommandHandler, Submitted
from services.order.domain.bulk import BulkMode, PlaceOrders, UpdateOrders
from services.order.domain.orders import CancelOrder
from services.order.domain.payments import ConfirmOrder
from services.order.domain.refund_requests import RefundRest
from services.order.domain.refusals import Refusal
from services.order.domain.requests import order_id_of
from services.order.domain.shipments import AdvanceOrder
from services.order.handlers.commands import Outcome
from services.order.handlers.orders import cancel_order
from services.order.handlers.payments import confirm_order
from services.order.handlers.placing import place_draft
from services.order.handlers.refunds import refund_rest
from services.order.handlers.shipments import advance_order
from services.order.unit_of_work import OrderUnitOfWork

_OF_ONE: Mapping[type[Any], CommandHandler[OrderUnitOfWork]] = {
    ConfirmOrder: confirm_order,
    CancelOrder: cancel_order,
    RefundRest: refund_rest,
    AdvanceOrder: advance_order,
}


@dataclass(frozen=True, slots=True)
class AnsweredBefore:
    """A row whose key came before.

    Args:
        stored: what is stored under it.

    """

    stored: Any


def place_orders(submitted: Submitted[PlaceOrders], uow: OrderUnitOfWork) -> Sequence[Outcome | AnsweredBefore]:
    """Place those of many orders that can be.  Emits: OrderPlaced."""
    command, before = submitted.command, submitted.answered
    return [
        AnsweredBefore(before[key])
        if key is not None and key in before
        else place_draft(draft, command.actor, submitted.cause, uow)
        for draft, key in zip(command.drafts, command.keys, strict=True)
    ]


def update_orders(submitted: Submitted[UpdateOrders], uow: OrderUnitOfWork) -> Sequence[Outcome]:
    """Move many orders on.  Emits: what the command of each does, unless nothing is to stand."""
    command = submitted.command
    outcomes = [_moved(command, order_id, submitted, uow) for order_id in command.rows]
    refused = any(isinstance(outcome, Refusal) for outcome in outcomes)
    if command.mode is BulkMode.DRY_RUN or (command.mode is BulkMode.ATOMIC and refused):
        uow.tx.undo()
    return outcomes


def named_orders(uow: OrderUnitOfWork, sent: Sequence[str]) -> list[str]:
    """Return the ids of orders that are named by their ids or numbers; what is neither stays as it is."""
    known = uow.ids_of(sent)
    return [known.get(each) or order_id_of(each) or each for each in sent]


def _moved(command: UpdateOrders, order_id: str, submitted: Submitted[UpdateOrders], uow: OrderUnitOfWork) -> Outcome:
    one = command.of(order_id)
    outcome: Outcome = _OF_ONE[type(one)](Submitted(one, submitted.cause, order_id), uow)
    return outcome
