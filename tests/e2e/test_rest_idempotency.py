"""Idempotency-Key: the same request with the same key is carried out once and answered alike."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from tests.support.running_shop import Shop
from tests.support.storefront import Client, order_body, unique

REPLAYED = "Idempotent-Replayed"


def is_replay(answer: requests.Response) -> bool:
    return answer.headers.get(REPLAYED) == "true"


def own_orders(client: Client) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = client.get("").json()["data"]
    return rows


def test_the_same_order_with_the_same_key_is_placed_once_and_answered_alike(shop: Shop) -> None:
    customer, sku, key = shop.callers.customer(), shop.sku(), unique("key")

    first = customer.place((sku, 1), key=key)
    again = customer.place((sku, 1), key=key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert again.content == first.content
    assert (again.headers["Location"], again.headers["ETag"]) == (first.headers["Location"], first.headers["ETag"])
    assert len(own_orders(customer)) == 1


def test_how_a_body_is_written_does_not_matter_only_what_it_says(shop: Shop) -> None:
    customer, sku, key = shop.callers.customer(), shop.sku(), unique("key")
    first = customer.place((sku, 1), key=key)
    turned = dict(reversed(order_body((sku, 1)).items()))

    again = customer.post("/api/v1/orders", turned, key=key)

    assert is_replay(again)
    assert again.json()["id"] == first.json()["id"]


def test_the_same_key_with_another_body_is_refused(shop: Shop) -> None:
    customer, sku, key = shop.callers.customer(), shop.sku(), unique("key")
    customer.place((sku, 1), key=key)

    refused = customer.place((sku, 2), key=key)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert refused.json()["errors"][0]["parameter"] == "Idempotency-Key"
    assert len(own_orders(customer)) == 1


def test_the_same_key_for_another_call_is_refused(shop: Shop) -> None:
    customer, sku, key = shop.callers.customer(), shop.sku(), unique("key")
    order = customer.place((sku, 1), key=key).json()

    refused = customer.post(f"{order['id']}/cancel/", key=key)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")


def test_keys_of_two_callers_are_two_keys(shop: Shop) -> None:
    sku, key = shop.sku(), unique("key")
    first, second = (shop.callers.customer().place((sku, 1), key=key) for _ in range(2))
    assert not is_replay(second)
    assert first.json()["id"] != second.json()["id"]


def test_twenty_requests_at_once_with_one_key_place_one_order(shop: Shop) -> None:
    customer, sku, key = shop.callers.customer(), shop.sku(), unique("key")
    # A connection each, so that both worker processes of the API are asked.
    clients = [shop.callers.having(customer.token) for _ in range(20)]

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda client: client.place((sku, 1), key=key), clients))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert [is_replay(answer) for answer in answers].count(False) == 1
    assert len(own_orders(customer)) == 1


def test_a_refused_request_leaves_its_key_free(shop: Shop) -> None:
    customer, sku, key = shop.callers.customer(), unique("SKU"), unique("key")
    assert customer.place((sku, 1), key=key).status_code == 422
    assert shop.admin.put_variant(sku).status_code == 200
    shop.await_known(sku)

    placed = customer.place((sku, 1), key=key)

    assert placed.status_code == 201
    assert not is_replay(placed)


def test_a_replay_that_waits_shows_the_order_as_it_is_now(shop: Shop) -> None:
    customer, sku, key = shop.callers.customer(), shop.sku(), unique("key")
    first = customer.place((sku, 1), key=key)
    assert first.json()["pending_operation"] == "reserving"

    again = customer.place((sku, 1), key=key, wait=10)

    assert (again.status_code, is_replay(again)) == (201, True)
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["reservation_status"] == "reserved"


def test_a_replay_that_waits_for_an_order_that_found_no_stock_is_told_so_again(shop: Shop) -> None:
    customer, sku, key = shop.callers.customer(), shop.sku(stock=0), unique("key")
    first = customer.place((sku, 1), key=key, wait=10)

    again = customer.place((sku, 1), key=key, wait=10)

    assert (first.status_code, again.status_code) == (409, 409)
    assert (is_replay(first), is_replay(again)) == (False, True)
    assert again.json()["order_id"] == first.json()["order_id"]
    assert len(own_orders(customer)) == 1


def test_the_storefront_must_send_a_key_to_place(shop: Shop) -> None:
    refused = shop.service.post("", order_body((shop.sku(), 1)))
    assert (refused.status_code, refused.json()["code"]) == (400, "idempotency_key_required")


@pytest.mark.parametrize("key", ["k" * 256, "", "käse", "a\tb"])
def test_a_key_that_is_no_key_is_refused(shop: Shop, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    refused = shop.customer.post("", order_body((shop.sku(), 1)), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_header")
    assert refused.json()["errors"][0]["parameter"] == "Idempotency-Key"


def test_a_key_may_have_255_characters(shop: Shop) -> None:
    key = unique("k").ljust(255, "k")
    assert shop.customer.place((shop.sku(), 1), key=key).status_code == 201


@pytest.mark.parametrize("wait", [None, 10])
def test_confirming_twice_with_one_key_records_one_payment(shop: Shop, wait: int | None) -> None:
    order, key = shop.customer.placed((shop.sku(), 1)), unique("key")
    payment = {"provider": "stripe", "reference": unique("payment"), "amount": "10.00", "currency": "EUR"}

    first, again = (shop.service.post(f"{order['id']}/confirm/", payment, key=key, wait=wait) for _ in range(2))

    assert (first.status_code, again.status_code) == (200, 200)
    assert (is_replay(first), is_replay(again)) == (False, True)
    query = "SELECT count(*) FROM payments WHERE order_id = CAST(:id AS uuid)"
    assert shop.probe.value("order", query, id=order["id"]) == 1


def test_cancelling_twice_with_one_key_is_answered_alike(shop: Shop) -> None:
    customer, key = shop.callers.customer(), unique("key")
    order = customer.placed((shop.sku(), 1))

    first, again = (customer.post(f"{order['id']}/cancel/", key=key) for _ in range(2))

    assert again.content == first.content
    assert is_replay(again)


def test_a_receipt_sent_twice_with_one_key_comes_in_once(shop: Shop) -> None:
    sku, key, body = shop.sku(stock=0), unique("key"), {"quantity": 7}

    first, again = (shop.admin.post(f"stock/{sku}/receipts/", body, service="inventory", key=key) for _ in range(2))

    assert (first.status_code, again.status_code, is_replay(again)) == (201, 201, True)
    assert shop.admin.level(sku) == (7, 0, 0)


def test_receipts_sent_at_once_with_one_key_come_in_once(shop: Shop) -> None:
    sku, key, body = shop.sku(stock=0), unique("key"), {"quantity": 7}
    clients = [shop.callers.admin() for _ in range(10)]

    with ThreadPoolExecutor(10) as pool:
        paths = [f"stock/{sku}/receipts/"] * 10
        answers = list(pool.map(lambda c, p: c.post(p, body, service="inventory", key=key), clients, paths))

    assert {answer.status_code for answer in answers} == {201}
    assert shop.admin.level(sku) == (7, 0, 0)


def test_a_key_on_a_request_that_changes_nothing_means_nothing(shop: Shop) -> None:
    customer, key = shop.callers.customer(), unique("key")
    first = customer.get("", key=key)
    customer.placed((shop.sku(), 1))
    again = customer.get("", key=key)
    assert first.json() != again.json()
    assert not is_replay(again)
