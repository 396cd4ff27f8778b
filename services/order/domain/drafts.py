"""What somebody wants to order, and the shop's rules for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from schemas.frozen import fast_init
from services.order.domain.payments import Payment
from services.order.domain.pricing import NO_TAX, ShippingMethod, TaxRate

Address = Mapping[str, str | None]


# An int is in minor units, a Decimal in the currency's own: which currency that is, only the catalog knows.
Amount = int | Decimal


@dataclass(frozen=True, slots=True)
class WantedItem:
    """Units of a SKU that a customer wants."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Discount:
    """A discount that the storefront grants."""

    code: str
    amount: Amount


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDraft:
    """What is wanted, wherever it came from (REST or Kafka).

    Args:
        shipping_address: empty where a saved one is named and not looked up yet.
        billing_address: None for the shipping address.
        shipping_address_id: of a saved address, as it was sent; None where the address itself was.
        billing_address_id: the same.
        shipping_method: None for the first.
        payment_method: None for the first.
        expected_total: refuse unless this is the total.
        payment: what was paid already; refuse unless it is the total.

    """

    customer_id: str | None
    customer_email: str | None
    items: tuple[WantedItem, ...]
    shipping_address: Address
    billing_address: Address | None = None
    shipping_method: str | None = None
    payment_method: str | None = None
    notes: str | None = None
    locale: str | None = None
    external_reference: str | None = None
    metadata: Mapping[str, str] | None = None
    discounts: tuple[Discount, ...] = ()
    expected_total: Amount | None = None
    currency: str | None = None
    request_id: str | None = None
    payment: Payment | None = None
    shipping_address_id: str | None = None
    billing_address_id: str | None = None


@fast_init
@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogVariant:
    """A variant as the catalog's projection knows it."""

    sku: str
    product_name: str
    variant_name: str
    vendor_id: str | None
    price_minor: int
    currency: str
    active: bool
    version: int


@dataclass(frozen=True, slots=True)
class PaymentMethod:
    """A way to pay.

    Args:
        code: its name in requests.
        kind: prepaid (needs a payment to be confirmed), on_delivery, or invoice.
        hold_seconds: how long stock is held for an unconfirmed order; None takes inventory's default.

    """

    code: str
    kind: str
    hold_seconds: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShopTerms:
    """The shop's rules, from the settings.

    Args:
        shipping_methods: by code; the first is the default.
        payment_methods: by code; the first is the default.
        tax_rates: country, or country-region → rate.
        max_quantity_per_line: units.
        saga_timeout_seconds: how long inventory has to answer.
        number_prefix: of order numbers.
        number_length: digits of order numbers.
        default_locale: of orders that name none.
        minor_units: turns (amount, currency) into minor units; raises ValueError for too many decimals.

    """

    shipping_methods: Mapping[str, ShippingMethod]
    payment_methods: Mapping[str, PaymentMethod]
    tax_rates: Mapping[str, TaxRate]
    max_quantity_per_line: int
    saga_timeout_seconds: int
    number_prefix: str
    number_length: int
    default_locale: str
    minor_units: Callable[[Decimal, str], int]

    def minor(self, amount: Amount, currency: str) -> int:
        """Return an amount in minor units.

        Raises:
            ValueError: it has more decimals than the currency.

        """
        return amount if isinstance(amount, int) else self.minor_units(amount, currency)

    def tax_for(self, address: Address) -> TaxRate:
        """Return the rate where goods go: the region's, else the country's, else none."""
        country = address.get("country_code") or ""
        region = f"{country}-{address.get('state_province') or ''}"
        return self.tax_rates.get(region) or self.tax_rates.get(country) or NO_TAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Ids for a new order, drawn beforehand.

    Args:
        order_id: UUIDv7.
        item_ids: one a line.
        count: from the sequence of order numbers.
        number_key: the key of the permutation.

    """

    order_id: str
    item_ids: tuple[str, ...]
    count: int
    number_key: bytes
