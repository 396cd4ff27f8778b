"""Orders, reservations and stock, ready-made for tests of the pure domains."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from hypothesis import settings

from services.chassis.money import minor_units
from services.inventory.domain.reservations import Line, Reservation, ReservationStatus, Terms
from services.inventory.domain.stock import Because, MovementKind, Stock, StockLevel
from services.order.domain import statuses
from services.order.domain.drafts import CatalogVariant, Identity, OrderDraft, PaymentMethod, ShopTerms, WantedItem
from services.order.domain.history import Actor, When
from services.order.domain.lines import Held, OrderLine
from services.order.domain.orders import ConfirmTerms, Order, OrderContent
from services.order.domain.payments import Payment
from services.order.domain.pricing import ShippingMethod, TaxRate

# A machine that does something else meanwhile is no finding.
unhurried = settings(deadline=None)
NOW = 1_700_000_000_000_000
SECOND = 1_000_000
ORDER_ID = "0190a000-0000-7000-8000-000000000001"
SKU, OTHER_SKU = "MUG-1", "TEE-1"
TOTAL = 2500
ADMIN = Actor(type="admin", id="ada")
BECAUSE = Because(event_id="e-1", actor="inventory", order_id=ORDER_ID)
ADDRESS = {
    "first_name": "Ada",
    "last_name": "Lovelace",
    "company": None,
    "address1": "1 Main St",
    "address2": None,
    "city": "Bonn",
    "state_province": None,
    "postal_code": "53111",
    "country_code": "DE",
    "phone": None,
}
CONFIRM_TERMS = ConfirmTerms(auto_confirm=False, allocation_timeout_seconds=300)
AUTO_CONFIRM = replace(CONFIRM_TERMS, auto_confirm=True)


def when(seconds: int = 0, **values: Any) -> When:
    """Return a moment so many seconds after NOW."""
    return When(now=NOW + seconds * SECOND, **values)


# --- the order service

# What an order that came this far knows of its stock.
_USUAL: dict[str, dict[str, Any]] = {
    "pending": {"pending_operation": statuses.PendingOperation.RESERVING, "deadline_at": NOW + 300 * SECOND},
    "confirmed": {
        "pending_operation": statuses.PendingOperation.ALLOCATING,
        "deadline_at": NOW + 300 * SECOND,
        "reservation_status": statuses.ReservationStatus.RESERVED,
    },
    "processing": {"reservation_status": statuses.ReservationStatus.ALLOCATED},
    "shipped": {"reservation_status": statuses.ReservationStatus.ALLOCATED},
    "delivered": {"reservation_status": statuses.ReservationStatus.ALLOCATED},
    "cancelled": {"cancel_reason": statuses.CancelReason.CUSTOMER_REQUEST, "cancelled_at": NOW},
    "refunded": {"reservation_status": statuses.ReservationStatus.ALLOCATED},
}


def an_order(status: str = "pending", **values: Any) -> Order:
    """Return an order as it usually is in a status; `values` replace."""
    usual: dict[str, Any] = {
        "id": ORDER_ID,
        "number": "ORD00000001",
        "customer_id": "c-1",
        "currency": "EUR",
        "total_minor": TOTAL,
        "payment_method": "card",
        "status": statuses.OrderStatus(status),
        "version": 1,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Order(**{**usual, **_USUAL[status], **values})


def a_reserved_order(**values: Any) -> Order:
    """Return a pending order whose stock is reserved and that waits to be confirmed."""
    held = (Held(SKU, "main", 3),)
    reserved = {"reservation_status": statuses.ReservationStatus.RESERVED, "held": held}
    return an_order(**{"pending_operation": None, "deadline_at": None, **reserved, **values})


def a_payment(reference: str = "p-1", amount_minor: int = TOTAL, currency: str = "EUR") -> Payment:
    """Return a payment, of all that is due unless told otherwise."""
    return Payment(provider="stripe", reference=reference, amount_minor=amount_minor, currency=currency)


def a_line(sku: str = SKU, quantity: int = 3, *, item_id: str = "i-1", vendor_id: str | None = None) -> OrderLine:
    """Return a line; its money does not matter."""
    return OrderLine(
        item_id=item_id,
        sku=sku,
        product_name="Mug",
        variant_name="blue",
        vendor_id=vendor_id,
        quantity=quantity,
        unit_price_minor=100,
        discount_minor=0,
        tax_minor=0,
        total_minor=100 * quantity,
    )


def some_content(*lines: OrderLine) -> OrderContent:
    """Return what an order with these lines is about."""
    return OrderContent(
        order_id=ORDER_ID,
        request_id=None,
        customer_email="ada@example.org",
        locale="en",
        subtotal_minor=TOTAL,
        discount_minor=0,
        granted_discount_minor=0,
        tax_minor=0,
        shipping_minor=0,
        shipping_address=ADDRESS,
        billing_address=ADDRESS,
        shipping_method="standard",
        notes=None,
        external_reference=None,
        metadata={},
        lines=lines or (a_line(),),
    )


def a_variant(sku: str = SKU, price_minor: int = 1000, **values: Any) -> CatalogVariant:
    """Return what the catalog says of a SKU."""
    usual: dict[str, Any] = {
        "product_name": "Mug",
        "variant_name": "blue",
        "vendor_id": None,
        "currency": "EUR",
        "active": True,
        "version": 1,
    }
    return CatalogVariant(sku=sku, price_minor=price_minor, **{**usual, **values})


def shop_terms(**values: Any) -> ShopTerms:
    """Return a shop without taxes that ships for 4.90 EUR, free from 50 EUR, and to where yen are paid for 500."""
    usual: dict[str, Any] = {
        "shipping_methods": {
            "standard": ShippingMethod("standard", {"EUR": 490, "JPY": 500}, {"EUR": 5000}, "DHL", 3, None),
            "express": ShippingMethod("express", {"EUR": 1290}, {}, "UPS", 1, None),
        },
        "payment_methods": {
            "card": PaymentMethod("card", "prepaid", None),
            "invoice": PaymentMethod("invoice", "invoice", 86_400),
        },
        "tax_rates": {},
        "max_quantity_per_line": 100,
        "saga_timeout_seconds": 300,
        "number_prefix": "ORD",
        "number_length": 8,
        "default_locale": "en",
        "minor_units": minor_units,
    }
    return ShopTerms(**{**usual, **values})


def a_draft(*items: tuple[str, int], **values: Any) -> OrderDraft:
    """Return what a customer wants."""
    usual: dict[str, Any] = {
        "customer_id": "c-1",
        "customer_email": "ada@example.org",
        "items": tuple(WantedItem(sku, quantity) for sku, quantity in items or ((SKU, 1),)),
        "shipping_address": ADDRESS,
    }
    return OrderDraft(**{**usual, **values})


def an_identity(lines: int = 1, count: int = 0) -> Identity:
    """Return ids for an order with so many lines."""
    return Identity(
        order_id=ORDER_ID, item_ids=tuple(f"i-{n + 1}" for n in range(lines)), count=count, number_key=b"k" * 32
    )


def a_rate(rate: str, *, inclusive: bool) -> TaxRate:
    """Return a tax rate from its decimal text."""
    return TaxRate(Decimal(rate), inclusive=inclusive)


# --- the inventory service


def stock_of(on_hand: int = 10, *, reserved: int = 0, allocated: int = 0, safety_stock: int = 0) -> Stock:
    """Return stock in which SKU has this level at the default location."""
    level = StockLevel(
        sku=SKU, location="main", on_hand=on_hand, reserved=reserved, allocated=allocated, safety_stock=safety_stock
    )
    return Stock({(SKU, "main"): level})


def a_reservation(status: str, quantity: int = 3) -> Reservation:
    """Return the reservation of an order for so many of SKU, as it usually is in a status."""
    keeps_lines = status in ("reserved", "allocated", "expired", "released")
    return Reservation(
        order_id=ORDER_ID,
        status=ReservationStatus(status),
        lines=(Line(SKU, "main", quantity),) if keeps_lines else (),
        expires_at=NOW + 900 * SECOND if status == "reserved" else None,
    )


def stock_behind(status: str, quantity: int = 3, on_hand: int = 10) -> Stock:
    """Return stock that holds what a reservation in this status holds."""
    return stock_of(
        on_hand,
        reserved=quantity if status == "reserved" else 0,
        allocated=quantity if status == "allocated" else 0,
    )


def stock_terms(seconds: int = 0) -> Terms:
    """Return the terms of a decision so many seconds after NOW."""
    return Terms(now=NOW + seconds * SECOND, ttl_seconds=900, because=BECAUSE)


def levels(stock: Stock, sku: str = SKU) -> tuple[int, int, int]:
    """Return (on_hand, reserved, allocated) at the default location."""
    level = stock.level(sku)
    return level.on_hand, level.reserved, level.allocated


def moves(stock: Stock) -> list[tuple[MovementKind, int, int, int]]:
    """Return the ledger's lines as (kind, on_hand, reserved, allocated)."""
    return [(m.kind, m.on_hand, m.reserved, m.allocated) for m in stock.movements]
