"""Payments as they are reported."""

from pydantic import Field

from services.chassis.http.models import Body
from services.chassis.http.shapes import Currency, Money
from services.order.api.models.fields import Id, Notes


class PaymentCreate(Body):
    """A payment that was made, for all that is due."""

    provider: Id
    reference: Id = Field(description="the provider's; used once over all orders")
    amount: Money
    currency: Currency


class OrderConfirm(Body):
    """A payment, and with it the confirmation; without one for methods that are paid later."""

    provider: Id | None = None
    reference: Id | None = None
    amount: Money | None = None
    currency: Currency | None = None
    notes: Notes | None = None
