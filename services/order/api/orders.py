"""The endpoints of orders."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.chassis.errors import Problem
from services.chassis.events import from_micros
from services.chassis.http.answers import answer, not_modified
from services.chassis.http.call import Call
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.lists import Position, paging
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api import models
from services.order.api.access import actor_of, require_own_cancel, scopes_of
from services.order.api.payments import payment_of, sent_with_confirm
from services.order.api.problems import PROBLEMS, not_found, problem_of
from services.order.api.views import ALL_PARTS, admin_order_of, order_of
from services.order.domain.commands import AdvanceOrder, CancelOrder, ConfirmOrder, Refusal
from services.order.domain.orders import Actor, Order, Payment
from services.order.domain.pricing import ShippingMethod
from services.order.domain.scopes import OrderFilter, Scope
from services.order.domain.statuses import CancelReason, OrderStatus, PendingOperation
from services.order.handlers.orders import Outcome
from services.order.handlers.queries import OrderView, find_order, view_order, view_orders
from services.order.unit_of_work import OrderUnitOfWork

PREFIX = "/api/v1/orders"
OrderCall = Call[OrderUnitOfWork]
orders = Api("orders", prefix=PREFIX, about="Orders, from placing to delivery", problems=PROBLEMS)

# Through which roles an endpoint may be used: what its caller sees and touches there comes from these alone.
_READERS = frozenset({Role.CUSTOMER, Role.VENDOR, Role.WAREHOUSE, Role.SERVICE, Role.ADMIN})
_OWNERS = frozenset({Role.CUSTOMER, Role.SERVICE, Role.ADMIN})
_CONFIRMERS = frozenset({Role.SERVICE, Role.ADMIN})
_MOVERS = frozenset({Role.VENDOR, Role.SERVICE, Role.ADMIN})
_MOVES = ["order_not_found", "invalid_status_transition", "stock_not_allocated"]
_PAYS = ["payment_required", "payment_mismatch", "payment_reference_used", "already_paid", "order_cancelled"]
_MICROS_A_MINUTE = 60_000_000
_OF_VENDORS = (OrderStatus.PROCESSING, OrderStatus.SHIPPED, OrderStatus.DELIVERED)
# Where a status update carries its payment.
_IN_STATUS = "/payment"


@orders.get("/", allow=_OWNERS, answers={200: Page[models.Order]})
def list_orders(call: OrderCall, query: models.OrderQuery) -> Answer:
    """List orders: a customer's own, or all.

    Rows come without history and shipments unless `expand` asks for them.
    """
    (scope,) = scopes_of(call.caller, _OWNERS)
    return _page(call, query, scope)


@orders.get("/admin/", allow={Role.ADMIN}, answers={200: Page[models.AdminOrder]})
def list_all_orders(call: OrderCall, query: models.AdminOrderQuery) -> Answer:
    """List all orders, with an operator's filters.

    With `stuck=true` each row says in `stuck` what its order waits for, and what to do about it.
    """
    return _page(call, query, Scope(internal=True), admin_order_of, stuck=query.stuck)


@orders.get("/vendor/", allow={Role.VENDOR}, answers={200: Page[models.Order]})
def list_vendor_orders(call: OrderCall, query: models.OrderQuery) -> Answer:
    """List orders with a line of the vendor's; only those lines are shown."""
    return _page(call, query, Scope(vendor_id=call.caller.vendor_id))


@orders.get("/<order_id>/", allow=_READERS, answers={200: models.Order}, refuses=["order_not_found"], versioned=True)
def show_order(call: OrderCall, order_id: models.Id) -> Answer:
    """Show an order, by its id or its number."""
    with call.queries() as uow:
        scope, order = _found(uow, scopes_of(call.caller, _READERS), order_id)
        if call.is_unchanged(order.version):
            return not_modified(order.version)
        return shown(uow, view_order(uow, scope, order))


@orders.post(
    "/<order_id>/confirm/",
    allow=_CONFIRMERS,
    answers={200: models.Order, 202: models.Order},
    refuses=[*_MOVES, *_PAYS, "incomplete_payment"],
    waits=True,
    if_match="honoured",
)
def confirm_order(call: OrderCall, order_id: models.Id, body: models.OrderConfirm) -> Answer:
    """Record the payment of an order and confirm it.

    202 while its stock is not reserved yet: it confirms as soon as it is.
    """
    known = _known(call, order_id, _CONFIRMERS)
    return _confirm(call, known, sent_with_confirm(body), body.notes)


@orders.post(
    "/<order_id>/cancel/",
    allow=_OWNERS,
    answers={200: models.Order},
    refuses=[*_MOVES, "cancel_window_closed", "field_not_allowed"],
    waits=True,
    if_match="honoured",
)
def cancel_order(call: OrderCall, order_id: models.Id, body: models.OrderCancel | None) -> Answer:
    """Cancel an order; what is held for it is released, what was paid becomes due for refund."""
    return _cancel(call, _known(call, order_id, _OWNERS), body or models.OrderCancel())


@orders.patch(
    "/<order_id>/status/",
    allow=_MOVERS,
    answers={200: models.Order, 202: models.Order},
    refuses=[*_MOVES, *_PAYS],
    waits=True,
    if_match="honoured",
)
def update_status(call: OrderCall, order_id: models.Id, body: models.OrderStatusUpdate) -> Answer:
    """Move an order on; each status runs the same command as the named call."""
    known = _known(call, order_id, _MOVERS)
    _require_sole_vendor(call, known.order, body)
    if body.status is OrderStatus.CONFIRMED:
        payment = payment_of(body.payment, _IN_STATUS) if body.payment else None
        return _confirm(call, known, payment, body.notes, _IN_STATUS)
    if body.status is OrderStatus.CANCELLED:
        return _cancel(call, known, models.OrderCancel(note=body.notes))
    command = AdvanceOrder(
        order_id=known.order.id,
        status=body.status,
        actor=known.actor,
        note=body.notes,
        carrier=body.carrier,
        tracking_number=body.tracking_number,
        estimated_delivery=None if body.estimated_delivery is None else body.estimated_delivery.isoformat(),
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_Shown(known.scope), subject=known.order.id)


def shown(uow: OrderUnitOfWork, view: OrderView, status: int = 200, location: str | None = None) -> Answer:
    """Return the answer that shows an order."""
    model = order_of(view, dict(uow.settings.shop_terms.shipping_methods))
    return answer(model, status, version=view.order.version, location=location)


def after_waiting(
    call: OrderCall, order_id: str, scope: Scope, given: Answer, default_seconds: int = 0
) -> OrderView | None:
    """Wait for the saga's answer as long as the caller prefers; return the order as it is then.

    None where no answer came: what was given first still holds. If it were read again, hundreds of requests that
    waited in vain would want a database connection at the same instant.
    """
    if given.status >= 300 or not call.wait_for(order_id, default_seconds):
        return None
    with call.queries() as uow:
        return view_order(uow, *_found(uow, (scope,), order_id))


@dataclass(frozen=True, slots=True)
class _Known:
    """An order that the caller may act on: through whose eyes it is seen, and as whom they act."""

    order: Order
    scope: Scope
    actor: Actor


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


def _confirm(call: OrderCall, known: _Known, payment: Payment | None, note: str | None, at: str = "") -> Answer:
    command = ConfirmOrder(
        order_id=known.order.id,
        payment=payment,
        actor=known.actor,
        note=note,
        expected_versions=call.expected_versions,
    )
    return _submit_and_wait(call, command, known, at)


def _cancel(call: OrderCall, known: _Known, body: models.OrderCancel) -> Answer:
    require_own_cancel(call.caller, body)
    own = not call.caller.has(Role.ADMIN, Role.SERVICE)
    window: int | None = call.settings.cancel_window_minutes
    command = CancelOrder(
        order_id=known.order.id,
        reason=CancelReason(body.reason),
        actor=known.actor,
        note=body.note,
        restock=body.restock,
        refund=body.refund,
        notify_customer=body.notify_customer,
        only_from=(OrderStatus.PENDING, OrderStatus.CONFIRMED) if own else None,
        not_after=window * _MICROS_A_MINUTE if own and window is not None else None,
        expected_versions=call.expected_versions,
    )
    return _submit_and_wait(call, command, known)


def _submit_and_wait(call: OrderCall, command: object, known: _Known, at: str = "") -> Answer:
    given = call.submit(command, render=_Shown(known.scope, at), subject=known.order.id)
    view = after_waiting(call, known.order.id, known.scope, given)
    if view is None:
        return given
    with call.queries() as uow:
        seen = shown(uow, view, _status_of(view.order))
    return replace(seen, replayed=given.replayed)


def _page(
    call: OrderCall,
    query: models.OrderQuery,
    scope: Scope,
    shown_as: Callable[[OrderView, dict[str, ShippingMethod], frozenset[str]], models.Order] = order_of,
    stuck: bool | None = None,
) -> Answer:
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
        views, position=_Position(query.sort.lstrip("-")), show=lambda view: shown_as(view, methods, parts)
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


def _found(uow: OrderUnitOfWork, scopes: Sequence[Scope], order_id: str) -> tuple[Scope, Order]:
    """Return an order, and the first of the scopes that it is in.

    Raises:
        Problem: 404; it is in none of them.

    """
    for scope in scopes:
        order = find_order(uow, scope, order_id)
        if order is not None:
            return scope, order
    raise not_found(order_id)


def _known(call: OrderCall, order_id: str, through: Collection[Role]) -> _Known:
    with call.queries() as uow:
        scope, order = _found(uow, scopes_of(call.caller, through), order_id)
    return _Known(order, scope, actor_of(call.caller, through))


def _require_sole_vendor(call: OrderCall, order: Order, body: models.OrderStatusUpdate) -> None:
    """Let a vendor move on only what is theirs alone, and only along the way of the goods."""
    if call.caller.has(Role.ADMIN, Role.SERVICE):
        return
    with call.queries() as uow:
        vendors = {line.vendor_id for line in uow.details([order.id])[order.id].content.lines}
    if body.status not in _OF_VENDORS or vendors != {call.caller.vendor_id}:
        detail = "vendors may set processing, shipped and delivered, on orders whose every line is theirs"
        raise Problem(403, "forbidden_role", detail)
