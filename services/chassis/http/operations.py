"""The operators' endpoints, in every service: parked keys, as `parked list|show|retry|discard|resume` has them.

A key is named by an id that is made of its place, since it may hold any character.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from services.chassis.errors import Problem
from services.chassis.http.answers import answer
from services.chassis.http.call import Call
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.lists import PageQuery, Position, paging
from services.chassis.http.models import Body
from services.chassis.http.roles import Role
from services.chassis.http.shapes import statement
from services.chassis.idempotency import Answer
from services.chassis.operations import DiscardParked, OperationsUnitOfWork, Place, ResumeConsumers, RetryParked
from services.chassis.operators import Filter, ParkedKey

_ADMIN = frozenset({Role.ADMIN})
_PLACE = TypeAdapter(tuple[str, str, str])
ParkedId = Annotated[str, Field(max_length=2000, description="the `id` of a parked key in the list")]

parked = Api("operations", prefix="/api/v1/operations/parked", about="Events that could not be handled, by their keys")


class ParkedKeyOut(BaseModel):
    """A key whose events wait, in order, for a repair or for what is missing."""

    model_config = {"title": "ParkedKey"}

    id: str = Field(description="names it in paths")
    consumer: str
    topic: str
    key: str
    state: Literal["waiting", "retrying", "dead"] = Field(description="dead: no more tries without an operator")
    attempts: int = Field(description="failed tries of its first event")
    events: int = Field(description="how many wait under it")
    fingerprint: str = Field(description="what tells one fault from another")
    error: str
    due_at: datetime = Field(description="when it is tried next, unless it is dead")
    parked_at: datetime


class ParkedKeyDetail(ParkedKeyOut):
    """A parked key and its events, without personal data."""

    model_config = {"title": "ParkedKeyDetail"}

    waiting: list[dict[str, Any]] = Field(description="its events, the first one first")


class ParkedQuery(PageQuery):
    """Which parked keys."""

    topic: str | None = Field(None, max_length=249)
    key: str | None = Field(None, max_length=500)
    fingerprint: str | None = Field(None, max_length=500)
    state: Literal["waiting", "retrying", "dead"] | None = None


class Reason(Body):
    """Why; it is kept and logged."""

    reason: Annotated[str, statement(most=500)]


class Discarded(BaseModel):
    """The event that was given up."""

    event_id: str


class Resumed(BaseModel):
    """The consumers that had stopped and go on."""

    consumers: list[str]


@parked.get("/", allow=_ADMIN, answers={200: Page[ParkedKeyOut]}, refuses=["invalid_cursor"])
def list_parked(call: Call[Any], query: ParkedQuery) -> Answer:
    """List parked keys, oldest first."""
    wanted = paging(query, datetime, str, str, str)
    which = Filter(fingerprint=query.fingerprint, topic=query.topic, key=query.key, state=query.state)
    with _operators(call).queries() as uow:
        rows = uow.page(which, wanted.after, wanted.fetch)
    return wanted.answer(rows, position=_position, show=_shown)


@parked.get("/<parked_id>/", allow=_ADMIN, answers={200: ParkedKeyDetail})
def show_parked(call: Call[Any], parked_id: ParkedId) -> Answer:
    """Show a parked key and what waits under it."""
    place = _place_of(parked_id)
    with _operators(call).queries() as uow:
        found = uow.find(place)
        waiting = [] if found is None else uow.events_of(found)
    if found is None:
        raise _missing(parked_id)
    return answer(ParkedKeyDetail(**_columns(found), waiting=[dict(event) for event in waiting]))


@parked.post("/<parked_id>/retry/", allow=_ADMIN, answers={202: ParkedKeyOut})
def retry(call: Call[Any], parked_id: ParkedId) -> Answer:
    """Have a parked key tried again at once, and as often as a new one."""

    def render(found: ParkedKey | None, _uow: OperationsUnitOfWork) -> Answer:
        if found is None:
            raise _missing(parked_id)
        return answer(_shown(found), 202)

    return _operators(call).submit(RetryParked(_place_of(parked_id)), render=render, subject=parked_id)


@parked.post("/<parked_id>/discard/", allow=_ADMIN, answers={200: Discarded})
def discard(call: Call[Any], parked_id: ParkedId, body: Reason) -> Answer:
    """Give up the first event of a parked key.

    Its bytes are kept as a dead event, and what waits behind it is due.
    """

    def render(event_id: str | None, _uow: OperationsUnitOfWork) -> Answer:
        if event_id is None:
            raise _missing(parked_id)
        return answer(Discarded(event_id=event_id))

    command = DiscardParked(_place_of(parked_id), body.reason, call.caller.subject)
    return _operators(call).submit(command, render=render, subject=parked_id)


@parked.post("/resume/", allow=_ADMIN, answers={200: Resumed})
def resume(call: Call[Any], body: Reason) -> Answer:
    """Let consumers that stopped for a suspected bad deploy go on."""
    command = ResumeConsumers(body.reason, call.caller.subject)
    return _operators(call).submit(command, render=lambda names, _: answer(Resumed(consumers=names)))


def _operators(call: Call[Any]) -> Call[OperationsUnitOfWork]:
    operations = call.application.operations
    assert operations is not None  # noqa: S101  # these endpoints are served only beside it
    return replace(call, application=operations)


def _position(row: ParkedKey) -> Position:
    return row.parked_at, row.consumer, row.topic, row.key


def _columns(row: ParkedKey) -> Mapping[str, Any]:
    return {"id": _id_of(row), **asdict(row)}


def _shown(row: ParkedKey) -> ParkedKeyOut:
    return ParkedKeyOut(**_columns(row))


def _id_of(row: ParkedKey) -> str:
    return base64.urlsafe_b64encode(to_json([row.consumer, row.topic, row.key])).rstrip(b"=").decode()


def _place_of(parked_id: str) -> Place:
    try:
        document = base64.b64decode(parked_id + "=" * (-len(parked_id) % 4), altchars=b"-_", validate=True)
        consumer, topic, key = _PLACE.validate_json(document)
    except (ValueError, binascii.Error, ValidationError) as error:
        raise _missing(parked_id) from error
    if "\x00" in consumer + topic + key:
        raise _missing(parked_id)
    return Place(consumer, topic, key)


def _missing(parked_id: str) -> Problem:
    return Problem(404, "not_found", f"nothing is parked under {parked_id[:100]!r}; the list has the ids")
