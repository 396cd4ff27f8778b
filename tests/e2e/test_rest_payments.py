"""The payment rules, one by one."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.running_shop import Shop
from tests.support.storefront import unique

EVENTS = "order.events.v1"
Order = dict[str, Any]


def recorded(shop: Shop, order: Order) -> list[int]:
    """Return the amounts of the payments that are recorded for an order, in minor units."""
    query = "SELECT amount_minor FROM payments WHERE order_id = CAST(:id AS uuid) ORDER BY recorded_at"
    return [row["amount_minor"] for row in shop.probe.rows("order", query, id=order["id"])]


def problem(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def order(shop: Shop) -> Order:
    """A prepaid order of 20.00 EUR whose stock is reserved."""
    return shop.customer.placed((shop.sku(), 2))


def test_a_payment_confirms_a_pending_order(shop: Shop, order: Order) -> None:
    assert (order["payment_status"], order["amount_due"], order["total_amount"]) == ("pending", "20.00", "20.00")

    confirmed = shop.service.confirm(order, reference="psp-17-" + order["id"])

    assert (confirmed.status_code, confirmed.json()["status"]) == (200, "confirmed")
    assert (confirmed.json()["payment_status"], confirmed.json()["amount_due"]) == ("paid", "0.00")
    assert confirmed.json()["confirmed_at"] is not None
    assert recorded(shop, order) == [2000]
    shop.kinds(order["id"], EVENTS)
    told = shop.log.of(order["id"], EVENTS)[-1].event
    assert (told["payment_provider"], told["payment_reference"]) == ("stripe", "psp-17-" + order["id"])


def test_a_payment_while_stock_is_open_is_recorded_and_confirms_later(shop: Shop) -> None:
    sku = shop.sku()
    with shop.frozen("inventory-worker"):
        order = shop.customer.placed((sku, 1), wait=None)
        accepted = shop.service.confirm(order, wait=None)
    assert (accepted.status_code, accepted.json()["status"], accepted.json()["payment_status"]) == (
        202,
        "pending",
        "paid",
    )
    shop.await_order(order["id"], status="confirmed")


def test_a_confirmation_without_payment_while_stock_is_open_confirms_later(shop: Shop) -> None:
    sku = shop.sku()
    with shop.frozen("inventory-worker"):
        order = shop.customer.placed((sku, 1), wait=None, payment_method="invoice")
        accepted = shop.service.post(f"{order['id']}/confirm/", {})
    assert (accepted.status_code, accepted.json()["status"]) == (202, "pending")
    shop.await_order(order["id"], status="confirmed", payment_status="pending")


def test_a_prepaid_order_is_not_confirmed_without_a_payment(shop: Shop, order: Order) -> None:
    assert problem(shop.service.post(f"{order['id']}/confirm/", {})) == (422, "payment_required")
    assert problem(shop.service.move(order, "confirmed")) == (422, "payment_required")
    assert shop.admin.order(order["id"])["status"] == "pending"


def test_an_order_by_invoice_is_confirmed_first_and_paid_later(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 2), payment_method="invoice")

    confirmed = shop.service.post(f"{order['id']}/confirm/", {}, wait=10)
    assert (confirmed.status_code, confirmed.json()["payment_status"]) == (200, "pending")
    paid = shop.service.confirm(order)
    assert (paid.status_code, paid.json()["payment_status"], paid.json()["status"]) == (200, "paid", "confirmed")
    assert recorded(shop, order) == [2000]
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderConfirmed"]


def test_an_order_by_invoice_may_be_paid_after_it_was_delivered(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 2), payment_method="invoice")
    shop.service.post(f"{order['id']}/confirm/", {}, wait=10)
    for status in ("processing", "shipped", "delivered"):
        shop.admin.move(order, status)

    paid = shop.service.confirm(order)

    assert (paid.status_code, paid.json()["payment_status"], paid.json()["status"]) == (200, "paid", "delivered")


def test_the_same_reference_again_is_taken_and_nothing_is_recorded_twice(shop: Shop, order: Order) -> None:
    reference = unique("payment")

    answers = [shop.service.confirm(order, reference=reference) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert recorded(shop, order) == [2000]
    assert answers[-1].json()["payment_status"] == "paid"


def test_the_same_payment_reported_at_once_by_many_is_recorded_once(shop: Shop, order: Order) -> None:
    reference = unique("payment")
    clients = [shop.callers.service() for _ in range(10)]

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda client: client.confirm(order, wait=None, reference=reference), clients))

    assert {answer.status_code for answer in answers} == {200}
    assert recorded(shop, order) == [2000]


def test_another_reference_when_paid_is_refused_recorded_and_due_for_refund(shop: Shop, order: Order) -> None:
    shop.service.confirm(order)

    refused = shop.service.confirm(order)

    assert problem(refused) == (409, "already_paid")
    assert recorded(shop, order) == [2000, 2000]
    seen = shop.admin.order(order["id"])
    assert (seen["status"], seen["payment_status"], seen["amount_due"]) == ("confirmed", "refund_due", "0.00")


def test_a_payment_of_a_cancelled_order_is_refused_recorded_and_due_for_refund(shop: Shop, order: Order) -> None:
    shop.customer.cancel(order)

    refused = shop.service.confirm(order)

    assert problem(refused) == (409, "order_cancelled")
    assert recorded(shop, order) == [2000]
    seen = shop.admin.order(order["id"])
    assert (seen["status"], seen["payment_status"]) == ("cancelled", "refund_due")
    assert problem(shop.service.post(f"{order['id']}/confirm/", {})) == (409, "order_cancelled")
    assert recorded(shop, order) == [2000]


def test_a_refused_payment_reported_again_is_not_recorded_twice(shop: Shop, order: Order) -> None:
    shop.customer.cancel(order)
    reference = unique("payment")

    for _ in range(2):
        assert problem(shop.service.confirm(order, reference=reference)) == (409, "order_cancelled")

    assert recorded(shop, order) == [2000]


@pytest.mark.parametrize(
    "payment",
    [{"amount": "19.99"}, {"amount": "20.01"}, {"amount": "0.00"}, {"currency": "USD"}, {"amount": "20.001"}],
)
def test_an_amount_or_a_currency_that_is_not_due_is_refused(shop: Shop, order: Order, payment: dict[str, str]) -> None:
    refused = shop.service.confirm(order, **payment)

    assert problem(refused) == (422, "payment_mismatch")
    assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{name}" for name in payment]
    assert recorded(shop, order) == []
    assert shop.admin.order(order["id"])["status"] == "pending"


def test_a_currency_that_is_none_is_refused(shop: Shop, order: Order) -> None:
    assert problem(shop.service.confirm(order, currency="QQQ")) == (422, "payment_mismatch")


def test_a_payment_of_a_cancelled_order_in_another_currency_is_refused_and_not_added_up(
    shop: Shop, order: Order
) -> None:
    shop.customer.cancel(order)
    assert problem(shop.service.confirm(order, currency="USD")) == (422, "payment_mismatch")
    assert recorded(shop, order) == []


def test_a_providers_reference_is_used_once_over_all_orders(shop: Shop, order: Order) -> None:
    reference = unique("payment")
    shop.service.confirm(order, reference=reference)
    other = shop.customer.placed((order["items"][0]["sku"], 2))

    assert problem(shop.service.confirm(other, reference=reference)) == (422, "payment_reference_used")
    assert recorded(shop, other) == []
    # Another provider may have the same reference.
    assert shop.service.confirm(other, reference=reference, provider="adyen").status_code == 200


def test_one_reference_for_two_orders_at_once_is_taken_for_one_of_them(shop: Shop) -> None:
    sku, reference = shop.sku(stock=100), unique("payment")
    orders = [shop.customer.placed((sku, 1)) for _ in range(6)]
    clients = [shop.callers.service() for _ in orders]

    with ThreadPoolExecutor(6) as pool:
        confirm = lambda client, order: client.confirm(order, wait=None, reference=reference)  # noqa: E731
        answers = list(pool.map(confirm, clients, orders))

    assert sorted(answer.status_code for answer in answers) == [200, 422, 422, 422, 422, 422]
    assert sum(len(recorded(shop, order)) for order in orders) == 1


@pytest.mark.parametrize("missing", ["provider", "reference", "amount", "currency"])
def test_a_payment_needs_all_of_its_parts(shop: Shop, order: Order, missing: str) -> None:
    refused = shop.service.confirm(order, **{missing: None})
    assert problem(refused) == (400, "incomplete_payment")
    assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{missing}"]


def test_cancelling_a_paid_order_makes_its_payment_due_for_refund(shop: Shop, order: Order) -> None:
    shop.service.confirm(order)

    cancelled = shop.customer.cancel(order)

    assert cancelled.json()["payment_status"] == "refund_due"
    assert shop.kinds(order["id"], EVENTS)[-2:] == ["OrderCancelled", "RefundRequested"]
    told = shop.log.of(order["id"], EVENTS)[-2:]
    assert (told[0].event["refund_minor"], told[1].event["amount_minor"]) == (2000, 2000)


def test_a_cancel_without_refund_keeps_what_was_paid_but_not_what_comes_later(shop: Shop, order: Order) -> None:
    shop.service.confirm(order)

    cancelled = shop.service.cancel(order, refund=False, reason="fraud_suspected")
    assert cancelled.json()["payment_status"] == "paid"
    shop.kinds(order["id"], EVENTS)
    assert shop.log.of(order["id"], EVENTS)[-1].event["refund_minor"] == 0

    assert problem(shop.service.confirm(order)) == (409, "order_cancelled")
    assert shop.admin.order(order["id"])["payment_status"] == "refund_due"


def test_setting_the_status_confirms_with_the_payment_it_carries(shop: Shop, order: Order) -> None:
    payment = {"provider": "stripe", "reference": unique("payment"), "amount": "20.00", "currency": "EUR"}
    assert shop.service.move(order, "confirmed", payment=payment).json()["payment_status"] == "paid"

    # The same status again: nothing moves, but the payment is looked at.
    again = shop.service.move(order, "confirmed", payment={**payment, "reference": unique("payment")})
    assert problem(again) == (409, "already_paid")
    assert recorded(shop, order) == [2000, 2000]


def test_an_order_that_costs_nothing_is_confirmed_without_a_payment(shop: Shop) -> None:
    order = shop.service.placed((shop.sku(), 1), discounts=[{"code": "GIFT", "amount": "10.00"}])
    assert (order["total_amount"], order["amount_due"]) == ("0.00", "0.00")
    assert shop.service.post(f"{order['id']}/confirm/", {}, wait=10).json()["status"] == "confirmed"
