"""What clients do wrong: everything twice, and garbage."""

import json

from deploy.local.demo.client import ORDERS
from deploy.local.demo.promises import Promise
from deploy.local.demo.settings import INVOICE
from deploy.local.demo.shop import Shop
from deploy.local.demo.stage import Stage
from deploy.local.demo.storefront import Outgoing
from schemas.contracts import OrderPlaced, OrderRequestRejected


def repeat_everything(shop: Shop, stage: Stage) -> None:
    """Send one order twice by REST, one request in every kind of repetition by Kafka."""
    stage.promise(_click_twice(shop))
    stage.breathe()
    request = shop.request("Dan", "web-1002", {"ASS-500": 1})
    once = shop.storefront.record(request)
    again = shop.storefront.record(request)
    changed = shop.storefront.record(shop.request("Dan", "web-1002", {"ASS-500": 9}))
    shop.storefront.send([once, once, again, changed])
    placed = shop.answer_to(request.request_id, OrderPlaced)
    # Same key, same partition: once the last record is answered, those before it are handled.
    rejected = shop.answer_to(request.request_id, OrderRequestRejected)
    orders = shop.admin.rows("order", f"{ORDERS}admin/", request_id=request.request_id)
    same = [order["id"] for order in orders] == [placed.key]
    stage.promise(Promise("the request sent three times: one order", same, f"{len(orders)} order for web-1002"))
    code = rejected.fields["code"]
    stage.promise(Promise("the same id for another basket: refused", code == "request_id_reused", code))
    shop.pay(orders[0])


def send_garbage(shop: Shop, stage: Stage) -> None:
    """Put two bad requests before a good one, in one partition."""
    bad = shop.request("Dan", "web-1003", {"MUG-W": 0}, payment_method="seashells")
    good = shop.request("Finn", "web-1004", {"GRIND-M": 1, "COL-250": 2}, payment_method=INVOICE)
    json_instead = Outgoing(key="web-json", value=json.dumps({"sku": "MUG-W"}).encode(), partition=0)
    places = shop.storefront.send(
        [json_instead, shop.storefront.record(bad, partition=0), shop.storefront.record(good, partition=0)]
    )
    malformed = shop.answer_to(json_instead.key, OrderRequestRejected)
    code = malformed.fields["code"]
    stage.promise(Promise("bytes that nobody can read are answered", code == "malformed_request", code))
    errors = [error["code"] for error in shop.answer_to(bad.request_id, OrderRequestRejected).fields["errors"]]
    every = errors == ["quantity_limit", "unknown_payment_method"]
    stage.promise(Promise("nonsense is answered with every error", every, ", ".join(errors)))
    stage.breathe()
    order = shop.order_when(
        shop.answer_to(good.request_id, OrderPlaced).key,
        "to be reserved",
        lambda order: order["reservation_status"] == "reserved",
    )
    behind = places[0].partition == places[2].partition and places[0].offset < places[2].offset
    figure = f"partition {places[2].partition}, offset {places[2].offset} behind {places[0].offset}"
    stage.promise(Promise("the good request behind them was served", behind, figure))
    path = f"{ORDERS}{order['id']}/confirm/"
    confirmed = shop.backend.change("POST", "order", path, {}, wait=10).body
    state = (confirmed["status"], confirmed["payment_status"])
    stage.promise(Promise("confirmed on invoice, paid later", state == ("confirmed", "pending"), ", ".join(state)))


def _click_twice(shop: Shop) -> Promise:
    """Place an order twice under one Idempotency-Key."""
    dan, basket, key = shop.customer("Dan"), {"DRIP-1": 1, "FILTER-1": 2}, "checkout-8c1f"
    first = shop.place(dan, basket, key=key)
    second = shop.place(dan, basket, key=key)
    same = first.body["id"] == second.body["id"] and second.headers.get("Idempotent-Replayed") == "true"
    shop.pay(first.body)
    return Promise(
        "two clicks, one Idempotency-Key: one order", same, f"both answers say {second.body['order_number']}"
    )
