"""Returns of an order: what is to come back, what was decided about it, what arrived."""

from services.chassis.events import from_micros
from services.chassis.http.answers import answer
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.chassis.money import decimal_string
from services.order.api.access import DECIDERS, OWNERS, RECEIVERS, require_own_location
from services.order.api.calls import PREFIX, OrderCall, known_order
from services.order.api.models import returns as models
from services.order.api.models.fields import Id
from services.order.api.models.refunds import RefundLine
from services.order.api.problems import PROBLEMS, problem_of
from services.order.api.refunds import refund_of
from services.order.domain.orders import Order
from services.order.domain.receipts import Arrived, ReceiveReturn
from services.order.domain.refund_requests import WantedRefund
from services.order.domain.refusals import Refusal
from services.order.domain.returns import DecideReturn, RequestReturn, Return, ReturnLine, ReturnStatus, WantedLine
from services.order.handlers.returns import Returned, view_returns
from services.order.unit_of_work import OrderUnitOfWork

returns = Api("returns", prefix=PREFIX, about="Returns of orders", problems=PROBLEMS)
_READERS = OWNERS | RECEIVERS
_MOVES = ["order_not_found", "return_not_found", "invalid_return_transition"]


@returns.get("/<order_id>/returns/", allow=_READERS, answers={200: Page[models.Return]}, refuses=["order_not_found"])
def list_returns(call: OrderCall, order_id: Id) -> Answer:
    """List an order's returns, oldest first; all of them are on one page."""
    known = known_order(call, order_id, _READERS)
    with call.queries() as uow:
        found = view_returns(uow, known.order)
    data = [_shown(one) for one in found]
    return answer(Page[models.Return](data=data, next_cursor=None), 200)


@returns.post(
    "/<order_id>/returns/",
    allow=OWNERS,
    answers={201: models.Return},
    refuses=["order_not_found", "return_not_allowed", "return_window_closed", "unknown_item", "return_too_large"],
    if_match="honoured",
)
def request_return(call: OrderCall, order_id: Id, body: models.ReturnCreate) -> Answer:
    """Ask to send units of a delivered order back.

    Within `RETURN_WINDOW_DAYS` after the delivery, except for admins; never more than left and is neither back nor
    on its way back. What left of a cancelled order is expected back by itself; an admin opens a return of what was
    not, or of what comes after its return was closed.
    """
    known = known_order(call, order_id, OWNERS)
    command = RequestReturn(
        order_id=known.order.id,
        actor=known.actor,
        lines=tuple(WantedLine(line.item_id, line.quantity, line.reason) for line in body.lines),
        within_window=not call.caller.has(Role.ADMIN),
        of_cancelled=call.caller.has(Role.ADMIN),
        note=body.note,
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_opened, subject=known.order.id)


@returns.post(
    "/<order_id>/returns/<return_id>/approve/",
    allow=DECIDERS,
    answers={200: models.Return},
    refuses=_MOVES,
    if_match="honoured",
)
def approve_return(call: OrderCall, order_id: Id, return_id: Id, body: models.ReturnApprove | None) -> Answer:
    """Let the goods be sent back."""
    told = body or models.ReturnApprove()
    known = known_order(call, order_id, DECIDERS)
    command = DecideReturn(
        order_id=known.order.id,
        return_id=return_id,
        actor=known.actor,
        status=ReturnStatus.APPROVED,
        note=told.note,
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_decided, subject=known.order.id)


@returns.post(
    "/<order_id>/returns/<return_id>/decline/",
    allow=DECIDERS,
    answers={200: models.Return},
    refuses=_MOVES,
    if_match="honoured",
)
def decline_return(call: OrderCall, order_id: Id, return_id: Id, body: models.ReturnDecline | None) -> Answer:
    """Refuse a return; its units may be asked for again."""
    told = body or models.ReturnDecline()
    known = known_order(call, order_id, DECIDERS)
    command = DecideReturn(
        order_id=known.order.id,
        return_id=return_id,
        actor=known.actor,
        status=ReturnStatus.DECLINED,
        reason=told.reason,
        note=told.note,
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_decided, subject=known.order.id)


@returns.post(
    "/<order_id>/returns/<return_id>/receive/",
    allow=RECEIVERS,
    answers={200: models.ReturnReceived},
    refuses=[*_MOVES, "unknown_item", "return_too_large", "field_not_allowed"],
    if_match="honoured",
)
def receive_return(call: OrderCall, order_id: Id, return_id: Id, body: models.ReturnReceive) -> Answer:
    """Take in what arrived of an approved return, in one receipt or several.

    Undamaged units with the disposition `restock` go back on hand. The receipt proposes the refund of what arrived,
    damaged units included; with `refund` it is asked for at once. Somebody of a warehouse receives at the
    locations that their token names, anywhere without one.
    """
    require_own_location(call.caller, body, RECEIVERS)
    known = known_order(call, order_id, RECEIVERS)
    command = ReceiveReturn(
        order_id=known.order.id,
        return_id=return_id,
        actor=known.actor,
        location=body.location,
        lines=tuple(Arrived(line.item_id, line.received, line.damaged, line.disposition) for line in body.lines),
        complete=body.complete,
        refund=body.refund,
        note=body.note,
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_received, subject=known.order.id)


def _opened(outcome: Returned | Refusal, _uow: OrderUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    location = f"{PREFIX}/{outcome.order.id}/returns/{outcome.one.id}/"
    return answer(_shown(outcome.one), 201, version=outcome.order.version, location=location)


def _decided(outcome: Returned | Refusal, _uow: OrderUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    return answer(_shown(outcome.one), 200, version=outcome.order.version)


def _received(outcome: Returned | Refusal, _uow: OrderUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    model = models.ReturnReceived(
        **dict(_shown(outcome.one)),
        proposed_refund=_proposed(outcome.order, outcome.one, outcome.proposed),
        refunds=[refund_of(refund) for refund in outcome.refunds],
    )
    return answer(model, 200, version=outcome.order.version)


def _proposed(order: Order, one: Return, wanted: WantedRefund | None) -> models.ProposedRefund | None:
    if wanted is None:
        return None
    skus, units = {line.item_id: line.sku for line in one.lines}, wanted.units or {}
    return models.ProposedRefund(
        amount=decimal_string(wanted.amount_minor or 0, order.currency),
        currency=order.currency,
        lines=[RefundLine(item_id=i, sku=skus[i], quantity=n) for i, n in units.items()],
    )


def _shown(one: Return) -> models.Return:
    return models.Return(
        id=one.id,
        number=one.number,
        status=one.status,
        expected=one.expected,
        note=one.note,
        decline_reason=one.decline_reason,
        lines=[_line(line) for line in one.lines],
        requested_at=from_micros(one.requested_at),
        decided_at=None if one.decided_at is None else from_micros(one.decided_at),
        received_at=None if one.received_at is None else from_micros(one.received_at),
    )


def _line(line: ReturnLine) -> models.ReturnLine:
    return models.ReturnLine(
        item_id=line.item_id,
        sku=line.sku,
        quantity=line.quantity,
        reason=line.reason,
        received=line.received,
        damaged=line.damaged,
        restocked=line.restocked,
        disposition=line.disposition,
    )
