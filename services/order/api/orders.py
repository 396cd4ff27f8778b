"""The endpoints of orders."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from services.chassis.errors import Problem
from services.chassis.events import from_micros
from services.chassis.http.answers import answer, not_modified
from services.chassis.http.auth import Role
from services.chassis.http.call import Call
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.lists import Position, paging
from services.chassis.idempotency import Answer
from services.order.api import models
from services.order.api.access import actor_of, require_own_cancel, scope_of
from services.order.api.payments import payment_of, sent_with_confirm
from services.order.api.problems import PROBLEMS, not_found, problem_of
from services.order.api.views import ALL_PARTS, order_of
from services.order.domain.commands import AdvanceOrder, CancelOrder, ConfirmOrder, Refusal
from services.order.domain.orders import Order, Payment
from services.order.domain.scopes import OrderFilter, Scope
from services.order.domain.statuses import CancelReason, OrderStatus, PendingOperation
from services.order.handlers.orders import Outcome
from services.order.handlers.queries import OrderView, find_order, view_order, view_orders
from services.order.unit_of_work import OrderUnitOfWork

PREFIX = "/api/v1/orders"
OrderCall = Call[OrderUnitOfWork]
orders = Api("orders", prefix=PREFIX, about="Orders, from placing to delivery", problems=PROBLEMS)

_READERS = {Role.CUSTOMER, Role.VENDOR, Role.WAREHOUSE, Role.SERVICE, Role.ADMIN}
_MOVES = ["order_not_found", "invalid_status_transition", "stock_not_allocated"]
_PAYS = ["payment_required", "payment_mismatch", "payment_reference_used", "already_paid", "order_cancelled"]
_MICROS_A_MINUTE = 60_000_000
# Where a status update carries its payment.
_IN_STATUS = "/payment"


@orders.get("/", allow={Role.CUSTOMER, Role.SERVICE, Role.ADMIN}, answers={200: Page[models.Order]})
def list_orders(call: OrderCall, query: models.OrderQuery) -> Answer:
    """List orders: a customer's own, or all.

    Rows come without history and shipments unless `expand` asks for them.
    """
    return _page(call, query, scope_of(call.caller))


@orders.get("/admin/", allow={Role.ADMIN}, answers={200: Page[models.Order]})
def list_all_orders(call: OrderCall, query: models.AdminOrderQuery) -> Answer:
    """List all orders, with an operator's filters."""
    return _page(call, query, Scope(internal=True), stuck=query.stuck)


@orders.get("/vendor/", allow={Role.VENDOR}, answers={200: Page[models.Order]})
def list_vendor_orders(call: OrderCall, query: models.OrderQuery) -> Answer:
    """List orders with a line of the vendor's; only those lines are shown."""
    return _page(call, query, Scope(vendor_id=call.caller.vendor_id))


@orders.get("/<order_id>/", allow=_READERS, answers={200: models.Order}, refuses=["order_not_found"], versioned=True)
def show_order(call: OrderCall, order_id: models.Id) -> Answer:
    """Show an order, by its id or its number."""
    scope = scope_of(call.caller)
    with call.queries() as uow:
        order = _found(uow, scope, order_id)
        if call.is_unchanged(order.version):
            return not_modified(order.version)
        return shown(uow, view_order(uow, scope, order))


@orders.post(
    "/<order_id>/confirm/",
    allow={Role.ADMIN, Role.SERVICE},
    answers={200: models.Order, 202: models.Order},
    refuses=[*_MOVES, *_PAYS, "incomplete_payment"],
    waits=True,
    if_match="honoured",
)
def confirm_order(call: OrderCall, order_id: models.Id, body: models.OrderConfirm) -> Answer:
    """Record the payment of an order and confirm it.

    202 while its stock is not reserved yet: it confirms as soon as it is.
    """
    order = _known(call, order_id)
    return _confirm(call, order, sent_with_confirm(body), body.notes)


@orders.post(
    "/<order_id>/cancel/",
    allow={Role.CUSTOMER, Role.ADMIN, Role.SERVICE},
    answers={200: models.Order},
    refuses=[*_MOVES, "cancel_window_closed", "field_not_allowed"],
    waits=True,
    if_match="honoured",
)
def cancel_order(call: OrderCall, order_id: models.Id, body: models.OrderCancel | None) -> Answer:
    """Cancel an order; what is held for it is released, what was paid becomes due for refund."""
    return _cancel(call, _known(call, order_id), body or models.OrderCancel())


@orders.patch(
    "/<order_id>/status/",
    allow={Role.ADMIN, Role.SERVICE, Role.VENDOR},
    answers={200: models.Order, 202: models.Order},
    refuses=[*_MOVES, *_PAYS],
    waits=True,
    if_match="honoured",
)
def update_status(call: OrderCall, order_id: models.Id, body: models.OrderStatusUpdate) -> Answer:
    """Move an order on; each status runs the same command as the named call."""
    order = _known(call, order_id)
    _require_sole_vendor(call, order, body)
    if body.status == "confirmed":
        payment = payment_of(body.payment, _IN_STATUS) if body.payment else None
        return _confirm(call, order, payment, body.notes, _IN_STATUS)
    if body.status == "cancelled":
        return _cancel(call, order, models.OrderCancel(reason="admin_request", note=body.notes))
    command = AdvanceOrder(
        order_id=order.id,
        status=OrderStatus(body.status),
        actor=actor_of(call.caller),
        note=body.notes,
        carrier=body.carrier,
        tracking_number=body.tracking_number,
        estimated_delivery=None if body.estimated_delivery is None else body.estimated_delivery.isoformat(),
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_Shown(scope_of(call.caller)), subject=order.id)


def shown(uow: OrderUnitOfWork, view: OrderView, status: int = 200, location: str | None = None) -> Answer:
    """Return the answer that shows an order."""
    model = order_of(view, dict(uow.settings.shop_terms.shipping_methods))
    return answer(model, status, version=view.order.version, location=location)


def after_waiting(call: OrderCall, order_id: str, given: Answer, default_seconds: int = 0) -> OrderView | None:
    """Wait for the saga as long as the caller prefers; return the order as it is then, None if we did not wait."""
    if given.status >= 300 or not call.wait_for(order_id, default_seconds):
        return None
    scope = scope_of(call.caller)
    with call.queries() as uow:
        return view_order(uow, scope, _found(uow, scope, order_id))


class _Shown:
    """Renders a command's outcome inside its transaction; `at` points to what a refusal's faults are in."""

    def __init__(self, scope: Scope, at: str = "") -> None:
        self._scope = scope
        self._at = at

    def __call__(self, outcome: Outcome, uow: OrderUnitOfWork) -> Answer:
        if isinstance(outcome, Refusal):
            raise problem_of(outcome, self._at)
        return shown(uow, view_order(uow, self._scope, outcome.order), _status_of(outcome.order))


def _status_of(order: Order) -> int:
    """Return 202 for an order that was confirmed while its stock is open, else 200."""
    awaited = order.confirm_when_reserved and order.pending_operation is PendingOperation.RESERVING
    return 202 if awaited else 200


def _confirm(call: OrderCall, order: Order, payment: Payment | None, note: str | None, at: str = "") -> Answer:
    command = ConfirmOrder(
        order_id=order.id,
        payment=payment,
        actor=actor_of(call.caller),
        note=note,
        expected_versions=call.expected_versions,
    )
    return _submit_and_wait(call, command, order.id, at)


def _cancel(call: OrderCall, order: Order, body: models.OrderCancel) -> Answer:
    require_own_cancel(call.caller, body)
    own = not call.caller.has(Role.ADMIN, Role.SERVICE)
    window: int | None = call.settings.cancel_window_minutes
    command = CancelOrder(
        order_id=order.id,
        reason=CancelReason(body.reason),
        actor=actor_of(call.caller),
        note=body.note,
        restock=body.restock,
        refund=body.refund,
        notify_customer=body.notify_customer,
        only_from=(OrderStatus.PENDING, OrderStatus.CONFIRMED) if own else None,
        not_after=window * _MICROS_A_MINUTE if own and window is not None else None,
        expected_versions=call.expected_versions,
    )
    return _submit_and_wait(call, command, order.id)


def _submit_and_wait(call: OrderCall, command: object, order_id: str, at: str = "") -> Answer:
    given = call.submit(command, render=_Shown(scope_of(call.caller), at), subject=order_id)
    view = after_waiting(call, order_id, given)
    if view is None:
        return given
    with call.queries() as uow:
        seen = shown(uow, view, _status_of(view.order))
    return replace(seen, replayed=given.replayed)


def _page(call: OrderCall, query: models.OrderQuery, scope: Scope, stuck: bool | None = None) -> Answer:
    by_total = query.sort.endswith("total_amount")
    wanted = paging(query, int if by_total else datetime, UUID)
    order_filter = OrderFilter(
        status=query.status.value if query.status else None,
        created_from=query.created_from,
        created_before=query.created_before,
        updated_from=query.updated_from,
        number=query.number,
        request_id=query.request_id,
        customer_id=query.customer_id,
        stuck=stuck,
        sort=query.sort,
    )
    parts = frozenset((query.expand or "").split(",")) & ALL_PARTS
    with call.queries() as uow:
        views = view_orders(uow, scope, order_filter, wanted.after, wanted.fetch)
        methods = dict(uow.settings.shop_terms.shipping_methods)
    return wanted.answer(
        views, position=_Position(query.sort.lstrip("-")), show=lambda view: order_of(view, methods, parts)
    )


class _Position:
    """A row's place in the order of a list."""

    def __init__(self, column: str) -> None:
        self._column = column

    def __call__(self, view: OrderView) -> Position:
        if self._column == "total_amount":
            return view.order.total_minor, view.order.id
        moment = view.order.created_at if self._column == "created_at" else view.order.updated_at
        return from_micros(moment), view.order.id


def _found(uow: OrderUnitOfWork, scope: Scope, order_id: str) -> Order:
    order = find_order(uow, scope, order_id)
    if order is None:
        raise not_found(order_id)
    return order


def _known(call: OrderCall, order_id: str) -> Order:
    with call.queries() as uow:
        return _found(uow, scope_of(call.caller), order_id)


def _require_sole_vendor(call: OrderCall, order: Order, body: models.OrderStatusUpdate) -> None:
    """Let a vendor move on only what is theirs alone, and only along the way of the goods."""
    if call.caller.has(Role.ADMIN, Role.SERVICE):
        return
    with call.queries() as uow:
        vendors = {line.vendor_id for line in uow.details([order.id])[order.id].content.lines}
    if body.status in ("confirmed", "cancelled") or vendors != {call.caller.vendor_id}:
        detail = "vendors may set processing, shipped and delivered, on orders whose every line is theirs"
        raise Problem(403, "forbidden_role", detail)
