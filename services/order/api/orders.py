"""The endpoints of one order: show it, cancel it."""

from services.chassis.http.answers import not_modified
from services.chassis.http.endpoint import Api
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api.access import OWNERS, READERS, require_own_cancel, scopes_of
from services.order.api.calls import PREFIX, Known, OrderCall, found, known_order, shown, submit_and_wait
from services.order.api.models.fields import Id
from services.order.api.models.orders import Order, OrderCancel
from services.order.api.problems import PROBLEMS
from services.order.domain.orders import CancelOrder
from services.order.domain.statuses import CancelReason, OrderStatus
from services.order.handlers.orders import view_order

orders = Api("orders", prefix=PREFIX, about="Orders, from placing to delivery", problems=PROBLEMS)

_MICROS_A_MINUTE = 60_000_000


@orders.get("/<order_id>/", allow=READERS, answers={200: Order}, refuses=["order_not_found"], versioned=True)
def show_order(call: OrderCall, order_id: Id) -> Answer:
    """Show an order, by its id or its number."""
    with call.queries() as uow:
        scope, order = found(uow, scopes_of(call.caller, READERS), order_id)
        if call.is_unchanged(order.version):
            return not_modified(order.version)
        return shown(uow, view_order(uow, scope, order))


@orders.post(
    "/<order_id>/cancel/",
    allow=OWNERS,
    answers={200: Order},
    refuses=["order_not_found", "invalid_status_transition", "cancel_window_closed", "field_not_allowed"],
    waits=True,
    if_match="honoured",
)
def cancel_order(call: OrderCall, order_id: Id, body: OrderCancel | None) -> Answer:
    """Cancel an order; what is held for it is released, what was paid becomes due for refund."""
    return submit_cancel(call, known_order(call, order_id, OWNERS), body or OrderCancel())


def submit_cancel(call: OrderCall, known: Known, body: OrderCancel) -> Answer:
    """Cancel an order, as far as its caller may."""
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
    return submit_and_wait(call, command, known)
