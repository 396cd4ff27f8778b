"""Many orders in one call: placed, or moved on."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from services.chassis.errors import Problem
from services.chassis.http import documents
from services.chassis.http.answers import answer
from services.chassis.http.endpoint import Api
from services.chassis.http.faults import invalid_request
from services.chassis.http.inputs import read_member
from services.chassis.http.problems import CODES, problem_document, refused
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer, IdempotencyKey, StoredAnswer, reused
from services.order.api.access import actor_of
from services.order.api.calls import MOVES, PAYS, PREFIX, OrderCall
from services.order.api.models import bulk as models
from services.order.api.placing import REFUSALS, draft_of
from services.order.api.problems import PROBLEMS, problem_of
from services.order.domain.bulk import BulkMode, PlaceOrders, UpdateOrders
from services.order.domain.refusals import Refusal
from services.order.handlers.bulk import AnsweredBefore, named_orders
from services.order.handlers.commands import Outcome
from services.order.unit_of_work import OrderUnitOfWork

bulk = Api("bulk", prefix=PREFIX, about="Many orders at once", problems=PROBLEMS)
# Five hundred orders of a dozen lines each, with addresses and metadata.
_BODY_MAX_BYTES = 4 * 1024 * 1024
_SERVICE, _ADMIN = frozenset({Role.SERVICE}), frozenset({Role.ADMIN})
_ROW = "row:"
_PLACED = re.compile(rf"{PREFIX}/([0-9a-f-]{{36}})/")
_SHOWN_REFUSALS = 20


@bulk.post(
    "/bulk/",
    allow=_SERVICE,
    answers={200: models.BulkAnswer},
    refuses=[code for code in REFUSALS if code != "insufficient_stock"],
    key_required_of=_SERVICE,
    bulk=True,
    body_max_bytes=_BODY_MAX_BYTES,
)
def place_orders(call: OrderCall, body: models.BulkCreate) -> Answer:
    """Place up to 500 orders: the good ones in one transaction, and for each other one its problem.

    The same call again with its Idempotency-Key gets the same answer. A row that has a `key` is placed once, whichever
    call it comes with. A body that is no list of rows is refused as a whole; it may have 4 MiB.
    """
    read = _read_all(body.orders)
    rows = [row for row in read if isinstance(row, _Row)]
    _require_other_keys(call, rows)
    command = PlaceOrders(
        drafts=tuple(draft_of(call.caller, row.order) for row in rows),
        keys=tuple(row.order.key for row in rows),
        actor=actor_of(call.caller, _SERVICE),
    )
    render = _Placed(read, call.trace_id)
    return call.submit(command, render=render, alone=True, parts=[row.part for row in rows if row.part is not None])


@bulk.post(
    "/bulk-update/",
    allow=_ADMIN,
    answers={200: models.BulkAnswer},
    refuses=[*MOVES, *PAYS, "nothing_to_refund", "rows_refused"],
    bulk=True,
    body_max_bytes=_BODY_MAX_BYTES,
)
def update_orders(call: OrderCall, body: models.BulkUpdate) -> Answer:
    """Move up to 500 orders to a status, by their ids or numbers; each by the same command as a status update.

    With `atomic` all of them move, or none: then 409 `rows_refused` has the first problems.
    """
    with call.queries() as uow:
        rows = named_orders(uow, body.ids)
    twice = [
        {
            "pointer": f"/ids/{i}",
            "code": "invalid_value",
            "detail": f"rows repeat an order: this is that of /ids/{first}",
        }
        for i, row in enumerate(rows)
        if (first := rows.index(row)) != i
    ]
    if twice:
        raise invalid_request(twice)
    command = UpdateOrders(
        rows=tuple(rows),
        status=body.status,
        actor=actor_of(call.caller, _ADMIN),
        mode=body.mode,
        note=body.notes,
    )
    return call.submit(command, render=_Updated(command, body.ids, call.trace_id), alone=True)


@dataclass(frozen=True, slots=True)
class _Row:
    """An order that is to be placed.

    Args:
        index: where it stands in the request, from 0.
        part: its own idempotency key; None for one without.

    """

    index: int
    order: models.BulkOrderCreate
    part: IdempotencyKey | None


def _read_all(orders: Sequence[Any]) -> list[_Row | Problem]:
    """Return the rows of a request, each read alone; of those that share a key, the first has it."""
    read: list[_Row | Problem] = []
    first: dict[str, int] = {}
    for index, sent in enumerate(orders):
        row = _read(index, sent)
        if isinstance(row, _Row) and row.part is not None:
            before = first.setdefault(row.part.key, index)
            row = row if before == index else _repeats_key(index, before)
        read.append(row)
    return read


def _repeats_key(index: int, before: int) -> Problem:
    detail = f"is the key of /orders/{before}, too; each row needs its own, or none"
    return invalid_request([{"pointer": f"/orders/{index}/key", "code": "invalid_value", "detail": detail}])


def _read(index: int, sent: Any) -> _Row | Problem:
    """Return a row of a request, or what is wrong with it."""
    try:
        order = read_member(models.BulkOrderCreate, sent, f"/orders/{index}")
    except Problem as problem:
        return problem
    if order.key is None:
        return _Row(index, order, None)
    digest = hashlib.sha256(order.model_dump_json().encode()).hexdigest()
    return _Row(index, order, IdempotencyKey(order.key, _ROW + digest))


def _require_other_keys(call: OrderCall, rows: Sequence[_Row]) -> None:
    own = call.idempotency and call.idempotency.key
    detail = "is the call's own Idempotency-Key; a row needs another, or none"
    errors = [
        {"pointer": f"/orders/{row.index}/key", "code": "invalid_value", "detail": f"{row.part.key!r} {detail}"}
        for row in rows
        if row.part is not None and row.part.key == own
    ]
    if errors:
        raise refused("invalid_request", errors[0]["detail"], errors)


class _Placed:
    """Renders what became of the rows of a call that places; each with a key is an answer of its own, to be stored."""

    def __init__(self, read: Sequence[_Row | Problem], trace_id: str | None) -> None:
        self._read = read
        self._trace_id = trace_id

    def __call__(self, outcomes: Sequence[Outcome | AnsweredBefore], _uow: OrderUnitOfWork) -> Answer:
        left = iter(outcomes)
        rows = [
            _refused(index, None, row, self._trace_id) if isinstance(row, Problem) else self._row(row, next(left))
            for index, row in enumerate(self._read)
        ]
        placed = {
            sent.part.key: _stored(row)
            for sent, row in zip(self._read, rows, strict=True)
            if isinstance(sent, _Row) and sent.part is not None and row.problem is None and not row.repeated
        }
        given = _answer(rows)
        return Answer(given.status, given.body, given.headers, parts=placed)

    def _row(self, row: _Row, outcome: Outcome | AnsweredBefore) -> models.BulkRow:
        if isinstance(outcome, AnsweredBefore):
            return self._before(row, outcome.stored)
        return _row(row.index, None, outcome, f"/orders/{row.index}", self._trace_id)

    def _before(self, row: _Row, stored: StoredAnswer) -> models.BulkRow:
        """Return the order that was placed under a row's key, by a single call or by another of many."""
        assert row.part is not None  # noqa: S101  # only a key was answered before
        other_row = stored.request_hash.startswith(_ROW) and stored.request_hash != row.part.request_hash
        found = _PLACED.fullmatch(stored.answer.headers.get("Location", ""))
        if other_row or found is None:
            return _refused(row.index, None, reused(row.part.key), self._trace_id)
        order = json.loads(stored.answer.body)
        return models.BulkRow(
            index=row.index,
            id=order["id"],
            order_number=order["order_number"],
            status=order["status"],
            repeated=True,
            problem=None,
        )


class _Updated:
    """Renders what became of the rows of a call that moves orders on."""

    def __init__(self, command: UpdateOrders, sent: Sequence[str], trace_id: str | None) -> None:
        self._command = command
        self._sent = sent
        self._trace_id = trace_id

    def __call__(self, outcomes: Sequence[Outcome], uow: OrderUnitOfWork) -> Answer:
        rows = [_row(i, None, outcome, "", self._trace_id) for i, outcome in enumerate(outcomes)]
        for row, sent, order_id in zip(rows, self._sent, self._command.rows, strict=True):
            order = uow.order(order_id)
            row.id = order_id if order is not None and sent == order.number else sent
            if order is not None:
                row.order_number, row.status = order.number, order.status
        bad = [row for row in rows if row.problem is not None]
        if bad and self._command.mode is BulkMode.ATOMIC:
            detail = f"{len(bad)} of {len(rows)} orders cannot become {self._command.status}; nothing was changed"
            shown = [row.model_dump(mode="json") for row in bad[:_SHOWN_REFUSALS]]
            raise Problem(409, "rows_refused", detail, extra={"failed": len(bad), "results": shown})
        return _answer(rows)


def _row(index: int, order_id: str | None, outcome: Outcome, at: str, trace_id: str | None) -> models.BulkRow:
    if isinstance(outcome, Refusal):
        return _refused(index, order_id, problem_of(outcome, at), trace_id)
    order = outcome.order
    return models.BulkRow(
        index=index, id=order.id, order_number=order.number, status=order.status, repeated=False, problem=None
    )


def _refused(index: int, order_id: str | None, problem: Problem, trace_id: str | None) -> models.BulkRow:
    known = PROBLEMS.get(problem.code) or CODES[problem.code]
    shown = documents.Problem.model_validate(problem_document(problem, known, trace_id))
    return models.BulkRow(index=index, id=order_id, order_number=None, status=None, repeated=False, problem=shown)


def _answer(rows: Sequence[models.BulkRow]) -> Answer:
    failed = sum(row.problem is not None for row in rows)
    return answer(models.BulkAnswer(succeeded=len(rows) - failed, failed=failed, results=list(rows)))


def _stored(row: models.BulkRow) -> Answer:
    body = json.dumps({"id": row.id, "order_number": row.order_number, "status": row.status})
    return Answer(201, body.encode(), {"Location": f"{PREFIX}/{row.id}/"})
