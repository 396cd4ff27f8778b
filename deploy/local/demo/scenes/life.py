"""An order in full: quoted, paid, sent by two makers, delivered, half of it returned and paid back."""

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from deploy.local.demo.catalog import POTTERY, TEA_HOUSE
from deploy.local.demo.client import ORDERS, Caller
from deploy.local.demo.facts import expected_mails, first_occurrences
from deploy.local.demo.promises import Promise, StoryBroken
from deploy.local.demo.shop import Order, Shop, basket_of
from deploy.local.demo.stage import Stage
from deploy.local.demo.topics import Event
from deploy.local.services import get

_NAME = "Greta"
_MUG, _TEA = "MUG-W", "SEN-200"
_BASKET = {_MUG: 2, _TEA: 2}
_WORTH = "33.50"  # of one mug and one tea
Json = Mapping[str, Any]


def send_two_parcels(shop: Shop, stage: Stage) -> None:
    """Quote, place, pay and pack an order; let each vendor send its part, and the carrier bring it."""
    greta = shop.customer(_NAME)
    quote = greta.caller.change("POST", "order", f"{ORDERS}quote/", basket_of(greta, _BASKET)).body
    order = shop.place(greta, _BASKET, expected_total=quote["total_amount"]).body
    paid = shop.pay(order).body
    same = quote["total_amount"] == paid["total_amount"] and paid["amount_due"] == "0.00"
    stage.promise(Promise("quoted, ordered and paid: one amount", same, f"{paid['total_amount']} {paid['currency']}"))
    stage.breathe()
    path = f"{ORDERS}{order['id']}/"
    shop.admin.change("PATCH", "order", f"{path}status/", {"status": "processing"})
    label = shop.warehouse.download("order", f"{path}label/")
    printed = f"{len(label):,} bytes of PDF"
    stage.promise(Promise("packed: its label is there to be printed", label.startswith(b"%PDF-"), printed))
    stage.breathe()
    parcels = [_send(shop.vendor(name), path) for name in (POTTERY, TEA_HOUSE)]
    own = [sku for sku, _ in parcels] == [{_MUG}, {_TEA}]
    stage.promise(Promise("each maker saw and sent only their own", own, " and ".join(n for _, n in parcels)))
    arrived = shop.order(order["id"])
    states = (arrived["status"], arrived["fulfillment_status"], len(arrived["shipments"]))
    delivered = states == ("delivered", "fulfilled", len(parcels))
    stage.promise(Promise("both were delivered, and so is the order", delivered, f"{states[0]}, {states[1]}"))
    stage.promise(_followed(shop, greta.caller, path))


def take_half_back(shop: Shop, stage: Stage) -> None:
    """Take back one unit of each line, one of them broken, and pay for both; look at all that was told of it."""
    order = _hers(shop)
    items = {item["sku"]: item["id"] for item in order["items"]}
    before = (shop.available(_MUG), shop.available(_TEA))
    refund = _returned(shop, order, items)
    shop.until("the tea to be on the shelf", lambda: shop.available(_TEA) > before[1])
    after = (shop.available(_MUG), shop.available(_TEA))
    kept = after == (before[0], before[1] + 1)
    figure = f"mugs {before[0]} → {after[0]}, teas {before[1]} → {after[1]}"
    stage.promise(Promise("the tea is on the shelf again, the mug not", kept, figure))
    stage.breathe()
    settle = f"{ORDERS}{order['id']}/refunds/{refund['id']}/settle/"
    for _ in range(2):
        shop.backend.change("POST", "order", settle, {"provider_reference": f"back-{refund['id']}"})
    order = shop.order(order["id"])
    back = (order["refunded_amount"], order["payment_status"]) == (_WORTH, "partially_refunded")
    paid_back = f"{order['refunded_amount']} of {order['total_amount']} {order['currency']}"
    stage.promise(Promise("both are paid back, once for two reports", back, paid_back))
    stage.promise(_timeline(shop, order))


def _send(vendor: Caller, path: str) -> tuple[set[str], str]:
    """Let a vendor send its part and its carrier deliver it; return the SKUs that it saw and the parcel's number."""
    seen = {item["sku"] for item in vendor.get("order", path)["items"]}
    shipments = f"{path}shipments/"
    parcel = vendor.change("POST", "order", shipments, {"tracking_number": f"PP-{uuid.uuid4().hex[:8]}"}).body
    for kind in ("in_transit", "delivered"):
        told = {"event_id": uuid.uuid4().hex, "type": kind, "occurred_at": datetime.now(UTC).isoformat()}
        vendor.change("POST", "order", f"{shipments}{parcel['id']}/events/", told)
    return seen, str(parcel["number"])


def _followed(shop: Shop, caller: Caller, path: str) -> Promise:
    """Open the link to an order's parcels as somebody who has nothing but the link."""
    link = caller.get("order", f"{path}tracking/")["link"]
    answer = get(f"{shop.state.services['order'].url}{link}", timeout=10.0)
    parcels = [parcel["status"] for parcel in answer.json()["shipments"]] if answer.ok else []
    followed = parcels == ["delivered", "delivered"] and _NAME not in answer.text
    return Promise(
        "a link without a login shows it, but no name", followed, f"{answer.status_code}, {len(parcels)} parcels"
    )


def _hers(shop: Shop) -> Order:
    for order in shop.orders():
        if order["shipping_address"]["first_name"] == _NAME:
            return order
    raise StoryBroken(f"{_NAME} has no order")


def _returned(shop: Shop, order: Order, items: Mapping[str, str]) -> Json:
    """Ask for a return, allow it, and receive it; return the refund that comes of it."""
    path = f"{ORDERS}{order['id']}/returns/"
    wishes = {_MUG: "damaged", _TEA: "taste"}
    lines = [{"item_id": items[sku], "quantity": 1, "reason": reason} for sku, reason in wishes.items()]
    asked = shop.customer(_NAME).caller.change("POST", "order", path, {"lines": lines}).body
    path += f"{asked['id']}/"
    shop.admin.change("POST", "order", f"{path}approve/", {})
    arrived = [
        {"item_id": items[_MUG], "received": 1, "damaged": 1},
        {"item_id": items[_TEA], "received": 1, "disposition": "restock"},
    ]
    received = shop.warehouse.change("POST", "order", f"{path}receive/", {"lines": arrived, "refund": True}).body
    (refund,) = received["refunds"]
    found: Json = refund
    return found


def _timeline(shop: Shop, order: Order) -> Promise:
    """Compare the order's timeline with the topics: every event, once, behind its cause, at its place."""
    path = f"{ORDERS}{order['id']}/timeline/"

    def complete() -> tuple[list[Event], Sequence[Json]] | None:
        shop.log.read_to_end()
        logged = [event for event in first_occurrences(shop.log.events) if event.key == order["id"]]
        mails = sum(event.name == "NotificationSent" for event in logged)
        shown = shop.admin.get("order", path)["data"]
        told = {event.id for event in logged} <= {entry["id"] for entry in shown}
        return (logged, shown) if told and mails == expected_mails(logged).total() else None

    logged, shown = shop.until("the timeline to have every event", complete)
    places = {entry["id"]: number for number, entry in enumerate(shown)}
    behind = all(places[entry["caused_by"]] < places[entry["id"]] for entry in shown if entry["depth"])
    events = [entry for entry in shown if entry["type"] not in ("request", "deadline")]
    by_service = Counter(entry["service"] for entry in events)
    figure = ", ".join(f"{count} of {service}" for service, count in by_service.items())
    return Promise("its timeline has each event after its cause", behind and len(events) == len(logged), figure)
