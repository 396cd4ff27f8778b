"""Who may do what with which orders, from the caller's roles."""

from pydantic import BaseModel

from services.chassis.errors import Problem
from services.chassis.http.auth import Caller, Role
from services.order.api.models import OrderCancel, OrderCreate
from services.order.domain.orders import Actor
from services.order.domain.scopes import Scope

_BY_RANK = (Role.ADMIN, Role.SERVICE, Role.WAREHOUSE, Role.VENDOR, Role.CUSTOMER)
_OF_SERVICE = ("customer_id", "customer_email", "discounts")
_OF_STAFF = ("restock", "refund", "notify_customer")
_REASONS_OF_CUSTOMERS = ("customer_request", "other")


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


def _refuse(body: BaseModel, names: tuple[str, ...], detail: str) -> None:
    sent = [name for name in names if name in body.model_fields_set]
    if sent:
        told = detail.format(", ".join(sent))
        errors = [{"pointer": f"/{name}", "code": "field_not_allowed", "detail": told} for name in sent]
        raise Problem(403, "field_not_allowed", told, errors=errors)
