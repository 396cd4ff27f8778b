"""Erasing a customer: who they were goes, what was bought and paid stays."""

import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support import shipping
from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import ADDRESS, unique

ERASED = {"first_name": "erased", "last_name": "erased", "address1": "erased", "city": "erased", "country_code": "DE"}


def run_erase(shop: Shop, customer_id: str) -> subprocess.CompletedProcess[str]:
    return shop.run("order", "erase", "--customer-id", customer_id, "--actor", "ada")


def erase(shop: Shop, customer_id: str) -> str:
    return shop.operate("order", "erase", "--customer-id", customer_id, "--actor", "ada")


def test_a_customer_is_erased_from_what_has_ended_and_from_nothing_else(shop: Shop) -> None:
    customer, other = shop.callers.customer(email="grace@example.org"), shop.callers.customer()
    sku = shop.sku()
    ended = customer.placed((sku, 1), notes="ring twice", metadata={"gift": "for Grace"})
    shop.admin.cancel(ended)
    saved = customer.post("/api/v1/addresses/", ADDRESS)
    assert saved.status_code == 201, saved.text
    running, foreign = customer.placed((sku, 1)), other.placed((sku, 1))
    shop.admin.cancel(foreign)

    assert "1 order erased, 1 not ended yet and left" in erase(shop, customer.subject)

    assert customer.get("/api/v1/addresses/").json()["data"] == []
    order = shop.admin.order(ended["id"])
    assert (order["customer_email"], order["notes"], order["metadata"]) == (None, None, {})
    for address in (order["shipping_address"], order["billing_address"]):
        assert {name: address[name] for name in ERASED} == ERASED
        assert address["phone"] is None
    assert (order["total_amount"], order["items"]) == (ended["total_amount"], ended["items"])
    assert order["status_history"][-1]["reason"] == "erased"
    assert order["status_history"][-1]["created_by"] == {"type": "admin", "id": "ada"}
    for kept in (running, foreign):
        assert shop.admin.order(kept["id"])["shipping_address"]["first_name"] == "Ada"
    query = "SELECT to_jsonb(o)::text AS everything FROM orders o WHERE id = CAST(:id AS uuid)"
    (row,) = shop.probe.rows("order", query, id=order["id"])
    assert "grace@" not in row["everything"]


WORDS = """
SELECT concat_ws(' ', (SELECT string_agg(to_jsonb(h)::text, ' ') FROM order_history h WHERE h.order_id = o.id),
                      (SELECT string_agg(to_jsonb(f)::text, ' ') FROM refunds f WHERE f.order_id = o.id),
                      (SELECT string_agg(to_jsonb(b)::text, ' ') FROM returns b WHERE b.order_id = o.id),
                      (SELECT string_agg(to_jsonb(e)::text, ' ') FROM shipment_events e JOIN shipments s
                          ON s.id = e.shipment_id WHERE s.order_id = o.id),
                      to_jsonb(o)::text) AS words
FROM orders o WHERE o.id = CAST(:id AS uuid)
"""


def test_nothing_that_anybody_wrote_about_a_customer_is_left(shop: Shop) -> None:
    customer = shop.callers.customer(email="grace@example.org")
    order = customer.placed((shop.sku(), 2), external_reference="grace@example.org", notes="for Grace")
    assert shop.service.confirm(order).status_code == 200
    assert shop.admin.move(order, "processing", notes="Grace called").status_code == 200
    assert shop.admin.move(order, "shipped").status_code == 200
    (parcel,) = shop.admin.order(order["id"])["shipments"]
    told = shipping.tell(
        shop.admin, order, parcel, "delivered", parcel["shipped_at"], place="at Grace's", message="left with Grace"
    )
    assert told.status_code == 201, told.text
    (item,) = order["items"]
    lines = [{"item_id": item["id"], "quantity": 1, "reason": "other"}]
    asked = customer.post(f"{order['id']}/returns/", {"lines": lines, "note": "Grace is away"})
    assert asked.status_code == 201, asked.text
    assert shop.admin.post(f"{order['id']}/returns/{asked.json()['id']}/decline/", {"note": "no, Grace"}).ok
    refund = {"amount": "1.00", "note": "for Grace", "provider_reference": unique("refund")}
    assert shop.admin.post(f"{order['id']}/refunds/", refund).status_code == 201
    assert "Grace" in shop.probe.value("order", WORDS, id=order["id"])

    assert "1 order erased" in erase(shop, customer.subject)

    words = shop.probe.value("order", WORDS, id=order["id"])
    assert "Grace" not in words
    assert "grace@" not in words


def test_an_order_of_which_goods_are_on_their_way_back_is_not_erased(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    assert shop.service.confirm(order).status_code == 200
    for status in ("processing", "shipped", "delivered"):
        assert shop.admin.move(order, status).status_code == 200
    lines = [{"item_id": order["items"][0]["id"], "quantity": 1, "reason": "other"}]
    asked = customer.post(f"{order['id']}/returns/", {"lines": lines})
    path = f"{order['id']}/returns/{asked.json()['id']}"
    assert "0 orders erased, 1 not ended yet and left" in erase(shop, customer.subject)
    assert shop.admin.post(f"{path}/approve/").status_code == 200
    assert "0 orders erased, 1 not ended yet and left" in erase(shop, customer.subject)
    received = {"lines": [{"item_id": order["items"][0]["id"], "received": 1}], "refund": True}
    assert shop.admin.post(f"{path}/receive/", received).status_code == 200
    (refund,) = shop.admin.get(f"{order['id']}/refunds/").json()["data"]
    assert shop.admin.post(f"{order['id']}/refunds/{refund['id']}/settle/", {}).status_code == 200
    assert "1 order erased, 0 not ended yet and left" in erase(shop, customer.subject)


def test_mails_to_an_erased_customer_are_not_found_by_their_address(shop: Shop) -> None:
    address = unique("grace") + "@example.org"
    customer = shop.callers.customer(email=address)
    order = customer.placed((shop.sku(), 1))
    shop.admin.cancel(order)

    def mails(**query: str) -> Any:
        return shop.admin.get("", service="notification", params=query).json()["data"]

    def sent() -> None:
        assert [mail["status"] for mail in mails(recipient=address)] == ["sent", "sent"]

    eventually(sent, within=20)
    told = erase(shop, customer.subject)
    assert f"notification erase --order-id {order['id']}" in told
    assert "2 mails erased, 0 not sent yet and left" in shop.operate("notification", "erase", "--order-id", order["id"])

    assert mails(recipient=address) == []
    assert [(mail["recipient"], mail["status"]) for mail in mails(order_id=order["id"])] == [(None, "sent")] * 2
    for table, key in (("subjects", "key"), ("notifications", "subject")):
        query = f"SELECT string_agg(to_jsonb(t)::text, ' ') AS everything FROM {table} t WHERE {key} = :id"
        assert address not in shop.probe.value("notification", query, id=order["id"])


def test_nobody_s_name_keeps_them_from_being_erased(shop: Shop) -> None:
    customer = shop.callers.customer(email="grace@example.org")
    order = customer.placed((shop.sku(), 1), shipping_address={**ADDRESS, "first_name": "erased"})
    shop.admin.cancel(order)
    assert "1 order erased" in erase(shop, customer.subject)
    assert shop.admin.order(order["id"])["customer_email"] is None


def test_an_erasure_locks_orders_before_addresses_as_whoever_else_changes_both(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    shop.admin.cancel(order)
    assert customer.post("/api/v1/addresses/", ADDRESS).status_code == 201
    free = "SELECT id FROM orders WHERE id = CAST(:id AS uuid) FOR UPDATE SKIP LOCKED"
    held = sa.text("SELECT FROM addresses WHERE customer_id = :customer_id FOR UPDATE")

    def order_is_locked() -> None:
        assert shop.probe.rows("order", free, id=order["id"]) == []

    engine = shop.probe.engine("order").execution_options(isolation_level="READ COMMITTED")
    with ThreadPoolExecutor(1) as pool:
        with engine.begin() as connection:
            connection.execute(held, {"customer_id": customer.subject})
            erasing = pool.submit(erase, shop, customer.subject)
            eventually(order_is_locked, within=20)
        assert "1 order erased" in erasing.result()


def test_erasing_again_changes_nothing(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    shop.admin.cancel(order)
    erase(shop, customer.subject)
    before = shop.admin.order(order["id"])
    assert "0 orders erased, 0 not ended yet and left" in erase(shop, customer.subject)
    assert shop.admin.order(order["id"]) == before


@pytest.mark.parametrize("customer_id", ["", "grace@example.org", "no such customer"])
def test_of_whom_nothing_is_known_nothing_looks_erased(shop: Shop, customer_id: str) -> None:
    done = run_erase(shop, customer_id)
    assert (done.returncode, done.stdout) == (1, f"nothing is known of a customer {customer_id!r}: look at the id\n")


def test_of_a_customer_without_orders_the_saved_addresses_are_erased(shop: Shop) -> None:
    customer = shop.callers.customer()
    for _ in range(2):
        assert customer.post("/api/v1/addresses/", ADDRESS).status_code == 201
    told = erase(shop, customer.subject)
    assert told == f"saved addresses erased: 2; no order is of customer {customer.subject!r}\n"
    assert customer.get("/api/v1/addresses/").json()["data"] == []
    assert run_erase(shop, customer.subject).returncode == 1


def test_an_order_that_still_owes_a_refund_is_not_erased(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    shop.service.confirm(order)
    shop.admin.cancel(order)
    assert "0 orders erased, 1 not ended yet and left" in erase(shop, customer.subject)


def test_every_change_of_an_order_is_logged_with_its_actor_and_without_a_name(shop: Shop) -> None:
    customer = shop.callers.customer(email="joan@example.org")
    order = customer.placed((shop.sku(), 1), notes="call Joan first")
    request = {"X-Request-Id": "r-" + order["id"]}
    answer = shop.admin.post(f"{order['id']}/cancel/", {"note": "Joan called"}, headers=request)
    assert answer.status_code == 200
    shop.await_order(order["id"], reservation_status="released")
    lines = [line for line in shop.logged("order_changed") if line["order_id"] == order["id"]]
    told = [(line["reason"], line["actor_type"]) for line in sorted(lines, key=lambda line: line["version"])]
    assert told == [
        ("placed", "customer"),
        ("stock_reserved", "system"),
        ("customer_request", "admin"),
        ("stock_released", "system"),
    ]
    by_reason: dict[str, dict[str, Any]] = {line["reason"]: line for line in lines}
    assert by_reason["customer_request"]["request_id"] == "r-" + order["id"]
    assert by_reason["placed"]["actor_id"] == customer.subject
    assert by_reason["stock_reserved"]["event_id"]
    assert "Joan" not in str(lines)
    assert "joan@" not in str(lines)
