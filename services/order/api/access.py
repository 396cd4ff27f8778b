"""Who may do what with which orders, from the caller's roles.

Invariant: a role counts only where the endpoint is open to it (`through`, the endpoint's `allow`). A token of several
roles may no more at an endpoint than the most that one of them may there; a vendor who is a customer too cancels as
a customer, so only what they ordered themselves.
"""

from collections.abc import Collection

from pydantic import BaseModel

from services.chassis.errors import Problem
from services.chassis.http.auth import Caller
from services.chassis.http.roles import Role
from services.order.api.models.orders import OrderCancel
from services.order.api.models.placing import OrderCreate
from services.order.api.models.returns import ReturnReceive
from services.order.domain.history import Actor
from services.order.domain.scopes import Scope

# Through which roles an endpoint may be used: what its caller sees and touches there comes from these alone.
READERS = frozenset({Role.CUSTOMER, Role.VENDOR, Role.WAREHOUSE, Role.SERVICE, Role.ADMIN})
OWNERS = frozenset({Role.CUSTOMER, Role.SERVICE, Role.ADMIN})
SELLERS = frozenset({Role.CUSTOMER, Role.VENDOR, Role.SERVICE, Role.ADMIN})
MANAGERS = frozenset({Role.SERVICE, Role.ADMIN})
SHIPPERS = frozenset({Role.VENDOR, Role.WAREHOUSE, Role.SERVICE, Role.ADMIN})
RECEIVERS = frozenset({Role.WAREHOUSE, Role.ADMIN})
DECIDERS = frozenset({Role.ADMIN})
BUYERS = frozenset({Role.CUSTOMER, Role.SERVICE})
_BY_RANK = (Role.ADMIN, Role.SERVICE, Role.WAREHOUSE, Role.VENDOR, Role.CUSTOMER)
_OF_SERVICE = ("customer_id", "customer_email", "discounts")
_OF_STAFF = ("restock", "refund", "notify_customer")
_REASONS_OF_CUSTOMERS = ("customer_request", "other")


def scopes_of(caller: Caller, through: Collection[Role]) -> tuple[Scope, ...]:
    """Return the parts of all orders that a caller sees, the one in which most of an order is shown first.

    Args:
        caller: with at least one of the roles.
        through: the roles that the endpoint is open to.

    Returns:
        One, unless several of a customer, a warehouse and a vendor may ask: what is theirs may be any of it.

    """
    roles = caller.roles.intersection(through)
    if roles & {Role.ADMIN, Role.SERVICE}:
        return (Scope(internal=True),)
    own = (Scope(customer_id=caller.subject),) if Role.CUSTOMER in roles else ()
    handled = (Scope(locations=locations_of(caller, through), handling=True),) if Role.WAREHOUSE in roles else ()
    sold = (Scope(vendor_id=caller.vendor_id),) if Role.VENDOR in roles else ()
    return own + handled + sold


def locations_of(caller: Caller, through: Collection[Role]) -> frozenset[str] | None:
    """Return where alone a caller may ship and receive, None for anywhere: a warehouse's token may name locations."""
    roles = caller.roles.intersection(through)
    bound = Role.WAREHOUSE in roles and not roles & {Role.ADMIN, Role.SERVICE}
    return caller.locations if bound and caller.locations else None


def actor_of(caller: Caller, through: Collection[Role]) -> Actor:
    """Return the caller as history shows them, by the strongest of their roles that the endpoint is open to."""
    role = next(role for role in _BY_RANK if role in caller.roles and role in through)
    return Actor(type=role.value, id=caller.subject)


def require_own_fields(caller: Caller, body: OrderCreate) -> None:
    """Refuse what only a storefront's backend may say when it places an order.

    Raises:
        Problem: 403 naming every such field.

    """
    if not caller.has(Role.SERVICE):
        _refuse(body, _OF_SERVICE, "only role service may send {}; a customer's id and e-mail come from the token")


def require_own_cancel(caller: Caller, body: OrderCancel) -> None:
    """Refuse what a customer may not decide about the cancel of their own order.

    Raises:
        Problem: 403 naming every such field.

    """
    if caller.has(Role.ADMIN, Role.SERVICE):
        return
    _refuse(body, _OF_STAFF, "only admins and role service may send {}")
    if body.reason not in _REASONS_OF_CUSTOMERS:
        detail = f"a customer's reason is one of {', '.join(_REASONS_OF_CUSTOMERS)}"
        errors = [{"pointer": "/reason", "code": "field_not_allowed", "detail": detail}]
        raise Problem(403, "field_not_allowed", detail, errors=errors)


def require_own_location(caller: Caller, body: ReturnReceive, through: Collection[Role]) -> None:
    """Refuse somebody of a warehouse who takes goods in where others do.

    Raises:
        Problem: 403 naming the field.

    """
    locations = locations_of(caller, through)
    if locations is not None and body.location not in locations:
        detail = f"your token takes goods in at {', '.join(sorted(locations))}, not at {body.location!r}"
        errors = [{"pointer": "/location", "code": "field_not_allowed", "detail": detail}]
        raise Problem(403, "field_not_allowed", detail, errors=errors)


def _refuse(body: BaseModel, names: tuple[str, ...], detail: str) -> None:
    sent = [name for name in names if name in body.model_fields_set]
    if sent:
        told = detail.format(", ".join(sent))
        errors = [{"pointer": f"/{name}", "code": "field_not_allowed", "detail": told} for name in sent]
        raise Problem(403, "field_not_allowed", told, errors=errors)
