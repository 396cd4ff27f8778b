"""Many buyers for few units: nobody gets what another one has, and everybody is told."""

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.support import forged
from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import unique

BUYERS, UNITS = 100, 10
EVENTS = "order.events.v1"


def buy_at_once(shop: Shop, sku: str) -> list[str]:
    """Let a hundred customers place an order for one unit each, at once; return the orders' ids."""
    buyers = [shop.callers.customer(email=None) for _ in range(BUYERS)]
    with ThreadPoolExecutor(BUYERS) as pool:
        answers = list(pool.map(lambda buyer: buyer.place((sku, 1)), buyers))
    assert {answer.status_code for answer in answers} == {201}
    return [answer.json()["id"] for answer in answers]


def request_at_once(shop: Shop, sku: str) -> list[str]:
    """Ask for a hundred orders of one unit each by Kafka, at once; return the orders' ids."""
    requests = [forged.requested(unique("request"), (sku, 1), customer_email=None) for _ in range(BUYERS)]
    shop.outsider.tell_all({str(uuid.uuid4()): request for request in requests})
    query = "SELECT id::text FROM orders WHERE request_id = ANY(:ids)"

    def placed() -> list[str]:
        rows = shop.probe.rows("order", query, ids=[request.request_id for request in requests])
        assert len(rows) == BUYERS
        return [row["id"] for row in rows]

    return eventually(placed, within=20)


def at_rest(shop: Shop, order_ids: list[str]) -> list[dict[str, Any]]:
    """Return the orders' rows once none of them waits for inventory."""
    query = "SELECT * FROM orders WHERE id = ANY(CAST(:ids AS uuid[]))"

    def settled() -> list[dict[str, Any]]:
        rows = [dict(row) for row in shop.probe.rows("order", query, ids=order_ids)]
        assert all(row["pending_operation"] is None for row in rows)
        return rows

    return eventually(settled, within=30)


def check(shop: Shop, sku: str, order_ids: list[str]) -> None:
    """Ten are reserved, ninety cancelled, and the books say the same."""
    orders = at_rest(shop, order_ids)
    outcomes = Counter((order["status"], order["reservation_status"], order["cancel_reason"]) for order in orders)
    assert outcomes == {
        ("pending", "reserved", None): UNITS,
        ("cancelled", "rejected", "insufficient_stock"): BUYERS - UNITS,
    }
    assert shop.admin.level(sku) == (UNITS, UNITS, 0)
    ledger = shop.probe.rows(
        "inventory",
        "SELECT kind, count(*) AS n, sum(reserved) AS reserved FROM stock_movements WHERE sku = :sku GROUP BY kind",
        sku=sku,
    )
    assert {row["kind"]: (row["n"], row["reserved"]) for row in ledger} == {
        "received": (1, 0),
        "reserved": (UNITS, UNITS),
    }
    audit = shop.admin.audit()
    assert audit["ok"], audit["differences"]
    winners = {order["id"] for order in orders if order["status"] == "pending"}
    held = shop.probe.rows(
        "inventory",
        "SELECT order_id FROM reservations WHERE status = 'reserved' AND order_id = ANY(CAST(:ids AS uuid[]))",
        ids=order_ids,
    )
    assert {row["order_id"] for row in held} == winners


def test_a_hundred_buyers_at_once_get_the_last_ten_units_by_rest(shop: Shop) -> None:
    sku = shop.sku(stock=UNITS)
    check(shop, sku, buy_at_once(shop, sku))


def test_a_hundred_buyers_at_once_get_the_last_ten_units_by_kafka(shop: Shop) -> None:
    sku = shop.sku(stock=UNITS)
    check(shop, sku, request_at_once(shop, sku))


def test_buyers_by_rest_and_by_kafka_share_the_last_units(shop: Shop) -> None:
    sku = shop.sku(stock=UNITS)
    with ThreadPoolExecutor(2) as pool:
        ways = [pool.submit(way, shop, sku) for way in (buy_at_once, request_at_once)]
        order_ids = [order_id for way in ways for order_id in way.result()]

    orders = at_rest(shop, order_ids)
    assert Counter(order["status"] for order in orders) == {"pending": UNITS, "cancelled": 2 * BUYERS - UNITS}
    assert shop.admin.level(sku) == (UNITS, UNITS, 0)


def test_two_lines_of_one_sku_are_added_up_for_buyers_at_once(shop: Shop) -> None:
    sku = shop.sku(stock=UNITS)
    buyers = [shop.callers.customer() for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda buyer: buyer.place((sku, 2), (sku, 1)), buyers))

    orders = at_rest(shop, [answer.json()["id"] for answer in answers])
    # Three units an order: three orders have nine of the ten.
    assert Counter(order["status"] for order in orders) == {"pending": 3, "cancelled": 17}
    assert shop.admin.level(sku) == (UNITS, 9, 0)


def test_whoever_waits_is_told_what_is_left(shop: Shop) -> None:
    sku = shop.sku(stock=UNITS)
    buyers = [shop.callers.customer() for _ in range(15)]
    with ThreadPoolExecutor(15) as pool:
        answers = list(pool.map(lambda buyer: buyer.place((sku, 1), wait=15), buyers))

    assert Counter(answer.status_code for answer in answers) == {201: UNITS, 409: 5}
    for refused in (answer.json() for answer in answers if answer.status_code == 409):
        assert refused["code"] == "insufficient_stock"
        assert [(row["sku"], row["requested"], row["available"]) for row in refused["shortages"]] == [(sku, 1, 0)]
