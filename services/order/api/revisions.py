"""Edits of an order's lines: asked for, awaited, shown."""

from dataclasses import replace

from services.chassis.errors import Problem
from services.chassis.http.answers import answer
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api.access import SELLERS
from services.order.api.calls import EDITS, PREFIX, Known, OrderCall, after_waiting, known_order, said_of_waiting
from services.order.api.edits import tried
from services.order.api.models import revisions as models
from services.order.api.models.fields import Id
from services.order.api.models.orders import OrderItem
from services.order.api.problems import PROBLEMS, problem_of
from services.order.api.views import Money, items_of, last_revision_of, named_shortages, own_lines, own_sums_of, sums_of
from services.order.domain.edits import AddItem, ChangeItem, Edit, RemoveItem, ReviseOrder
from services.order.domain.orders import Order
from services.order.domain.refusals import Refusal
from services.order.domain.revisions import Revision, RevisionReason, RevisionStatus
from services.order.domain.scopes import Scope
from services.order.handlers.orders import view_order
from services.order.handlers.revisions import preview_revision, view_revision
from services.order.unit_of_work import OrderUnitOfWork

revisions = Api("revisions", prefix=PREFIX, about="Edits of orders' lines, before they leave", problems=PROBLEMS)
_EDITORS = frozenset({Role.ADMIN})
# Fewer than those of the largest number of a column.
_DIGITS = 10
_ANSWERED = ["insufficient_stock", "revision_rejected"]


@revisions.get("/<order_id>/items/", allow=SELLERS, answers={200: Page[OrderItem]}, refuses=["order_not_found"])
def list_items(call: OrderCall, order_id: Id) -> Answer:
    """List an order's lines, a vendor's own; all of them are on one page."""
    known = known_order(call, order_id, SELLERS)
    with call.queries() as uow:
        lines = view_order(uow, known.scope, known.order).details.content.lines
    found = items_of(known.order, own_lines(lines, known.scope))
    return answer(Page[OrderItem](data=found, next_cursor=None), 200)


@revisions.post(
    "/<order_id>/items/",
    allow=_EDITORS,
    answers={202: models.Revision, 200: models.RevisionOrTrial},
    refuses=[*EDITS, *_ANSWERED, "unknown_sku", "inactive_variant", "mixed_currency", "quantity_limit"],
    waits=True,
    if_match="honoured",
)
def add_item(call: OrderCall, order_id: Id, query: models.DryRunQuery, body: models.ItemCreate) -> Answer:
    """Add a line, at the catalog's price of today.

    202: inventory is asked to reserve it, and the order is as it was until then; `Location` tells what became of it.
    With `Prefer: wait=N` the answer is awaited: 200 once the order is revised, 409 `insufficient_stock` where it is
    as it was. With `dry_run=true` the answer is what the edit would come to, as a `Repriced`; nothing is changed.
    """
    return _edit(call, order_id, AddItem(body.sku, body.quantity), body.notes, dry_run=query.dry_run)


@revisions.put(
    "/<order_id>/items/<item_id>/",
    allow=_EDITORS,
    answers={202: models.Revision, 200: models.RevisionOrTrial},
    refuses=[*EDITS, *_ANSWERED, "item_not_found", "quantity_limit"],
    waits=True,
    if_match="required",
)
def change_item(
    call: OrderCall, order_id: Id, item_id: Id, query: models.DryRunQuery, body: models.ItemUpdate
) -> Answer:
    """Change the quantity of a line, at the price at which it was sold; otherwise as adding one.

    Only what is needed more is reserved; what is not needed any more is released once the order is revised.
    """
    return _edit(call, order_id, ChangeItem(item_id, body.quantity), body.notes, dry_run=query.dry_run)


@revisions.delete(
    "/<order_id>/items/<item_id>/",
    allow=_EDITORS,
    answers={202: models.Revision, 200: models.RevisionOrTrial},
    refuses=[*EDITS, "revision_rejected", "item_not_found", "last_item"],
    waits=True,
    if_match="honoured",
)
def remove_item(call: OrderCall, order_id: Id, item_id: Id, query: models.DryRunQuery) -> Answer:
    """Take a line away, unless it is the last: then cancel the order. Otherwise as adding one."""
    return _edit(call, order_id, RemoveItem(item_id), None, dry_run=query.dry_run)


@revisions.get(
    "/<order_id>/revisions/<revision>/",
    allow=SELLERS,
    answers={200: models.Revision},
    refuses=["order_not_found", "revision_not_found"],
)
def show_revision(call: OrderCall, order_id: Id, revision: Id) -> Answer:
    """Show an edit of an order's lines, by its number."""
    known = known_order(call, order_id, SELLERS)
    return answer(_shown(known.order, _found(call, known, revision), known.scope), 200)


def _edit(call: OrderCall, order_id: str, edit: Edit, note: str | None, *, dry_run: bool) -> Answer:
    known = known_order(call, order_id, _EDITORS)
    if dry_run:
        with call.queries() as uow:
            return tried(call, known.order, known.scope, preview_revision(uow, known.order, edit))
    command = ReviseOrder(
        order_id=known.order.id, actor=known.actor, edit=edit, note=note, expected_versions=call.expected_versions
    )
    given = call.submit(command, render=_Requested(known.scope), subject=known.order.id)
    view = after_waiting(call, known.order.id, known.scope, given)
    return given if view is None else _awaited(call, replace(known, order=view.order), given)


class _Requested:
    """Renders an edit that was asked for, inside its transaction."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __call__(self, outcome: tuple[Order, Revision] | Refusal, _uow: OrderUnitOfWork) -> Answer:
        if isinstance(outcome, Refusal):
            raise problem_of(outcome)
        order, revision = outcome
        location = f"{PREFIX}/{order.id}/revisions/{revision.revision}/"
        return answer(_shown(order, revision, self._scope), 202, version=order.version, location=location)


def _awaited(call: OrderCall, known: Known, given: Answer) -> Answer:
    revision = _found(call, known, given.headers["Location"].rstrip("/").rpartition("/")[2])
    shown = _shown(known.order, revision, known.scope)
    if revision.status is RevisionStatus.REJECTED:
        raise _rejected(call, known.order, shown, given)
    status = 202 if revision.status is RevisionStatus.PENDING else 200
    seen = answer(shown, status, version=known.order.version, location=given.headers["Location"])
    return replace(seen, replayed=given.replayed)


def _rejected(call: OrderCall, order: Order, shown: models.Revision, given: Answer) -> Problem:
    short = shown.reason is RevisionReason.INSUFFICIENT_STOCK
    why = f"not all of it fits: {named_shortages(shown.shortages)}" if short else f"{shown.reason}"
    return Problem(
        409,
        "insufficient_stock" if short else "revision_rejected",
        f"revision {shown.revision} of order {order.number} was rejected: {why}",
        extra={
            "order_id": order.id,
            "order_number": order.number,
            "revision": shown.revision,
            "shortages": [shortage.model_dump(mode="json") for shortage in shown.shortages],
        },
        headers=said_of_waiting(call, given),
    )


def _found(call: OrderCall, known: Known, number: str) -> Revision:
    with call.queries() as uow:
        # A number that no column could hold is none that an order has.
        wanted = int(number) if number.isascii() and number.isdigit() and len(number) < _DIGITS else 0
        revision = view_revision(uow, known.order, wanted)
    if revision is None:
        last = known.order.revision
        there_are = f"its last is {last}" if last else "its lines were never edited"
        detail = f"order {known.order.number} has no revision {number!r}; {there_are}"
        errors = [{"parameter": "revision", "code": "revision_not_found", "detail": detail}]
        raise Problem(404, "revision_not_found", detail, errors=errors)
    return revision


def _shown(order: Order, revision: Revision, scope: Scope) -> models.Revision:
    lines, money = own_lines(revision.lines, scope), Money(order.currency)
    vendor = scope.vendor_id is not None
    return models.Revision(
        **dict(last_revision_of(revision, lines)),
        currency=order.currency,
        **(own_sums_of(lines, money) if vendor else sums_of(revision, revision.total_minor, money)),
        price_difference=None if vendor else money(revision.total_minor - revision.previous_total_minor),
        items=items_of(order, lines),
    )
