"""Many orders in one call: each is decided as if it came alone, and says what became of it."""

import concurrent.futures
from typing import Any

import pytest
import requests

from tests.support.running_shop import Shop
from tests.support.storefront import Client, order_body, unique

NOBODYS = "018f0000-0000-7000-8000-000000000000"


def row(sku: str, quantity: int = 1, **fields: Any) -> dict[str, Any]:
    return order_body((sku, quantity), **fields)


def place(client: Client, *rows: Any, key: str | None = None) -> requests.Response:
    return client.post("bulk/", {"orders": list(rows)}, key=key or unique("bulk"))


def update(client: Client, *ids: str, **fields: Any) -> requests.Response:
    return client.post("bulk-update/", {"ids": list(ids), **fields})


def results(answer: requests.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["results"]
    assert [found["index"] for found in rows] == list(range(len(rows)))
    return rows


def codes(rows: list[dict[str, Any]]) -> list[str | None]:
    return [found["problem"] and found["problem"]["code"] for found in rows]


def reserved(shop: Shop, count: int, **fields: Any) -> list[str]:
    """Return orders whose stock is reserved."""
    sku = shop.sku(stock=100)
    ids = [found["id"] for found in results(place(shop.service, *(row(sku, **fields) for _ in range(count))))]
    for order_id in ids:
        shop.await_order(order_id, reservation_status="reserved")
    return ids


def known(shop: Shop, customer: str) -> int:
    return int(shop.probe.value("order", "SELECT count(*) FROM orders WHERE customer_id = :c", c=customer))


# --- placing


def test_the_good_rows_are_placed_and_each_bad_one_says_why(shop: Shop) -> None:
    sku, customer = shop.sku(stock=100), unique("c")
    rows = [
        row(sku, 2, customer_id=customer, external_reference="first"),
        row("nothing", customer_id=customer),
        row(sku, customer_id=customer, shipping_method="pigeon", expected_total="0.01"),
        row(sku, customer_id=customer, shipping_address=NOBODYS),
        row(sku, customer_id=customer, payment_method="invoice"),
    ]
    answer = place(shop.service, *rows)
    found = results(answer)
    assert codes(found) == [None, "unknown_sku", "unknown_shipping_method", "unknown_address", None]
    assert (answer.json()["succeeded"], answer.json()["failed"]) == (2, 3)
    problem = found[1]["problem"]
    assert (problem["status"], problem["type"]) == (422, "urn:oms:problem:unknown_sku")
    assert [fault["pointer"] for fault in problem["errors"]] == ["/orders/1/items/0/sku"]
    assert (found[1]["id"], found[1]["order_number"], found[1]["status"]) == (None, None, None)
    assert known(shop, customer) == 2

    for index in (0, 4):
        order = shop.await_order(found[index]["id"], reservation_status="reserved")
        assert (order["order_number"], found[index]["status"]) == (found[index]["order_number"], "pending")
        assert order["items"][0]["quantity"] == rows[index]["items"][0]["quantity"]
        assert shop.kinds(order["id"], "order.events.v1") == ["OrderPlaced"]
    assert shop.admin.order(found[0]["id"])["external_reference"] == "first"


def test_the_whole_call_again_gets_the_same_answer_and_places_nothing(shop: Shop) -> None:
    sku, customer, key = shop.sku(), unique("c"), unique("bulk")
    rows = [
        row(sku, customer_id=customer, key=unique("row")),
        row(sku, customer_id=customer),
        row("nothing", key=unique("row")),
    ]
    first, second = (place(shop.service, *rows, key=key) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert known(shop, customer) == 2
    other = place(shop.service, *rows[:1], key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    # What was refused left its key free, also after the repetition.
    retried = results(place(shop.service, {**row(sku, customer_id=customer), "key": rows[2]["key"]}))
    assert codes(retried) == [None]
    assert known(shop, customer) == 3


def test_a_row_with_a_key_is_placed_once_whichever_call_brings_it(shop: Shop) -> None:
    sku, customer = shop.sku(), unique("c")
    single, many = unique("single"), unique("many")
    alone = shop.service.placed((sku, 1), customer_id=customer, key=single, wait=None)
    (first,) = results(place(shop.service, row(sku, customer_id=customer, key=many)))
    again = results(
        place(
            shop.service,
            row(sku, customer_id=customer, key=many),
            row(sku, customer_id=customer, key=single),
            row(sku, customer_id=customer, key=unique("new")),
        )
    )
    assert [(found["id"], found["repeated"]) for found in again[:2]] == [(first["id"], True), (alone["id"], True)]
    assert [found["order_number"] for found in again[:2]] == [first["order_number"], alone["order_number"]]
    assert (again[2]["repeated"], again[2]["problem"]) == (False, None)
    assert known(shop, customer) == 3
    # The same key is another caller's own, and no key for another order.
    reused = results(place(shop.service, row(sku, 2, customer_id=customer, key=many)))
    assert codes(reused) == ["idempotency_key_reused"]
    later = shop.service.place((sku, 1), customer_id=customer, key=many)
    assert later.json()["code"] == "idempotency_key_reused"
    assert known(shop, customer) == 3


def test_a_key_of_something_else_than_an_order_is_refused(shop: Shop) -> None:
    sku, key = shop.sku(), unique("key")
    order = shop.service.placed((sku, 1), customer_id=unique("c"))
    assert shop.service.post(f"{order['id']}/cancel/", key=key).status_code == 200
    assert codes(results(place(shop.service, row(sku, key=key)))) == ["idempotency_key_reused"]


def test_calls_that_meet_over_the_same_rows_place_each_once(shop: Shop) -> None:
    sku, customer = shop.sku(stock=1000), unique("c")
    keys = [unique("row") for _ in range(20)]
    clients = [shop.callers.service() for _ in range(6)]

    def send(n: int) -> list[dict[str, Any]]:
        order = keys if n % 2 else keys[::-1]
        if n == 0:
            ids = [clients[0].place((sku, 1), customer_id=customer, key=key).json() for key in keys[:5]]
            return [{"id": found.get("id")} for found in ids]
        return results(place(clients[n], *(row(sku, customer_id=customer, key=key) for key in order)))

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert known(shop, customer) == len(keys)
    assert len({found["id"] for answer in answers[1:] for found in answer}) == len(keys)


def test_five_hundred_orders_are_one_call(shop: Shop) -> None:
    skus, customer = [shop.sku(stock=10_000) for _ in range(5)], unique("c")
    notes = "n" * 1500
    rows = [
        order_body(*((sku, 1) for sku in skus), customer_id=customer, key=unique("r"), notes=notes) for _ in range(500)
    ]
    found = results(place(shop.service, *rows))
    assert codes(found) == [None] * 500
    assert known(shop, customer) == 500
    assert len({placed["order_number"] for placed in found}) == 500
    too_many = place(shop.service, *rows, row(skus[0]))
    assert (too_many.status_code, too_many.json()["errors"][0]["pointer"]) == (400, "/orders")


def test_a_row_that_cannot_be_read_is_wrong_without_the_others(shop: Shop) -> None:
    sku, customer, key = shop.sku(), unique("c"), unique("bulk")
    good = row(sku, customer_id=customer)
    rows = [
        {**good, "colour": "red"},
        good,
        row(sku, 0),
        {**good, "shipping_address": {"city": "Bonn"}},
        {**good, "key": 7},
        "an order",
        None,
    ]

    found = results(place(shop.service, *rows, key=key))

    assert codes(found) == ["invalid_request", None, *["invalid_request"] * 5]
    pointers = [[fault["pointer"] for fault in (bad["problem"] or {"errors": []})["errors"]] for bad in found]
    assert (pointers[0], pointers[2]) == (["/orders/0/colour"], ["/orders/2/items/0/quantity"])
    assert "/orders/3/shipping_address/first_name" in pointers[3]
    assert pointers[4:] == [["/orders/4/key"], ["/orders/5"], ["/orders/6"]]
    assert "known here: billing_address" in found[0]["problem"]["errors"][0]["detail"]
    assert known(shop, customer) == 1
    assert results(place(shop.service, *rows, key=key)) == found


def test_of_rows_with_one_key_the_first_is_placed_and_the_others_say_whose_it_is(shop: Shop) -> None:
    sku, customer, key = shop.sku(), unique("c"), unique("row")
    keyed = row(sku, customer_id=customer, key=key)
    rows = [row(sku, 0, key=key), keyed, row(sku, customer_id=customer), keyed, {**keyed, "notes": "another"}]

    found = results(place(shop.service, *rows))

    # A row that cannot be read has no key.
    assert codes(found) == ["invalid_request", None, None, "invalid_request", "invalid_request"]
    for index in (3, 4):
        (fault,) = found[index]["problem"]["errors"]
        assert (fault["pointer"], "of /orders/1," in fault["detail"]) == (f"/orders/{index}/key", True)
    assert known(shop, customer) == 2


def test_where_no_row_can_be_read_each_says_why(shop: Shop) -> None:
    assert codes(results(place(shop.service, {}, {}))) == ["invalid_request"] * 2


def test_what_is_no_list_of_rows_is_refused_as_a_whole(shop: Shop) -> None:
    sku, customer = shop.sku(), unique("c")
    good, key = row(sku, customer_id=customer), unique("key")
    for rows, pointer in (
        ([good, {**good, "key": "the call's"}], "/orders/1/key"),
        ([], "/orders"),
    ):
        refused = place(shop.service, *rows, key="the call's")
        assert refused.status_code == 400, refused.text
        assert pointer in [fault["pointer"] for fault in refused.json()["errors"]]
    large = shop.service.post("bulk/", {"orders": [{**good, "notes": "n" * 5_000_000}]}, key=key)
    assert (large.status_code, large.json()["code"]) == (413, "body_too_large")
    assert known(shop, customer) == 0


def test_only_a_storefront_places_many_and_only_with_a_key(shop: Shop) -> None:
    body = {"orders": [row(shop.sku())]}
    assert shop.service.post("bulk/", body).json()["code"] == "idempotency_key_required"
    for caller in (shop.customer, shop.admin):
        assert caller.post("bulk/", body, key=unique("k")).json()["code"] == "forbidden_role"
    assert update(shop.service, NOBODYS, status="cancelled").json()["code"] == "forbidden_role"


# --- moving on


def test_orders_are_led_through_their_life_together(shop: Shop) -> None:
    ids = reserved(shop, 3, payment_method="invoice")
    for status, awaited in (("confirmed", "allocated"), ("processing", None), ("shipped", None), ("delivered", None)):
        found = results(update(shop.admin, *ids, status=status, notes="together"))
        assert [(moved["id"], moved["status"]) for moved in found] == [(order_id, status) for order_id in ids]
        assert codes(found) == [None] * 3
        for order_id in ids if awaited else ():
            shop.await_order(order_id, reservation_status=awaited)
    for order_id in ids:
        order = shop.admin.order(order_id)
        assert [change["status"] for change in order["status_history"] if change["notes"] == "together"] == [
            *("confirmed", "processing", "shipped", "delivered")
        ]
        assert shop.kinds(order_id, "order.events.v1")[1:] == [
            *("OrderConfirmed", "OrderProcessingStarted", "OrderShipped", "OrderDelivered")
        ]


def test_the_status_that_an_order_has_changes_nothing(shop: Shop) -> None:
    (order_id,) = reserved(shop, 1)
    assert codes(results(update(shop.admin, order_id, status="cancelled"))) == [None]
    version = shop.admin.order(order_id)["version"]
    assert codes(results(update(shop.admin, order_id.upper(), status="cancelled"))) == [None]
    shop.await_order(order_id, reservation_status="released")
    assert shop.kinds(order_id, "order.events.v1") == ["OrderPlaced", "OrderCancelled"]
    assert shop.admin.order(order_id)["version"] <= version + 1


def test_orders_are_named_by_id_or_number_and_answered_as_they_were_named(shop: Shop) -> None:
    by_number, by_id = reserved(shop, 2, payment_method="invoice")
    number, nobody, loud = shop.admin.order(by_number)["order_number"], NOBODYS.upper(), by_id.upper()
    rows = results(update(shop.admin, number, loud, nobody, "NO1", status="confirmed", mode="best_effort"))
    assert codes(rows) == [None, None, "order_not_found", "order_not_found"]
    assert [(found["id"], found["order_number"]) for found in rows] == [
        *((by_number, number), (loud, shop.admin.order(by_id)["order_number"]), (nobody, None), ("NO1", None))
    ]
    twice = update(shop.admin, number, by_number, status="processing")
    (fault,) = twice.json()["errors"]
    assert (twice.status_code, fault["pointer"]) == (400, "/ids/1")
    assert fault["detail"].endswith("that of /ids/0")


def test_best_effort_moves_those_that_can_be(shop: Shop) -> None:
    good, prepaid = reserved(shop, 1, payment_method="invoice"), reserved(shop, 1)
    ended = reserved(shop, 1)
    shop.admin.cancel({"id": ended[0]})
    rows = results(
        update(shop.admin, *good, *prepaid, *ended, NOBODYS, "nothing", status="confirmed", mode="best_effort")
    )
    assert codes(rows) == [None, "payment_required", "order_cancelled", "order_not_found", "order_not_found"]
    assert [found["status"] for found in rows] == ["confirmed", "pending", "cancelled", None, None]
    assert [found["id"] for found in rows] == [*good, *prepaid, *ended, NOBODYS, "nothing"]
    assert shop.admin.order(good[0])["status"] == "confirmed"
    assert shop.admin.order(prepaid[0])["status"] == "pending"


def test_atomic_moves_all_or_none_and_tells_the_first_problems(shop: Shop) -> None:
    good, prepaid = reserved(shop, 2, payment_method="invoice"), reserved(shop, 1)
    before = [shop.admin.order(order_id) for order_id in (*good, *prepaid)]
    key = unique("key")
    refused = shop.admin.post("bulk-update/", {"ids": [*good, *prepaid], "status": "confirmed"}, key=key)
    assert (refused.status_code, refused.json()["code"], refused.json()["failed"]) == (409, "rows_refused", 1)
    (bad,) = refused.json()["results"]
    assert (bad["index"], bad["id"], bad["problem"]["code"]) == (2, prepaid[0], "payment_required")
    assert [shop.admin.order(order_id) for order_id in (*good, *prepaid)] == before
    for order_id in good:
        assert shop.kinds(order_id, "order.events.v1") == ["OrderPlaced"]
    # Nothing was stored under the key, so the call may come again once the facts have changed.
    shop.service.confirm(before[2])
    again = shop.admin.post("bulk-update/", {"ids": [*good, *prepaid], "status": "confirmed"}, key=key)
    assert codes(results(again)) == [None, None, None]
    replayed = shop.admin.post("bulk-update/", {"ids": [*good, *prepaid], "status": "confirmed"}, key=key)
    assert (replayed.headers["Idempotent-Replayed"], replayed.json()) == ("true", again.json())


def test_a_dry_run_says_what_would_become_of_each_and_changes_nothing(shop: Shop) -> None:
    good, ended = reserved(shop, 2), reserved(shop, 1)
    shop.admin.cancel({"id": ended[0]})
    shop.await_order(ended[0], reservation_status="released")
    before = [shop.admin.order(order_id) for order_id in (*good, *ended)]
    rows = results(update(shop.admin, *good, *ended, status="processing", mode="dry_run"))
    assert codes(rows) == ["invalid_status_transition"] * 3
    rows = results(update(shop.admin, *good, *ended, status="cancelled", mode="dry_run"))
    assert [(found["status"], found["problem"]) for found in rows] == [("cancelled", None)] * 3
    assert [shop.admin.order(order_id) for order_id in (*good, *ended)] == before
    assert shop.kinds(good[0], "order.events.v1") == ["OrderPlaced"]
    # What it said comes true.
    assert codes(results(update(shop.admin, *good, status="cancelled"))) == [None, None]


def test_a_bulk_refund_is_undone_with_what_it_wrote_at_once(shop: Shop) -> None:
    sku = shop.sku(stock=10)
    orders = [shop.service.placed((sku, 1)) for _ in range(2)]
    ids = [order["id"] for order in orders]
    for order in orders:
        shop.service.confirm(order)
    for status in ("processing", "shipped", "delivered"):
        results(update(shop.admin, *ids, status=status))
    assert codes(results(update(shop.admin, *ids, status="refunded", mode="dry_run"))) == [None, None]
    assert update(shop.admin, *ids, NOBODYS, status="refunded").json()["code"] == "rows_refused"
    assert [shop.admin.get(f"{order_id}/refunds/").json()["data"] for order_id in ids] == [[], []]
    assert codes(results(update(shop.admin, *ids, status="refunded"))) == [None, None]
    assert [len(shop.admin.get(f"{order_id}/refunds/").json()["data"]) for order_id in ids] == [1, 1]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"ids": [], "status": "cancelled"}, "/ids"),
        ({"ids": [NOBODYS] * 2, "status": "cancelled"}, "/ids/1"),
        ({"ids": [NOBODYS, NOBODYS.upper()], "status": "cancelled"}, "/ids/1"),
        ({"ids": [f"{n}" for n in range(501)], "status": "cancelled"}, "/ids"),
        ({"ids": [NOBODYS], "status": "lost"}, "/status"),
        ({"ids": [NOBODYS], "status": "cancelled", "mode": "maybe"}, "/mode"),
        ({"ids": [NOBODYS], "status": "shipped", "carrier": "X"}, "/carrier"),
    ],
)
def test_an_update_that_cannot_be_read_names_what_is_wrong(shop: Shop, body: dict[str, Any], pointer: str) -> None:
    refused = shop.admin.post("bulk-update/", body)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    assert pointer in [fault["pointer"] for fault in refused.json()["errors"]]


def test_updates_that_want_the_same_orders_in_other_orders_do_not_meet_in_a_deadlock(shop: Shop) -> None:
    ids = reserved(shop, 12)
    admins = [shop.callers.admin() for _ in range(6)]

    def send(n: int) -> list[str | None]:
        order = ids if n % 2 else ids[::-1]
        return codes(results(update(admins[n], *order, status="cancelled", mode="best_effort")))

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert list(pool.map(send, range(6))) == [[None] * 12] * 6
    for order_id in ids:
        assert shop.kinds(order_id, "order.events.v1") == ["OrderPlaced", "OrderCancelled"]
