"""Edits that are answered late, twice, out of turn, or never: what is held is what the order says, in the end."""

import uuid
from typing import Any

from tests.support import forged
from tests.support.eventually import eventually
from tests.support.running_shop import LONGER_HOLD, Shop
from tests.support.storefront import Client

ANSWERS, EVENTS = "inventory.events.v1", "order.events.v1"
Order = dict[str, Any]


def at_rest(shop: Shop, order: Order) -> tuple[Any, ...]:
    """Return all that both services know and told of an order, once they have taken what the other told."""
    shop.kinds(order["id"], EVENTS)
    heard = {"OrderPlaced", "OrderConfirmed", "OrderCancelled", "OrderRevised", "OrderRevisionRejected"}
    events = [entry for entry in shop.log.of(order["id"], EVENTS) if entry.kind in heard]
    shop.probe.await_taken("inventory", *(entry.event_id for entry in events))
    answers = shop.kinds(order["id"], ANSWERS)
    shop.probe.await_taken("order", *(entry.event_id for entry in shop.log.of(order["id"], ANSWERS)))
    told = shop.kinds(order["id"], EVENTS), answers
    reservation = shop.probe.reservation(order["id"])
    return shop.probe.order(order["id"]), reservation, shop.probe.movements(order["id"]), told


def hasty_admin(shop: Shop, hasty_url: str) -> Client:
    """Return an administrator whose edits are given up after two seconds."""
    return shop.admin.at("order", hasty_url)


def test_an_edit_that_nobody_answers_is_given_up_and_holds_nothing_in_the_end(shop: Shop, hasty_url: str) -> None:
    sku, other = shop.sku(stock=5), shop.sku(stock=5)
    order = shop.admin.order(shop.customer.placed((sku, 2))["id"])
    with shop.frozen("inventory-worker"):
        asked = hasty_admin(shop, hasty_url).add_item(order, other, 4, wait=None)
        assert asked.status_code == 202, asked.text
        shop.await_order(order["id"], pending_operation=None)
        given_up = shop.admin.order(order["id"])
        assert (given_up["last_revision"]["status"], given_up["last_revision"]["reason"]) == ("rejected", "timeout")
        assert (given_up["items"], given_up["total_amount"]) == (order["items"], order["total_amount"])
        assert (given_up["reserved_until"], given_up["status"]) == (order["reserved_until"], "pending")

    # Late, it reserves what was asked for, says so, and reads that nobody wants it any more.
    state, reservation, movements, (events, answers) = at_rest(shop, order)
    assert events == ["OrderPlaced", "OrderRevisionRequested", "OrderRevisionRejected"]
    assert answers == ["StockReserved", "StockReserved"]
    assert [(kind, moved) for kind, moved, *_ in movements] == [
        ("reserved", sku),
        ("reserved", other),
        ("released", other),
    ]
    assert reservation["lines"] == [[sku, "main", 2]]
    assert (shop.admin.level(sku), shop.admin.level(other)) == ((5, 2, 0), (5, 0, 0))
    assert state["pending_operation"] is None
    assert shop.admin.order(order["id"]) == given_up
    assert shop.admin.add_item(given_up, other, 4).status_code == 200, "the next edit is taken as if nothing was"


def test_an_edit_that_is_cancelled_before_it_is_read_holds_nothing(shop: Shop) -> None:
    sku = shop.sku(stock=5)
    order = shop.customer.placed((sku, 2))
    with shop.frozen("inventory-worker"):
        assert shop.admin.change_item(order, order["items"][0], 4, wait=None).status_code == 202
        assert shop.customer.cancel(order, wait=None).status_code == 200
    shop.await_reservation(order["id"], "released")
    at_rest(shop, order)
    assert shop.admin.level(sku) == (5, 0, 0)
    assert shop.admin.audit()["ok"]


def test_answers_to_no_edit_or_to_an_old_one_change_nothing(shop: Shop) -> None:
    sku = shop.sku(stock=9)
    order = shop.customer.placed((sku, 2))
    assert shop.admin.change_item(order, order["items"][0], 3).status_code == 200
    before = at_rest(shop, order)

    for kind in ("StockReserved", "StockRejected"):
        for revision in (1, 2, 7):
            event_id = shop.outsider.tell(forged.stock_answer(kind, order["id"], sku, 9, revision=revision))
            shop.probe.await_taken("order", event_id)
    event_id = shop.outsider.tell(forged.stock_answer("StockReserved", order["id"], sku, 9))
    shop.probe.await_taken("order", event_id)

    assert shop.probe.order(order["id"]) == before[0]
    assert shop.probe.parked("order", order["id"]) == []


def test_an_answer_of_another_kind_or_edit_does_not_apply_the_one_that_is_open(shop: Shop) -> None:
    sku = shop.sku(stock=9)
    order = shop.customer.placed((sku, 2))
    assert shop.admin.change_item(order, order["items"][0], 3).status_code == 200
    now = shop.admin.order(order["id"])
    with shop.frozen("inventory-worker"):
        assert shop.admin.change_item(now, now["items"][0], 4, wait=None).status_code == 202
        waiting = shop.admin.order(order["id"])
        for kind, revision in (("StockReserved", None), ("StockReserved", 1), ("StockRejected", 1)):
            event_id = shop.outsider.tell(forged.stock_answer(kind, order["id"], sku, 9, revision=revision))
            shop.probe.await_taken("order", event_id)
        assert shop.admin.order(order["id"]) == waiting
    shop.await_order(order["id"], pending_operation=None)
    assert [item["quantity"] for item in shop.admin.order(order["id"])["items"]] == [4]


def test_every_event_of_an_edit_once_more_changes_nothing(shop: Shop) -> None:
    sku = shop.sku(stock=9)
    order = shop.customer.placed((sku, 4))
    assert shop.admin.change_item(order, order["items"][0], 6).status_code == 200
    now = shop.admin.order(order["id"])
    assert shop.admin.change_item(now, now["items"][0], 1).status_code == 200
    now = shop.admin.order(order["id"])
    assert shop.admin.change_item(now, now["items"][0], 99).status_code == 409
    before = at_rest(shop, order)
    heard = [entry for entry in shop.log.of(order["id"], EVENTS) if entry.kind.startswith("OrderRevi")]
    assert len(heard) == 6

    for entry in [*heard, *reversed(heard)]:
        shop.outsider.repeat(entry)
        shop.probe.await_taken("inventory", shop.outsider.repeat(entry, event_id=str(uuid.uuid4())))

    assert shop.probe.reservation(order["id"]) == before[1]
    assert shop.probe.movements(order["id"]) == before[2]
    assert shop.kinds(order["id"], ANSWERS) == before[3][1]
    assert shop.admin.level(sku) == (9, 1, 0)
    assert shop.probe.parked("inventory", order["id"]) == []


def test_a_hold_that_runs_out_while_an_edit_is_open_ends_the_order_and_holds_nothing(shop: Shop) -> None:
    sku = shop.sku(stock=9)
    order = shop.customer.placed((sku, 2), payment_method=LONGER_HOLD)
    with shop.frozen("order-worker"):
        assert shop.admin.change_item(order, order["items"][0], 5, wait=None).status_code == 202
    shop.await_order(order["id"], status="cancelled", cancel_reason="expired")

    at_rest(shop, order)
    ended = shop.admin.order(order["id"])
    assert ended["last_revision"]["status"] != "pending"
    assert shop.admin.level(sku) == (9, 0, 0)
    assert shop.admin.audit()["ok"]


def test_an_edit_in_the_last_moment_of_a_hold_comes_to_an_end(shop: Shop) -> None:
    """The request is read by an inventory that has let go already, and told so before."""
    sku = shop.sku(stock=9)
    order = shop.customer.placed((sku, 2), payment_method=LONGER_HOLD)
    with shop.frozen("order-worker"):
        shop.await_reservation(order["id"], "expired")
        assert shop.admin.change_item(order, order["items"][0], 5, wait=None).status_code == 202

    ended = shop.await_order(order["id"], status="cancelled", cancel_reason="expired", pending_operation=None)

    assert (ended["last_revision"]["status"], ended["last_revision"]["reason"]) == ("rejected", "cancelled")
    at_rest(shop, order)
    assert shop.admin.level(sku) == (9, 0, 0)


def test_two_orders_edited_at_once_share_the_last_units_without_overselling(shop: Shop) -> None:
    sku = shop.sku(stock=6)
    orders = [shop.customer.placed((sku, 2)) for _ in range(2)]
    with shop.frozen("inventory-worker"):
        for order in orders:
            assert shop.admin.change_item(order, order["items"][0], 4, wait=None).status_code == 202

    def answered() -> list[str]:
        found = [shop.admin.order(order["id"])["last_revision"]["status"] for order in orders]
        assert "pending" not in found
        return found

    assert sorted(eventually(answered, within=15)) == ["applied", "rejected"]
    assert shop.admin.level(sku) == (6, 6, 0)
    assert sorted(shop.admin.order(order["id"])["items"][0]["quantity"] for order in orders) == [2, 4]
