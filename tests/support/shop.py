"""Events of a small shop, made by hand: what a storefront, the order service and inventory's catalog would say."""

from collections.abc import Mapping
from typing import Any

from schemas import contracts
from services.chassis.events import new_id

ADDRESS = contracts.OrderRequestedAddress(
    first_name="Ada",
    last_name="Lovelace",
    address1="1 Main St",
    city="Bonn",
    postal_code="53111",
    country_code="DE",
)


def variant(sku: str, *, version: int = 1, **changes: Any) -> contracts.VariantPublished:
    """Return a variant at 10.00 EUR that is for sale."""
    values: dict[str, Any] = {
        "sku": sku,
        "product_name": "Shirt",
        "variant_name": "blue",
        "price_minor": 1000,
        "currency": "EUR",
        "active": True,
        "version": version,
        "published_at": 0,
    }
    return contracts.VariantPublished(**{**values, **changes})


def request(request_id: str, items: Mapping[str, int], **changes: Any) -> contracts.OrderRequested:
    """Return a storefront's request for units by SKU."""
    wanted = tuple(contracts.OrderRequestedItem(sku=sku, quantity=n) for sku, n in items.items())
    values: dict[str, Any] = {"request_id": request_id, "items": wanted, "shipping_address": ADDRESS}
    return contracts.OrderRequested(**{**values, **changes})


def placed(order_id: str, items: Mapping[str, int], **changes: Any) -> contracts.OrderPlaced:
    """Return a new order of units by SKU."""
    lines = tuple(
        contracts.OrderPlacedLine(
            item_id=new_id(),
            sku=sku,
            product_name="Shirt",
            variant_name="blue",
            quantity=quantity,
            unit_price_minor=1000,
            discount_minor=0,
            tax_minor=0,
            total_minor=1000 * quantity,
        )
        for sku, quantity in items.items()
    )
    total = sum(line.total_minor for line in lines)
    values: dict[str, Any] = {
        "order_id": order_id,
        "order_number": "ORD10000001",
        "locale": "en",
        "currency": "EUR",
        "lines": lines,
        "subtotal_minor": total,
        "discount_minor": 0,
        "shipping_minor": 0,
        "tax_minor": 0,
        "total_minor": total,
        "shipping_method": "standard",
        "payment_method": "card",
        "placed_at": 0,
    }
    return contracts.OrderPlaced(**{**values, **changes})


def confirmed(order_id: str) -> contracts.OrderConfirmed:
    """Return the confirmation of an order."""
    return contracts.OrderConfirmed(
        order_id=order_id,
        order_number="ORD10000001",
        currency="EUR",
        total_minor=1000,
        payment_method="card",
        confirmed_at=0,
    )


def cancelled(order_id: str) -> contracts.OrderCancelled:
    """Return the cancellation of an order whose stock goes back."""
    return contracts.OrderCancelled(
        order_id=order_id,
        order_number="ORD10000001",
        reason=contracts.OrderCancelledReason.CUSTOMER_REQUEST,
        previous_status=contracts.OrderCancelledPreviousStatus.PENDING,
        refund_minor=0,
        currency="EUR",
        cancelled_at=0,
    )


def reserved(order_id: str, items: Mapping[str, int]) -> contracts.StockReserved:
    """Return inventory's answer that everything is held."""
    lines = tuple(contracts.StockReservedLine(sku=sku, quantity=n, location="main") for sku, n in items.items())
    return contracts.StockReserved(order_id=order_id, lines=lines, reserved_at=0)


def shipped(order_id: str, items: Mapping[str, int]) -> contracts.OrderShipped:
    """Return the shipment of all of an order from the main location."""
    lines = tuple(contracts.OrderShippedLine(item_id=new_id(), sku=sku, quantity=n) for sku, n in items.items())
    return contracts.OrderShipped(
        order_id=order_id,
        order_number="ORD10000001",
        shipment_id=new_id(),
        location="main",
        carrier="Parcel Co",
        lines=lines,
        complete=True,
        shipped_at=0,
    )
