"""Edits of an order's lines over REST: what they ask of inventory, what they cost, and what a refused one leaves."""

from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.shipping import ship
from tests.support.storefront import unique

ANSWERS, EVENTS = "inventory.events.v1", "order.events.v1"
Order = dict[str, Any]


def reserved(shop: Shop, *items: tuple[str, int], **fields: Any) -> Order:
    """Return a pending order whose stock is reserved."""
    return shop.customer.placed(*items, **fields)


def allocated(shop: Shop, *items: tuple[str, int], **fields: Any) -> Order:
    """Return a paid order whose stock is allocated."""
    order = reserved(shop, *items, **fields)
    confirmed = shop.service.confirm(order)
    assert (confirmed.status_code, confirmed.json()["reservation_status"]) == (200, "allocated"), confirmed.text
    paid: Order = confirmed.json()
    return paid


def told(shop: Shop, order: Order, kind: str) -> Any:
    """Return an order's only event of a kind, once inventory has taken it."""
    shop.kinds(order["id"], EVENTS)
    (entry,) = [entry for entry in shop.log.of(order["id"], EVENTS) if entry.kind == kind]
    shop.probe.await_taken("inventory", entry.event_id)
    return entry.event


def but(order: Order, *names: str) -> Order:
    """Return an order without what every change of it changes, and without these members."""
    left_out = {"version", "updated_at", "status_history", "last_revision", *names}
    return {name: value for name, value in order.items() if name not in left_out}


def test_an_added_line_is_reserved_beside_the_others_and_only_then_in_the_order(shop: Shop) -> None:
    first, second = shop.sku(stock=5, price="10.00"), shop.sku(stock=5, price="2.50")
    order = reserved(shop, (first, 2))

    added = shop.admin.add_item(order, second, 3)

    assert added.status_code == 200, added.text
    assert added.headers["Preference-Applied"] == "wait=10"
    edit = added.json()
    assert (edit["revision"], edit["status"], edit["reason"], edit["shortages"]) == (1, "applied", None, [])
    assert (edit["total_amount"], edit["price_difference"]) == ("27.50", "7.50")
    now = shop.admin.order(order["id"])
    assert [(item["sku"], item["quantity"], item["total_price"]) for item in now["items"]] == [
        (first, 2, "20.00"),
        (second, 3, "7.50"),
    ]
    assert (now["status"], now["pending_operation"], now["reservation_status"]) == ("pending", None, "reserved")
    assert (now["subtotal"], now["total_amount"], now["amount_due"]) == ("27.50", "27.50", "27.50")
    assert now["items"][0]["id"] == order["items"][0]["id"]
    assert now["last_revision"] == {
        name: edit[name] for name in ("revision", "status", "reason", "shortages", "created_at", "settled_at")
    }
    assert added.headers["ETag"] == f'"v{now["version"]}"'
    assert shop.admin.level(first) == (5, 2, 0)
    assert shop.admin.level(second) == (5, 3, 0)
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderRevisionRequested", "OrderRevised"]
    assert shop.kinds(order["id"], ANSWERS) == ["StockReserved", "StockReserved"]
    answer = shop.log.of(order["id"], ANSWERS)[-1].event
    assert answer["revision"] == 1
    assert answer["lines"] == [
        {"sku": first, "quantity": 2, "location": "main"},
        {"sku": second, "quantity": 3, "location": "main"},
    ]


def test_an_edit_is_accepted_at_once_and_tells_where_it_can_be_looked_at(shop: Shop) -> None:
    order, sku = reserved(shop, (shop.sku(), 1)), shop.sku()

    with shop.frozen("inventory-worker"):
        accepted = shop.admin.add_item(order, sku, wait=None)
        path = accepted.headers["Location"]
        assert (accepted.status_code, accepted.json()["status"]) == (202, "pending")
        assert path == f"/api/v1/orders/{order['id']}/revisions/1/"
        assert shop.admin.get(path).json() == accepted.json()
        waiting = shop.admin.order(order["id"])
        assert waiting["pending_operation"] == "revising"
        assert but(waiting, "pending_operation") == but(order, "pending_operation"), "nothing of it is true yet"

    shop.await_order(order["id"], pending_operation=None)
    assert shop.admin.get(path).json()["status"] == "applied"
    for nobody in ("2", "0", "x", "1" * 12, "²"):
        missing = shop.admin.get(f"{order['id']}/revisions/{nobody}/")
        assert (missing.status_code, missing.json()["code"]) == (404, "revision_not_found"), nobody
        assert missing.json()["detail"] == f"order {order['order_number']} has no revision {nobody!r}; its last is 1"
    unedited = reserved(shop, (sku, 1))
    missing = shop.admin.get(f"{unedited['id']}/revisions/1/").json()
    assert missing["detail"] == f"order {unedited['order_number']} has no revision '1'; its lines were never edited"


def test_a_line_that_grows_takes_only_the_difference_and_keeps_its_price(shop: Shop) -> None:
    sku = shop.sku(stock=5, price="10.00")
    order = reserved(shop, (sku, 3))
    shop.admin.put_variant(sku, price="99.00")

    grown = shop.admin.change_item(order, order["items"][0], 5)

    assert (grown.status_code, grown.json()["total_amount"]) == (200, "50.00"), grown.text
    (item,) = shop.admin.order(order["id"])["items"]
    assert (item["unit_price"], item["quantity"]) == ("10.00", 5)
    assert shop.admin.level(sku) == (5, 5, 0)
    assert shop.probe.movements(order["id"]) == [("reserved", sku, 0, 3, 0), ("reserved", sku, 0, 2, 0)]


@pytest.mark.parametrize("stage", [reserved, allocated])
def test_a_line_that_shrinks_is_released_last(shop: Shop, stage: Any) -> None:
    sku = shop.sku(stock=5, price="10.00")
    order = stage(shop, (sku, 5))
    bucket = 1 if stage is reserved else 2

    shrunk = shop.admin.change_item(order, order["items"][0], 2)

    assert (shrunk.status_code, shrunk.json()["price_difference"]) == (200, "-30.00"), shrunk.text
    assert told(shop, order, "OrderRevised")["revision"] == 1
    assert shop.admin.level(sku)[bucket] == 2
    assert [kind for kind, *_ in shop.probe.movements(order["id"])][-1] == "released"


def test_a_line_of_an_allocated_order_that_grows_is_allocated_at_once(shop: Shop) -> None:
    sku = shop.sku(stock=5, price="10.00")
    order = allocated(shop, (sku, 1))

    grown = shop.admin.change_item(order, order["items"][0], 3)

    assert grown.status_code == 200, grown.text
    now = shop.admin.order(order["id"])
    assert (now["status"], now["reservation_status"], now["amount_due"]) == ("confirmed", "allocated", "20.00")
    assert shop.admin.level(sku) == (5, 0, 3)


def test_a_removed_line_is_released_and_the_last_one_cannot_be_removed(shop: Shop) -> None:
    first, second = shop.sku(stock=5), shop.sku(stock=5)
    order = reserved(shop, (first, 2), (second, 2))

    removed = shop.admin.remove_item(order, order["items"][0])

    assert removed.status_code == 200, removed.text
    now = shop.admin.order(order["id"])
    assert [item["sku"] for item in now["items"]] == [second]
    told(shop, order, "OrderRevised")
    assert (shop.admin.level(first), shop.admin.level(second)) == ((5, 0, 0), (5, 2, 0))
    refused = shop.admin.remove_item(now, now["items"][0])
    assert (refused.status_code, refused.json()["code"]) == (409, "last_item")


@pytest.mark.parametrize("stage", [reserved, allocated])
def test_an_edit_that_does_not_fit_leaves_order_and_stock_as_they_were(shop: Shop, stage: Any) -> None:
    sku, other, rare = shop.sku(stock=5), shop.sku(stock=5), shop.sku(stock=1)
    order = stage(shop, (sku, 3), (other, 1))
    before = shop.probe.reservation(order["id"]), shop.probe.movements(order["id"])
    row = shop.probe.order(order["id"])

    refused = shop.admin.add_item(order, rare, 2)

    assert (refused.status_code, refused.json()["code"]) == (409, "insufficient_stock"), refused.text
    problem = refused.json()
    assert (problem["order_id"], problem["order_number"], problem["revision"]) == (
        order["id"],
        order["order_number"],
        1,
    )
    assert problem["detail"].endswith(f" was rejected: not all of it fits: {rare} (2 wanted, 1 available)")
    (short,) = problem["shortages"]
    assert (short["sku"], short["requested"], short["available"]) == (rare, 2, 1)
    assert short["product_name"] == f"Product {rare}"
    now = shop.admin.order(order["id"])
    assert but(now) == but(order)
    assert (now["last_revision"]["status"], now["last_revision"]["reason"]) == ("rejected", "insufficient_stock")
    assert now["last_revision"]["shortages"] == problem["shortages"]
    assert now["shortages"] == [], "those would be why the order was cancelled"
    counted = {"version", "events", "updated_at", "revision"}
    assert row is not None
    assert {k: v for k, v in (shop.probe.order(order["id"]) or {}).items() if k not in counted} == {
        k: v for k, v in row.items() if k not in counted
    }
    assert shop.kinds(order["id"], EVENTS)[-2:] == ["OrderRevisionRequested", "OrderRevisionRejected"]
    rejected = told(shop, order, "OrderRevisionRejected")
    assert (rejected["revision"], rejected["reason"]) == (1, "insufficient_stock")
    assert rejected["shortages"] == [{"sku": rare, "requested": 2, "available": 1, "expected_at": None}]
    after = shop.probe.reservation(order["id"]) or {}
    assert (after["status"], after["lines"]) == ((before[0] or {})["status"], (before[0] or {})["lines"])
    assert shop.probe.movements(order["id"]) == before[1]


def test_the_shortage_of_a_line_that_grows_counts_what_is_held_for_it(shop: Shop) -> None:
    sku = shop.sku(stock=5)
    order = reserved(shop, (sku, 3))

    refused = shop.admin.change_item(order, order["items"][0], 8)

    (short,) = refused.json()["shortages"]
    assert (short["requested"], short["available"]) == (8, 5)


def test_a_refused_edit_can_be_followed_by_one_that_fits(shop: Shop) -> None:
    sku = shop.sku(stock=5)
    order = reserved(shop, (sku, 3))
    assert shop.admin.change_item(order, order["items"][0], 6).status_code == 409

    now = shop.admin.order(order["id"])
    fits = shop.admin.change_item(now, now["items"][0], 5)

    assert (fits.status_code, fits.json()["revision"]) == (200, 2)
    assert shop.admin.level(sku) == (5, 5, 0)


def test_what_was_paid_beyond_the_new_total_is_refunded(shop: Shop) -> None:
    sku = shop.sku(stock=5, price="10.00")
    order = allocated(shop, (sku, 5))

    assert shop.admin.change_item(order, order["items"][0], 2).status_code == 200

    now = shop.admin.order(order["id"])
    assert (now["payment_status"], now["amount_due"]) == ("refund_due", "0.00")
    (refund,) = shop.service.get(f"{order['id']}/refunds/").json()["data"]
    assert (refund["amount"], refund["status"], refund["reason"]) == ("30.00", "pending", "revised")
    revised = told(shop, order, "OrderRevised")
    assert (revised["refund_due_minor"], revised["amount_due_minor"], revised["total_minor"]) == (3000, 0, 2000)


def test_what_is_missing_is_paid_before_the_order_is_handed_over(shop: Shop) -> None:
    order = allocated(shop, (shop.sku(stock=5, price="10.00"), 1))
    assert shop.admin.change_item(order, order["items"][0], 3).status_code == 200

    refused = shop.admin.move(order, "processing")

    assert (refused.status_code, refused.json()["code"]) == (409, "amount_due_open")
    now = shop.admin.order(order["id"])
    assert (now["payment_status"], now["amount_due"]) == ("pending", "20.00")
    assert shop.service.confirm(now).status_code == 200
    assert shop.admin.order(order["id"])["payment_status"] == "paid"
    assert shop.admin.move(order, "processing").status_code == 200


def test_an_invoice_that_grows_is_handed_over_all_the_same(shop: Shop) -> None:
    order = reserved(shop, (shop.sku(stock=5), 1), payment_method="invoice")
    assert shop.service.post(f"{order['id']}/confirm/", {}, wait=10).status_code == 200
    now = shop.admin.order(order["id"])
    assert shop.admin.change_item(now, now["items"][0], 3).status_code == 200
    assert shop.admin.move(order, "processing").status_code == 200


def test_an_order_in_the_warehouse_can_be_edited_until_it_leaves(shop: Shop) -> None:
    first, second = shop.sku(stock=5), shop.sku(stock=5)
    order = allocated(shop, (first, 2))
    assert shop.admin.move(order, "processing").status_code == 200

    assert shop.admin.add_item(order, second).status_code == 200

    for unpaid in (shop.admin.move(order, "shipped"), ship(shop.admin, order)):
        assert (unpaid.status_code, unpaid.json()["code"]) == (409, "amount_due_open"), unpaid.text
    now = shop.admin.order(order["id"])
    assert shop.service.confirm(now).status_code == 200
    shipped = shop.admin.move(order, "shipped")
    assert shipped.status_code == 200, shipped.text
    (shipment,) = shipped.json()["shipments"]
    assert [(item["sku"], item["quantity"]) for item in shipment["items"]] == [(first, 2), (second, 1)]
    shop.await_reservation(order["id"], "shipped")
    assert (shop.admin.level(first), shop.admin.level(second)) == ((3, 0, 0), (4, 0, 0))
    refused = shop.admin.add_item(order, first)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_editable")


def test_a_discount_stays_the_amount_that_was_granted_and_is_spread_anew(shop: Shop) -> None:
    first, second = shop.sku(price="10.00"), shop.sku(price="30.00")
    answer = shop.service.place(
        (first, 1), (second, 1), wait=10, discounts=[{"code": "ten", "amount": "8.00"}], customer_id="c"
    )
    order = answer.json()
    assert [item["discount_amount"] for item in order["items"]] == ["2.00", "6.00"]

    assert shop.admin.change_item(order, order["items"][0], 3).status_code == 200

    now = shop.admin.order(order["id"])
    assert (now["discount_amount"], now["total_amount"]) == ("8.00", "52.00")
    assert [item["discount_amount"] for item in now["items"]] == ["4.00", "4.00"]
    assert shop.admin.remove_item(now, now["items"][1]).status_code == 200
    less = shop.admin.order(order["id"])
    assert shop.admin.change_item(less, less["items"][0], 1).status_code == 200
    assert shop.admin.order(order["id"])["total_amount"] == "2.00"


def test_a_discount_that_an_edit_cut_is_whole_again_once_the_order_comes_to_as_much(shop: Shop) -> None:
    granted = [{"code": "fifty", "amount": "50.00"}]
    order = shop.service.placed((shop.sku(stock=20, price="10.00"), 10), wait=10, discounts=granted, customer_id="c")
    (item,) = order["items"]
    for quantity, discount, total in ((3, "30.00", "0.00"), (10, "50.00", "50.00")):
        assert shop.admin.change_item(shop.admin.order(order["id"]), item, quantity).status_code == 200
        now = shop.admin.order(order["id"])
        assert (now["discount_amount"], now["total_amount"]) == (discount, total)


def test_shipping_and_tax_follow_the_new_lines(shop: Shop) -> None:
    sku = shop.sku(price="20.00")
    address = {**shop.admin.order(reserved(shop, (sku, 1))["id"])["shipping_address"], "country_code": "AT"}
    order = reserved(shop, (sku, 2), shipping_method="parcel", shipping_address=address)
    assert (order["shipping_amount"], order["tax_amount"], order["total_amount"]) == ("4.90", "7.49", "44.90")

    assert shop.admin.change_item(order, order["items"][0], 3).status_code == 200

    now = shop.admin.order(order["id"])
    assert (now["shipping_amount"], now["tax_amount"], now["total_amount"]) == ("0.00", "10.00", "60.00")


def test_a_dry_run_tells_what_an_edit_would_come_to_and_changes_nothing(shop: Shop) -> None:
    first, second = shop.sku(stock=5, price="10.00"), shop.sku(stock=5, price="2.50")
    order = reserved(shop, (first, 2))
    before = shop.probe.order(order["id"])
    (item,) = order["items"]

    added = shop.admin.add_item(order, second, 3, params={"dry_run": "true"})
    grown = shop.admin.change_item(order, item, 500, params={"dry_run": "true"})
    last = shop.admin.remove_item(order, item, params={"dry_run": "true"})

    assert added.status_code == 200, added.text
    tried = added.json()
    assert (tried["feasible"], tried["obstacles"]) == (True, [])
    assert (tried["total_amount"], tried["price_difference"]) == ("27.50", "7.50")
    assert [(row["sku"], row["quantity"]) for row in tried["items"]] == [(first, 2), (second, 3)]
    assert (grown.json()["feasible"], grown.json()["price_difference"]) == (True, "4980.00"), "no alert tells how much"
    assert (last.status_code, last.json()["code"]) == (409, "last_item")
    assert shop.probe.order(order["id"]) == before
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced"]


def test_a_dry_run_names_what_stands_in_the_way(shop: Shop) -> None:
    order = reserved(shop, (shop.sku(), 2))
    shop.customer.cancel(order)
    tried = shop.admin.change_item(shop.admin.order(order["id"]), order["items"][0], 3, params={"dry_run": "true"})
    assert (tried.status_code, tried.json()["feasible"]) == (200, False)
    assert [row["code"] for row in tried.json()["obstacles"]] == ["not_editable"]


def test_more_of_what_is_out_of_stock_is_not_feasible_and_less_of_it_is(shop: Shop) -> None:
    sku, calm = shop.sku(stock=4), shop.sku(stock=10)
    order = reserved(shop, (sku, 4), (calm, 1))

    def tried(quantity: int, at: int = 0) -> dict[str, Any]:
        edit: dict[str, Any] = shop.admin.change_item(
            order, order["items"][at], quantity, params={"dry_run": "true"}
        ).json()
        return edit

    def is_out() -> None:
        assert [row["code"] for row in tried(5)["obstacles"]] == ["insufficient_stock"]

    eventually(is_out, within=15)
    assert sku in tried(5)["obstacles"][0]["detail"]
    assert (tried(5)["feasible"], tried(3)["feasible"], tried(2, at=1)["feasible"]) == (False, True, True)


def test_while_an_edit_is_open_everything_but_a_cancel_has_to_wait(shop: Shop) -> None:
    sku = shop.sku(stock=5)
    order = allocated(shop, (sku, 2))
    (item,) = order["items"]
    with shop.frozen("inventory-worker"):
        assert shop.admin.change_item(order, item, 3, wait=None).status_code == 202
        now = shop.admin.order(order["id"])
        for refused in (
            shop.admin.change_item(now, item, 4, wait=None),
            shop.admin.add_item(now, sku, wait=None),
            shop.admin.remove_item(now, item, wait=None),
            shop.admin.change_details(now, {"notes": "x"}),
            shop.admin.move(now, "processing"),
            shop.service.confirm({**now, "amount_due": "1.00"}, wait=None),
        ):
            assert (refused.status_code, refused.json()["code"]) == (409, "operation_in_progress"), refused.text
            assert refused.headers["Retry-After"] == "1"
            assert refused.json()["pending_operation"] == "revising"
        assert shop.admin.order(order["id"]) == now
        assert shop.service.cancel(now, wait=None).status_code == 200
        ended = shop.admin.order(order["id"])
        assert (ended["status"], ended["pending_operation"]) == ("cancelled", None)
        assert (ended["last_revision"]["status"], ended["last_revision"]["reason"]) == ("rejected", "cancelled")

    shop.await_reservation(order["id"], "released")
    assert shop.admin.level(sku) == (5, 0, 0)
    assert shop.kinds(order["id"], EVENTS)[-3:] == ["OrderRevisionRequested", "OrderCancelled", "RefundRequested"]
    assert [item["quantity"] for item in shop.admin.order(order["id"])["items"]] == [2]


def test_whoever_waits_for_an_edit_is_told_that_the_order_was_cancelled(shop: Shop) -> None:
    order, sku, key = reserved(shop, (shop.sku(), 1)), shop.sku(), unique("edit")
    with shop.frozen("inventory-worker"):
        assert shop.admin.add_item(order, sku, wait=None, key=key).status_code == 202
        assert shop.customer.cancel(order, wait=None).status_code == 200
    shop.await_order(order["id"], reservation_status="released")

    again = shop.admin.add_item(order, sku, wait=5, key=key)

    assert (again.status_code, again.json()["code"]) == (409, "revision_rejected"), again.text
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["detail"].endswith("cancelled")


def test_an_edit_that_is_sent_twice_with_one_key_is_made_once(shop: Shop) -> None:
    sku = shop.sku(stock=5)
    order = reserved(shop, (shop.sku(), 1))
    key = unique("edit")

    first, second = (shop.admin.add_item(order, sku, key=key) for _ in range(2))

    assert (first.status_code, second.status_code) == (200, 200)
    assert first.json() == second.json()
    assert second.headers["Idempotent-Replayed"] == "true"
    assert shop.admin.level(sku) == (5, 1, 0)
    assert shop.admin.order(order["id"])["last_revision"]["revision"] == 1


def test_an_edit_of_an_order_that_was_read_before_another_change_is_refused(shop: Shop) -> None:
    order = reserved(shop, (shop.sku(stock=5), 1))
    (item,) = order["items"]
    assert shop.admin.change_item(order, item, 2).status_code == 200

    stale = shop.admin.change_item(order, item, 3)
    blind = shop.admin.change_item(order, item, 3, headers={})

    assert (stale.status_code, stale.json()["code"]) == (412, "precondition_failed")
    assert (blind.status_code, blind.json()["code"]) == (428, "precondition_required")


def test_what_cannot_be_ordered_cannot_be_added(shop: Shop) -> None:
    order = shop.admin.order(reserved(shop, (shop.sku(), 1))["id"])
    foreign, retired = shop.sku(currency="USD"), shop.sku()
    assert shop.admin.put_variant(retired, active=False).status_code == 200

    def known_as_inactive() -> None:
        query = "SELECT active FROM catalog_variants WHERE sku = :sku"
        assert shop.probe.value("order", query, sku=retired) is False

    eventually(known_as_inactive, within=10)
    for sku, quantity, code, pointer in (
        ("nobody", 1, "unknown_sku", "/sku"),
        (retired, 1, "inactive_variant", "/sku"),
        (foreign, 1, "mixed_currency", "/sku"),
        (order["items"][0]["sku"], 1001, "quantity_limit", "/quantity"),
    ):
        refused = shop.admin.add_item(order, sku, quantity)
        assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text
        assert refused.json()["errors"][0]["pointer"] == pointer
    too_many = shop.admin.change_item(order, order["items"][0], 1001)
    missing = shop.admin.change_item(order, {"id": "x"}, 1)
    assert (too_many.json()["code"], missing.status_code, missing.json()["code"]) == (
        "quantity_limit",
        404,
        "item_not_found",
    )
    assert shop.admin.order(order["id"]) == order


def test_only_admins_edit_and_a_vendor_sees_their_own_lines(shop: Shop) -> None:
    vendor_id = unique("vendor")
    theirs, others = shop.sku(vendor_id=vendor_id, price="3.00"), shop.sku(price="10.00")
    order = reserved(shop, (theirs, 2), (others, 1))
    assert shop.admin.change_item(order, order["items"][1], 2).status_code == 200
    vendor, stranger = shop.callers.vendor(vendor_id), shop.callers.customer()

    assert [row["sku"] for row in shop.customer.get(f"{order['id']}/items/").json()["data"]] == [theirs, others]
    assert [row["sku"] for row in vendor.get(f"{order['id']}/items/").json()["data"]] == [theirs]
    seen = vendor.get(f"{order['id']}/revisions/1/").json()
    assert [row["sku"] for row in seen["items"]] == [theirs]
    assert (seen["total_amount"], seen["shipping_amount"], seen["price_difference"]) == ("6.00", None, None)
    assert stranger.get(f"{order['id']}/items/").status_code == 404
    assert shop.callers.warehouse().get(f"{order['id']}/items/").status_code == 403
    for caller in (shop.customer, vendor, shop.service, shop.callers.warehouse()):
        assert caller.add_item(order, others).status_code == 403
