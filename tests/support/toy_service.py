"""A toy service: boxes with lines and addresses, kept in memory. What a service's `api` module looks like.

`toy_server` serves it with the real gunicorn.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import jwt
from flask import Flask
from pydantic import AwareDatetime, BaseModel, Field

from services.chassis.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    OutcomeUnknown,
    Problem,
    StatementTimeout,
    TransactionConflict,
)
from services.chassis.events import Cause
from services.chassis.health import Health
from services.chassis.http.answers import answer, no_content, not_modified
from services.chassis.http.app import create_app
from services.chassis.http.application import Application
from services.chassis.http.auth import TokenVerifier
from services.chassis.http.call import Call
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.headers import check_version
from services.chassis.http.keys import SharedSecret
from services.chassis.http.lists import PageQuery, paging
from services.chassis.http.models import Body, Query, QueryMoment
from services.chassis.http.pacing import Pacer
from services.chassis.http.problems import ProblemCode
from services.chassis.http.roles import ANY_ROLE, Role
from services.chassis.http.shapes import shape
from services.chassis.http.streams import Streams
from services.chassis.idempotency import Answer, IdempotencyKey, reused

SECRET = "a secret of the toy service, long enough for HS256"
ISSUER, AUDIENCE = "https://issuer.test", "toys"
START = datetime(2024, 1, 1, tzinfo=UTC)
PROBLEMS = {
    "unknown_sku": ProblemCode(422, "A SKU is not in the catalog"),
    "box_sealed": ProblemCode(409, "A sealed box does not change"),
}

BoxId = Annotated[str, Field(max_length=64, description="the box's id")]


class Line(Body):
    """A line of a box."""

    sku: str = Field(min_length=1, max_length=64)
    quantity: int = Field(ge=1, le=1000)


class Address(Body):
    """Where a box goes."""

    first_name: str = Field(max_length=100)
    last_name: str = Field(max_length=100)
    address1: str = Field(max_length=200)
    city: str = Field(max_length=100)
    postal_code: str = Field(max_length=20)
    country_code: Annotated[str, shape(r"^[A-Z]{2}$", "two capital letters")]


class BoxCreate(Body):
    """A box to be packed."""

    items: tuple[Line, ...] = Field(min_length=1, max_length=100)
    shipping_address: Address | str
    billing_address: Address | None = None
    ship_at: AwareDatetime | None = None
    weight: float | None = None
    fragile: bool = False
    metadata: dict[str, str] = Field(default_factory=dict, max_length=50)


class BoxUpdate(Body):
    """What may change."""

    note: str


class Seal(Body):
    """How to seal."""

    colour: Literal["red", "black"] = "black"


class BoxOut(BaseModel):
    """A box."""

    id: str
    note: str
    version: int
    created_at: datetime


class BoxQuery(PageQuery):
    """Filters."""

    note: str | None = None
    created_from: QueryMoment | None = Field(None, alias="created_at[gte]")
    sort: Literal["created_at", "-created_at"] = "created_at"


class Nap(Query):
    """How long."""

    seconds: float = Field(0.1, ge=0, le=30)


@dataclass(frozen=True)
class Box:
    id: str
    created_at: datetime
    note: str = ""
    version: int = 1
    owner: str = ""


@dataclass
class Boxes:
    """The unit of work: everything, in memory."""

    rows: dict[str, Box] = field(default_factory=dict)

    def lock(self, messages: Sequence[Any]) -> None:
        """Nothing to lock."""

    def save(self) -> None:
        """Nothing to save."""

    def of(self, box_id: str) -> Box:
        if box_id not in self.rows:
            raise Problem(404, "not_found", f"no box {box_id}")
        return self.rows[box_id]


Command = Callable[[Boxes], Box]
BoxCall = Call[Boxes]


class ToyCommands:
    """Runs commands, which are functions, one at a time; keeps answers by idempotency key."""

    def __init__(self, boxes: Boxes) -> None:
        self.boxes = boxes
        self.causes: list[Cause] = []
        self._answers: dict[tuple[str, str], tuple[str, Answer]] = {}
        self._lock = threading.Lock()

    def submit(
        self,
        command: object,
        *,
        caller: str,
        cause: Cause,
        render: Callable[[Any, Boxes], Answer],
        idempotency: IdempotencyKey | None = None,
        subject: str | None = None,  # noqa: ARG002
        alone: bool = False,  # noqa: ARG002
        parts: Sequence[IdempotencyKey] = (),  # noqa: ARG002
    ) -> Answer:
        assert callable(command)
        with self._lock:
            place = (caller, idempotency.key) if idempotency else None
            if idempotency is not None and place in self._answers:
                asked, stored = self._answers[place]
                if asked != idempotency.request_hash:
                    raise reused(idempotency.key)
                return replace(stored, replayed=True)
            self.causes.append(cause)
            given = render(command(self.boxes), self.boxes)
            if idempotency is not None and place is not None:
                self._answers[place] = (idempotency.request_hash, given)
            return given


boxes = Api("boxes", prefix="/api/v1/boxes", about="Pack boxes", problems=PROBLEMS)


@boxes.post(
    "/",
    allow={Role.CUSTOMER, Role.SERVICE},
    answers={201: BoxOut},
    refuses=["unknown_sku"],
    waits=True,
    key_required_of={Role.SERVICE},
)
def pack_box(call: BoxCall, body: BoxCreate) -> Answer:
    """Pack a box.

    All lines fit, or the box is refused.
    """
    if any(line.sku == "none" for line in body.items):
        raise Problem(422, "unknown_sku", "no SKU none in the catalog")

    def pack(rows: Boxes) -> Box:
        number = len(rows.rows) + 1
        box = Box(f"b{number}", START.replace(minute=number % 60), owner=call.caller.subject)
        rows.rows[box.id] = box
        return box

    return call.submit(pack, render=packed)


@boxes.get("/", allow=ANY_ROLE, answers={200: Page[BoxOut]}, refuses=["invalid_cursor"])
def list_boxes(call: BoxCall, query: BoxQuery) -> Answer:
    """List boxes."""
    wanted = paging(query, datetime, str)
    with call.queries() as uow:
        rows = sorted(uow.rows.values(), key=position, reverse=query.sort.startswith("-"))
    if query.note is not None:
        rows = [row for row in rows if row.note == query.note]
    if wanted.after is not None:
        rows = [row for row in rows if position(row) > wanted.after]
    return wanted.answer(rows[: wanted.fetch], position=position, show=shown)


@boxes.get("/<box_id>/", allow={Role.CUSTOMER, Role.ADMIN}, answers={200: BoxOut}, versioned=True)
def show_box(call: BoxCall, box_id: BoxId) -> Answer:
    """Show a box."""
    with call.queries() as uow:
        box = uow.of(box_id)
    if call.is_unchanged(box.version):
        return not_modified(box.version)
    return answer(shown(box), version=box.version)


@boxes.put("/<box_id>/", allow={Role.ADMIN}, answers={200: BoxOut}, refuses=["box_sealed"], if_match="required")
def change_box(call: BoxCall, box_id: BoxId, body: BoxUpdate) -> Answer:
    """Change a box."""

    def change(rows: Boxes) -> Box:
        box = rows.of(box_id)
        check_version(call.expected_versions, box.version)
        rows.rows[box_id] = replace(box, note=body.note, version=box.version + 1)
        return rows.rows[box_id]

    return call.submit(change, subject=box_id, render=lambda box, _: answer(shown(box), version=box.version))


@boxes.post("/<box_id>/seal/", allow={Role.ADMIN}, answers={204: None}, if_match="honoured")
def seal_box(call: BoxCall, box_id: str, body: Seal | None) -> Answer:
    """Seal a box."""
    with call.queries() as uow:
        check_version(call.expected_versions, uow.of(box_id).version)
    return no_content() if body is None else answer(body)


@boxes.delete("/<box_id>/", allow={Role.ADMIN}, answers={204: None})
def burn_box(call: BoxCall, box_id: str) -> Answer:
    """Burn a box."""
    with call.queries() as uow:
        uow.of(box_id)
    return no_content()


@boxes.get("/<int:number>/nap/", allow=ANY_ROLE, answers={200: BoxOut})
def nap(call: BoxCall, number: int, query: Nap) -> Answer:
    """Sleep, as a request that waits for the saga would; wake when the server goes down."""
    health = call.application.health
    until = time.monotonic() + query.seconds
    while time.monotonic() < until and not (number == 0 and health.is_shutting_down):
        time.sleep(0.02)
    return answer(BoxOut(id=str(number), note="slept", version=1, created_at=START))


ERRORS: dict[str, Exception] = {
    "database": DatabaseUnavailable("host secret-host refused"),
    "conflict": TransactionConflict("deadlock"),
    "timeout": StatementTimeout("57014"),
    "outcome": OutcomeUnknown("lost"),
    "broker": BrokerUnavailable("away"),
    "bug": ZeroDivisionError("secret-internals"),
    "unlisted": Problem(409, "not_in_the_catalogue", "secret-internals"),
    "misfiled": Problem(400, "unknown_sku", "wrong status"),
}


@boxes.get("/errors/<name>/", allow=ANY_ROLE, answers={200: BoxOut})
def fail(call: BoxCall, name: str) -> Answer:  # noqa: ARG001
    """Fail."""
    raise ERRORS[name]


def packed(box: Box, _: Boxes) -> Answer:
    return answer(shown(box), 201, version=box.version, location=f"/api/v1/boxes/{box.id}/")


def shown(box: Box) -> BoxOut:
    return BoxOut(id=box.id, note=box.note, version=box.version, created_at=box.created_at)


def position(box: Box) -> tuple[datetime, str]:
    return box.created_at, box.id


def make_application(health: Health | None = None) -> Application[Boxes]:
    """Return a toy application with nothing in it."""
    store = Boxes()

    @contextmanager
    def queries() -> Iterator[Boxes]:
        yield store

    tokens = TokenVerifier(SharedSecret(SECRET), issuer=ISSUER, audience=AUDIENCE)
    health = health or Health()
    return Application(ToyCommands(store), queries, health, tokens, Streams(10), Pacer(health))


def make_app(application: Application[Boxes] | None = None, cors_origins: Sequence[str] = ()) -> Flask:
    """Return the toy's Flask application."""
    return create_app(
        application or make_application(),
        service="toys",
        version="1.0",
        apis=[boxes],
        problems=PROBLEMS,
        cors_origins=cors_origins,
    )


def token(*roles: str, secret: str = SECRET, **claims: object) -> str:
    """Return a token of `roles`; `claims` replace or (None) remove the usual ones."""
    usual = {"sub": "c-1", "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 3600, "roles": list(roles)}
    kept = {name: value for name, value in {**usual, **claims}.items() if value is not None}
    return jwt.encode(kept, secret, algorithm="HS256")


BOX = {
    "items": [{"sku": "A-1", "quantity": 1}, {"sku": "A-2", "quantity": 2}, {"sku": "A-3", "quantity": 3}],
    "shipping_address": {
        "first_name": "Ada",
        "last_name": "L",
        "address1": "1 Main St",
        "city": "Bonn",
        "postal_code": "53111",
        "country_code": "DE",
    },
    "billing_address": {
        "first_name": "Ada",
        "last_name": "L",
        "address1": "2 Side St",
        "city": "Köln",
        "postal_code": "50667",
        "country_code": "DE",
    },
}
