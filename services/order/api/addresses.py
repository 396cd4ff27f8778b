"""Addresses that customers keep. What becomes of one changes no order: an order holds its addresses itself."""

from datetime import datetime
from uuid import UUID

from services.chassis.errors import Problem
from services.chassis.events import from_micros
from services.chassis.http.answers import answer, no_content, not_modified
from services.chassis.http.auth import Caller
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.http.lists import Position, paging
from services.chassis.http.problems import refused
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api.access import BUYERS
from services.order.api.calls import OrderCall
from services.order.api.models import addresses as models
from services.order.api.models.fields import Id
from services.order.api.problems import PROBLEMS, problem_of
from services.order.domain.addresses import ChangeAddress, DeleteAddress, SaveAddress, SavedAddress
from services.order.domain.refusals import Refusal
from services.order.handlers.addresses import find_address, view_addresses
from services.order.unit_of_work import OrderUnitOfWork

_PREFIX = "/api/v1/addresses"
addresses = Api("addresses", prefix=_PREFIX, about="Addresses that customers keep", problems=PROBLEMS)
_BESIDE = frozenset({"label", "customer_id"})


@addresses.get("/", allow=BUYERS, answers={200: Page[models.SavedAddress]}, refuses=["field_not_allowed"])
def list_addresses(call: OrderCall, query: models.AddressQuery) -> Answer:
    """List a customer's addresses, oldest first."""
    customer_id = _customer(call.caller, query.customer_id, {"parameter": "customer_id"})
    wanted = paging(query, datetime, UUID)
    with call.queries() as uow:
        found = view_addresses(uow, customer_id, wanted.after, wanted.fetch)
    return wanted.answer(found, position=_position, show=_shown)


@addresses.post("/", allow=BUYERS, answers={201: models.SavedAddress}, refuses=["field_not_allowed"])
def create_address(call: OrderCall, body: models.AddressCreate) -> Answer:
    """Keep an address."""
    customer_id = _customer(call.caller, body.customer_id, {"pointer": "/customer_id"})
    command = SaveAddress(customer_id=customer_id, label=body.label, fields=_fields(body))
    return call.submit(command, render=_made)


@addresses.get(
    "/<address_id>/", allow=BUYERS, answers={200: models.SavedAddress}, refuses=["address_not_found"], versioned=True
)
def show_address(call: OrderCall, address_id: Id) -> Answer:
    """Show a saved address."""
    with call.queries() as uow:
        address = find_address(uow, address_id, _own(call.caller))
    if address is None:
        raise Problem(404, "address_not_found", f"there is no saved address {address_id!r} for you")
    if call.is_unchanged(address.version):
        return not_modified(address.version)
    return answer(_shown(address), version=address.version)


@addresses.put(
    "/<address_id>/",
    allow=BUYERS,
    answers={200: models.SavedAddress},
    refuses=["address_not_found"],
    if_match="required",
)
def change_address(call: OrderCall, address_id: Id, body: models.AddressUpdate) -> Answer:
    """Replace all of a saved address. Orders that were placed with it stay as they are."""
    command = ChangeAddress(
        address_id=address_id,
        customer_id=_own(call.caller),
        label=body.label,
        fields=_fields(body),
        expected_versions=call.expected_versions,
    )
    return call.submit(command, render=_changed, subject=address_id.lower())


@addresses.delete(
    "/<address_id>/", allow=BUYERS, answers={204: None}, refuses=["address_not_found"], if_match="honoured"
)
def delete_address(call: OrderCall, address_id: Id) -> Answer:
    """Forget a saved address. Orders that were placed with it stay as they are."""
    command = DeleteAddress(
        address_id=address_id, customer_id=_own(call.caller), expected_versions=call.expected_versions
    )
    return call.submit(command, render=_deleted, subject=address_id.lower())


def _own(caller: Caller) -> str | None:
    """Return whose addresses a caller sees: a customer their own, service anybody's (None)."""
    return None if caller.has(Role.SERVICE) else caller.subject


def _customer(caller: Caller, named: str | None, place: dict[str, str]) -> str:
    """Return the customer that is meant.

    Raises:
        Problem: 400, service names none; 403, a customer names one.

    """
    if not caller.has(Role.SERVICE):
        if named is not None:
            detail = "only role service may send customer_id; a customer's id comes from the token"
            errors = [{**place, "code": "field_not_allowed", "detail": detail}]
            raise Problem(403, "field_not_allowed", detail, errors=errors)
        return caller.subject
    if named is None:
        kind = next(iter(place))
        fault = {**place, "code": f"missing_{'field' if kind == 'pointer' else kind}", "detail": "required of service"}
        raise refused("invalid_request", "role service must name the customer_id whose addresses are meant", [fault])
    return named


def _fields(body: models.AddressUpdate) -> dict[str, str | None]:
    return body.model_dump(exclude=set(_BESIDE))


def _position(address: SavedAddress) -> Position:
    return from_micros(address.created_at), address.id


def _made(address: SavedAddress, _uow: OrderUnitOfWork) -> Answer:
    return answer(_shown(address), 201, version=address.version, location=f"{_PREFIX}/{address.id}/")


def _changed(outcome: SavedAddress | Refusal, _uow: OrderUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    return answer(_shown(outcome), version=outcome.version)


def _deleted(outcome: SavedAddress | Refusal, _uow: OrderUnitOfWork) -> Answer:
    if isinstance(outcome, Refusal):
        raise problem_of(outcome)
    return no_content()


def _shown(address: SavedAddress) -> models.SavedAddress:
    # What is kept was checked when it was sent.
    return models.SavedAddress.model_construct(
        None,
        **address.fields,
        id=address.id,
        customer_id=address.customer_id,
        label=address.label,
        version=address.version,
        created_at=from_micros(address.created_at),
        updated_at=from_micros(address.updated_at),
    )
