"""Returns: who asks, who decides, what arrives, and what that does to stock and money."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.support.eventually import eventually
from tests.support.replay import replay_everything
from tests.support.running_shop import Shop
from tests.support.shipping import items, ship
from tests.support.storefront import Client, unique

EVENTS, STOCK = "order.events.v1", "inventory.events.v1"
Order = dict[str, Any]


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def in_hand(shop: Shop, buyer: Client, *lines: tuple[str, int]) -> Order:
    """Return an order that is paid and in the warehouse's hands."""
    order = buyer.placed(*lines)
    assert shop.service.confirm(order).status_code == 200
    shop.await_order(order["id"], reservation_status="allocated")
    assert shop.service.move(order, "processing").status_code == 200
    return shop.admin.order(order["id"])


def shipped(shop: Shop, buyer: Client, *lines: tuple[str, int]) -> Order:
    """Return an order that is paid and has left."""
    order = in_hand(shop, buyer, *lines)
    assert shop.service.move(order, "shipped").status_code == 200
    shop.await_reservation(order["id"], "shipped")
    return shop.admin.order(order["id"])


def delivered(shop: Shop, buyer: Client, *lines: tuple[str, int]) -> Order:
    """Return an order that is paid and was delivered."""
    order = shipped(shop, buyer, *lines)
    assert shop.service.move(order, "delivered").status_code == 200
    return shop.admin.order(order["id"])


def ask(caller: Client, order: Order, quantity: int = 1, item: int = 0, **body: Any) -> requests.Response:
    line = {"item_id": order["items"][item]["id"], "quantity": quantity, "reason": "wrong_size"}
    return caller.post(f"{order['id']}/returns/", {"lines": [line], **body})


def opened(shop: Shop, caller: Client, order: Order, quantity: int = 1) -> dict[str, Any]:
    """Return a return that is asked for and approved."""
    asked = ask(caller, order, quantity)
    assert asked.status_code == 201, asked.text
    approved = shop.admin.post(f"{order['id']}/returns/{asked.json()['id']}/approve/")
    assert approved.status_code == 200, approved.text
    found: dict[str, Any] = approved.json()
    return found


def receive(caller: Client, order: Order, one: dict[str, Any], received: int, **body: Any) -> requests.Response:
    parts = {name: body.pop(name) for name in ("damaged", "disposition") if name in body}
    line = {"item_id": order["items"][0]["id"], "received": received, **parts}
    return caller.post(f"{order['id']}/returns/{one['id']}/receive/", {"lines": [line], **body})


def bound(shop: Shop, *locations: str) -> Client:
    """Return somebody of a warehouse whose token names its locations."""
    return shop.callers.having(shop.callers.token("warehouse", locations=locations))


@pytest.fixture
def buyer(shop: Shop) -> Client:
    """A customer of their own."""
    return shop.callers.customer()


def test_a_return_goes_from_the_customers_wish_to_the_shelf_and_to_the_refund(shop: Shop, buyer: Client) -> None:
    sku = shop.sku(10)
    order = delivered(shop, buyer, (sku, 3))
    assert shop.admin.level(sku) == (7, 0, 0)

    asked = ask(buyer, order, 2, note="too small")
    assert asked.status_code == 201, asked.text
    one = asked.json()
    assert (one["status"], one["expected"], one["number"][:3], len(one["number"])) == ("requested", False, "RET", 11)
    assert one["number"][3:] != order["order_number"][3:]
    assert problem(receive(shop.callers.warehouse(), order, one, 2)) == (409, "invalid_return_transition")
    one = shop.admin.post(f"{order['id']}/returns/{one['id']}/approve/").json()
    assert one["status"] == "approved"

    received = receive(shop.callers.warehouse(), order, one, 2, refund=True)

    assert received.status_code == 200, received.text
    body = received.json()
    assert (body["status"], body["lines"][0]["received"], body["lines"][0]["restocked"]) == ("received", 2, 2)
    lines = [{"item_id": order["items"][0]["id"], "sku": sku, "quantity": 2}]
    assert body["proposed_refund"] == {"amount": "20.00", "currency": "EUR", "lines": lines}
    (refund,) = body["refunds"]
    assert (refund["status"], refund["amount"], refund["reason"], refund["lines"]) == (
        "pending",
        "20.00",
        "returned",
        lines,
    )
    eventually(lambda: _equal(shop.admin.level(sku), (9, 0, 0)), within=15)
    seen = shop.admin.order(order["id"])
    assert (seen["fulfillment_status"], seen["items"][0]["returned_quantity"]) == ("partially_returned", 2)
    assert shop.kinds(order["id"], EVENTS)[-4:] == [
        "ReturnRequested",
        "ReturnApproved",
        "ReturnReceived",
        "RefundRequested",
    ]
    assert shop.kinds(order["id"], STOCK)[-1] == "StockRestocked"
    history = eventually(lambda: _noted(shop, order, "stock_restocked"), within=15)
    assert {"return_requested", "return_approved", "return_received"} <= history
    listed = buyer.get(f"{order['id']}/returns/").json()["data"]
    assert [(row["id"], row["status"]) for row in listed] == [(one["id"], "received")]


def _equal(found: object, wanted: object) -> None:
    assert found == wanted


def _noted(shop: Shop, order: Order, reason: str) -> set[str]:
    reasons = {row["reason"] for row in shop.admin.order(order["id"])["status_history"]}
    assert reason in reasons
    return reasons


def test_only_undamaged_units_to_be_sold_again_go_on_hand_whatever_is_replayed(shop: Shop, buyer: Client) -> None:
    sku = shop.sku(10)
    order = delivered(shop, buyer, (sku, 10))
    one = opened(shop, buyer, order, 10)
    warehouse = shop.callers.warehouse()

    first = receive(warehouse, order, one, 5, damaged=2)
    assert (first.status_code, first.json()["status"]) == (200, "partially_received")
    assert first.json()["proposed_refund"]["amount"] == "50.00"
    assert first.json()["refunds"] == []
    assert receive(warehouse, order, one, 2, disposition="write_off").json()["status"] == "partially_received"
    assert receive(warehouse, order, one, 2, disposition="quarantine").json()["status"] == "partially_received"
    assert problem(receive(warehouse, order, one, 2)) == (422, "return_too_large")
    last = receive(warehouse, order, one, 1, damaged=1)
    assert (last.json()["status"], last.json()["lines"][0]["damaged"]) == ("received", 3)

    assert shop.admin.order(order["id"])["fulfillment_status"] == "returned"
    eventually(lambda: _equal(shop.admin.level(sku), (3, 0, 0)), within=15)
    shop.kinds(order["id"], EVENTS)
    told = [entry.event for entry in shop.log.of(order["id"], EVENTS) if entry.kind == "ReturnReceived"]
    assert [event["complete"] for event in told] == [False, False, False, True]
    restocked = [entry.event for entry in shop.log.of(order["id"], STOCK) if entry.kind == "StockRestocked"]
    assert [[(line["sku"], line["quantity"]) for line in event["lines"]] for event in restocked] == [[(sku, 3)]]

    replay_everything(shop)
    arrived = [entry for entry in shop.log.of(order["id"], EVENTS) if entry.kind == "ReturnReceived"]
    shop.probe.await_taken("inventory", shop.outsider.repeat(arrived[0], event_id=str(uuid.uuid4())))

    assert shop.admin.level(sku) == (3, 0, 0)
    movements = [row for row in shop.probe.movements(order["id"]) if row[0] == "returned"]
    assert len(movements) == 1
    assert shop.admin.audit()["differences"] == []


def test_of_twenty_who_ask_for_the_last_unit_at_once_one_is_heard(shop: Shop, buyer: Client) -> None:
    order = delivered(shop, buyer, (shop.sku(), 1))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(shop.callers.having(buyer.token), order), range(20)))
    codes = Counter(answer.status_code if answer.ok else answer.json()["code"] for answer in answers)
    assert codes == {201: 1, "return_too_large": 19}


def test_a_declined_return_frees_its_units_and_the_same_decision_again_changes_nothing(
    shop: Shop, buyer: Client
) -> None:
    order = delivered(shop, buyer, (shop.sku(), 2))
    one = ask(buyer, order, 2).json()
    refused = ask(buyer, order, 1)
    assert problem(refused) == (422, "return_too_large")
    assert refused.json()["errors"][0]["pointer"] == "/lines/0/quantity"
    path = f"{order['id']}/returns/{one['number']}"

    declined = shop.admin.post(f"{path}/decline/", {"reason": "worn"})
    assert (declined.status_code, declined.json()["decline_reason"]) == (200, "worn")
    assert shop.admin.post(f"{path}/decline/", {"reason": "other"}).json()["decline_reason"] == "worn"
    assert problem(shop.admin.post(f"{path}/approve/")) == (409, "invalid_return_transition")

    assert ask(buyer, order, 2).status_code == 201
    assert shop.kinds(order["id"], EVENTS)[-3:] == ["ReturnRequested", "ReturnDeclined", "ReturnRequested"]


def test_a_return_that_is_closed_early_frees_what_did_not_come(shop: Shop, buyer: Client) -> None:
    order = delivered(shop, buyer, (shop.sku(), 3))
    one = opened(shop, buyer, order, 3)
    assert receive(shop.callers.warehouse(), order, one, 1, complete=True).json()["status"] == "received"
    assert problem(ask(buyer, order, 3)) == (422, "return_too_large")
    again = opened(shop, buyer, order, 2)
    closed = shop.admin.post(f"{order['id']}/returns/{again['id']}/receive/", {"complete": True})
    assert (closed.status_code, closed.json()["status"], closed.json()["proposed_refund"]) == (200, "received", None)
    assert ask(buyer, order, 2).status_code == 201


def test_what_had_left_is_expected_back_when_its_order_is_cancelled(shop: Shop, buyer: Client) -> None:
    sku = shop.sku(10)
    order = shipped(shop, buyer, (sku, 4))

    assert shop.admin.cancel(order).status_code == 200

    (one,) = shop.admin.get(f"{order['id']}/returns/").json()["data"]
    assert (one["status"], one["expected"], one["lines"][0]["quantity"]) == ("approved", True, 4)
    assert shop.kinds(order["id"], EVENTS)[-4:] == [
        "OrderCancelled",
        "ReturnRequested",
        "ReturnApproved",
        "RefundRequested",
    ]
    assert problem(ask(buyer, order, 1)) == (409, "return_not_allowed")
    # All that was paid is on its way back already.
    received = receive(shop.callers.warehouse(), order, one, 4, refund=True).json()
    assert (received["status"], received["proposed_refund"], received["refunds"]) == ("received", None, [])
    eventually(lambda: _equal(shop.admin.level(sku), (10, 0, 0)), within=15)
    assert shop.admin.order(order["id"])["fulfillment_status"] == "returned"


def test_what_leaves_after_its_order_was_cancelled_is_expected_back_too_and_comes_back(
    shop: Shop, buyer: Client
) -> None:
    sku, warehouse = shop.sku(10), shop.callers.warehouse()
    order = in_hand(shop, buyer, (sku, 3))
    ship(warehouse, order, items=items(order, 1))
    shop.admin.cancel(order)
    shop.await_order(order["id"], reservation_status="released")

    late = ship(warehouse, order, items=items(order, 2))

    assert late.json()["unexpected"] is True
    first, further = shop.admin.get(f"{order['id']}/returns/").json()["data"]
    for one, units in ((first, 1), (further, 2)):
        assert (one["status"], one["expected"], one["lines"][0]["quantity"]) == ("approved", True, units)
    assert shop.kinds(order["id"], EVENTS)[-3:] == ["OrderShipped", "ReturnRequested", "ReturnApproved"]
    for one, units in ((first, 1), (further, 2)):
        assert receive(warehouse, order, one, units).json()["status"] == "received"
    eventually(lambda: _equal(shop.admin.level(sku), (10, 0, 0)), within=15)
    assert shop.admin.order(order["id"])["fulfillment_status"] == "returned"


def test_what_comes_after_its_expected_return_was_closed_is_taken_in_by_a_return_that_an_admin_opens(
    shop: Shop, buyer: Client
) -> None:
    sku = shop.sku(10)
    order = shipped(shop, buyer, (sku, 3))
    shop.admin.cancel(order)
    (one,) = shop.admin.get(f"{order['id']}/returns/").json()["data"]
    assert receive(shop.admin, order, one, 2, complete=True).json()["status"] == "received"

    for caller in (buyer, shop.service):
        assert problem(ask(caller, order)) == (409, "return_not_allowed")
    assert problem(ask(shop.admin, order, 2)) == (422, "return_too_large")
    late = opened(shop, shop.admin, order)
    assert receive(shop.callers.warehouse(), order, late, 1).json()["status"] == "received"

    eventually(lambda: _equal(shop.admin.level(sku), (10, 0, 0)), within=15)
    assert problem(ask(shop.admin, order)) == (422, "return_too_large")


def test_goods_are_sent_back_once_delivered_and_within_the_window_except_by_admins(
    shop: Shop, buyer: Client, hasty_url: str
) -> None:
    order = shipped(shop, buyer, (shop.sku(), 1))
    assert problem(ask(buyer, order)) == (409, "return_not_allowed")
    shop.service.move(order, "delivered")
    # The other API's window is of no days.
    assert problem(ask(buyer.at("order", hasty_url), order)) == (409, "return_window_closed")
    assert problem(ask(shop.service.at("order", hasty_url), order)) == (409, "return_window_closed")
    assert ask(shop.admin.at("order", hasty_url), order).status_code == 201


def test_each_role_does_its_part_only(shop: Shop, buyer: Client) -> None:
    order = delivered(shop, buyer, (shop.sku(), 3))
    stranger, warehouse = shop.callers.customer(), shop.callers.warehouse()
    assert problem(ask(stranger, order)) == (404, "order_not_found")
    assert problem(stranger.get(f"{order['id']}/returns/")) == (404, "order_not_found")
    assert ask(warehouse, order).status_code == 403
    one = ask(shop.service, order, 2).json()
    path = f"{order['id']}/returns/{one['id']}"
    for caller in (buyer, shop.service, warehouse):
        assert caller.post(f"{path}/approve/").status_code == 403
        assert caller.post(f"{path}/decline/").status_code == 403
        assert caller.get(f"{order['id']}/returns/").status_code == 200
    assert shop.admin.post(f"{path}/approve/").status_code == 200
    for caller in (buyer, shop.service):
        assert receive(caller, order, one, 1).status_code == 403
    assert receive(shop.admin, order, one, 1).status_code == 200
    assert problem(shop.admin.post(f"{order['id']}/returns/{unique('r')}/approve/")) == (404, "return_not_found")
    vendor = shop.callers.having(shop.callers.token("vendor", "v", vendor="v-1", lifetime=timedelta(hours=1)))
    assert vendor.get(f"{order['id']}/returns/").status_code == 403


def test_a_warehouse_takes_in_at_its_own_locations(shop: Shop, buyer: Client) -> None:
    order = delivered(shop, buyer, (shop.sku(5), 2))
    one = opened(shop, buyer, order, 2)
    here, elsewhere = bound(shop, "main"), bound(shop, "berlin")

    assert problem(elsewhere.get(f"{order['id']}/returns/")) == (404, "order_not_found")
    refused = receive(elsewhere, order, one, 1)
    assert problem(refused) == (403, "field_not_allowed")
    assert [error["pointer"] for error in refused.json()["errors"]] == ["/location"]
    assert receive(here, order, one, 2).json()["proposed_refund"]["amount"] == "20.00"
    assert shop.admin.get(f"{order['id']}/refunds/").json()["data"] == []


def test_a_receipt_that_is_sent_twice_under_one_key_arrives_once(shop: Shop, buyer: Client) -> None:
    sku = shop.sku(5)
    order = delivered(shop, buyer, (sku, 2))
    one, key = opened(shop, buyer, order, 2), unique("receipt")
    body = {"lines": [{"item_id": order["items"][0]["id"], "received": 1}], "refund": True}
    path = f"{order['id']}/returns/{one['id']}/receive/"
    first, second = (shop.admin.post(path, body, key=key) for _ in range(2))
    assert (first.json(), second.headers["Idempotent-Replayed"]) == (second.json(), "true")
    assert shop.admin.order(order["id"])["items"][0]["returned_quantity"] == 1
    assert len(shop.admin.get(f"{order['id']}/refunds/").json()["data"]) == 1


@pytest.mark.parametrize(
    ("lines", "pointer"),
    [
        ([{"received": 1, "damaged": 2}], "/lines/0"),
        ([{"received": 0}], "/lines/0/received"),
        ([{"received": 1, "disposition": "sell"}], "/lines/0/disposition"),
        ([], ""),
    ],
)
def test_a_receipt_that_makes_no_sense_is_refused(shop: Shop, lines: list[dict[str, Any]], pointer: str) -> None:
    item = "0190a000-0000-7000-8000-000000000001"
    body = {"lines": [{"item_id": item, **line} for line in lines]}
    refused = shop.admin.post(f"{item}/returns/{item}/receive/", body)
    assert problem(refused) == (400, "invalid_request")
    assert [error["pointer"] for error in refused.json()["errors"]] == [pointer]


def test_the_customer_is_told_of_each_step_of_a_return_and_of_the_money(shop: Shop) -> None:
    buyer = shop.callers.customer(email=f"{unique('returns')}@example.org")
    order = delivered(shop, buyer, (shop.sku(), 2))
    declined = ask(buyer, order).json()
    shop.admin.post(f"{order['id']}/returns/{declined['id']}/decline/")
    one = opened(shop, buyer, order, 2)
    (refund,) = receive(shop.callers.warehouse(), order, one, 2, refund=True).json()["refunds"]
    settled = shop.service.post(f"{order['id']}/refunds/{refund['id']}/settle/", {"status": "succeeded"})
    assert settled.status_code == 200

    def told() -> None:
        answer = shop.admin.get("", service="notification", params={"order_id": order["id"], "limit": 100})
        templates = Counter(row["template"] for row in answer.json()["data"])
        assert {name: n for name, n in templates.items() if name.startswith("re")} == {
            "return_declined": 1,
            "return_approved": 1,
            "return_received": 1,
            "refund_issued": 1,
        }

    eventually(told, within=15)


def test_what_was_paid_back_already_is_not_proposed_again(shop: Shop, buyer: Client) -> None:
    order = delivered(shop, buyer, (shop.sku(), 3))
    item = order["items"][0]["id"]
    refund = {"lines": [{"item_id": item, "quantity": 2}], "provider_reference": unique("re")}
    assert shop.admin.post(f"{order['id']}/refunds/", refund).status_code == 201
    one = opened(shop, buyer, order, 3)
    received = receive(shop.admin, order, one, 3, refund=True).json()
    assert received["proposed_refund"]["amount"] == "10.00"
    assert [row["amount"] for row in received["refunds"]] == ["10.00"]
