"""The ways in which the shop sends orders."""

from services.chassis.http.answers import answer
from services.chassis.http.documents import Page
from services.chassis.http.endpoint import Api
from services.chassis.idempotency import Answer
from services.chassis.money import decimal_string
from services.order.api.access import READERS
from services.order.api.calls import OrderCall
from services.order.api.models import quotes as models
from services.order.domain.pricing import ShippingMethod

shipping_methods = Api("shipping methods", prefix="/api/v1/shipping-methods", about="How orders are sent")


@shipping_methods.get("/", allow=READERS, answers={200: Page[models.ShippingMethod]})
def list_shipping_methods(call: OrderCall) -> Answer:
    """List the shop's shipping methods; the first is the default, and all of them are on one page."""
    known: dict[str, ShippingMethod] = dict(call.settings.shop_terms.shipping_methods)
    return answer(Page[models.ShippingMethod](data=[_shown(method) for method in known.values()], next_cursor=None))


def _shown(method: ShippingMethod) -> models.ShippingMethod:
    return models.ShippingMethod(
        code=method.code,
        carrier=method.carrier,
        transit_days=method.transit_days,
        prices={currency: decimal_string(minor, currency) for currency, minor in method.prices_minor.items()},
        free_from={currency: decimal_string(minor, currency) for currency, minor in method.free_from_minor.items()},
    )
