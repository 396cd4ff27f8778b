"""Lists of orders: one's own, all, a vendor's."""

from collections.abc import Callable, Mapping
from datetime import datetime
from uuid import UUID

from flask import Response, request

from services.chassis.events import from_micros
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.lists import Position, paging
from services.chassis.http.problems import refused
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api.access import OWNERS, scopes_of
from services.order.api.calls import PREFIX, OrderCall
from services.order.api.exports import csv_of, wants_csv
from services.order.api.models.lists import AdminOrderQuery, OrderQuery
from services.order.api.models.orders import AdminOrder, Order
from services.order.api.problems import PROBLEMS
from services.order.api.views import ALL_PARTS, admin_order_of, order_of
from services.order.domain.scopes import OrderFilter, Scope, unindexed
from services.order.handlers.orders import OrderView, view_orders

lists = Api("lists", prefix=PREFIX, about="Lists of orders", problems=PROBLEMS)


@lists.get("/", allow=OWNERS, answers={200: Page[Order]})
def list_orders(call: OrderCall, query: OrderQuery) -> Answer:
    """List orders: a customer's own, or all.

    Rows come without history and shipments unless `expand` asks for them.
    """
    (scope,) = scopes_of(call.caller, OWNERS)
    return _page(call, query, scope)


@lists.get("/admin/", allow={Role.ADMIN}, answers={200: Page[AdminOrder]})
def list_all_orders(call: OrderCall, query: AdminOrderQuery) -> Answer | Response:
    """List all orders, with an operator's filters.

    With `stuck=true` each row says in `stuck` what its order waits for, and what to do about it.

    With `Accept: text/csv` all rows come in one answer, a download that is written while it is read: no `limit`,
    `cursor` or `expand`, sorted by created_at.
    """
    scope = Scope(internal=True)
    if wants_csv(request):
        return csv_of(call, scope, _filter(query, scope), query)
    return _page(call, query, scope, admin_order_of)


@lists.get("/vendor/", allow={Role.VENDOR}, answers={200: Page[Order]})
def list_vendor_orders(call: OrderCall, query: OrderQuery) -> Answer:
    """List orders with a line of the vendor's; only those lines are shown."""
    return _page(call, query, Scope(vendor_id=call.caller.vendor_id))


def _page(
    call: OrderCall,
    query: OrderQuery,
    scope: Scope,
    shown_as: Callable[[OrderView, Mapping[str, str], frozenset[str]], Order] = order_of,
) -> Answer:
    order_filter = _filter(query, scope)
    wanted = paging(query, int if order_filter.sorted_by == "total_amount" else datetime, UUID)
    parts = frozenset((query.expand or "").split(",")) & ALL_PARTS
    with call.queries() as uow:
        views = view_orders(uow, scope, order_filter, wanted.after, wanted.fetch)
        links = uow.settings.tracking_links
    return wanted.answer(
        views, position=_Position(order_filter.sorted_by), show=lambda view: shown_as(view, links, parts)
    )


def _filter(query: OrderQuery, scope: Scope) -> OrderFilter:
    """Return what a query asks for.

    Raises:
        Problem: 400; no index has it in order.

    """
    admin = query if isinstance(query, AdminOrderQuery) else None
    wanted = OrderFilter(
        status=query.status.value if query.status else None,
        created_from=query.created_from,
        created_before=query.created_before,
        updated_from=query.updated_from,
        number=query.number,
        request_id=query.request_id,
        customer_id=query.customer_id,
        stuck=admin.stuck if admin else None,
        payment_status=admin.payment_status.value if admin and admin.payment_status else None,
        overdue=admin.overdue if admin else None,
        q=admin.q if admin else None,
        sort=query.sort,
    )
    fault = unindexed(scope, wanted)
    if fault is not None:
        raise refused("invalid_request", fault, [{"parameter": "sort", "code": "invalid_value", "detail": fault}])
    return wanted


class _Position:
    """A row's place in the order of a list."""

    def __init__(self, column: str) -> None:
        self._column = column

    def __call__(self, view: OrderView) -> Position:
        if self._column == "total_amount":
            return view.order.total_minor, view.order.id
        moment = view.order.created_at if self._column == "created_at" else view.order.updated_at
        return from_micros(moment), view.order.id
