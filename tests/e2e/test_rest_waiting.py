"""`Prefer: wait=N`: the answer waits for the saga's, or is the one without it."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.running_shop import Shop
from tests.support.storefront import Client, order_body

APPLIED = "Preference-Applied"


def test_placing_waits_for_the_reservation(shop: Shop) -> None:
    placed = shop.customer.place((shop.sku(), 1), wait=10)
    assert placed.status_code == 201
    assert (placed.json()["reservation_status"], placed.json()["pending_operation"]) == ("reserved", None)
    assert placed.headers[APPLIED] == "wait=10"
    assert placed.headers["ETag"] == f'"v{placed.json()["version"]}"'
    assert placed.headers["Location"] == f"/api/v1/orders/{placed.json()['id']}/"


def test_placing_that_waits_is_told_of_every_shortage(shop: Shop) -> None:
    sku, short = shop.sku(stock=5), shop.sku(stock=2, product_name="Mug", variant_name="red")

    refused = shop.customer.place((sku, 1), (short, 3), wait=10)

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (409, "insufficient_stock")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers[APPLIED] == "wait=10"
    order = shop.admin.order(problem["order_id"])
    assert (order["status"], order["cancel_reason"]) == ("cancelled", "insufficient_stock")
    assert problem["order_number"] == order["order_number"]
    assert problem["detail"] == (
        f"order {problem['order_number']} was cancelled: not all of it fits: {short} (3 wanted, 2 available)"
    )
    assert problem["shortages"] == [
        {
            "sku": short,
            "product_name": "Mug",
            "variant_name": "red",
            "requested": 3,
            "available": 2,
            "expected_at": None,
        }
    ]


def test_whoever_does_not_wait_is_answered_at_once(shop: Shop) -> None:
    placed = shop.customer.place((shop.sku(), 1))
    assert (placed.status_code, placed.json()["pending_operation"]) == (201, "reserving")
    assert APPLIED not in placed.headers


def test_confirming_waits_for_the_allocation_and_cancelling_for_the_release(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))

    confirmed = shop.service.confirm(order, wait=10)
    assert (confirmed.status_code, confirmed.json()["reservation_status"]) == (200, "allocated")
    assert confirmed.headers[APPLIED] == "wait=10"

    cancelled = shop.service.cancel(order, wait=10)
    assert (cancelled.status_code, cancelled.json()["reservation_status"]) == (200, "released")
    assert cancelled.headers[APPLIED] == "wait=10"


def test_setting_a_status_waits_like_the_named_call(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1), payment_method="invoice")
    moved = shop.service.call("PATCH", f"{order['id']}/status/", json={"status": "confirmed"}, wait=10)
    assert (moved.status_code, moved.json()["reservation_status"]) == (200, "allocated")


@pytest.mark.timing
def test_when_time_is_up_the_answer_is_the_one_without_waiting(shop: Shop) -> None:
    sku = shop.sku()
    with shop.frozen("inventory-worker"):
        began = time.monotonic()
        placed = shop.customer.place((sku, 1), wait=1)
        assert 0.9 < time.monotonic() - began < 5
        assert (placed.status_code, placed.json()["pending_operation"]) == (201, "reserving")

        confirmed = shop.service.confirm(placed.json(), wait=1)
        assert (confirmed.status_code, confirmed.json()["status"]) == (202, "pending")
    shop.await_order(placed.json()["id"], status="confirmed", reservation_status="allocated")


def test_a_confirmation_while_stock_is_open_waits_until_it_is_confirmed(shop: Shop) -> None:
    sku = shop.sku()
    shop.processes.pause("inventory-worker")
    try:
        order = shop.customer.placed((sku, 1), wait=None)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(shop.callers.service().confirm, order, 15)
            shop.await_order(order["id"], payment_status="paid")
            shop.processes.resume("inventory-worker")
            confirmed = waiting.result()
    finally:
        shop.processes.resume("inventory-worker")
    assert (confirmed.status_code, confirmed.json()["status"]) == (200, "confirmed")


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("wait=5", "wait=5"),
        ("respond-async, WAIT = 5", "wait=5"),
        ('wait="5"; x=y', "wait=5"),
        ("wait=500", "wait=20"),
        ("wait=0", "wait=0"),
        ("wait=soon", None),
        ("return=minimal", None),
        ("wait=-1", None),
    ],
)
def test_a_preference_that_is_not_understood_is_ignored(shop: Shop, prefer: str, applied: str | None) -> None:
    sku = shop.sku()
    placed = shop.customer.post("", order_body((sku, 1)), headers={"Prefer": prefer})
    assert placed.status_code == 201
    assert placed.headers.get(APPLIED) == applied


@pytest.mark.timing
def test_the_shop_may_wait_unasked(shop: Shop, hasty: Client) -> None:
    sku = shop.sku()
    placed = hasty.place((sku, 1))
    assert (placed.status_code, placed.json()["reservation_status"]) == (201, "reserved")
    assert APPLIED not in placed.headers
    assert hasty.place((sku, 100)).status_code == 409
    assert hasty.place((sku, 1), wait=0).json()["pending_operation"] == "reserving"
