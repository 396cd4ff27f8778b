"""Who sees and touches what: what is not yours is not there."""

from typing import Any

import pytest

from tests.support.running_shop import Shop
from tests.support.storefront import Client, unique

Order = dict[str, Any]
# What tells how much others sold, who pays, or what for beside the goods.
HIDDEN = ("customer_email", "billing_address", "shipping_amount", "amount_due", "refunded_amount")


@pytest.fixture
def shared(shop: Shop) -> tuple[Order, str, str]:
    """An order with a line of each of two vendors, and the vendors."""
    ours, theirs = unique("vendor"), unique("vendor")
    own, foreign = shop.sku(vendor_id=ours, price="3.00"), shop.sku(vendor_id=theirs, price="500.00")
    order = shop.callers.customer().placed((own, 2), (foreign, 1))
    return order, ours, theirs


def ids(client: Client, path: str, **parameters: Any) -> set[str]:
    """Return the ids in a list."""
    pages = client.pages(path, params={"limit": 100, **parameters})
    return {row["id"] for page in pages for row in page}


def test_a_customer_sees_only_their_own_orders(shop: Shop) -> None:
    ada, bob = shop.callers.customer(), shop.callers.customer()
    sku = shop.sku()
    hers, his = ada.placed((sku, 1)), bob.placed((sku, 1))

    assert ids(ada, "") == {hers["id"]}
    assert ids(bob, "") == {his["id"]}
    assert ids(ada, "", customer_id=bob.subject) == set()
    for foreign in (his["id"], his["order_number"]):
        assert ada.get(f"{foreign}/").status_code == 404
    assert ada.cancel(his).status_code == 404
    assert shop.admin.order(his["id"])["status"] == "pending"


def test_an_order_is_found_by_its_number_too(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    assert customer.get(f"{order['order_number']}/").json() == customer.order(order["id"])
    assert customer.get(f"{order['id'].upper()}").json()["id"] == order["id"]


def test_service_and_admin_see_all_orders(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    for client in (shop.service, shop.admin):
        assert client.order(order["id"])["customer_email"] == "ada@example.org"
        assert ids(client, "", customer_id=customer.subject) == {order["id"]}
    assert ids(shop.admin, "admin/", customer_id=customer.subject) == {order["id"]}


@pytest.mark.parametrize("role", ["customer", "vendor", "warehouse", "service"])
def test_the_list_of_all_orders_is_for_admins(shop: Shop, role: str) -> None:
    client = {
        "customer": shop.customer,
        "vendor": shop.callers.vendor("v"),
        "warehouse": shop.callers.warehouse(),
        "service": shop.service,
    }[role]
    refused = client.get("admin/")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_role")
    assert refused.json()["allowed_roles"] == ["admin"]


def test_a_vendor_sees_orders_with_their_lines_and_only_those_lines(shop: Shop, shared: tuple[Order, str, str]) -> None:
    order, ours, _ = shared
    vendor = shop.callers.vendor(ours)
    stranger = shop.callers.vendor(unique("vendor"))

    for seen in (vendor.order(order["id"]), vendor.get("vendor/").json()["data"][0]):
        assert seen["id"] == order["id"]
        assert [item["vendor_id"] for item in seen["items"]] == [ours]
        assert (seen["subtotal"], seen["total_amount"], seen["tax_amount"]) == ("6.00", "6.00", "0.00")
        assert {name: seen[name] for name in HIDDEN} == dict.fromkeys(HIDDEN)
    assert "ada@example.org" not in vendor.get(f"{order['id']}/").text
    assert stranger.get(f"{order['id']}/").status_code == 404
    assert ids(stranger, "vendor/") == set()


def test_a_vendor_reads_nothing_that_was_written_for_others(shop: Shop) -> None:
    ours, theirs = unique("vendor"), unique("vendor")
    words = {"notes": "ring Grace's bell", "metadata": {"gift": "for Grace"}, "external_reference": "grace@example.org"}
    order = shop.service.placed((shop.sku(vendor_id=ours), 1), (shop.sku(vendor_id=theirs), 1), **words)
    assert shop.service.confirm(order).status_code == 200
    moved = shop.admin.move(order, "processing", notes="Grace called")
    assert moved.status_code == 200, moved.text
    vendor = shop.callers.vendor(ours)
    for shown in (
        vendor.get(f"{order['id']}/"),
        vendor.get("vendor/", params={"expand": "status_history"}),
        vendor.get(f"{order['id']}/tracking/"),
    ):
        assert shown.status_code == 200, shown.text
        assert "grace" not in shown.text.lower()
    assert "Grace" in shop.admin.get(f"{order['id']}/").text


def test_a_vendor_of_every_line_reads_the_notes_that_they_may_change_but_no_metadata(shop: Shop) -> None:
    ours = unique("vendor")
    order = shop.service.placed((shop.sku(vendor_id=ours), 1), notes="ring twice", metadata={"gift": "for Grace"})
    seen = shop.callers.vendor(ours).order(order["id"])
    assert (seen["notes"], seen["metadata"], seen["external_reference"]) == ("ring twice", {}, None)


def test_a_vendor_is_told_of_their_own_shortages_only(shop: Shop) -> None:
    ours, theirs = unique("vendor"), unique("vendor")
    own, foreign = shop.sku(vendor_id=ours, stock=0), shop.sku(vendor_id=theirs, stock=0)
    refused = shop.customer.place((own, 1), (foreign, 1), wait=10).json()

    seen = shop.callers.vendor(ours).order(refused["order_id"])

    assert [row["sku"] for row in seen["shortages"]] == [own]


def test_a_vendor_sees_only_their_units_of_a_shipment(shop: Shop, shared: tuple[Order, str, str]) -> None:
    order, ours, _ = shared
    shop.service.confirm(order)
    for status in ("processing", "shipped"):
        assert shop.admin.move(order, status).status_code == 200

    (shipment,) = shop.callers.vendor(ours).order(order["id"])["shipments"]

    assert [item["quantity"] for item in shipment["items"]] == [2]


def test_a_vendor_moves_on_an_order_that_is_theirs_alone(shop: Shop) -> None:
    ours = unique("vendor")
    order = shop.customer.placed((shop.sku(vendor_id=ours), 1))
    shop.service.confirm(order)
    vendor = shop.callers.vendor(ours)

    for status in ("processing", "shipped", "delivered"):
        moved = vendor.move(order, status)
        assert (moved.status_code, moved.json()["status"]) == (200, status)
        assert moved.json()["customer_email"] is None
    last = shop.admin.order(order["id"])["status_history"][-1]
    assert last["created_by"] == {"type": "vendor", "id": vendor.subject}


def test_a_vendor_moves_no_order_that_others_have_a_share_in(shop: Shop, shared: tuple[Order, str, str]) -> None:
    order, ours, _ = shared
    shop.service.confirm(order)

    refused = shop.callers.vendor(ours).move(order, "processing")

    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_role")
    assert shop.admin.order(order["id"])["status"] == "confirmed"


@pytest.mark.parametrize("status", ["confirmed", "cancelled"])
def test_a_vendor_neither_confirms_nor_cancels(shop: Shop, status: str) -> None:
    ours = unique("vendor")
    order = shop.customer.placed((shop.sku(vendor_id=ours), 1))
    vendor = shop.callers.vendor(ours)

    assert vendor.move(order, status).status_code == 403
    assert vendor.confirm(order).status_code == 403
    assert vendor.cancel(order).status_code == 403
    assert shop.admin.order(order["id"])["status"] == "pending"


def test_a_vendor_without_an_id_is_nobody(shop: Shop) -> None:
    nobody = shop.callers.having(shop.callers.token("vendor", "somebody"))
    assert nobody.get("vendor/").status_code == 403


def test_the_warehouse_sees_an_order_and_changes_nothing_of_it(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    warehouse = shop.callers.warehouse()

    assert warehouse.order(order["id"])["items"] == order["items"]
    for refused in (
        warehouse.get(""),
        warehouse.place((order["items"][0]["sku"], 1)),
        warehouse.confirm(order),
        warehouse.cancel(order),
        warehouse.move(order, "cancelled"),
    ):
        assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_role")


def test_the_warehouse_sees_lines_and_where_they_go_but_not_who_pays_and_how_much(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(price="3.00"), 2), shipping_method="parcel")
    answer = shop.callers.warehouse().get(f"{order['id']}/")

    seen = answer.json()
    assert (seen["items"], seen["shipping_address"]) == (order["items"], order["shipping_address"])
    assert {name: seen[name] for name in HIDDEN} == dict.fromkeys(HIDDEN)
    assert (order["total_amount"], seen["subtotal"], seen["total_amount"]) == ("10.90", "6.00", "6.00")
    assert "ada@example.org" not in answer.text


def test_a_warehouse_with_locations_sees_what_lies_or_lay_there_only(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 3))
    here, elsewhere = (
        shop.callers.having(shop.callers.token("warehouse", locations=[place])) for place in ("main", "berlin")
    )

    def seen() -> tuple[int, int]:
        return here.get(f"{order['id']}/").status_code, elsewhere.get(f"{order['id']}/").status_code

    assert seen() == (200, 404)
    shop.service.confirm(order)
    shop.admin.move(order, "processing")
    assert seen() == (200, 404)
    for path in ("shipments/", "label/"):
        assert elsewhere.get(f"{order['id']}/{path}").status_code == 404
    assert elsewhere.post(f"{order['id']}/shipments/").status_code == 404
    shop.admin.cancel(order)
    shop.await_order(order["id"], reservation_status="released")
    assert seen() == (200, 404), "its goods may have left there all the same"
    assert here.post(f"{order['id']}/shipments/").json()["unexpected"] is True
    assert seen() == (200, 404)


@pytest.mark.parametrize("role", ["admin", "vendor", "warehouse"])
def test_only_customers_and_the_storefront_place_orders(shop: Shop, role: str) -> None:
    client = {"admin": shop.admin, "vendor": shop.callers.vendor("v"), "warehouse": shop.callers.warehouse()}[role]
    assert client.place(("SKU", 1)).status_code == 403


def test_a_customer_confirms_no_order_and_moves_none(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    assert customer.confirm(order).status_code == 403
    assert customer.move(order, "cancelled").status_code == 403


def test_a_customers_id_and_e_mail_come_from_the_token(shop: Shop) -> None:
    customer = shop.callers.customer(email="eve@example.org")
    order = customer.placed((shop.sku(), 1))
    assert (order["customer_id"], order["customer_email"]) == (customer.subject, "eve@example.org")


@pytest.mark.parametrize(
    "field",
    [{"customer_id": "c-2"}, {"customer_email": "b@example.org"}, {"discounts": [{"code": "X", "amount": "1"}]}],
)
def test_a_customer_does_not_say_what_only_the_storefront_may(shop: Shop, field: dict[str, Any]) -> None:
    refused = shop.customer.place((shop.sku(), 1), **field)
    assert (refused.status_code, refused.json()["code"]) == (403, "field_not_allowed")
    assert [error["pointer"] for error in refused.json()["errors"]] == [f"/{name}" for name in field]


def test_the_storefront_places_for_a_customer_and_for_a_guest(shop: Shop) -> None:
    sku, customer = shop.sku(), shop.callers.customer()
    named = shop.service.placed((sku, 1), customer_id=customer.subject, customer_email="c@example.org")
    guest = shop.service.placed((sku, 1), customer_email="guest@example.org")

    assert customer.order(named["id"])["customer_email"] == "c@example.org"
    assert (guest["customer_id"], guest["customer_email"]) == (None, "guest@example.org")
    assert ids(customer, "") == {named["id"]}


def test_what_is_not_public_is_shown_to_the_storefront_and_admins_only(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))

    own = {row["reason"] for row in customer.order(order["id"])["status_history"]}
    all_of_it = {row["reason"] for row in shop.admin.order(order["id"])["status_history"]}

    assert own == {"placed"}
    assert all_of_it == {"placed", "stock_reserved"}
    assert {row["reason"] for row in shop.service.order(order["id"])["status_history"]} == all_of_it
