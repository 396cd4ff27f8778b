"""Orders as persons and storefronts see and end them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.chassis.commands import Submitted
from services.chassis.events import Cause
from services.order.domain.details import OrderDetails
from services.order.domain.history import When
from services.order.domain.orders import CancelOrder, Order, OrderContent, cancel
from services.order.domain.refusals import Refusal
from services.order.domain.scopes import OrderFilter, Scope
from services.order.domain.stuck import StuckOrder
from services.order.handlers.commands import Accepted, Outcome, order_of, when_of
from services.order.handlers.refunds import request_due_refunds
from services.order.handlers.returns import expect_return
from services.order.handlers.revisions import close_revision
from services.order.unit_of_work import OrderUnitOfWork


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with what belongs to it, and through whose eyes it is seen.

    Args:
        stuck: what it waits for, where stuck orders were asked for.

    """

    order: Order
    details: OrderDetails
    scope: Scope
    stuck: StuckOrder | None = None


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as it is exported."""

    order: Order
    content: OrderContent


def cancel_order(submitted: Submitted[CancelOrder], uow: OrderUnitOfWork) -> Outcome:
    """Cancel an order.  Emits: OrderCancelled; ReturnRequested, ReturnApproved of what had left; RefundRequested."""
    order = order_of(submitted, uow)
    if isinstance(order, Refusal):
        return order
    refusal = end_order(order, submitted.command, when_of(submitted, uow), submitted.cause, uow)
    return refusal or Accepted(order)


def end_order(order: Order, command: CancelOrder, when: When, cause: Cause, uow: OrderUnitOfWork) -> Refusal | None:
    """Cancel an order that is locked, with all that follows from it; see `cancel_order`."""
    told, refusal = cancel(order, command, when, uow.content(order.id).lines)
    uow.tell(order, told, cause)
    # Cancelling again makes nothing due: what failed is tried again by people.
    if told is not None:
        left = {line.item_id: line.shipped_quantity for line in uow.content(order.id).lines}
        expect_return(order, left, when, cause, uow)
        close_revision(order, when, uow)
        request_due_refunds(order, "cancelled", when, cause, uow)
    return refusal


def find_order(uow: OrderUnitOfWork, scope: Scope, id_or_number: str) -> Order | None:
    """Return an order's state by its id or its number; None where it is not there, or not theirs."""
    return uow.find_one(scope, id_or_number)


def view_order(uow: OrderUnitOfWork, scope: Scope, order: Order) -> OrderView:
    """Return everything of an order."""
    return OrderView(order, uow.details([order.id])[order.id], scope)


def view_orders(
    uow: OrderUnitOfWork, scope: Scope, wanted: OrderFilter, after: tuple[Any, ...] | None, limit: int
) -> Sequence[OrderView]:
    """Return a page of orders: a fixed number of statements, however many rows it has."""
    orders = uow.find_page(scope, wanted, after, limit)
    ids = [order.id for order in orders]
    details = uow.details(ids)
    # An order may have been answered since the page was read: it is shown as it was then, and waits no more.
    stuck = {row.order_id: row for row in uow.stuck(among=ids)} if wanted.stuck else {}
    return [OrderView(order, details[order.id], scope, stuck.get(order.id)) for order in orders]


def export_orders(
    uow: OrderUnitOfWork, scope: Scope, wanted: OrderFilter, after: tuple[Any, ...] | None, limit: int
) -> Sequence[OrderRow]:
    """Return the next orders of an export, without history and shipments."""
    orders = uow.find_page(scope, wanted, after, limit)
    contents = uow.contents([order.id for order in orders])
    return [OrderRow(order, contents[order.id]) for order in orders]
