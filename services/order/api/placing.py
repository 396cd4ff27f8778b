"""Placing an order."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from services.chassis.errors import Problem
from services.chassis.http.auth import Caller
from services.chassis.http.endpoint import Api
from services.chassis.http.roles import Role
from services.chassis.idempotency import Answer
from services.order.api.access import BUYERS, actor_of, require_own_fields, scopes_of
from services.order.api.calls import PREFIX, OrderCall, after_waiting, said_of_waiting, shown
from services.order.api.models.addresses import Address
from services.order.api.models.orders import Order
from services.order.api.models.placing import OrderCreate
from services.order.api.problems import PROBLEMS, problem_of
from services.order.api.views import named_shortages, shortages_of
from services.order.domain.details import OrderDetails
from services.order.domain.drafts import Discount, OrderDraft, WantedItem
from services.order.domain.placing import PlaceOrder
from services.order.domain.refusals import Refusal
from services.order.domain.scopes import Scope
from services.order.domain.statuses import CancelReason
from services.order.handlers.commands import Outcome
from services.order.handlers.orders import OrderView
from services.order.unit_of_work import OrderUnitOfWork

placing = Api("placing", prefix=PREFIX, about="Place orders", problems=PROBLEMS)
REFUSALS = [
    "field_not_allowed",
    "insufficient_stock",
    "too_many_open_orders",
    "unknown_sku",
    "inactive_variant",
    "mixed_currency",
    "quantity_limit",
    "total_too_large",
    "price_changed",
    "discount_exceeds_subtotal",
    "too_many_decimals",
    "unknown_shipping_method",
    "unknown_payment_method",
    "unknown_address",
]


@placing.post(
    "/",
    allow=BUYERS,
    answers={201: Order},
    refuses=REFUSALS,
    waits=True,
    key_required_of={Role.SERVICE},
)
def place_order(call: OrderCall, body: OrderCreate) -> Answer:
    """Place an order, priced from the catalog.

    It is pending until inventory has answered. With `Prefer: wait=N` the answer is awaited: 409
    `insufficient_stock` then says that the order was cancelled because its lines do not all fit.
    """
    require_own_fields(call.caller, body)
    (scope,) = scopes_of(call.caller, BUYERS)
    command = PlaceOrder(draft=draft_of(call.caller, body), actor=actor_of(call.caller, BUYERS))
    given = call.submit(command, render=_Placed(scope))
    order_id = given.headers["Location"].rstrip("/").rpartition("/")[2]
    view = after_waiting(call, order_id, scope, given, call.settings.place_wait_seconds)
    return given if view is None else _awaited(call, view, given)


class _Placed:
    """Renders a new order from memory: nothing of it has to be read again."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    def __call__(self, outcome: Outcome, uow: OrderUnitOfWork) -> Answer:
        if isinstance(outcome, Refusal):
            raise problem_of(outcome)
        order = outcome.order
        details = OrderDetails(uow.content(order.id), tuple(order.history), ())
        return shown(uow, OrderView(order, details, self._scope), 201, location=f"{PREFIX}/{order.id}/")


def _awaited(call: OrderCall, view: OrderView, given: Answer) -> Answer:
    if view.order.cancel_reason is CancelReason.INSUFFICIENT_STOCK:
        shortages = shortages_of(view.order.shortages, view.details.content.lines)
        raise Problem(
            409,
            "insufficient_stock",
            f"order {view.order.number} was cancelled: not all of it fits: {named_shortages(shortages)}",
            extra={
                "order_id": view.order.id,
                "order_number": view.order.number,
                "shortages": [shortage.model_dump(mode="json") for shortage in shortages],
            },
            headers=said_of_waiting(call, given),
        )
    with call.queries() as uow:
        seen = shown(uow, view, 201, location=given.headers["Location"])
    return replace(seen, replayed=given.replayed)


def draft_of(caller: Caller, body: OrderCreate) -> OrderDraft:
    """Return what a request wants, in the words of the domain."""
    service = caller.has(Role.SERVICE)
    return OrderDraft(
        customer_id=body.customer_id if service else caller.subject,
        customer_email=body.customer_email if service else caller.email,
        items=tuple(WantedItem(item.sku, item.quantity) for item in body.items),
        **_address("shipping_address", body.shipping_address),
        **_address("billing_address", body.billing_address),
        shipping_method=body.shipping_method,
        payment_method=body.payment_method,
        notes=body.notes,
        locale=body.locale,
        external_reference=body.external_reference,
        metadata=body.metadata,
        discounts=tuple(Discount(discount.code, Decimal(discount.amount)) for discount in body.discounts),
        expected_total=None if body.expected_total is None else Decimal(body.expected_total),
    )


def _address(name: str, sent: Address | str | None) -> dict[str, Any]:
    """Return the fields of a draft for an address that was sent: itself, or the id of a saved one."""
    if isinstance(sent, str):
        return {name: {}, f"{name}_id": sent}
    return {name: None if sent is None else sent.model_dump()}
