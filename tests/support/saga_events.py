"""The events between the services, ready-made for tests of the pure domains."""

from typing import Any

from schemas import contracts
from tests.support.saga_builders import NOW, ORDER_ID, SECOND, SKU, TOTAL


def order_event(kind: str, *lines: tuple[str, int], order_id: str = ORDER_ID, **values: Any) -> Any:
    """Return an event of the order service about these (sku, quantity)."""
    wanted = lines or ((SKU, 3),)
    usual: dict[str, dict[str, Any]] = {
        "OrderPlaced": {
            "locale": "en",
            "currency": "EUR",
            "lines": tuple(_placed_line(n, sku, quantity) for n, (sku, quantity) in enumerate(wanted)),
            "subtotal_minor": TOTAL,
            "discount_minor": 0,
            "shipping_minor": 0,
            "tax_minor": 0,
            "total_minor": TOTAL,
            "shipping_method": "standard",
            "payment_method": "card",
            "placed_at": NOW,
        },
        "OrderConfirmed": {"currency": "EUR", "total_minor": TOTAL, "payment_method": "card", "confirmed_at": NOW},
        "OrderCancelled": {
            "reason": contracts.OrderCancelledReason.CUSTOMER_REQUEST,
            "previous_status": contracts.OrderCancelledPreviousStatus.PENDING,
            "refund_minor": 0,
            "currency": "EUR",
            "cancelled_at": NOW,
        },
        "OrderShipped": {
            "shipment_id": "s-1",
            "location": "main",
            "carrier": "DHL",
            "lines": tuple(
                contracts.OrderShippedLine(item_id=f"i-{n}", sku=sku, quantity=quantity)
                for n, (sku, quantity) in enumerate(wanted)
            ),
            "complete": True,
            "shipped_at": NOW,
        },
        "OrderRevisionRequested": {
            "revision": 1,
            "lines": tuple(
                contracts.OrderRevisionRequestedLine(item_id=f"i-{n}", sku=sku, quantity=quantity)
                for n, (sku, quantity) in enumerate(wanted)
            ),
            "requested_at": NOW,
        },
        "OrderRevised": {
            "revision": 1,
            "lines": tuple(
                contracts.OrderRevisedLine(
                    item_id=f"i-{n}",
                    sku=sku,
                    product_name="Mug",
                    variant_name="blue",
                    quantity=quantity,
                    unit_price_minor=100,
                    discount_minor=0,
                    tax_minor=0,
                    total_minor=100 * quantity,
                )
                for n, (sku, quantity) in enumerate(wanted)
            ),
            "subtotal_minor": TOTAL,
            "discount_minor": 0,
            "shipping_minor": 0,
            "tax_minor": 0,
            "total_minor": TOTAL,
            "currency": "EUR",
            "amount_due_minor": 0,
            "refund_due_minor": 0,
            "revised_at": NOW,
        },
        "OrderRevisionRejected": {
            "revision": 1,
            "reason": contracts.OrderRevisionRejectedReason.TIMEOUT,
            "shortages": (),
            "rejected_at": NOW,
        },
    }
    event = getattr(contracts, kind)
    return event(**{"order_id": order_id, "order_number": "ORD00000001", **usual[kind], **values})


def stock_answer(kind: str, order_id: str = ORDER_ID, **values: Any) -> Any:
    """Return an answer of inventory about three of SKU."""
    held = ((SKU, 3, "main"),)
    usual: dict[str, dict[str, Any]] = {
        "StockReserved": {"expires_at": NOW + 900 * SECOND, "reserved_at": NOW},
        "StockRejected": {"shortages": (contracts.StockRejectedShortage(sku=SKU, requested=3, available=1),)},
        "StockReservationExpired": {"expired_at": NOW},
        "StockAllocated": {"allocated_at": NOW},
        "StockShortfall": {"shortages": (contracts.StockShortfallShortage(sku=SKU, requested=3, available=1),)},
        "StockReleased": {"restocked": True, "released_at": NOW},
    }
    parts = dict(usual[kind])
    if kind == "StockRejected":
        parts["rejected_at"] = NOW
    elif kind == "StockShortfall":
        parts["found_at"] = NOW
    else:
        line = getattr(contracts, f"{kind}Line")
        parts["lines"] = tuple(line(sku=sku, quantity=n, location=location) for sku, n, location in held)
    return getattr(contracts, kind)(**{"order_id": order_id, **parts, **values})


def _placed_line(n: int, sku: str, quantity: int) -> contracts.OrderPlacedLine:
    return contracts.OrderPlacedLine(
        item_id=f"i-{n}",
        sku=sku,
        product_name="Mug",
        variant_name="blue",
        quantity=quantity,
        unit_price_minor=100,
        discount_minor=0,
        tax_minor=0,
        total_minor=100 * quantity,
    )
