"""Customers one at a time: bought, requested by Kafka, cancelled, not paid for."""

import time
from datetime import date, timedelta

from deploy.local.demo.client import ORDERS
from deploy.local.demo.promises import Promise, StoryBroken
from deploy.local.demo.settings import HOLD_METHOD, HOLD_SECONDS
from deploy.local.demo.shop import Order, Shop
from deploy.local.demo.stage import Stage
from schemas.contracts import OrderPlaced

_GRINDER = "GRIND-E"
_TRACKING = "PP-4711-0815"
_EXPIRY_SECONDS = HOLD_SECONDS + 20


def deliver_to_ada(shop: Shop, stage: Stage) -> None:
    """Place, pay, pack, ship and deliver an order."""
    began = time.monotonic()
    order = shop.place(shop.customer("Ada"), {"PRESS-8": 1, "ESP-250-G": 2, "MUG-G": 2}).body
    took = _milliseconds(began)
    reserved = order["reservation_status"] == "reserved"
    stage.promise(Promise("ordered, priced and reserved", reserved, f"{_name(order)}, {_total(order)}, {took}"))
    stage.breathe()
    stage.promise(_confirmed(shop, order))
    stage.breathe()
    for move in _way_of(order):
        order = shop.admin.change("PATCH", "order", f"{ORDERS}{order['id']}/status/", move).body
        stage.breathe()
    (shipment,) = order["shipments"]
    delivered = order["status"] == "delivered" and shipment["tracking_number"] == _TRACKING
    stage.promise(Promise("packed, shipped with tracking, delivered", delivered, f"{shipment['carrier']} {_TRACKING}"))


def order_by_kafka(shop: Shop, stage: Stage) -> None:
    """Send a request by Kafka, and read its answer there."""
    request = shop.request("Ben", "web-1001", {"KETTLE": 1, "SEN-50": 3})
    began = time.monotonic()
    shop.storefront.send([shop.storefront.record(request)])
    answer = shop.answer_to(request.request_id, OrderPlaced)
    took = _milliseconds(began)
    order = shop.order_when(answer.key, "to be reserved", lambda order: order["reservation_status"] == "reserved")
    same = order["request_id"] == request.request_id
    stage.promise(Promise("the request became an order", same, f"web-1001 is {_name(order)}, {took}"))
    stage.breathe()
    stage.promise(_confirmed(shop, order))


def change_cleos_mind(shop: Shop, stage: Stage) -> None:
    """Cancel an order that was paid."""
    cleo, sku = shop.customer("Cleo"), "POT-800"
    before = shop.available(sku)
    order = shop.place(cleo, {sku: 2}).body
    stage.promise(_confirmed(shop, order))
    held = before - shop.available(sku)
    stage.breathe()
    cleo.caller.change("POST", "order", f"{ORDERS}{order['id']}/cancel/", {"reason": "customer_request"})
    order = shop.order_when(order["id"], "to be released", lambda order: order["reservation_status"] == "released")
    back = shop.available(sku)
    figure = f"{before} available, {before - held} while held, {back} again"
    stage.promise(Promise("cancelled, and its stock is back", held == 2 and back == before, figure))
    due = order["payment_status"] == "refund_due"
    stage.promise(Promise("what she paid is due for refund", due, _total(order)))


def hold_for_eve(shop: Shop, stage: Stage) -> None:
    """Place an order whose payment will not come."""
    order = shop.place(shop.customer("Eve"), {_GRINDER: 1}, payment_method=HOLD_METHOD).body
    held = order["reservation_status"] == "reserved" and order["reserved_until"] is not None
    stage.promise(Promise("a grinder is held for her", held, f"{_name(order)}, {_total(order)}"))


def let_eves_hold_expire(shop: Shop, stage: Stage) -> None:
    """See the hold run out, and pay when it is too late."""
    held = [order["id"] for order in shop.orders() if order["payment_method"] == HOLD_METHOD]
    if not held:
        raise StoryBroken("Eve has no order")
    order = shop.order_when(held[0], "to expire", lambda order: order["status"] == "cancelled", within=_EXPIRY_SECONDS)
    expired = (order["cancel_reason"], order["reservation_status"]) == ("expired", "expired")
    on_shelf = shop.available(_GRINDER)
    back = on_shelf == shop.received[_GRINDER]
    stage.promise(Promise("her order ended by itself", expired, f"{order['status']}: {order['cancel_reason']}"))
    stage.promise(Promise("her grinder is on the shelf again", back, f"{on_shelf} available"))
    stage.breathe()
    refusal = shop.pay(order, expect=(409,)).body
    status = shop.order(order["id"])["payment_status"]
    kept = (refusal["code"], status) == ("order_cancelled", "refund_due")
    stage.promise(Promise("her late payment is recorded, to be refunded", kept, f"409 {refusal['code']}, {status}"))


def _confirmed(shop: Shop, order: Order) -> Promise:
    """Pay for an order; promise that it is confirmed and its stock allocated."""
    began = time.monotonic()
    paid = shop.pay(order).body
    took = _milliseconds(began)
    state = (paid["status"], paid["payment_status"], paid["reservation_status"])
    return Promise("paid, confirmed, its stock allocated", state == ("confirmed", "paid", "allocated"), took)


def _way_of(order: Order) -> list[dict[str, str]]:
    """Return the moves from the warehouse to the doorstep."""
    arrival = date.fromisoformat(order["created_at"][:10]) + timedelta(days=2)
    shipped = {"status": "shipped", "tracking_number": _TRACKING, "estimated_delivery": arrival.isoformat()}
    return [{"status": "processing"}, shipped, {"status": "delivered"}]


def _name(order: Order) -> str:
    return str(order["order_number"])


def _total(order: Order) -> str:
    return f"{order['total_amount']} {order['currency']}"


def _milliseconds(began: float) -> str:
    return f"{(time.monotonic() - began) * 1000:.0f} ms"
