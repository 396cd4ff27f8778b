"""Watching an order: Server-Sent Events, tickets for browsers, and the timeline."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import requests

from tests.support import forged, shipping
from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import Client, unique

Order = dict[str, Any]


def opened(caller: Client, path: str, **headers: str) -> requests.Response:
    answer = caller.get(path, stream=True, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    return answer


def events(answer: requests.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (id, data) of the events of a stream."""
    last = ""
    for line in answer.iter_lines(chunk_size=1):
        name, _, value = line.decode().partition(": ")
        if name == "id":
            last = value
        if name == "data":
            yield last, json.loads(value)


def test_a_stream_tells_what_became_of_an_order_and_ends_with_it(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    with closing(opened(shop.customer, f"{order['id']}/stream/")) as stream:
        changes = events(stream)
        first, placed = next(changes)
        assert (first, placed["status"], placed["reason"], placed["order_id"]) == (
            "1",
            "pending",
            "placed",
            order["id"],
        )
        shop.service.confirm(order)
        _, confirmed = next(changes)
        assert (confirmed["previous_status"], confirmed["status"]) == ("pending", "confirmed")
        shop.admin.cancel(order)
        assert [change["status"] for _, change in changes] == ["cancelled"]


def test_a_stream_goes_on_where_its_caller_was(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    shop.admin.cancel(order)
    with closing(opened(shop.admin, f"{order['id']}/stream/")) as stream:
        all_of_it = [(number, change["reason"]) for number, change in events(stream)]
    assert [number for number, _ in all_of_it[:3]] == ["1", "2", "3"]
    with closing(opened(shop.admin, f"{order['id']}/stream/", **{"Last-Event-ID": "2"})) as stream:
        assert [(number, change["reason"]) for number, change in events(stream)] == all_of_it[2:]


def test_a_stream_from_behind_all_that_there_is_tells_what_comes(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    with closing(opened(shop.admin, f"{order['id']}/stream/", **{"Last-Event-ID": "999"})) as stream:
        shop.admin.cancel(order)
        # A comment keeps a stream alive that has nothing to tell.
        told = next(line for line in stream.iter_lines(chunk_size=1) if line.startswith((b"data", b":")))
        assert b'"status":"cancelled"' in told


def test_a_customer_sees_only_the_public_part_of_a_stream(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    shop.admin.cancel(order)
    with closing(opened(shop.customer, f"{order['id']}/stream/")) as stream:
        assert [change["reason"] for _, change in events(stream)] == ["placed", "customer_request"]
    assert shop.callers.customer().get(f"{order['id']}/stream/").status_code == 404
    assert shop.callers.warehouse().get(f"{order['id']}/stream/").status_code == 403


def test_a_last_event_id_that_is_none_is_refused(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    answer = shop.customer.get(f"{order['id']}/stream/", headers={"Last-Event-ID": "yesterday"})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_header")


def test_a_browser_that_comes_back_to_an_order_that_has_ended_is_told_to_stay_away(shop: Shop) -> None:
    """An EventSource reconnects after each end of a stream, until it is answered 204."""
    order = shop.customer.placed((shop.sku(), 1))
    shop.admin.cancel(order)
    shop.await_order(order["id"], reservation_status="released")
    for caller in (shop.customer, shop.admin):
        with closing(opened(caller, f"{order['id']}/stream/")) as stream:
            *_, (last, _change) = events(stream)
        again = caller.get(f"{order['id']}/stream/", headers={"Last-Event-ID": last}, stream=True)
        with closing(again):
            assert again.status_code == 204


def test_a_stream_ends_when_its_order_is_delivered_and_opens_again_for_a_refund(shop: Shop) -> None:
    order = shipping.processing(shop, (shop.sku(), 1))
    with closing(opened(shop.service, f"{order['id']}/stream/")) as stream:
        changes = events(stream)
        assert next(changes)[1]["status"] == "pending"
        for status in ("shipped", "delivered"):
            assert shop.admin.move(order, status).status_code == 200
        told = list(changes)
    last, change = told[-1]
    assert change["status"] == "delivered"
    path, headers = f"{order['id']}/stream/", {"Last-Event-ID": last}
    assert shop.service.get(path, headers=headers).status_code == 204
    assert shop.admin.move(order, "refunded").status_code in (200, 202)
    with closing(opened(shop.service, path, **headers)) as stream:
        assert len(list(events(stream))) >= 1


def a_ticket(shop: Shop, order: Order) -> str:
    made = shop.customer.post(f"{order['id']}/stream/tickets/", key=unique("ticket"))
    assert made.status_code == 201, made.text
    url: str = made.json()["url"]
    return url


def test_a_ticket_opens_a_stream_without_a_token_and_again_where_it_broke_off(shop: Shop) -> None:
    """An EventSource opens the same URL again, with the id of the last event that it has."""
    order = shop.customer.placed((shop.sku(), 1))
    url, browser = a_ticket(shop, order), shop.callers.having(None)
    with closing(opened(browser, url)) as stream:
        last, change = next(events(stream))
        assert change["status"] == "pending"
    shop.admin.cancel(order)
    with closing(opened(browser, url, **{"Last-Event-ID": last})) as stream:
        assert [change["status"] for _, change in events(stream)] == ["cancelled"]
    assert browser.get(f"{order['id']}/stream/").status_code == 401


def test_a_ticket_opens_nothing_once_its_time_is_over(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    url, browser = a_ticket(shop, order), shop.callers.having(None)
    ended = "UPDATE stream_tickets SET expires_at = now() WHERE order_id = CAST(:id AS uuid)"
    shop.probe.execute("order", ended, id=order["id"])
    for path in (url, url[:-3] + "xx/"):
        answer = browser.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "ticket_invalid")


@pytest.mark.timing
def test_a_stream_hears_of_a_change_at_once(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    with closing(opened(shop.customer, f"{order['id']}/stream/")) as stream:
        changes = events(stream)
        next(changes)
        time.sleep(1.2)
        began = time.monotonic()
        shop.admin.cancel(order, wait=None)
        assert next(changes)[1]["status"] == "cancelled"
        assert time.monotonic() - began < 0.9


def test_the_timeline_shows_each_event_behind_its_cause_with_its_place(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    shop.service.confirm(order)
    shop.await_order(order["id"], reservation_status="allocated")

    def told() -> list[dict[str, Any]]:
        answer = shop.admin.get(f"{order['id']}/timeline/")
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["data"]
        assert [entry["type"].rpartition(".")[2] for entry in found].count("NotificationSent") == 2
        return found

    entries = eventually(told, within=15)
    kinds = [(entry["depth"], entry["type"].rpartition(".")[2]) for entry in entries]
    assert [kinds[:2], kinds[4:6]] == [[(0, "request"), (1, "OrderPlaced")], [(0, "request"), (1, "OrderConfirmed")]]
    assert sorted(kinds[2:4]) == [(2, "NotificationSent"), (2, "StockReserved")]
    assert sorted(kinds[6:]) == [(2, "NotificationSent"), (2, "StockAllocated")]
    by_id = {entry["id"]: entry for entry in entries}
    for entry in entries:
        if entry["depth"]:
            assert by_id[entry["caused_by"]]["depth"] == entry["depth"] - 1
            assert entry["latency_ms"] >= 0
        if entry["service"] in ("inventory", "notification"):
            assert entry["offset"] is not None
            assert entry["topic"].startswith(entry["service"])
    tree = shop.admin.get(f"{order['id']}/timeline/", headers={"Accept": "text/plain"})
    assert tree.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert "    order: OrderPlaced" in tree.text or "  order: OrderPlaced" in tree.text
    assert shop.customer.get(f"{order['id']}/timeline/").status_code == 403


def test_the_timeline_keeps_requests_apart_that_share_their_callers_id(shop: Shop) -> None:
    order, mine = shop.customer.placed((shop.sku(), 1)), {"X-Request-Id": unique("page")}
    payment = {"provider": "stripe", "reference": unique("payment"), "currency": order["currency"]}
    paid = {**payment, "amount": order["amount_due"]}
    assert shop.service.post(f"{order['id']}/confirm/", paid, headers=mine).status_code == 200
    assert shop.service.post(f"{order['id']}/cancel/", headers=mine).status_code == 200
    entries = shop.admin.get(f"{order['id']}/timeline/").json()["data"]
    assert [entry["type"] for entry in entries].count("request") == 3


def test_the_timeline_of_a_request_by_kafka_begins_with_it(shop: Shop) -> None:
    request_id = unique("request")
    shop.outsider.tell(forged.requested(request_id, (shop.sku(), 1)))

    def placed() -> Order:
        (order,) = shop.service.get("", params={"request_id": request_id}).json()["data"] or [None]
        assert order is not None
        found: Order = order
        return found

    order = eventually(placed, within=10)
    (first, second, *_) = shop.admin.get(f"{order['id']}/timeline/").json()["data"]
    assert (first["type"], first["service"], first["topic"]) == (
        "oms.storefront.OrderRequested",
        "storefront",
        "order.requests.v1",
    )
    assert (second["type"], second["caused_by"]) == ("oms.order.OrderPlaced", first["id"])
