"""Following an order by a link that needs no token of a person."""

from services.order.domain.scopes import Scope
from services.order.domain.tracking import order_of, token_of
from services.order.handlers.orders import OrderView, find_order, view_order
from services.order.unit_of_work import OrderUnitOfWork


def tracking_path(order_id: str, uow: OrderUnitOfWork) -> str:
    """Return the path by which an order is followed."""
    return f"/api/v1/track/{token_of(order_id, uow.tracking_key)}/"


def follow(uow: OrderUnitOfWork, token: str) -> OrderView | None:
    """Return the order that a link is of, as everybody may see it; None where the link is none of ours."""
    order_id = order_of(token, uow.tracking_key)
    order = None if order_id is None else find_order(uow, Scope(), order_id)
    return None if order is None else view_order(uow, Scope(), order)
