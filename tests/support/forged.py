"""Events as an outsider would forge them: about an order and units of one SKU, everything else ordinary.

Built from the contract alone, so that a mistake in the services' own builders cannot hide itself here.
"""

import time
import uuid
from dataclasses import asdict
from typing import Any

from schemas import contracts

MAIN = "main"
PRICE_MINOR = 1000


def now() -> int:
    """Return microseconds since the epoch."""
    return time.time_ns() // 1000


def stock_answer(kind: str, order_id: str, sku: str, quantity: int = 3, **values: Any) -> Any:
    """Return one of inventory's answers by its name."""
    event = getattr(contracts, kind)
    moment = {
        "StockReserved": "reserved_at",
        "StockRejected": "rejected_at",
        "StockReservationExpired": "expired_at",
        "StockAllocated": "allocated_at",
        "StockShortfall": "found_at",
        "StockReleased": "released_at",
    }[kind]
    parts: dict[str, Any] = {"order_id": order_id, moment: now()}
    if kind in ("StockRejected", "StockShortfall"):
        shortage = getattr(contracts, f"{kind}Shortage")
        parts["shortages"] = (shortage(sku=sku, requested=quantity, available=0),)
    else:
        line = getattr(contracts, f"{kind}Line")
        parts["lines"] = (line(sku=sku, quantity=quantity, location=MAIN),)
    if kind == "StockReleased":
        parts["restocked"] = True
    return event(**{**parts, **values})


def placed(order_id: str, *items: tuple[str, int], **values: Any) -> contracts.OrderPlaced:
    """Return an OrderPlaced of these (sku, quantity)."""
    lines = tuple(
        contracts.OrderPlacedLine(
            item_id=str(uuid.uuid4()),
            sku=sku,
            product_name="Product",
            variant_name="blue",
            quantity=quantity,
            unit_price_minor=PRICE_MINOR,
            discount_minor=0,
            tax_minor=0,
            total_minor=PRICE_MINOR * quantity,
        )
        for sku, quantity in items
    )
    total = sum(line.total_minor for line in lines)
    usual: dict[str, Any] = {
        "order_id": order_id,
        "order_number": "FORGED",
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
        "placed_at": now(),
    }
    return contracts.OrderPlaced(**{**usual, **values})


def confirmed(order_id: str) -> contracts.OrderConfirmed:
    """Return an OrderConfirmed."""
    return contracts.OrderConfirmed(
        order_id=order_id,
        order_number="FORGED",
        currency="EUR",
        total_minor=PRICE_MINOR,
        payment_method="card",
        confirmed_at=now(),
    )


def revision(kind: str, order_id: str, *items: tuple[str, int], revision: int = 1) -> Any:
    """Return an event of an edit, of these (sku, quantity), by its name."""
    event = getattr(contracts, kind)
    parts: dict[str, Any] = {"order_id": order_id, "order_number": "FORGED", "revision": revision}
    if kind == "OrderRevisionRejected":
        reason = contracts.OrderRevisionRejectedReason.TIMEOUT
        return event(**parts, reason=reason, shortages=(), rejected_at=now())
    if kind == "OrderRevisionRequested":
        wanted = tuple(
            contracts.OrderRevisionRequestedLine(item_id=str(uuid.uuid4()), sku=sku, quantity=n) for sku, n in items
        )
        return event(**parts, lines=wanted, requested_at=now())
    base = placed(order_id, *items)
    lines = tuple(contracts.OrderRevisedLine(**asdict(line)) for line in base.lines)
    amounts = {name: getattr(base, name) for name in _AMOUNTS}
    due = {"amount_due_minor": 0, "refund_due_minor": 0}
    return event(**parts, **amounts, **due, lines=lines, currency="EUR", revised_at=now())


_AMOUNTS = ("subtotal_minor", "discount_minor", "shipping_minor", "tax_minor", "total_minor")


def cancelled(order_id: str) -> contracts.OrderCancelled:
    """Return an OrderCancelled."""
    return contracts.OrderCancelled(
        order_id=order_id,
        order_number="FORGED",
        reason=contracts.OrderCancelledReason.CUSTOMER_REQUEST,
        previous_status=contracts.OrderCancelledPreviousStatus.PENDING,
        refund_minor=0,
        currency="EUR",
        cancelled_at=now(),
    )


def shipped(order_id: str, sku: str, quantity: int = 3) -> contracts.OrderShipped:
    """Return an OrderShipped of everything."""
    return contracts.OrderShipped(
        order_id=order_id,
        order_number="FORGED",
        shipment_id=str(uuid.uuid4()),
        location=MAIN,
        carrier="Post",
        lines=(contracts.OrderShippedLine(item_id=str(uuid.uuid4()), sku=sku, quantity=quantity),),
        complete=True,
        shipped_at=now(),
    )


def requested(request_id: str, *items: tuple[str, int], **values: Any) -> contracts.OrderRequested:
    """Return an OrderRequested of these (sku, quantity)."""
    address = contracts.OrderRequestedAddress(
        first_name="Ada",
        last_name="Lovelace",
        address1="1 Main St",
        city="Bonn",
        postal_code="53111",
        country_code="DE",
    )
    usual: dict[str, Any] = {
        "request_id": request_id,
        "customer_id": "c-kafka",
        "customer_email": "ada@example.org",
        "items": tuple(contracts.OrderRequestedItem(sku=sku, quantity=quantity) for sku, quantity in items),
        "shipping_address": address,
    }
    return contracts.OrderRequested(**{**usual, **values})
