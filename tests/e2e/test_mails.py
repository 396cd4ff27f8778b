"""What customers and operators are told, over REST and in their mailboxes."""

import email
import email.message
import email.policy
from pathlib import Path
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.running_shop import PUBLIC_URL, Shop
from tests.support.storefront import unique


def mailbox(shop: Shop, address: str) -> list[email.message.EmailMessage]:
    """Return the mails to an address, by time of arrival."""
    files = sorted(Path(shop.stack.mails).glob("*.eml"))
    mails = [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]
    return [mail for mail in mails if mail["To"] == address]


def notified(shop: Shop, count: int, **filters: Any) -> list[dict[str, Any]]:
    """Return notifications, oldest first, once so many were sent."""

    def sent() -> list[dict[str, Any]]:
        answer = shop.admin.get("", service="notification", params={"limit": 100, **filters})
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["data"]
        assert [row["status"] for row in rows] == ["sent"] * count, rows
        return rows[::-1]

    return eventually(sent, within=20)


def test_a_customer_is_told_of_every_step(shop: Shop) -> None:
    address = f"{unique('mail')}@example.org"
    customer = shop.callers.customer(email=address)
    order = customer.placed((shop.sku(product_name="Green Tea"), 2), shipping_method="parcel")
    shop.service.confirm(order)
    for status in ("processing", "shipped", "delivered"):
        shop.admin.move(order, status, **({"tracking_number": "T-42"} if status == "shipped" else {}))

    rows = notified(shop, 5, order_id=order["id"])

    assert [row["template"] for row in rows] == [
        "order_placed",
        "order_confirmed",
        "order_processing",
        "order_shipped",
        "order_delivered",
    ]
    assert {(row["recipient"], row["audience"], row["channel"]) for row in rows} == {(address, "customer", "email")}
    mails = mailbox(shop, address)
    assert len(mails) == 5
    assert len({mail["Message-ID"] for mail in mails}) == 5
    for mail in mails:
        assert order["order_number"] in mail["Subject"]
        assert {part.get_content_type() for part in mail.walk()} >= {"text/plain", "text/html"}
    text = mails[0].get_body(("plain",))
    assert text is not None
    assert "Green Tea" in text.get_content()
    shipped = mails[3].get_body(("plain",))
    assert shipped is not None
    assert "T-42" in shipped.get_content()
    assert f"Your whole order: {PUBLIC_URL}/api/v1/track/" in shipped.get_content()


@pytest.mark.parametrize(
    ("stock", "reason"), [(0, "insufficient_stock"), (10, "customer_request")], ids=["no stock", "on request"]
)
def test_a_customer_is_told_why_their_order_was_cancelled_in_words(shop: Shop, stock: int, reason: str) -> None:
    address = f"{unique('mail')}@example.org"
    customer = shop.callers.customer(email=address)
    placed = customer.place((shop.sku(stock=stock), 1), wait=10).json()
    order_id = placed.get("order_id") or placed["id"]
    if reason == "customer_request":
        customer.cancel({"id": order_id})

    rows = notified(shop, 2, order_id=order_id)

    assert [row["template"] for row in rows] == ["order_placed", "order_cancelled"]
    body = mailbox(shop, address)[-1].get_body(("plain",))
    assert body is not None
    words = {"insufficient_stock": "not everything in it is in stock", "customer_request": "you asked us to cancel it"}
    assert words[reason] in body.get_content()


def test_a_guest_without_an_address_is_told_nothing(shop: Shop) -> None:
    order = shop.service.placed((shop.sku(), 1))
    shop.kinds(order["id"], "order.events.v1")
    shop.probe.await_taken("notification", shop.log.of(order["id"], "order.events.v1")[0].event_id)
    assert shop.admin.get("", service="notification", params={"order_id": order["id"]}).json()["data"] == []


def test_an_operator_is_told_of_low_stock(shop: Shop) -> None:
    sku = shop.sku(stock=10, low_stock_threshold=5)
    shop.customer.placed((sku, 6))

    def told() -> dict[str, Any]:
        rows = shop.admin.get("", service="notification", params={"template": "low_stock", "limit": 100}).json()["data"]
        (row,) = [row for row in rows if row["sku"] == sku and row["status"] == "sent"] or [None]
        assert row is not None
        return dict(row)

    row = eventually(told, within=20)
    assert (row["recipient"], row["audience"], row["order_id"]) == ("operator@shop.example", "operator", None)


def test_a_mail_that_is_refused_for_good_fails_visibly(shop: Shop) -> None:
    customer = shop.callers.customer(email=f"{unique('mail')}@permanent-failure.example")
    order = customer.placed((shop.sku(), 1))

    def failed() -> dict[str, Any]:
        (row,) = shop.admin.get("", service="notification", params={"order_id": order["id"]}).json()["data"]
        assert row["status"] == "failed"
        return dict(row)

    row = eventually(failed, within=20)
    assert (row["smtp_status"], row["attempts"]) == (550, 1)
    assert shop.kinds(order["id"], "notification.events.v1") == ["NotificationFailed"]


def test_a_mail_that_is_put_off_is_tried_again_later(shop: Shop) -> None:
    customer = shop.callers.customer(email=f"{unique('mail')}@temporary-failure.example")
    order = customer.placed((shop.sku(), 1))

    def put_off() -> dict[str, Any]:
        (row,) = shop.admin.get("", service="notification", params={"order_id": order["id"]}).json()["data"]
        assert row["attempts"] >= 1
        assert row["status"] == "queued"
        return dict(row)

    row = eventually(put_off, within=20)
    assert row["smtp_status"] == 451
    assert row["next_attempt_at"] is not None


def test_notifications_are_listed_and_shown_to_admins_only(shop: Shop) -> None:
    order = shop.callers.customer().placed((shop.sku(), 1))
    (row,) = notified(shop, 1, order_id=order["id"])
    assert shop.admin.get(f"{row['id']}/", service="notification").json() == row
    for client in (shop.customer, shop.service, shop.callers.warehouse(), shop.callers.vendor("v")):
        assert client.get("", service="notification").status_code == 403
        assert client.get(f"{row['id']}/", service="notification").status_code == 403


def test_notifications_are_filtered_by_recipient_status_and_template(shop: Shop) -> None:
    address = f"{unique('mail')}@example.org"
    customer = shop.callers.customer(email=address)
    order = customer.placed((shop.sku(), 1))
    customer.cancel(order)
    notified(shop, 2, recipient=address)
    for filters, count in (
        ({"template": "order_placed"}, 1),
        ({"template": "order_placed", "status": "sent"}, 1),
        ({"status": "failed"}, 0),
    ):
        rows = shop.admin.get("", service="notification", params={"recipient": address, **filters}).json()["data"]
        assert len(rows) == count
