"""Refunds over REST: asked for by people or by themselves, settled by whoever moves the money."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.running_shop import Shop
from tests.support.storefront import unique

EVENTS = "order.events.v1"
Order = dict[str, Any]


def refund(shop: Shop, order: Order, **body: Any) -> requests.Response:
    return shop.admin.post(f"{order['id']}/refunds/", body, key=unique("refund"))


def settle(shop: Shop, order: Order, refund_id: str, **body: Any) -> requests.Response:
    return shop.service.post(f"{order['id']}/refunds/{refund_id}/settle/", body or None)


def refunds(shop: Shop, order: Order) -> list[dict[str, Any]]:
    answer = shop.admin.get(f"{order['id']}/refunds/")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def told(shop: Shop, order: Order, kind: str) -> list[dict[str, Any]]:
    shop.kinds(order["id"], EVENTS)
    return [record.event for record in shop.log.of(order["id"], EVENTS) if record.kind == kind]


@pytest.fixture
def paid(shop: Shop) -> Order:
    """An order of two units and shipping, 24.90 EUR, that is confirmed and paid."""
    order = shop.customer.placed((shop.sku(), 2), shipping_method="parcel")
    assert shop.service.confirm(order).status_code == 200
    return shop.await_order(order["id"], reservation_status="allocated")


def test_a_line_is_refunded_by_its_units(shop: Shop, paid: Order) -> None:
    item = paid["items"][0]["id"]
    made = refund(shop, paid, lines=[{"item_id": item, "quantity": 1}], reason="damaged", note="a scratch")
    assert made.status_code == 201, made.text
    assert made.json() | {"id": "", "created_at": "", "payment_reference": ""} == {
        "id": "",
        "status": "pending",
        "amount": "10.00",
        "currency": "EUR",
        "reason": "damaged",
        "note": "a scratch",
        "lines": [{"item_id": item, "sku": paid["items"][0]["sku"], "quantity": 1}],
        "shipping": "0.00",
        "provider": "stripe",
        "payment_reference": "",
        "provider_reference": None,
        "failure_code": None,
        "created_at": "",
        "settled_at": None,
        "further": [],
    }
    (asked,) = told(shop, paid, "RefundRequested")
    assert (asked["refund_id"], asked["reference"], asked["amount_minor"]) == (
        made.json()["id"],
        made.json()["payment_reference"],
        1000,
    )
    settled = settle(shop, paid, made.json()["id"], provider_reference="re-1")
    assert (settled.status_code, settled.json()["status"]) == (200, "succeeded")
    (issued,) = told(shop, paid, "RefundIssued")
    assert (issued["provider_reference"], issued["refunded_total_minor"]) == ("re-1", 1000)
    order = shop.admin.order(paid["id"])
    assert (order["payment_status"], order["refunded_amount"], order["amount_due"]) == (
        "partially_refunded",
        "10.00",
        "0.00",
    )


@pytest.mark.parametrize(
    ("body", "refused", "pointer"),
    [
        ({"amount": "24.91"}, (422, "refund_too_large"), "/amount"),
        ({"amount": "1.001"}, (422, "too_many_decimals"), "/amount"),
        ({"lines": [{"item_id": "no such", "quantity": 1}]}, (422, "unknown_item"), "/lines/0/item_id"),
        ({"amount": "1.00", "shipping": True}, (400, "invalid_request"), ""),
        ({"colour": "red"}, (400, "invalid_request"), "/colour"),
    ],
)
def test_a_refund_that_cannot_be_is_refused_and_says_what_is_wrong(
    shop: Shop, paid: Order, body: dict[str, Any], refused: tuple[int, str], pointer: str
) -> None:
    answer = refund(shop, paid, **body)
    assert (answer.status_code, answer.json()["code"]) == refused
    assert pointer in [error.get("pointer") for error in answer.json()["errors"]]
    assert refunds(shop, paid) == []


def test_a_refund_of_too_much_is_told_how_much_is_left_as_it_would_be_asked_for(shop: Shop, paid: Order) -> None:
    answer = refund(shop, paid, amount="24.91").json()
    assert answer["detail"] == "24.91 EUR is more than the 24.90 EUR that are left of what was paid"
    assert refund(shop, paid, amount=answer["refundable_amount"]).status_code == 201


def test_a_refund_that_comes_to_nothing_is_refused(shop: Shop, paid: Order) -> None:
    answer = refund(shop, paid, amount="0.00")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_refund")


def test_units_that_were_paid_back_and_are_then_taken_off_are_not_paid_back_again(shop: Shop, paid: Order) -> None:
    refund(shop, paid, lines=[{"item_id": paid["items"][0]["id"], "quantity": 1}])

    assert shop.admin.change_item(shop.admin.order(paid["id"]), paid["items"][0], 1).status_code == 200

    (made,) = refunds(shop, paid)
    assert (made["amount"], made["lines"]) == ("10.00", [])
    (revised,) = told(shop, paid, "OrderRevised")
    assert (revised["total_minor"], revised["refund_due_minor"], revised["amount_due_minor"]) == (1490, 1000, 0)
    settle(shop, paid, made["id"])
    assert shop.admin.order(paid["id"])["payment_status"] == "paid"


def test_shipping_that_was_paid_back_and_is_then_dropped_is_not_paid_back_again(shop: Shop, paid: Order) -> None:
    refund(shop, paid, shipping=True)

    now = shop.admin.order(paid["id"])
    assert shop.admin.change_details(now, {"shipping_method": "standard"}).status_code == 200

    assert [made["amount"] for made in refunds(shop, paid)] == ["4.90"]
    assert shop.admin.order(paid["id"])["amount_due"] == "0.00"


def test_of_twenty_who_refund_the_rest_at_once_exactly_one_does(shop: Shop, paid: Order) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: refund(shop, paid), range(20)))
    codes = sorted((answer.status_code, answer.json().get("code")) for answer in answers if answer.status_code != 201)
    assert codes == [(409, "nothing_to_refund")] * 19
    assert [found["amount"] for found in refunds(shop, paid)] == ["24.90"]
    assert len(told(shop, paid, "RefundRequested")) == 1


def test_a_cancelled_order_gets_back_what_it_paid_once_and_by_itself(shop: Shop, paid: Order) -> None:
    assert shop.admin.cancel(paid).status_code == 200
    assert shop.admin.cancel(paid).status_code == 200
    (made,) = refunds(shop, paid)
    assert (made["amount"], made["status"], made["reason"]) == ("24.90", "pending", "cancelled")
    assert len(told(shop, paid, "RefundRequested")) == 1
    assert shop.admin.order(paid["id"])["payment_status"] == "refund_due"
    assert settle(shop, paid, made["id"]).status_code == 200
    order = shop.admin.order(paid["id"])
    assert (order["status"], order["payment_status"], order["refunded_amount"]) == ("cancelled", "refunded", "24.90")


def test_a_cancel_that_keeps_the_money_asks_for_nothing_back(shop: Shop, paid: Order) -> None:
    assert shop.admin.cancel(paid, refund=False).status_code == 200
    assert refunds(shop, paid) == []


def test_the_payment_of_an_order_that_is_cancelled_already_goes_back(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    shop.admin.cancel(order)
    assert shop.service.confirm(order, amount="10.00").json()["code"] == "order_cancelled"
    assert [made["amount"] for made in refunds(shop, order)] == ["10.00"]


def test_a_payment_of_an_order_that_does_not_fit_goes_back(shop: Shop) -> None:
    sku = shop.sku(stock=1)
    with shop.frozen("inventory-worker"):
        order = shop.customer.placed((sku, 2), wait=None)
        assert shop.service.confirm(order, wait=None).status_code == 202
    shop.await_order(order["id"], status="cancelled", payment_status="refund_due")
    assert [made["amount"] for made in refunds(shop, order)] == ["20.00"]


def test_a_refund_that_failed_is_shown_and_can_be_tried_again(shop: Shop, paid: Order) -> None:
    made = refund(shop, paid, amount="5.00").json()
    failed = settle(shop, paid, made["id"], status="failed", failure_code="card_expired")
    assert (failed.json()["status"], failed.json()["failure_code"]) == ("failed", "card_expired")
    assert shop.admin.order(paid["id"])["payment_status"] == "paid"
    assert settle(shop, paid, made["id"], status="pending").json()["status"] == "pending"
    assert [len(told(shop, paid, kind)) for kind in ("RefundRequested", "RefundFailed")] == [2, 1]


def test_a_delivered_order_becomes_refunded_once_the_rest_is_paid_back(shop: Shop, paid: Order) -> None:
    for status in ("processing", "shipped", "delivered"):
        assert shop.admin.move(paid, status).status_code == 200
    moved = shop.admin.move(paid, "refunded", notes="goodwill")
    assert (moved.status_code, moved.json()["status"], moved.json()["payment_status"]) == (
        202,
        "delivered",
        "refund_due",
    )
    assert shop.admin.move(paid, "refunded").status_code == 202
    (made,) = refunds(shop, paid)
    assert settle(shop, paid, made["id"]).status_code == 200
    order = shop.admin.order(paid["id"])
    assert (order["status"], order["payment_status"], order["allowed_transitions"]) == ("refunded", "refunded", [])
    (refunded,) = told(shop, paid, "OrderRefunded")
    assert refunded["amount_minor"] == 2490
    assert shop.admin.move(paid, "refunded").status_code == 200


@pytest.mark.parametrize("by_carrier", [False, True])
def test_an_order_that_was_paid_back_on_its_way_is_refunded_once_it_is_delivered(
    shop: Shop, paid: Order, by_carrier: bool
) -> None:
    for status in ("processing", "shipped"):
        assert shop.admin.move(paid, status).status_code == 200
    refund(shop, paid, provider_reference=unique("re"))
    assert shop.admin.order(paid["id"])["status"] == "shipped"
    (shipment,) = shop.admin.order(paid["id"])["shipments"]
    event = {"event_id": unique("e"), "type": "delivered", "occurred_at": shipment["shipped_at"]}
    if by_carrier:
        arrived = shop.admin.post(f"{paid['id']}/shipments/{shipment['id']}/events/", event)
        assert arrived.status_code == 201, arrived.text
    else:
        assert shop.admin.move(paid, "delivered").json()["status"] == "refunded"
    assert shop.admin.order(paid["id"])["status"] == "refunded"
    assert len(told(shop, paid, "OrderDelivered")) == len(told(shop, paid, "OrderRefunded")) == 1


def test_a_refund_that_happened_elsewhere_is_recorded_once(shop: Shop, paid: Order) -> None:
    name = unique("re")
    first, again = (refund(shop, paid, amount="2.00", provider_reference=name) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert len(refunds(shop, paid)) == 1
    other = shop.customer.placed((shop.sku(), 1))
    assert shop.service.confirm(other).status_code == 200
    used = refund(shop, other, amount="2.00", provider_reference=name)
    assert (used.status_code, used.json()["code"]) == (422, "refund_reference_used")
    unknown = refund(shop, other, amount="2.00", payment_reference="nothing")
    assert (unknown.json()["code"], unknown.json()["errors"][0]["pointer"]) == ("unknown_payment", "/payment_reference")


def test_what_a_provider_paid_once_settles_one_refund(shop: Shop, paid: Order) -> None:
    name = unique("re")
    first, second = (refund(shop, paid, amount=amount).json() for amount in ("2.00", "3.00"))
    for _ in range(2):
        assert settle(shop, paid, first["id"], provider_reference=name).status_code == 200
    other = shop.customer.placed((shop.sku(), 1))
    assert shop.service.confirm(other).status_code == 200
    third = refund(shop, other, amount="2.00").json()

    for order, made in ((paid, second), (other, third)):
        used = settle(shop, order, made["id"], provider_reference=name)
        assert (used.status_code, used.json()["code"]) == (422, "refund_reference_used")
        assert settle(shop, order, made["id"], provider_reference=unique("re")).json()["status"] == "succeeded"
    assert shop.admin.order(paid["id"])["refunded_amount"] == "5.00"


def test_the_provider_s_name_of_a_refund_may_come_with_a_later_report(shop: Shop, paid: Order) -> None:
    name, used = unique("re"), unique("re")
    assert refund(shop, paid, amount="3.00", provider_reference=used).status_code == 201
    made = refund(shop, paid, amount="2.00").json()
    assert settle(shop, paid, made["id"]).json()["provider_reference"] is None
    before = shop.admin.order(paid["id"])["version"]

    for_another = settle(shop, paid, made["id"], provider_reference=used)
    assert (for_another.status_code, for_another.json()["code"]) == (422, "refund_reference_used")
    for _ in range(2):
        assert settle(shop, paid, made["id"], provider_reference=name).json()["provider_reference"] == name
    other = settle(shop, paid, made["id"], provider_reference=unique("re"))
    assert (other.status_code, other.json()["code"]) == (409, "refund_settled")
    assert f"{name!r}" in other.json()["detail"]
    assert refunds(shop, paid)[1]["provider_reference"] == name
    assert shop.admin.order(paid["id"])["version"] == before + 1
    assert len(told(shop, paid, "RefundIssued")) == 2


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (
            {"failure_code": "card_expired"},
            "goes with status failed only; status succeeded takes note, provider_reference",
        ),
        (
            {"status": "failed", "provider_reference": "re_1"},
            "goes with status succeeded only; status failed takes note, failure_code",
        ),
        (
            {"status": "pending", "failure_code": "card_expired"},
            "goes with status failed only; status pending takes note",
        ),
    ],
)
def test_what_a_report_of_a_refund_would_drop_is_refused(
    shop: Shop, paid: Order, body: dict[str, Any], detail: str
) -> None:
    made = refund(shop, paid, amount="2.00").json()
    answer = settle(shop, paid, made["id"], **body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == "/" + next(name for name in body if name != "status")
    assert fault["detail"] == detail
    assert [found["status"] for found in refunds(shop, paid)] == ["pending"]


def test_refunds_are_seen_by_their_customer_and_made_by_none_of_them(shop: Shop, paid: Order) -> None:
    refund(shop, paid, amount="1.00", note="third time this year")
    assert refunds(shop, paid)[0]["note"] == "third time this year"
    seen = shop.customer.get(f"{paid['id']}/refunds/")
    assert seen.json()["data"][0]["note"] is None, "why it is not public is in no public row of the history either"
    assert [made["amount"] for made in seen.json()["data"]] == ["1.00"]
    assert shop.customer.post(f"{paid['id']}/refunds/", {"amount": "1.00"}).status_code == 403
    other = shop.callers.customer()
    assert other.get(f"{paid['id']}/refunds/").status_code == 404
    assert shop.callers.warehouse().get(f"{paid['id']}/refunds/").status_code == 403
    unknown = settle(shop, paid, "01890a5d-ac96-774b-bcce-b302099a8057")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "refund_not_found")


def test_a_refund_with_the_same_key_is_made_once(shop: Shop, paid: Order) -> None:
    key = unique("refund")
    first, second = (shop.admin.post(f"{paid['id']}/refunds/", {"amount": "2.00"}, key=key) for _ in range(2))
    assert (first.json(), second.headers["Idempotent-Replayed"]) == (second.json(), "true")
    assert len(refunds(shop, paid)) == 1
