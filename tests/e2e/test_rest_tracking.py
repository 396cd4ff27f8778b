"""Following an order: by its customer and vendors, and by anybody with the link from a mail."""

from typing import Any

from tests.support.running_shop import PUBLIC_URL, Shop
from tests.support.storefront import unique

Order = dict[str, Any]


def shipped(shop: Shop, **variant: Any) -> Order:
    """Return an order that has left."""
    order = shop.customer.placed((shop.sku(**variant), 1), shipping_method="parcel")
    assert shop.service.confirm(order).status_code == 200
    shop.await_order(order["id"], reservation_status="allocated")
    for status in ("processing", "shipped"):
        parts = {"tracking_number": "T 1/2"} if status == "shipped" else {}
        answer = shop.admin.move(order, status, **parts)
        assert answer.status_code == 200, answer.text
    found: Order = answer.json()
    return found


def test_an_order_is_followed_by_its_customer_and_by_a_link_that_tells_nobody_more(shop: Shop) -> None:
    order = shipped(shop)
    told = shop.customer.get(f"{order['id']}/tracking/")
    assert told.status_code == 200, told.text
    (parcel,) = told.json()["shipments"]
    assert (parcel["number"], parcel["carrier"]) == (f"{order['order_number']}-1", "DHL")
    assert parcel["tracking_url"] == "https://track.example/T%201%2F2"
    assert [change["status"] for change in told.json()["history"]] == ["pending", "confirmed", "processing", "shipped"]

    by_link = shop.callers.having(None).get(told.json()["link"])
    assert by_link.status_code == 200, by_link.text
    assert by_link.json() == {**told.json(), "link": None}
    for secret in ("Ada", "ada@example.org", order["items"][0]["sku"], order["total_amount"]):
        assert secret not in by_link.text


def test_a_link_that_is_none_of_ours_opens_nothing(shop: Shop) -> None:
    order = shipped(shop)
    link = shop.customer.get(f"{order['id']}/tracking/").json()["link"]
    forged = link[:-3] + ("AA/" if link[-3:] != "AA/" else "BB/")
    for path in (forged, "/api/v1/track/anything/"):
        answer = shop.callers.having(None).get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "link_invalid")


def test_a_vendor_follows_their_own_part_only(shop: Shop) -> None:
    vendor = unique("vendor")
    order = shipped(shop, vendor_id=vendor)
    seen = shop.callers.vendor(vendor).get(f"{order['id']}/tracking/")
    assert [parcel["number"] for parcel in seen.json()["shipments"]] == [f"{order['order_number']}-1"]
    # The link shows everybody's shipments.
    assert seen.json()["link"] is None
    assert shop.callers.vendor(unique("vendor")).get(f"{order['id']}/tracking/").status_code == 404


def test_a_shipment_tells_where_its_order_is_followed(shop: Shop) -> None:
    order = shipped(shop)
    link = shop.customer.get(f"{order['id']}/tracking/").json()["link"]
    shop.kinds(order["id"], "order.events.v1")
    (told,) = [r.event for r in shop.log.of(order["id"], "order.events.v1") if r.kind == "OrderShipped"]
    assert told["follow_url"] == PUBLIC_URL + link
