"""Moving an order on by naming its next status; each runs the same command as the named call."""

from services.chassis.errors import Problem
from services.chassis.http.endpoint import Api
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api.calls import MOVES, PAYS, PREFIX, Known, OrderCall, Shown, known_order, sells_all
from services.order.api.models.fields import Id
from services.order.api.models.orders import Order, OrderCancel, OrderStatusUpdate
from services.order.api.orders import submit_cancel
from services.order.api.payments import payment_of, submit_confirm
from services.order.api.problems import PROBLEMS
from services.order.domain import orders as domain_orders
from services.order.domain.refund_requests import RefundRest
from services.order.domain.shipments import AdvanceOrder
from services.order.domain.statuses import OrderStatus

statuses = Api("statuses", prefix=PREFIX, about="Moving orders on", problems=PROBLEMS)

_MOVERS = frozenset({Role.VENDOR, Role.SERVICE, Role.ADMIN})


_OF_VENDORS = (OrderStatus.PROCESSING, OrderStatus.SHIPPED, OrderStatus.DELIVERED)


# Where a status update carries its payment.
IN_STATUS = "/payment"


@statuses.patch(
    "/<order_id>/status/",
    allow=_MOVERS,
    answers={200: Order, 202: Order},
    refuses=[*MOVES, *PAYS, "nothing_to_refund", "amount_due_open", "estimate_passed"],
    waits=True,
    if_match="honoured",
)
def update_status(call: OrderCall, order_id: Id, body: OrderStatusUpdate) -> Answer:
    """Move an order on; each status runs the same command as the named call."""
    known = known_order(call, order_id, _MOVERS)
    _require_sole_vendor(call, known.order, body)
    if body.status is OrderStatus.CONFIRMED:
        payment = payment_of(body.payment, IN_STATUS) if body.payment else None
        return submit_confirm(call, known, payment, body.notes, IN_STATUS)
    if body.status is OrderStatus.CANCELLED:
        return submit_cancel(call, known, OrderCancel(note=body.notes))
    if body.status is OrderStatus.REFUNDED:
        return _refund(call, known, body.notes)
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
    return call.submit(command, render=Shown(known.scope), subject=known.order.id)


def _refund(call: OrderCall, known: Known, note: str | None) -> Answer:
    command = RefundRest(
        order_id=known.order.id, actor=known.actor, note=note, expected_versions=call.expected_versions
    )
    return call.submit(command, render=Shown(known.scope), subject=known.order.id)


def _require_sole_vendor(call: OrderCall, order: domain_orders.Order, body: OrderStatusUpdate) -> None:
    """Let a vendor move on only what is theirs alone, and only along the way of the goods."""
    if call.caller.has(Role.ADMIN, Role.SERVICE):
        return
    if body.status not in _OF_VENDORS or not sells_all(call, order):
        detail = "vendors may set processing, shipped and delivered, on orders whose every line is theirs"
        raise Problem(403, "forbidden_role", detail)
