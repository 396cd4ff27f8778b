"""The status table over REST: moves, refusals, cancel rules, and a history that tells of each."""

from typing import Any

import pytest

from tests.support.running_shop import Shop
from tests.support.saga_tables import STATUS_TABLE
from tests.support.storefront import Client, unique

Order = dict[str, Any]
_WAY = ("confirmed", "processing", "shipped", "delivered")


def order_in(shop: Shop, status: str, **fields: Any) -> Order:
    """Bring an order of some customer into a status."""
    order = shop.customer.placed((shop.sku(), 2), **fields)
    if status == "cancelled":
        return shop.service.cancel(order).json()  # type: ignore[no-any-return]
    for step in _WAY[: _WAY.index(status) + 1] if status in _WAY else ():
        moved = shop.service.confirm(order) if step == "confirmed" else shop.admin.move(order, step)
        assert moved.status_code == 200, moved.text
    return shop.admin.order(order["id"])


@pytest.mark.parametrize("status", [status for status in STATUS_TABLE if status != "refunded"])
def test_every_move_that_the_table_does_not_have_is_refused_with_the_ones_it_has(shop: Shop, status: str) -> None:
    order = order_in(shop, status)
    allowed = STATUS_TABLE[status]
    assert set(order["allowed_transitions"]) == allowed

    for wanted in {"pending", *_WAY, "cancelled", "refunded"} - allowed - {status}:
        payment = {"provider": "p", "reference": unique("r"), "amount": order["total_amount"], "currency": "EUR"}
        # A payment of an order that has moved on, or ended, is looked at; so this one has none.
        body = {"payment": payment} if wanted == "confirmed" and status == "pending" else {}
        refused = shop.admin.move(order, wanted, **body)
        code = "order_cancelled" if (status, wanted) == ("cancelled", "confirmed") else "invalid_status_transition"
        assert (refused.status_code, refused.json()["code"]) == (409, code), wanted
        if code == "invalid_status_transition":
            told = refused.json()
            assert (told["from"], told["to"], set(told["allowed"])) == (status, wanted, allowed)
    assert shop.admin.order(order["id"]) == order


def test_refunded_again_changes_nothing(shop: Shop) -> None:
    order = order_in(shop, "delivered")
    shop.probe.execute("order", "UPDATE orders SET status = 'refunded' WHERE id = CAST(:id AS uuid)", id=order["id"])
    again = shop.admin.move(order, "refunded")
    assert (again.status_code, again.json()) == (200, {**order, "status": "refunded", "allowed_transitions": []})


@pytest.mark.parametrize("status", ["pending", *_WAY, "cancelled"])
def test_the_same_status_again_changes_nothing(shop: Shop, status: str) -> None:
    order = order_in(shop, status, payment_method="invoice" if status == "confirmed" else "card")
    again = shop.admin.move(order, status)
    if (status, again.status_code) == ("cancelled", 409):
        pytest.fail(again.text)
    assert (again.status_code, again.json()) == (200, order)


def test_processing_needs_allocated_stock(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    with shop.frozen("inventory-worker"):
        shop.service.confirm(order, wait=None)
        refused = shop.admin.move(order, "processing")
        assert (refused.status_code, refused.json()["code"]) == (409, "stock_not_allocated")
        assert int(refused.headers["Retry-After"]) > 0
    shop.await_order(order["id"], reservation_status="allocated")
    assert shop.admin.move(order, "processing").status_code == 200


def test_a_shipment_tells_carrier_tracking_and_estimate(shop: Shop) -> None:
    order = order_in(shop, "processing", shipping_method="parcel")

    shipped = shop.admin.move(order, "shipped", tracking_number="T-1", estimated_delivery="2030-01-31").json()

    assert (shipped["status"], shipped["fulfillment_status"]) == ("shipped", "fulfilled")
    (shipment,) = shipped["shipments"]
    assert (shipment["carrier"], shipment["tracking_number"], shipment["status"]) == ("DHL", "T-1", "shipped")
    assert shipment["tracking_url"] == "https://track.example/T-1"
    assert (shipment["estimated_delivery"], shipment["location"]) == ("2030-01-31", "main")
    assert [(item["sku"], item["quantity"]) for item in shipment["items"]] == [(order["items"][0]["sku"], 2)]
    assert [item["shipped_quantity"] for item in shipped["items"]] == [2]

    delivered = shop.admin.move(order, "delivered").json()
    assert delivered["shipments"][0]["status"] == "delivered"
    assert delivered["delivered_at"] == delivered["shipments"][0]["delivered_at"] is not None


def test_the_carrier_of_a_shipment_may_be_another_than_the_methods(shop: Shop) -> None:
    order = order_in(shop, "processing")
    assert shop.admin.move(order, "shipped", carrier="Bike").json()["shipments"][0]["carrier"] == "Bike"


@pytest.mark.parametrize("by", ["status", "shipment"])
def test_a_delivery_that_is_expected_before_the_goods_leave_is_refused(shop: Shop, by: str) -> None:
    order = order_in(shop, "processing")
    expected = {"estimated_delivery": "2020-01-31"}
    if by == "status":
        refused = shop.admin.move(order, "shipped", **expected)
    else:
        refused = shop.admin.post(f"{order['id']}/shipments/", expected)
    assert (refused.status_code, refused.json()["code"]) == (422, "estimate_passed")
    (fault,) = refused.json()["errors"]
    assert (fault["pointer"], "2020-01-31" in fault["detail"]) == ("/estimated_delivery", True)
    assert shop.admin.order(order["id"])["shipments"] == []


def test_goods_leave_by_a_method_that_the_shop_has_given_up(shop: Shop) -> None:
    order = order_in(shop, "processing")
    shop.probe.execute(
        "order", "UPDATE orders SET shipping_method = 'pigeon' WHERE id = CAST(:id AS uuid)", id=order["id"]
    )

    shipped = shop.admin.move(order, "shipped", tracking_number="T-1")

    assert shipped.status_code == 200, shipped.text
    (shipment,) = shipped.json()["shipments"]
    assert (shipment["carrier"], shipment["tracking_number"], shipment["tracking_url"]) == ("unspecified", "T-1", None)


@pytest.mark.parametrize("status", ["processing", "delivered", "cancelled", "pending", "refunded"])
def test_what_a_status_does_not_take_is_refused_and_not_dropped(shop: Shop, status: str) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    payment = {"provider": "p", "reference": "r", "amount": "10.00", "currency": "EUR"}
    goods = {"carrier": "X", "tracking_number": "T", "estimated_delivery": "2030-01-31"}

    refused = shop.admin.move(order, status, payment=payment, **goods).json()

    assert (refused["status"], refused["code"]) == (400, "invalid_request")
    assert {error["pointer"]: error["detail"] for error in refused["errors"]} == {
        "/payment": f"goes with status confirmed only; status {status} takes notes",
        **{f"/{name}": f"goes with status shipped only; status {status} takes notes" for name in goods},
    }
    assert shop.admin.order(order["id"])["version"] == order["version"]
    # What is null is not said.
    assert shop.admin.move(order, status, payment=None, carrier=None).status_code != 400


def test_a_payment_with_shipped_and_a_carrier_with_confirmed_are_refused_with_what_is_taken(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    payment = {"provider": "p", "reference": "r", "amount": "10.00", "currency": "EUR"}
    (paid,) = shop.admin.move(order, "shipped", payment=payment, carrier="X").json()["errors"]
    (carried,) = shop.admin.move(order, "confirmed", payment=payment, carrier="X").json()["errors"]
    assert (paid["pointer"], carried["pointer"]) == ("/payment", "/carrier")
    assert paid["detail"].endswith("status shipped takes notes, carrier, tracking_number, estimated_delivery")
    assert carried["detail"].endswith("status confirmed takes notes, payment")


def test_the_history_tells_who_did_what_and_why(shop: Shop) -> None:
    customer = shop.callers.customer()
    order = customer.placed((shop.sku(), 1))
    shop.service.confirm(order, notes="paid by phone")
    shop.admin.move(order, "processing", notes="picked")
    shop.service.cancel(order, reason="fraud_suspected", note="card was stolen")
    shop.await_order(order["id"], reservation_status="released")

    rows = shop.admin.order(order["id"])["status_history"]

    told = [(row["previous_status"], row["status"], row["reason"], row["created_by"]["type"]) for row in rows]
    assert told == [
        (None, "pending", "placed", "customer"),
        ("pending", "pending", "stock_reserved", "system"),
        ("pending", "pending", "payment_recorded", "service"),
        ("pending", "confirmed", "confirmed", "service"),
        ("confirmed", "confirmed", "stock_allocated", "system"),
        ("confirmed", "processing", "processing", "admin"),
        ("processing", "cancelled", "fraud_suspected", "service"),
        ("cancelled", "cancelled", "refund_requested", "service"),
        ("cancelled", "cancelled", "stock_released", "system"),
    ]
    assert rows[0]["created_by"]["id"] == customer.subject
    assert {row["reason"]: row["notes"] for row in rows if row["notes"]} == {
        "payment_recorded": "paid by phone",
        "confirmed": "paid by phone",
        "processing": "picked",
        "fraud_suspected": "card was stolen",
        "refund_requested": "card was stolen",
    }
    assert [row["created_at"] for row in rows] == sorted(row["created_at"] for row in rows)
    assert len(rows) == shop.admin.order(order["id"])["version"]


def test_the_history_cannot_be_changed_not_even_in_the_database(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    for statement in (
        "UPDATE order_history SET reason = 'x' WHERE order_id = CAST(:id AS uuid)",
        "UPDATE order_history SET note = 'x' WHERE order_id = CAST(:id AS uuid)",
        "UPDATE order_history SET note = NULL, actor_id = 'x' WHERE order_id = CAST(:id AS uuid)",
        "DELETE FROM order_history WHERE order_id = CAST(:id AS uuid)",
    ):
        with pytest.raises(Exception, match="append-only"):
            shop.probe.execute("order", statement, id=order["id"])


# --- cancelling


@pytest.mark.parametrize("status", ["pending", "confirmed"])
def test_a_customer_cancels_what_is_not_processed_yet(shop: Shop, status: str) -> None:
    order = order_in(shop, status)
    cancelled = shop.customer.cancel(order, note="changed my mind")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert cancelled.json()["cancel_reason"] == "customer_request"
    assert cancelled.json()["cancelled_at"] is not None
    assert cancelled.json()["allowed_transitions"] == []


@pytest.mark.parametrize("status", ["processing", "shipped"])
def test_a_customer_does_not_cancel_what_is_processed_but_the_shop_may(shop: Shop, status: str) -> None:
    order = order_in(shop, status)

    refused = shop.customer.cancel(order)
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_status_transition")

    for client in (shop.service,) if status == "processing" else (shop.admin,):
        assert client.cancel(order, reason="other").json()["cancel_reason"] == "other"


@pytest.mark.parametrize("role", ["admin", "service"])
def test_setting_cancelled_is_a_cancel_with_defaults(shop: Shop, role: str) -> None:
    order = order_in(shop, "confirmed")
    client = {"admin": shop.admin, "service": shop.service}[role]

    moved = client.move(order, "cancelled", notes="by phone").json()

    assert (moved["status"], moved["cancel_reason"]) == ("cancelled", "customer_request")
    (row,) = [row for row in moved["status_history"] if row["previous_status"] != row["status"] == "cancelled"]
    assert (row["reason"], row["notes"], row["created_by"]["type"]) == ("customer_request", "by phone", role)
    named = order_in(shop, "confirmed")
    assert client.cancel(named, wait=None).json()["cancel_reason"] == moved["cancel_reason"]


def test_nobody_cancels_what_was_delivered(shop: Shop) -> None:
    order = order_in(shop, "delivered")
    refused = shop.admin.cancel(order)
    assert (refused.status_code, refused.json()["code"]) == (409, "invalid_status_transition")
    assert (refused.json()["from"], refused.json()["to"], refused.json()["allowed"]) == (
        "delivered",
        "cancelled",
        ["refunded"],
    )


def test_cancelling_again_changes_nothing(shop: Shop) -> None:
    order = order_in(shop, "pending")
    first = shop.customer.cancel(order)
    again = shop.customer.cancel(order, reason="other", note="really")
    assert (again.status_code, again.json()) == (200, first.json())


@pytest.mark.timing
def test_a_customer_cancels_within_the_window_only(shop: Shop, hasty: Client) -> None:
    order = hasty.placed((shop.sku(), 1))

    refused = hasty.cancel(order)

    assert (refused.status_code, refused.json()["code"]) == (409, "cancel_window_closed")
    assert shop.service.at("order", hasty.urls["order"]).cancel(order).status_code == 200


@pytest.mark.parametrize("reason", ["insufficient_stock", "timeout", "expired", "because", ""])
def test_a_reason_that_is_the_sagas_own_or_none_is_refused(shop: Shop, reason: str) -> None:
    order = shop.customer.placed((shop.sku(), 1))
    refused = shop.service.cancel(order, reason=reason)
    assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (400, "/reason")


def test_a_shipped_order_that_is_cancelled_gives_nothing_back_to_stock(shop: Shop) -> None:
    order = order_in(shop, "shipped")
    sku = order["items"][0]["sku"]
    shop.await_reservation(order["id"], "shipped")

    assert shop.admin.cancel(order, wait=None).json()["status"] == "cancelled"

    assert "OrderCancelled" in shop.kinds(order["id"], "order.events.v1")
    (cancelled,) = (e for e in shop.log.of(order["id"], "order.events.v1") if e.kind == "OrderCancelled")
    shop.probe.await_taken("inventory", cancelled.event_id)
    assert shop.admin.level(sku) == (8, 0, 0)


def test_the_mail_about_a_cancellation_is_sent_unless_it_is_not_wanted(shop: Shop) -> None:
    told, untold = order_in(shop, "pending"), order_in(shop, "pending")
    shop.service.cancel(told)
    shop.service.cancel(untold, notify_customer=False)

    shop.kinds(untold["id"], "order.events.v1")
    for order in (told, untold):
        shop.probe.await_taken("notification", shop.log.of(order["id"], "order.events.v1")[-1].event_id)
    templates = "SELECT template FROM notifications WHERE subject = :id ORDER BY id"
    rows = {id_: shop.probe.rows("notification", templates, id=id_) for id_ in (told["id"], untold["id"])}
    assert [row["template"] for row in rows[told["id"]]] == ["order_placed", "order_cancelled"]
    assert [row["template"] for row in rows[untold["id"]]] == ["order_placed"]
