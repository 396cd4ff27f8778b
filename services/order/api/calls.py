"""What the endpoints of an order's parts have in common: find it for its caller, run a command on it, show it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from services.chassis.http.answers import answer
from services.chassis.http.call import Call
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api.access import actor_of, scopes_of
from services.order.api.problems import not_found, problem_of
from services.order.api.views import order_of
from services.order.domain.history import Actor
from services.order.domain.orders import Order
from services.order.domain.refusals import Refusal
from services.order.domain.scopes import Scope
from services.order.domain.statuses import OrderStatus
from services.order.handlers.commands import Outcome
from services.order.handlers.orders import OrderView, find_order, view_order
from services.order.unit_of_work import OrderUnitOfWork

PREFIX = "/api/v1/orders"


OrderCall = Call[OrderUnitOfWork]


MOVES = ["order_not_found", "invalid_status_transition", "stock_not_allocated", "operation_in_progress"]


# Why nothing of an order can be edited.
EDITS = ["order_not_found", "not_editable", "operation_in_progress", "total_too_large"]


PAYS = ["payment_required", "payment_mismatch", "payment_reference_used", "already_paid", "order_cancelled"]


def shown(uow: OrderUnitOfWork, view: OrderView, status: int = 200, location: str | None = None) -> Answer:
    """Return the answer that shows an order."""
    model = order_of(view, uow.settings.tracking_links)
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
        return view_order(uow, *found(uow, (scope,), order_id))


def said_of_waiting(call: OrderCall, given: Answer) -> dict[str, str]:
    """Return what an answer says of waiting and of replays, for a refusal that says it too."""
    applied = {} if call.wait_seconds is None else {"Preference-Applied": f"wait={call.wait_seconds}"}
    return applied | ({"Idempotent-Replayed": "true"} if given.replayed else {})


@dataclass(frozen=True, slots=True)
class Known:
    """An order that the caller may act on: through whose eyes it is seen, and as whom they act."""

    order: Order
    scope: Scope
    actor: Actor


class Shown:
    """Renders a command's outcome inside its transaction; `at` points to what a refusal's faults are in."""

    def __init__(self, scope: Scope, at: str = "") -> None:
        self._scope = scope
        self._at = at

    def __call__(self, outcome: Outcome, uow: OrderUnitOfWork) -> Answer:
        """Return the order as the command left it.

        Raises:
            Problem: the command was refused.

        """
        if isinstance(outcome, Refusal):
            raise problem_of(outcome, self._at)
        return shown(uow, view_order(uow, self._scope, outcome.order), status_of(outcome.order))


def status_of(order: Order) -> int:
    """Return 202 for an order of which something that was asked is still open: its stock, or a refund; else 200."""
    open_yet = order.status is OrderStatus.PENDING and order.pending_operation is not None
    confirming = order.confirm_when_reserved and open_yet
    refunding = order.status is OrderStatus.DELIVERED and order.refunding_minor > 0
    return 202 if confirming or refunding else 200


def submit_and_wait(call: OrderCall, command: object, known: Known, at: str = "") -> Answer:
    """Run a command on an order, wait for inventory's answer as long as the caller prefers, and show the order.

    Args:
        call: the request.
        command: what is asked.
        known: the order, and who asks.
        at: JSON Pointer to what a refusal's faults are in, where that is not the body itself.

    """
    given = call.submit(command, render=Shown(known.scope, at), subject=known.order.id)
    view = after_waiting(call, known.order.id, known.scope, given)
    if view is None:
        return given
    with call.queries() as uow:
        seen = shown(uow, view, status_of(view.order))
    return replace(seen, replayed=given.replayed)


def found(uow: OrderUnitOfWork, scopes: Sequence[Scope], order_id: str) -> tuple[Scope, Order]:
    """Return an order, and the first of the scopes that it is in.

    Raises:
        Problem: 404; it is in none of them.

    """
    for scope in scopes:
        order = find_order(uow, scope, order_id)
        if order is not None:
            return scope, order
    raise not_found(order_id)


def sells_all(call: OrderCall, order: Order) -> bool:
    """Tell whether every line of an order is the calling vendor's."""
    with call.queries() as uow:
        vendors = {line.vendor_id for line in view_order(uow, Scope(), order).details.content.lines}
    return vendors == {call.caller.vendor_id}


def known_order(call: OrderCall, order_id: str, through: Collection[Role]) -> Known:
    """Return an order that the caller may act on through one of the endpoint's roles.

    Raises:
        Problem: 404; it is not there, or not theirs.

    """
    with call.queries() as uow:
        scope, order = found(uow, scopes_of(call.caller, through), order_id)
    return Known(order, scope, actor_of(call.caller, through))
