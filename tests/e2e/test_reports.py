"""What storefronts report by Kafka of orders that were placed, and payments that come with a request."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from schemas import contracts
from tests.e2e.test_order_requests import faults, order_of, rejection_of
from tests.support import forged, wire
from tests.support.eventually import eventually
from tests.support.log import Entry
from tests.support.running_shop import GRACE_SECONDS, Shop
from tests.support.storefront import unique

EVENTS = "order.events.v1"
Order = dict[str, Any]
Outcome = contracts.PaymentReportedOutcome


def report(order_id: str, **values: Any) -> contracts.PaymentReported:
    usual: dict[str, Any] = {
        "order_id": order_id,
        "provider": "stripe",
        "reference": unique("payment"),
        "amount_minor": 2000,
        "currency": "EUR",
        "outcome": Outcome.CAPTURED,
        "reported_at": forged.now(),
    }
    return contracts.PaymentReported(**{**usual, **values})


def cancellation(order_id: str, **values: Any) -> contracts.OrderCancellationRequested:
    usual: dict[str, Any] = {
        "order_id": order_id,
        "reason": contracts.OrderCancellationRequestedReason.CUSTOMER_REQUEST,
        "requested_at": forged.now(),
    }
    return contracts.OrderCancellationRequested(**{**usual, **values})


def rejections(shop: Shop, key: str, number: int = 1) -> list[Entry]:
    """Return the rejections under a key once there are so many."""

    def rejected() -> list[Entry]:
        found = [entry for entry in shop.log.of(key, EVENTS) if entry.kind == "OrderRequestRejected"]
        assert len(found) == number
        return found

    return eventually(rejected, within=15)


def tell(shop: Shop, event: Any) -> None:
    """Tell something, and wait until the order service has taken it."""
    shop.probe.await_taken("order", shop.outsider.tell(event))


@pytest.fixture
def order(shop: Shop) -> Order:
    """A prepaid order of 20.00 EUR whose stock is reserved."""
    return shop.customer.placed((shop.sku(), 2))


def test_a_captured_payment_confirms_its_order_once_however_often_it_is_reported(shop: Shop, order: Order) -> None:
    captured = report(order["id"])
    for _ in range(3):
        tell(shop, captured)
    seen = shop.await_order(order["id"], reservation_status="allocated")
    assert (seen["status"], seen["payment_status"]) == ("confirmed", "paid")
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderConfirmed"]
    assert shop.log.of(order["id"], EVENTS)[-1].event["payment_reference"] == captured.reference
    row = next(row for row in seen["status_history"] if row["reason"] == "payment_recorded")
    assert row["created_by"] == {"type": "service", "id": "storefront"}


def test_a_failed_payment_shows_until_another_one_succeeds(shop: Shop, order: Order) -> None:
    failed = report(order["id"], outcome=Outcome.FAILED)
    tell(shop, failed)
    tell(shop, failed)
    seen = shop.admin.order(order["id"])
    assert (seen["payment_status"], seen["status"]) == ("failed", "pending")
    assert [row["reason"] for row in seen["status_history"]].count("payment_failed") == 1
    captured = report(order["id"])
    tell(shop, captured)
    tell(shop, report(order["id"], reference=captured.reference, outcome=Outcome.FAILED))
    assert shop.admin.order(order["id"])["payment_status"] == "paid"


def test_what_cannot_be_taken_is_answered_under_the_orders_key_in_sequence(shop: Shop, order: Order) -> None:
    other = shop.customer.placed((shop.sku(), 2))
    used = unique("payment")
    tell(shop, report(other["id"], reference=used))
    wrong = [
        (report(order["id"], amount_minor=0), "payment_mismatch", {("/amount_minor", "payment_mismatch")}),
        (report(order["id"], currency="USD"), "payment_mismatch", {("/currency", "payment_mismatch")}),
        (report(order["id"], reference=used), "payment_reference_used", {("/reference", "payment_reference_used")}),
        (report(order["id"], outcome=Outcome.UNKNOWN), "unknown_outcome", {("/outcome", "unknown_outcome")}),
        (
            report(order["id"], provider="", reference="r" * 129, currency="€\0", amount_minor=-1),
            "invalid_request",
            {
                ("/provider", "missing"),
                ("/reference", "too_long"),
                ("/currency", "invalid_format"),
                ("/amount_minor", "invalid_amount"),
            },
        ),
        (report(order["id"], amount_minor=2**63 - 1), "invalid_request", {("/amount_minor", "invalid_amount")}),
    ]
    before = shop.admin.order(order["id"])["version"]

    for event, *_ in wrong:
        tell(shop, event)

    found = rejections(shop, order["id"], len(wrong))
    assert [entry.event["code"] for entry in found] == [code for _, code, _ in wrong]
    assert [faults(entry) for entry in found] == [expected for *_, expected in wrong]
    assert {(e.event["request_type"], e.event["order_id"], e.event["request_id"]) for e in found} == {
        ("payment", order["id"], order["id"])
    }
    assert [error["detail"] for error in found[2].event["errors"]] == [
        f"payment '{used}' of 'stripe': this reference is recorded for another order"
    ]
    assert all(
        f"payment '{event.reference[:128]}' of " in str(e.event) for (event, *_), e in zip(wrong, found, strict=True)
    )
    tell(shop, report(order["id"]))
    seen = shop.await_order(order["id"], status="confirmed")
    # Refusals change nothing of the order: neither its history nor its version.
    assert [row["reason"] for row in seen["status_history"]][:3] == ["placed", "stock_reserved", "payment_recorded"]
    assert before < seen["version"] <= before + 3
    shop.kinds(order["id"], EVENTS)
    sequence = [entry.headers["ce_sequence"] for entry in shop.log.of(order["id"], EVENTS)]
    assert sequence == [f"{n:010}" for n in range(1, len(wrong) + 3)]


def test_a_payment_for_which_there_is_no_use_is_recorded_due_for_refund_and_answered(shop: Shop, order: Order) -> None:
    tell(shop, report(order["id"]))
    tell(shop, report(order["id"], amount_minor=700))
    assert [entry.event["code"] for entry in rejections(shop, order["id"])] == ["already_paid"]
    shop.await_order(order["id"], payment_status="refund_due")
    tell(shop, cancellation(order["id"]))
    tell(shop, report(order["id"], amount_minor=300))
    assert [entry.event["code"] for entry in rejections(shop, order["id"], 2)][-1] == "order_cancelled"
    refunds = shop.admin.get(f"{order['id']}/refunds/").json()["data"]
    assert sorted(row["amount"] for row in refunds) == ["20.00", "3.00", "7.00"]


def test_a_captured_payment_of_too_little_is_recorded_and_the_rest_confirms(shop: Shop, order: Order) -> None:
    tell(shop, report(order["id"], amount_minor=1500))
    assert [entry.event["code"] for entry in rejections(shop, order["id"])] == ["payment_required"]
    assert shop.admin.order(order["id"])["amount_due"] == "5.00"
    tell(shop, report(order["id"], amount_minor=700))
    seen = shop.await_order(order["id"], reservation_status="allocated", payment_status="refund_due")
    assert seen["status"] == "confirmed"
    (refund,) = shop.admin.get(f"{order['id']}/refunds/").json()["data"]
    assert (refund["amount"], refund["status"]) == ("2.00", "pending")


def test_payments_while_an_edit_is_open_are_recorded_and_confirm_once_it_is_settled(shop: Shop, order: Order) -> None:
    asked = shop.customer.placed((shop.sku(), 2))
    with shop.frozen("inventory-worker"):
        for one in (order, asked):
            assert shop.admin.change_item(one, one["items"][0], 3, wait=None).status_code == 202
        tell(shop, report(order["id"], amount_minor=3000))
        confirmed = shop.service.confirm(asked, wait=None)
        assert (confirmed.status_code, confirmed.json()["payment_status"]) == (202, "paid")
        seen = shop.admin.order(order["id"])
        assert (seen["status"], seen["pending_operation"]) == ("pending", "revising")
    shop.await_order(order["id"], status="confirmed", payment_status="paid", amount_due="0.00")
    assert shop.kinds(order["id"], EVENTS)[-2:] == ["OrderRevised", "OrderConfirmed"]
    seen = shop.await_order(asked["id"], pending_operation=None)
    assert (seen["status"], seen["amount_due"]) == ("pending", "10.00")
    assert shop.service.confirm(seen).json()["status"] == "confirmed"


def test_a_cancellation_is_carried_out_as_by_rest(shop: Shop, order: Order) -> None:
    tell(shop, report(order["id"]))
    shop.await_order(order["id"], reservation_status="allocated")
    asked = cancellation(order["id"], refund=False, notify_customer=False)
    for _ in range(2):
        tell(shop, asked)
    seen = shop.await_order(order["id"], reservation_status="released")
    assert (seen["status"], seen["cancel_reason"], seen["payment_status"]) == ("cancelled", "customer_request", "paid")
    assert seen["status_history"][-2]["created_by"] == {"type": "service", "id": "storefront"}
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderConfirmed", "OrderCancelled"]
    assert shop.log.of(order["id"], EVENTS)[-1].event["notify_customer"] is False


def test_a_cancellation_that_comes_too_late_is_answered(shop: Shop, order: Order) -> None:
    tell(shop, report(order["id"]))
    shop.await_order(order["id"], reservation_status="allocated")
    for status in ("processing", "shipped", "delivered"):
        assert shop.service.move(order, status).status_code == 200
    tell(shop, cancellation(order["id"]))
    (rejected,) = rejections(shop, order["id"])
    assert (rejected.event["code"], rejected.event["request_type"]) == ("invalid_status_transition", "cancellation")
    assert shop.admin.order(order["id"])["status"] == "delivered"


def test_goods_of_an_order_that_is_cancelled_by_kafka_after_shipping_are_expected_back(
    shop: Shop, order: Order
) -> None:
    tell(shop, report(order["id"]))
    shop.await_order(order["id"], reservation_status="allocated")
    for status in ("processing", "shipped"):
        assert shop.service.move(order, status).status_code == 200
    tell(shop, cancellation(order["id"]))
    (one,) = shop.admin.get(f"{order['id']}/returns/").json()["data"]
    assert (one["expected"], one["status"], one["lines"][0]["quantity"]) == (True, "approved", 2)


@pytest.mark.parametrize("make", [report, cancellation])
def test_an_order_that_does_not_come_is_told_after_the_grace_and_delays_nobody(
    shop: Shop, order: Order, make: Any
) -> None:
    unknown = str(uuid.uuid4())
    shop.outsider.tell(make(unknown))
    tell(shop, report(order["id"]))
    shop.await_order(order["id"], status="confirmed", within=GRACE_SECONDS)
    (rejected,) = rejections(shop, unknown)
    assert (rejected.event["code"], rejected.event["order_id"]) == ("order_not_found", None)
    assert faults(rejected) == {("/order_id", "order_not_found")}


@pytest.mark.parametrize("make", [report, cancellation])
@pytest.mark.parametrize("named", ["ORD1", "x" * 500, "0198-\0", "'; DROP TABLE orders; --"])
def test_what_is_no_orders_id_is_answered_at_once_and_parks_nothing(shop: Shop, make: Any, named: str) -> None:
    event = make(named)
    key = unique("odd-key")
    value = _encoded(event)
    shop.outsider.write(event.TOPIC, key.encode(), value, {"ce_type": event.FULLNAME, "ce_id": str(uuid.uuid4())})
    answered_under = named if len(named) <= 128 and "\0" not in named else key
    rejected = eventually(lambda: _last(shop, answered_under), within=15)
    assert (rejected.event["code"], rejected.event["order_id"]) == ("order_not_found", None)
    assert shop.probe.parked("order", key) == []


def _last(shop: Shop, key: str) -> Entry:
    found = [entry for entry in shop.log.of(key, EVENTS) if entry.kind == "OrderRequestRejected"]
    assert found
    return found[-1]


def _encoded(event: Any) -> bytes:
    return wire.encoded(event.FULLNAME, event.to_avro())


def test_an_order_is_found_however_its_id_is_spelled(shop: Shop, order: Order) -> None:
    tell(shop, report(order["id"].upper()))
    shop.await_order(order["id"], status="confirmed")


def test_a_payment_and_a_cancel_at_once_lose_no_money_whoever_is_first(shop: Shop) -> None:
    sku = shop.sku(50)
    orders = [shop.customer.placed((sku, 2)) for _ in range(8)]
    with ThreadPoolExecutor(16) as pool:
        told = [pool.submit(shop.outsider.tell, report(order["id"])) for order in orders]
        answers = [pool.submit(shop.callers.admin().cancel, order, wait=None) for order in orders]
    assert {answer.result().status_code for answer in answers} == {200}
    shop.probe.await_taken("order", *(event.result() for event in told))
    for order in orders:
        seen = shop.await_order(order["id"], status="cancelled", payment_status="refund_due")
        assert seen["refunded_amount"] == "0.00"
        (refund,) = shop.admin.get(f"{order['id']}/refunds/").json()["data"]
        assert (refund["status"], refund["amount"]) == ("pending", "20.00")
    eventually(lambda: _level(shop, sku, (50, 0, 0)), within=15)


def _level(shop: Shop, sku: str, wanted: tuple[int, int, int]) -> None:
    assert shop.admin.level(sku) == wanted


# --- payments that come with a request


def paid_request(sku: str, request_id: str, amount_minor: int = 2000, **payment: Any) -> contracts.OrderRequested:
    usual = {"provider": "stripe", "reference": unique("payment"), "currency": "EUR"}
    paid = contracts.OrderRequestedPayment(amount_minor=amount_minor, **{**usual, **payment})
    return forged.requested(request_id, (sku, 2), payment=paid)


def test_an_order_that_was_paid_before_it_was_asked_for_confirms_once_its_stock_is_reserved(shop: Shop) -> None:
    sku, request_id = shop.sku(), unique("request")
    request = paid_request(sku, request_id)
    for _ in range(2):
        tell(shop, request)
    order = shop.await_order(order_of(shop, request_id)["id"], reservation_status="allocated")
    assert (order["status"], order["payment_status"], order["amount_due"]) == ("confirmed", "paid", "0.00")
    assert [row["reason"] for row in order["status_history"]][:2] == ["placed", "payment_recorded"]
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderConfirmed"]


def test_what_was_paid_for_an_order_that_does_not_fit_is_due_for_refund(shop: Shop) -> None:
    sku, request_id = shop.sku(1), unique("request")
    shop.outsider.tell(paid_request(sku, request_id))
    order = shop.await_order(order_of(shop, request_id)["id"], status="cancelled", payment_status="refund_due")
    assert order["cancel_reason"] == "insufficient_stock"
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderCancelled", "RefundRequested"]


@pytest.mark.parametrize(
    ("payment", "code", "pointer"),
    [
        ({"amount_minor": 1999}, "payment_mismatch", "/payment/amount_minor"),
        ({"currency": "USD"}, "payment_mismatch", "/payment/currency"),
        ({"reference": ""}, "invalid_request", "/payment/reference"),
        ({"provider": "a\0b"}, "invalid_request", "/payment/provider"),
    ],
)
def test_a_payment_that_is_not_the_total_makes_no_order(
    shop: Shop, payment: dict[str, Any], code: str, pointer: str
) -> None:
    request_id = unique("request")
    shop.outsider.tell(paid_request(shop.sku(), request_id, **payment))
    rejected = rejection_of(shop, request_id, code)
    assert {at for at, _ in faults(rejected)} == {pointer}
    assert "payment '" in rejected.event["errors"][0]["detail"]


def test_of_many_requests_with_one_payment_one_becomes_an_order(shop: Shop) -> None:
    sku, reference = shop.sku(50), unique("payment")
    requests = [paid_request(sku, unique("request"), reference=reference) for _ in range(12)]
    shop.outsider.tell_all({str(uuid.uuid4()): request for request in requests})

    def answered() -> list[str]:
        of_all = [shop.log.of(request.request_id, EVENTS) for request in requests]
        codes = [entry.event["code"] for entries in of_all for entry in entries]
        assert len(codes) == len(requests) - 1
        return codes

    assert set(eventually(answered, within=20)) == {"payment_reference_used"}
    query = "SELECT count(*) FROM orders WHERE request_id = ANY(:ids)"
    assert shop.probe.value("order", query, ids=[request.request_id for request in requests]) == 1
