"""Refunds of an order: what is to be paid back, and what became of it."""

from dataclasses import replace
from decimal import Decimal

from services.chassis.events import from_micros
from services.chassis.http.answers import answer
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.idempotency import Answer
from services.chassis.money import decimal_string, minor_units
from services.order.api.access import MANAGERS, OWNERS
from services.order.api.calls import PREFIX, OrderCall, known_order
from services.order.api.models import refunds as models
from services.order.api.models.fields import Id
from services.order.api.problems import PROBLEMS, fault_of, problem_of
from services.order.domain.orders import Order
from services.order.domain.refund_requests import CreateRefund, WantedRefund
from services.order.domain.refunds import Refund, SettleRefund
from services.order.domain.refusals import Refusal
from services.order.domain.scopes import Scope
from services.order.handlers.refunds import Refunded, view_refunds
from services.order.unit_of_work import OrderUnitOfWork

refunds = Api("refunds", prefix=PREFIX, about="Refunds of orders", problems=PROBLEMS)
_REFUSALS = ["order_not_found", "refund_not_allowed", "nothing_to_refund", "refund_too_large"]


@refunds.get("/<order_id>/refunds/", allow=OWNERS, answers={200: Page[models.Refund]}, refuses=["order_not_found"])
def list_refunds(call: OrderCall, order_id: Id) -> Answer:
    """List an order's refunds, oldest first; all of them are on one page."""
    known = known_order(call, order_id, OWNERS)
    with call.queries() as uow:
        found = view_refunds(uow, known.order)
    return answer(Page[models.Refund](data=[_seen(refund, known.scope) for refund in found], next_cursor=None), 200)


@refunds.post(
    "/<order_id>/refunds/",
    allow=MANAGERS,
    answers={200: models.RefundsMade, 201: models.RefundsMade},
    refuses=[*_REFUSALS, "unknown_item", "unknown_payment", "refund_reference_used", "too_many_decimals"],
    if_match="honoured",
)
def create_refund(call: OrderCall, order_id: Id, body: models.RefundCreate) -> Answer:
    """Refund units of lines, the shipping, an amount, or all that is left.

    It is pending until it is settled; with a `provider_reference` it has happened already, and is answered with 200
    where it is known. All refunds together never come to more than was paid.
    """
    known = known_order(call, order_id, MANAGERS)
    command = CreateRefund(
        order_id=known.order.id,
        actor=known.actor,
        wanted=_wanted(known.order, body),
        reason=body.reason,
        payment_reference=body.payment_reference,
        provider_reference=body.provider_reference,
        note=body.note,
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_made, subject=known.order.id)


@refunds.post(
    "/<order_id>/refunds/<refund_id>/settle/",
    allow=MANAGERS,
    answers={200: models.Refund},
    refuses=["order_not_found", "refund_not_found", "refund_settled", "refund_too_large", "refund_reference_used"],
    if_match="honoured",
)
def settle_refund(call: OrderCall, order_id: Id, refund_id: Id, body: models.RefundSettle | None) -> Answer:
    """Report that a refund succeeded or failed, or (pending) have a failed one tried again."""
    known, told = known_order(call, order_id, MANAGERS), body or models.RefundSettle()
    command = SettleRefund(
        order_id=known.order.id,
        refund_id=refund_id,
        actor=known.actor,
        status=told.status,
        provider_reference=told.provider_reference,
        failure_code=told.failure_code,
        note=told.note,
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_settled, subject=known.order.id)


def _seen(refund: Refund, scope: Scope) -> models.Refund:
    """Return a refund as a reader sees it: its note is for those who see what is not public in the history."""
    return refund_of(refund if scope.internal else replace(refund, note=None))


def _wanted(order: Order, body: models.RefundCreate) -> WantedRefund:
    units = None if body.lines is None else {line.item_id: line.quantity for line in body.lines}
    if body.amount is None:
        return WantedRefund(units=units, shipping=body.shipping is True)
    try:
        return WantedRefund(amount_minor=minor_units(Decimal(body.amount), order.currency))
    except ValueError as error:
        raise fault_of("too_many_decimals", "/amount", str(error)) from error


def _made(outcome: Refunded | Refusal, _uow: OrderUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    first, *further = (refund_of(refund) for refund in outcome.refunds)
    model = models.RefundsMade(**dict(first), further=further)
    location = f"{PREFIX}/{outcome.order.id}/refunds/{first.id}/"
    return answer(model, 201 if outcome.is_new else 200, version=outcome.order.version, location=location)


def _settled(outcome: Refunded | Refusal, _uow: OrderUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    return answer(refund_of(outcome.refunds[0]), 200, version=outcome.order.version)


def refund_of(refund: Refund) -> models.Refund:
    """Return a refund as it is shown."""
    return models.Refund(
        id=refund.id,
        status=refund.status,
        amount=decimal_string(refund.amount_minor, refund.currency),
        currency=refund.currency,
        reason=refund.reason,
        note=refund.note,
        lines=[models.RefundLine(item_id=line.item_id, sku=line.sku, quantity=line.quantity) for line in refund.lines],
        shipping=decimal_string(refund.shipping_minor, refund.currency),
        provider=refund.provider,
        payment_reference=refund.reference,
        provider_reference=refund.provider_reference,
        failure_code=refund.failure_code,
        created_at=from_micros(refund.created_at),
        settled_at=None if refund.settled_at is None else from_micros(refund.settled_at),
    )
