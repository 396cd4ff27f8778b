"""What an order would come to, asked before it is placed; priced by the same code, and kept nowhere."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.order.domain.addresses import Known
from services.order.domain.availability import Availability
from services.order.domain.drafts import CatalogVariant, OrderDraft, PaymentMethod, ShopTerms
from services.order.domain.placing import Priced, price
from services.order.domain.pricing import ShippingMethod
from services.order.domain.refusals import Fault


@dataclass(frozen=True, slots=True)
class ShippingOption:
    """A way to send the order: its price without tax on top, and the order's total with it, in minor units."""

    method: ShippingMethod
    price_minor: int
    total_minor: int


@dataclass(frozen=True, slots=True)
class Quote:
    """A priced draft, and what else there is to choose from.

    Args:
        options: every shipping method, in the shop's order.
        payment_methods: the same.
        availability: by SKU; one that is missing is in stock, as far as it is known.

    """

    priced: Priced
    options: tuple[ShippingOption, ...]
    payment_methods: tuple[PaymentMethod, ...]
    availability: Mapping[str, Availability]


def quote(
    draft: OrderDraft,
    catalog: Mapping[str, CatalogVariant],
    terms: ShopTerms,
    addresses: Known,
    availability: Mapping[str, Availability],
) -> Quote | list[Fault]:
    """Return what a draft would come to, or every fault that placing it would find."""
    priced = price(draft, catalog, terms, addresses)
    if isinstance(priced, list):
        return priced
    options = []
    for method in terms.shipping_methods.values():
        # What the customer saw was the total with the method that they have chosen.
        other = price(
            replace(priced.draft, shipping_method=method.code, expected_total=None), catalog, terms, addresses
        )
        if isinstance(other, Priced):
            options.append(ShippingOption(method, other.totals.shipping, other.totals.total))
    return Quote(priced, tuple(options), tuple(terms.payment_methods.values()), availability)
