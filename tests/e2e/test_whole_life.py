"""One order from its quote to its refund, and everything that is left of it: the books of all services agree.

Two vendors ship its two lines, both arrive, one unit of each comes back, damaged and as new, and is paid back.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.e2e.test_mails import mailbox
from tests.support.eventually import eventually
from tests.support.log import Entry, first_occurrences
from tests.support.running_shop import Shop
from tests.support.shipping import shipped, tell
from tests.support.storefront import ADDRESS, Client, unique

Json = dict[str, Any]
ORDERS, STOCK, MAILS = "order.events.v1", "inventory.events.v1", "notification.events.v1"
TOPICS = (ORDERS, STOCK, MAILS)
# What is told of it, in order; a topic's events are in sequence, and none of them is there twice.
TOLD = {
    ORDERS: [
        "OrderPlaced",
        "OrderConfirmed",
        "OrderProcessingStarted",
        "OrderShipped",
        "OrderTrackingUpdated",
        "OrderDelivered",
        "OrderShipped",
        "OrderTrackingUpdated",
        "OrderDelivered",
        "ReturnRequested",
        "ReturnApproved",
        "ReturnReceived",
        "RefundRequested",
        "RefundIssued",
    ],
    STOCK: ["StockReserved", "StockAllocated", "StockShipped", "StockShipped", "StockRestocked"],
    MAILS: ["NotificationSent"] * 10,
}
MAILED = [
    "order_placed",
    "order_confirmed",
    "order_processing",
    "order_shipped",
    "order_delivered",
    "order_shipped",
    "order_delivered",
    "return_approved",
    "return_received",
    "refund_issued",
]
# Inventory's event -> the order's that it answers.
CAUSES = {
    "StockReserved": "OrderPlaced",
    "StockAllocated": "OrderConfirmed",
    "StockShipped": "OrderShipped",
    "StockRestocked": "ReturnReceived",
}
# Two at 12.50, one at 8.00, and 4.90 for the parcel; one of each comes back.
TOTAL, CAME_BACK = "37.90", "20.50"


@dataclass
class Walk:
    """An order at the end of its life, and what its walk was told on the way."""

    shop: Shop
    customer: Client
    email: str
    skus: tuple[str, str]
    quote: Json
    order: Json = field(default_factory=dict)
    refund: Json = field(default_factory=dict)
    mails: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The order's."""
        return str(self.order["id"])

    def await_mail(self) -> None:
        """Wait until the customer has one mail more: two that are under way together may overtake each other."""

        def arrived() -> list[Json]:
            answer = self.shop.admin.get("", service="notification", params={"order_id": self.id, "limit": 100})
            rows: list[Json] = [row for row in answer.json()["data"] if row["status"] == "sent"]
            assert len(rows) == len(self.mails) + 1, [row["template"] for row in rows]
            return rows

        self.mails.append(eventually(arrived, within=20)[0]["template"])

    def entries(self, topic: str) -> list[Entry]:
        """Return the order's events of a topic as they lie in the log."""
        self.shop.kinds(self.id, topic)
        return first_occurrences(self.shop.log.of(self.id, topic))


def begun(shop: Shop, vendors: tuple[str, str]) -> Walk:
    """Ask for a quote, and place the order that it promises."""
    email = f"{unique('walk')}@example.org"
    customer = shop.callers.customer(email=email)
    skus = shop.sku(price="12.50", vendor_id=vendors[0]), shop.sku(price="8.00", vendor_id=vendors[1])
    items = ((skus[0], 2), (skus[1], 1))
    body = {
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in items],
        "shipping_address": ADDRESS,
        "shipping_method": "parcel",
    }
    quote = customer.post("quote/", body)
    assert quote.status_code == 200, quote.text
    walk = Walk(shop, customer, email, skus, quote.json())
    total = quote.json()["total_amount"]
    walk.order = customer.placed(*items, shipping_method="parcel", expected_total=total)
    walk.await_mail()
    return walk


def leave_and_arrive(walk: Walk, vendor: Client) -> None:
    """Let a vendor's line leave, and its carrier bring it."""
    shipment = shipped(vendor, walk.order, tracking_number=unique("T"))
    walk.await_mail()
    assert tell(vendor, walk.order, shipment, "delivered", datetime.now(UTC).isoformat()).status_code == 201
    walk.await_mail()


def send_back(walk: Walk) -> None:
    """Let the customer send one unit of each line back, and the warehouse find the first one damaged."""
    shop, path = walk.shop, f"{walk.id}/returns/"
    first, second = walk.order["items"]
    lines = [
        {"item_id": first["id"], "quantity": 1, "reason": "damaged"},
        {"item_id": second["id"], "quantity": 1, "reason": "wrong_size"},
    ]
    asked = walk.customer.post(path, {"lines": lines})
    assert asked.status_code == 201, asked.text
    path += asked.json()["id"]
    assert shop.admin.post(f"{path}/approve/").status_code == 200
    walk.await_mail()
    arrived = [
        {"item_id": first["id"], "received": 1, "damaged": 1},
        {"item_id": second["id"], "received": 1, "disposition": "restock"},
    ]
    received = shop.callers.warehouse().post(f"{path}/receive/", {"lines": arrived, "refund": True})
    assert received.status_code == 200, received.text
    (walk.refund,) = received.json()["refunds"]
    walk.await_mail()


@pytest.fixture(scope="module")
def walk(shop: Shop) -> Walk:
    """The whole walk, each step by whoever does it."""
    vendors = unique("vendor"), unique("vendor")
    walk = begun(shop, vendors)
    assert shop.service.confirm(walk.order).status_code == 200
    walk.await_mail()
    assert shop.admin.move(walk.order, "processing").status_code == 200
    walk.await_mail()
    leave_and_arrive(walk, shop.callers.vendor(vendors[0]))
    assert shop.admin.order(walk.id)["status"] == "processing"
    leave_and_arrive(walk, shop.callers.vendor(vendors[1]))
    send_back(walk)
    settled = {"provider_reference": unique("re")}
    answer = shop.service.post(f"{walk.id}/refunds/{walk.refund['id']}/settle/", settled)
    assert answer.status_code == 200, answer.text
    walk.await_mail()
    answered = [entry.event_id for entry in walk.entries(ORDERS) if entry.kind in CAUSES.values()]
    shop.probe.await_taken("inventory", *answered)
    shop.probe.await_taken("order", *(entry.event_id for topic in (STOCK, MAILS) for entry in walk.entries(topic)))
    walk.order = shop.admin.order(walk.id)
    return walk


def test_the_order_itself_says_where_it_stands(walk: Walk) -> None:
    order = walk.order
    assert (order["status"], order["payment_status"], order["fulfillment_status"], order["reservation_status"]) == (
        "delivered",
        "partially_refunded",
        "partially_returned",
        "allocated",
    )
    counted = [(item["quantity"], item["shipped_quantity"], item["returned_quantity"]) for item in order["items"]]
    assert counted == [(2, 2, 1), (1, 1, 1)]
    assert [shipment["status"] for shipment in order["shipments"]] == ["delivered", "delivered"]
    (returned,) = walk.customer.get(f"{walk.id}/returns/").json()["data"]
    assert (returned["status"], [(line["damaged"], line["restocked"]) for line in returned["lines"]]) == (
        "received",
        [(1, 0), (0, 1)],
    )


def test_stock_is_what_left_less_the_good_unit_that_came_back(walk: Walk) -> None:
    first, second = walk.skus
    assert (walk.shop.admin.level(first), walk.shop.admin.level(second)) == ((8, 0, 0), (10, 0, 0))
    moved = walk.shop.probe.movements(walk.id)
    assert [move for move in moved if move[1] == first] == [
        ("reserved", first, 0, 2, 0),
        ("allocated", first, 0, -2, 2),
        ("shipped", first, -2, 0, -2),
    ]
    assert [move for move in moved if move[1] == second] == [
        ("reserved", second, 0, 1, 0),
        ("allocated", second, 0, -1, 1),
        ("shipped", second, -1, 0, -1),
        ("returned", second, 1, 0, 0),
    ]
    query = "SELECT on_hand, reserved, allocated FROM stock_levels WHERE sku = :sku"
    ledger = """SELECT sum(on_hand) AS on_hand, sum(reserved) AS reserved, sum(allocated) AS allocated
                FROM stock_movements WHERE sku = :sku"""
    for sku in walk.skus:
        (row,) = walk.shop.probe.rows("inventory", query, sku=sku)
        assert tuple(row.values()) == walk.shop.admin.level(sku)
        (total,) = walk.shop.probe.rows("inventory", ledger, sku=sku)
        assert total == row
    reservation = walk.shop.probe.reservation(walk.id)
    assert reservation is not None
    assert reservation["status"] == "shipped"


def test_money_is_what_was_quoted_captured_and_paid_back(walk: Walk) -> None:
    order = walk.order
    assert walk.quote["total_amount"] == order["total_amount"] == TOTAL
    assert (order["refunded_amount"], order["amount_due"]) == (CAME_BACK, "0.00")
    captured = "SELECT amount_minor, currency FROM payments WHERE order_id = CAST(:id AS uuid)"
    assert [tuple(row.values()) for row in walk.shop.probe.rows("order", captured, id=walk.id)] == [(3790, "EUR")]
    (refund,) = walk.customer.get(f"{walk.id}/refunds/").json()["data"]
    assert (refund["status"], refund["amount"], refund["id"]) == ("succeeded", CAME_BACK, walk.refund["id"])
    money = {entry.kind: entry.event for entry in walk.entries(ORDERS) if entry.kind.startswith("Refund")}
    assert money["RefundRequested"]["amount_minor"] == money["RefundIssued"]["amount_minor"] == 2050
    assert money["RefundIssued"]["refunded_total_minor"] == 2050


def test_the_customer_has_a_mail_of_every_step_in_order_and_none_twice(walk: Walk) -> None:
    assert walk.mails == MAILED
    mails = mailbox(walk.shop, walk.email)
    query = "SELECT id::text FROM notifications WHERE subject = :id ORDER BY id"
    sent = [row["id"] for row in walk.shop.probe.rows("notification", query, id=walk.id)]
    assert [mail["Message-ID"].strip("<>").partition("@")[0] for mail in mails] == sent
    (returned,) = walk.customer.get(f"{walk.id}/returns/").json()["data"]
    number = walk.order["order_number"]
    assert [mail["Subject"] for mail in mails] == [
        f"We have your order {number}",
        f"Your order {number} is confirmed",
        f"Your order {number} is being packed",
        f"Part of your order {number} is on its way",
        f"Part of your order {number} has been delivered",
        f"Your order {number} is on its way",
        f"Your order {number} has been delivered",
        f"You may send back goods of your order {number}",
        f"Your return {returned['number']} of order {number} has arrived",
        f"We have paid back €20.50 for your order {number}",
    ]
    told = [(entry.event["template"], entry.event["notification_id"]) for entry in walk.entries(MAILS)]
    assert told == list(zip(MAILED, sent, strict=True))


def test_each_topic_tells_the_whole_life_once(walk: Walk) -> None:
    assert {topic: [entry.kind for entry in walk.entries(topic)] for topic in TOPICS} == TOLD


def test_the_timeline_has_every_event_behind_its_cause_where_the_log_has_it(walk: Walk) -> None:
    answer = walk.shop.admin.get(f"{walk.id}/timeline/")
    assert answer.status_code == 200, answer.text
    shown: list[Json] = answer.json()["data"]
    events = {entry["id"]: entry for entry in shown if entry["type"] != "request"}
    logged = {entry.event_id: entry for topic in TOPICS for entry in walk.entries(topic)}
    assert set(events) == set(logged)
    assert len(events) == sum(len(kinds) for kinds in TOLD.values())

    place = {entry["id"]: number for number, entry in enumerate(shown)}
    for event_id, entry in logged.items():
        seen = events[event_id]
        assert (seen["type"], seen["topic"]) == (entry.headers["ce_type"], entry.topic)
        # The order service does not read its own topic: it knows no place there.
        known = (None, None) if entry.topic == ORDERS else (entry.partition, entry.offset)
        assert (seen["partition"], seen["offset"]) == known
        assert place[seen["caused_by"]] < place[event_id]
        assert seen["latency_ms"] >= 0
        if entry.topic != ORDERS:
            assert seen["caused_by"] == entry.headers["ce_causationid"]
    answers = {(entry["type"].rpartition(".")[2], _kind(logged, entry["caused_by"])) for entry in events.values()}
    assert {pair for pair in answers if pair[0] in CAUSES} == set(CAUSES.items())
    requests = [entry["service"] for entry in shown if entry["type"] == "request"]
    assert requests == [
        "customer",
        "service",
        "admin",
        *["vendor"] * 4,
        "customer",
        "admin",
        "warehouse",
        "service",
    ]


def _kind(logged: dict[str, Entry], event_id: str) -> str | None:
    return logged[event_id].kind if event_id in logged else None


def test_no_auditor_finds_anything(walk: Walk) -> None:
    assert walk.shop.admin.audit()["differences"] == []
    for service in ("inventory", "order"):
        assert "0 differences" in walk.shop.operate(service, "audit")
