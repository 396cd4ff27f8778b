"""What can be read of orders, within a caller's scope."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.order.domain.details import OrderDetails
from services.order.domain.orders import Order
from services.order.domain.scopes import OrderFilter, Scope
from services.order.unit_of_work import OrderUnitOfWork


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with what belongs to it, and through whose eyes it is seen."""

    order: Order
    details: OrderDetails
    scope: Scope


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
    details = uow.details([order.id for order in orders])
    return [OrderView(order, details[order.id], scope) for order in orders]
