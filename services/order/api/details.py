"""Changing where an order goes and how, before it leaves."""

from services.chassis.errors import Problem
from services.chassis.http.endpoint import Api
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api.calls import EDITS, PREFIX, OrderCall, Shown, known_order, sells_all
from services.order.api.edits import tried
from services.order.api.models.details import OrderOrTrial, OrderUpdate
from services.order.api.models.fields import Id
from services.order.api.models.revisions import DryRunQuery
from services.order.api.problems import PROBLEMS
from services.order.domain.details import ChangeDetails, NewDetails
from services.order.handlers.details import preview_details

details = Api("details", prefix=PREFIX, about="Where orders go, and how", problems=PROBLEMS)
_EDITORS = frozenset({Role.ADMIN, Role.VENDOR})


@details.put(
    "/<order_id>/",
    allow=_EDITORS,
    answers={200: OrderOrTrial},
    refuses=[*EDITS, "unknown_shipping_method"],
    if_match="required",
)
def change_details(call: OrderCall, order_id: Id, query: DryRunQuery, body: OrderUpdate) -> Answer:
    """Change addresses, notes or shipping method before anything has left; a vendor, where every line is theirs.

    Tax follows the address and shipping follows the method: the totals are computed anew. What was paid beyond the
    new total is refunded, what is missing is due. With `dry_run=true` the answer is what it would come to, as a
    `Repriced`, and nothing is changed.
    """
    known = known_order(call, order_id, _EDITORS)
    if not call.caller.has(Role.ADMIN) and not sells_all(call, known.order):
        raise Problem(403, "forbidden_role", "vendors may change orders whose every line is theirs")
    new = _wanted(body)
    if query.dry_run:
        with call.queries() as uow:
            return tried(call, known.order, known.scope, preview_details(uow, known.order, new))
    command = ChangeDetails(
        order_id=known.order.id, actor=known.actor, new=new, expected_versions=call.expected_versions
    )
    return call.submit(command, render=Shown(known.scope), subject=known.order.id)


def _wanted(body: OrderUpdate) -> NewDetails:
    return NewDetails(
        shipping_address=None if body.shipping_address is None else body.shipping_address.model_dump(),
        billing_address=None if body.billing_address is None else body.billing_address.model_dump(),
        shipping_method=body.shipping_method,
        notes=body.notes,
        clear_notes="notes" in body.model_fields_set and body.notes is None,
    )
