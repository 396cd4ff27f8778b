"""Edits of an order's lines: asked for by people, answered by inventory, or given up."""

from dataclasses import replace

from services.chassis.commands import Submitted
from services.chassis.events import Cause, new_id
from services.order.domain import edits, revisions
from services.order.domain.availability import none_left
from services.order.domain.edits import AddItem, Edit, Repriced, ReviseOrder, Shop
from services.order.domain.history import When
from services.order.domain.orders import Order
from services.order.domain.refusals import Refusal
from services.order.domain.revisions import Revision, RevisionAnswer, RevisionReason, RevisionStatus, Settled
from services.order.domain.statuses import OrderStatus
from services.order.handlers.commands import order_of, when_of
from services.order.handlers.refunds import refundable, request_due_refunds
from services.order.unit_of_work import OrderUnitOfWork


def revise_order(submitted: Submitted[ReviseOrder], uow: OrderUnitOfWork) -> tuple[Order, Revision] | Refusal:
    """Ask for an edit of an order's lines.  Emits: OrderRevisionRequested."""
    order = order_of(submitted, uow)
    if isinstance(order, Refusal):
        return order
    content = uow.content(order.id)
    priced = edits.obstacle_of(order, content) or _preview(uow, order, submitted.command.edit)
    if isinstance(priced, Refusal):
        return priced
    revision, told = revisions.request(order, priced, when_of(submitted, uow), uow.settings.shop_terms)
    uow.revisions.add(revision)
    uow.tell(order, told, submitted.cause)
    return order, revision


def preview_revision(uow: OrderUnitOfWork, order: Order, edit: Edit) -> Repriced | Refusal:
    """Return what an edit would make of an order; nothing is changed."""
    if isinstance(edit, AddItem):
        uow.look_up(edit.sku)
    priced = _preview(uow, order, edit)
    if isinstance(priced, Refusal) or priced.obstacle is not None:
        return priced
    told = uow.availability.of({line.sku for line in priced.content.lines})
    return replace(priced, obstacle=none_left(uow.content(order.id), priced.content, told))


def view_revision(uow: OrderUnitOfWork, order: Order, revision: int) -> Revision | None:
    """Return an edit of an order by its number, None where there is none."""
    return uow.revisions.find(order.id, revision)


def settle_revision(answer: RevisionAnswer, order: Order, when: When, cause: Cause, uow: OrderUnitOfWork) -> None:
    """Take inventory's answer to an edit.  Emits: OrderRevised, RefundRequested | OrderRevisionRejected."""
    if not revisions.awaits(order, answer):
        return
    settled = revisions.settle(answer, refundable(order, uow), _newest(order, uow), when)
    if settled is not None:
        _keep(order, settled, cause, uow)
        # An edit that came to nothing makes nothing due: what failed is tried again by people.
        if settled.content is not None:
            request_due_refunds(order, "revised", when, cause, uow)


def time_out_revision(order: Order, when: When, cause: Cause, uow: OrderUnitOfWork) -> None:
    """Give up an edit that inventory never answered.  Emits: OrderRevisionRejected."""
    _keep(order, revisions.reject(order, _newest(order, uow), RevisionReason.TIMEOUT, when), cause, uow)


def close_revision(order: Order, when: When, uow: OrderUnitOfWork) -> None:
    """End an open edit with its order, where that was cancelled."""
    if order.status is not OrderStatus.CANCELLED or not order.revision:
        return
    newest = _newest(order, uow)
    if newest.status is RevisionStatus.PENDING:
        uow.revisions.update(revisions.end_with_order(newest, when))


def _preview(uow: OrderUnitOfWork, order: Order, edit: Edit) -> Repriced | Refusal:
    shop = Shop(uow.catalog, uow.settings.shop_terms)
    return edits.preview(order, uow.content(order.id), edit, shop, item_id=new_id(), now=uow.now)


def _newest(order: Order, uow: OrderUnitOfWork) -> Revision:
    newest = uow.revisions.find(order.id, order.revision)
    assert newest is not None  # noqa: S101  # kept by the transaction that counted it
    return newest


def _keep(order: Order, settled: Settled, cause: Cause, uow: OrderUnitOfWork) -> None:
    uow.revisions.update(settled.revision)
    if settled.content is not None:
        uow.revise(settled.content)
    for refund in settled.refunds:
        uow.refunds.update(refund)
    uow.tell(order, settled.told, cause)
