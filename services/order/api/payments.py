"""Payments as storefronts report them: in a confirm, or in an update of the status."""

from decimal import Decimal

from services.chassis.errors import Problem
from services.chassis.http.endpoint import Api
from services.chassis.idempotency import Answer
from services.chassis.money import digits, minor_units
from services.order.api.access import MANAGERS
from services.order.api.calls import MOVES, PAYS, PREFIX, Known, OrderCall, known_order, submit_and_wait
from services.order.api.models.fields import Id
from services.order.api.models.orders import Order
from services.order.api.models.payments import OrderConfirm, PaymentCreate
from services.order.api.problems import PROBLEMS, fault_of
from services.order.domain.payments import ConfirmOrder, Payment

payments = Api("payments", prefix=PREFIX, about="Payments of orders", problems=PROBLEMS)

_PARTS = ("provider", "reference", "amount", "currency")


def payment_of(body: PaymentCreate, at: str) -> Payment:
    """Return a payment in minor units.

    Args:
        body: the payment as it was sent.
        at: JSON Pointer to it, empty where it is the body itself.

    Raises:
        Problem: 422 `payment_mismatch`; there is no such currency, or no such amount in it.

    """
    try:
        digits(body.currency)
    except ValueError as error:
        raise fault_of("payment_mismatch", f"{at}/currency", str(error)) from error
    try:
        amount_minor = minor_units(Decimal(body.amount), body.currency)
    except ValueError as error:
        raise fault_of("payment_mismatch", f"{at}/amount", str(error)) from error
    return Payment(
        provider=body.provider,
        reference=body.reference,
        amount_minor=amount_minor,
        currency=body.currency,
    )


def sent_with_confirm(body: OrderConfirm) -> Payment | None:
    """Return the payment in a confirm, None where it has none.

    Raises:
        Problem: 400 `incomplete_payment`, or as `payment_of`.

    """
    if all(getattr(body, name) is None for name in _PARTS):
        return None
    return payment_of(PaymentCreate.model_validate(_complete(body)), "")


def _complete(body: OrderConfirm) -> dict[str, str]:
    parts = {name: getattr(body, name) for name in _PARTS}
    missing = [name for name, value in parts.items() if value is None]
    if missing:
        detail = f"a payment needs {', '.join(missing)} too; leave all four out to confirm without one"
        errors = [{"pointer": f"/{name}", "code": "missing", "detail": detail} for name in missing]
        raise Problem(400, "incomplete_payment", detail, errors=errors)
    return parts


@payments.post(
    "/<order_id>/confirm/",
    allow=MANAGERS,
    answers={200: Order, 202: Order},
    refuses=[*MOVES, *PAYS, "incomplete_payment"],
    waits=True,
    if_match="honoured",
)
def confirm_order(call: OrderCall, order_id: Id, body: OrderConfirm) -> Answer:
    """Record the payment of an order and confirm it.

    202 while its stock is not reserved yet: it confirms as soon as it is.
    """
    known = known_order(call, order_id, MANAGERS)
    return submit_confirm(call, known, sent_with_confirm(body), body.notes)


def submit_confirm(call: OrderCall, known: Known, payment: Payment | None, note: str | None, at: str = "") -> Answer:
    """Confirm an order, with its payment if there is one; `at` as in `submit_and_wait`."""
    command = ConfirmOrder(
        order_id=known.order.id,
        payment=payment,
        actor=known.actor,
        note=note,
        expected_versions=call.expected_versions,
    )
    return submit_and_wait(call, command, known, at)
