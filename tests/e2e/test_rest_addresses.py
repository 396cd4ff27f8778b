"""Saved addresses: kept for a customer, ordered with by their ids, and never a part of an order."""

from typing import Any

import pytest

from tests.support.running_shop import Shop
from tests.support.statements import counted
from tests.support.storefront import ADDRESS, Client, unique

PATH = "/api/v1/addresses/"
WORK = {**ADDRESS, "address1": "2 Work St", "country_code": "AT"}
NOBODYS = "018f0000-0000-7000-8000-000000000000"


def kept(client: Client, **fields: Any) -> dict[str, Any]:
    answer = client.post(PATH, {**ADDRESS, **fields})
    assert answer.status_code == 201, answer.text
    assert answer.headers["Location"] == f"{PATH}{answer.json()['id']}/"
    found: dict[str, Any] = answer.json()
    return found


def put(client: Client, address: dict[str, Any], tag: str | None, **fields: Any) -> Any:
    headers = {} if tag is None else {"If-Match": tag}
    return client.call("PUT", f"{PATH}{address['id']}/", json={**ADDRESS, **fields}, headers=headers)


def listed(client: Client, **filters: Any) -> list[str]:
    return [row["id"] for page in client.pages(PATH, params=filters) for row in page]


def test_an_address_is_kept_shown_changed_and_forgotten(shop: Shop) -> None:
    customer = shop.callers.customer()
    address = kept(customer, label="home", phone="1")
    path = f"{PATH}{address['id']}/"
    assert (address["customer_id"], address["label"], address["phone"]) == (customer.subject, "home", "1")
    shown = customer.get(path)
    assert (shown.json(), shown.headers["ETag"]) == (address, '"v1"')
    assert customer.get(path, headers={"If-None-Match": '"v1"'}).status_code == 304

    # A PUT replaces all: the phone and the label are gone.
    changed = put(customer, address, '"v1"', city="Köln")
    assert (changed.status_code, changed.headers["ETag"]) == (200, '"v2"')
    assert (changed.json()["city"], changed.json()["phone"], changed.json()["label"]) == ("Köln", None, None)
    assert changed.json()["created_at"] == address["created_at"] < changed.json()["updated_at"]

    assert customer.call("DELETE", path).status_code == 204
    assert customer.get(path).json()["code"] == "address_not_found"
    assert listed(customer) == []


def test_a_change_needs_the_version_that_was_read(shop: Shop) -> None:
    customer = shop.callers.customer()
    address = kept(customer)
    assert put(customer, address, None).json()["code"] == "precondition_required"
    assert put(customer, address, '"v1"', city="Köln").status_code == 200
    late = put(customer, address, '"v1"', city="Rom")
    assert (late.status_code, late.json()["code"], late.headers["ETag"]) == (412, "precondition_failed", '"v2"')
    path = f"{PATH}{address['id']}/"
    assert customer.call("DELETE", path, headers={"If-Match": '"v1"'}).status_code == 412
    assert customer.get(path).json()["city"] == "Köln"
    assert customer.call("DELETE", path, headers={"If-Match": '"v2"'}).status_code == 204


def test_a_repeated_create_keeps_one_address(shop: Shop) -> None:
    customer, key = shop.callers.customer(), unique("key")
    first, second = (customer.post(PATH, ADDRESS, key=key) for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert listed(customer) == [first.json()["id"]]


def test_nobody_touches_the_addresses_of_others(shop: Shop) -> None:
    customer, stranger = shop.callers.customer(), shop.callers.customer()
    address = kept(customer)
    path = f"{PATH}{address['id']}/"
    assert listed(stranger) == []
    answers = [stranger.get(path), put(stranger, address, '"v1"'), stranger.call("DELETE", path)]
    assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(404, "address_not_found")}
    for odd in ("nothing", NOBODYS):
        assert customer.get(f"{PATH}{odd}/").json()["code"] == "address_not_found"
        assert customer.call("DELETE", f"{PATH}{odd}/").json()["code"] == "address_not_found"
    assert customer.get(path).json() == address
    for other in (shop.admin, shop.callers.warehouse(), shop.callers.vendor("v")):
        assert other.get(PATH).status_code == 403


def test_service_acts_for_a_customer_whom_it_names(shop: Shop) -> None:
    customer_id = unique("customer")
    address = kept(shop.service, customer_id=customer_id)
    assert address["customer_id"] == customer_id
    assert listed(shop.service, customer_id=customer_id) == [address["id"]]
    assert listed(shop.callers.customer(customer_id)) == [address["id"]]
    assert put(shop.service, address, '"v1"', city="Köln").status_code == 200
    unnamed = [shop.service.post(PATH, ADDRESS), shop.service.get(PATH)]
    assert [(answer.status_code, answer.json()["errors"][0]["code"]) for answer in unnamed] == [
        (400, "missing_field"),
        (400, "missing_parameter"),
    ]
    refused = [
        shop.customer.post(PATH, {**ADDRESS, "customer_id": customer_id}),
        shop.customer.get(PATH, params={"customer_id": customer_id}),
    ]
    assert {(answer.status_code, answer.json()["code"]) for answer in refused} == {(403, "field_not_allowed")}


def test_addresses_come_in_pages_at_a_fixed_number_of_statements(shop: Shop) -> None:
    customer = shop.callers.customer()
    ids = [kept(customer)["id"] for _ in range(5)]
    pages = list(customer.pages(PATH, params={"limit": 2}))
    assert [[row["id"] for row in page] for page in pages] == [ids[:2], ids[2:4], ids[4:]]

    def statements(limit: int) -> int:
        def once() -> int:
            with counted(shop, "order") as count:
                customer.get(PATH, params={"limit": limit})
            return count.statements

        return min(once() for _ in range(3))

    assert statements(1) == statements(100) < 6


def test_an_order_is_placed_with_saved_addresses_and_keeps_them_whatever_becomes_of_those(shop: Shop) -> None:
    customer, sku = shop.callers.customer(), shop.sku()
    home, work = kept(customer, label="home"), kept(customer, **WORK)
    order = customer.placed((sku, 1), shipping_address=work["id"], billing_address=home["id"].upper())
    fields = set(order["shipping_address"])
    assert order["shipping_address"] == {name: work[name] for name in fields}
    assert order["billing_address"] == {name: home[name] for name in fields}
    # Taxed where the saved address is.
    assert order["tax_amount"] == "1.67"

    put(customer, work, '"v1"', city="Rom")
    customer.call("DELETE", f"{PATH}{work['id']}/")
    customer.call("DELETE", f"{PATH}{home['id']}/")

    seen = customer.order(order["id"])
    assert seen["shipping_address"] == order["shipping_address"]
    assert seen["billing_address"] == order["billing_address"]
    gone = customer.place((sku, 1), shipping_address=work["id"])
    assert (gone.status_code, gone.json()["code"]) == (422, "unknown_address")
    assert [fault["pointer"] for fault in gone.json()["errors"]] == ["/shipping_address"]


def test_only_the_customers_own_addresses_can_be_ordered_with(shop: Shop) -> None:
    sku, customer = shop.sku(), shop.callers.customer()
    address = kept(customer)["id"]
    stranger = shop.callers.customer().place((sku, 1), shipping_address=address)
    guest = shop.service.place((sku, 1), shipping_address=address)
    both = customer.place((sku, 1), shipping_address=NOBODYS, billing_address="nothing")
    assert [answer.json()["code"] for answer in (stranger, guest, both)] == ["unknown_address"] * 3
    assert [fault["pointer"] for fault in both.json()["errors"]] == ["/shipping_address", "/billing_address"]
    assert shop.service.place((sku, 1), shipping_address=address, customer_id=customer.subject).status_code == 201


def test_what_is_neither_an_address_nor_an_id_is_told_both(shop: Shop) -> None:
    (fault,) = shop.customer.place((shop.sku(), 1), shipping_address=5).json()["errors"]
    told = "must be an address, which is an object, or the id of a saved one"
    assert fault == {"pointer": "/shipping_address", "code": "wrong_type", "detail": told}


@pytest.mark.parametrize(("named", "more"), [(False, 0), (True, 1)])
def test_only_an_order_with_a_saved_address_costs_a_statement_more(shop: Shop, named: bool, more: int) -> None:
    customer, sku = shop.callers.customer(), shop.sku(stock=100)
    address = kept(customer)["id"]

    def statements(**fields: Any) -> int:
        def once() -> int:
            with counted(shop, "order") as count:
                customer.placed((sku, 1), wait=None, **fields)
            return count.statements

        return min(once() for _ in range(4))

    fields = {"shipping_address": address, "billing_address": address} if named else {}
    assert statements(**fields) == statements() + more


def test_an_order_of_a_guest_keeps_locale_metadata_and_reference(shop: Shop) -> None:
    told = {"locale": "de-AT", "external_reference": unique("ref"), "metadata": {"campaign": "autumn"}}
    order = shop.service.placed((shop.sku(), 1), customer_email="guest@shop.example", **told)
    assert (order["customer_id"], order["customer_email"]) == (None, "guest@shop.example")
    seen = shop.admin.order(order["id"])
    assert {name: seen[name] for name in told} == told
    shop.kinds(order["id"], "order.events.v1")
    event = shop.log.of(order["id"], "order.events.v1")[0].event
    assert (event["locale"], event["external_reference"], event["customer_id"]) == (
        "de-AT",
        told["external_reference"],
        None,
    )
