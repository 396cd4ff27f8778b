"""Who may do what with which orders, from the caller's roles."""

from services.chassis.errors import Problem
from services.chassis.http.auth import Caller, Role
from services.order.api.models import OrderCreate
from services.order.domain.orders import Actor
from services.order.domain.scopes import Scope

_BY_RANK = (Role.ADMIN, Role.SERVICE, Role.WAREHOUSE, Role.VENDOR, Role.CUSTOMER)
_OF_SERVICE = ("customer_id", "customer_email", "discounts")


def scope_of(caller: Caller) -> Scope:
    """Return the part of all orders that a caller sees."""
    if caller.has(Role.ADMIN, Role.SERVICE):
        return Scope(internal=True)
    if caller.has(Role.WAREHOUSE):
        return Scope()
    if caller.has(Role.VENDOR):
        return Scope(vendor_id=caller.vendor_id)
    return Scope(customer_id=caller.subject)


def actor_of(caller: Caller) -> Actor:
    """Return the caller as history shows them, by the strongest of their roles."""
    role = next(role for role in _BY_RANK if role in caller.roles)
    return Actor(type=role.value, id=caller.subject)


def require_own_fields(caller: Caller, body: OrderCreate) -> None:
    """Refuse what only a storefront's backend may say.

    Raises:
        Problem: 403 naming every such field.

    """
    if caller.has(Role.SERVICE):
        return
    sent = [name for name in _OF_SERVICE if name in body.model_fields_set]
    if sent:
        detail = f"only role service may send {', '.join(sent)}; a customer's id and e-mail come from the token"
        errors = [{"pointer": f"/{name}", "code": "field_not_allowed", "detail": detail} for name in sent]
        raise Problem(403, "field_not_allowed", detail, errors=errors)
