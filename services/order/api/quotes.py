"""Quotes: what an order would come to."""

from services.chassis.http.answers import answer
from services.chassis.http.endpoint import Api
from services.chassis.idempotency import Answer
from services.order.api.access import BUYERS, require_own_fields
from services.order.api.calls import PREFIX, OrderCall
from services.order.api.models import quotes as models
from services.order.api.models.placing import OrderCreate
from services.order.api.placing import REFUSALS, draft_of
from services.order.api.problems import PROBLEMS, problem_of
from services.order.api.views import Money, address_of
from services.order.domain.availability import Availability
from services.order.domain.quotes import Quote
from services.order.domain.refusals import Refusal
from services.order.handlers.quotes import quote_order

quotes = Api("quotes", prefix=PREFIX, about="What an order would come to", problems=PROBLEMS)


@quotes.post(
    "/quote/",
    allow=BUYERS,
    answers={200: models.Quote},
    refuses=[code for code in REFUSALS if code not in ("insufficient_stock", "too_many_open_orders")],
    asks_only=True,
)
def quote(call: OrderCall, body: OrderCreate) -> Answer:
    """Price an order without placing it; takes the same body, and refuses what placing refuses.

    Nothing is stored or held. `availability` is what is known of the stock, not a promise.
    """
    require_own_fields(call.caller, body)
    with call.queries() as uow:
        quoted = quote_order(uow, draft_of(call.caller, body))
    if isinstance(quoted, Refusal):
        raise problem_of(quoted)
    return answer(_shown(quoted))


def _shown(quoted: Quote) -> models.Quote:
    priced = quoted.priced
    draft, totals, money = priced.draft, priced.totals, Money(priced.currency)
    return models.Quote(
        currency=priced.currency,
        items=_items(quoted, money),
        subtotal=money(totals.subtotal),
        discount_amount=money(totals.discount),
        tax_amount=money(totals.tax),
        shipping_amount=money(totals.shipping),
        total_amount=money(totals.total),
        shipping_method=priced.shipping.code,
        payment_method=priced.payment.code,
        shipping_address=address_of(draft.shipping_address),
        billing_address=address_of(draft.billing_address or draft.shipping_address),
        shipping_options=_options(quoted, money),
        payment_methods=[
            models.PaymentOption.model_validate(
                {"code": method.code, "kind": method.kind, "hold_seconds": method.hold_seconds}
            )
            for method in quoted.payment_methods
        ],
    )


def _items(quoted: Quote, money: Money) -> list[models.QuoteItem]:
    priced = quoted.priced
    rows = zip(priced.draft.items, priced.variants, priced.totals.lines, strict=True)
    return [
        models.QuoteItem(
            sku=item.sku,
            product_name=variant.product_name,
            variant_name=variant.variant_name,
            vendor_id=variant.vendor_id,
            quantity=item.quantity,
            unit_price=money(variant.price_minor),
            discount_amount=money(amounts.discount),
            tax_amount=money(amounts.tax),
            total_price=money(amounts.total),
            availability=quoted.availability.get(item.sku, Availability.IN_STOCK),
        )
        for item, variant, amounts in rows
    ]


def _options(quoted: Quote, money: Money) -> list[models.ShippingOption]:
    return [
        models.ShippingOption(
            code=option.method.code,
            carrier=option.method.carrier,
            transit_days=option.method.transit_days,
            shipping_amount=money(option.price_minor),
            total_amount=money(option.total_minor),
        )
        for option in quoted.options
    ]
