"""Every cell of the saga's first table, on the real system: inventory's answers by the order's status.

Cells that the services reach by themselves are reached through REST; the others by an outsider that writes the
answer to the topic. The table is the tests' own copy.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import forged
from tests.support.eventually import eventually
from tests.support.running_shop import SHORT_HOLD, Shop
from tests.support.saga_tables import ANSWER_CELLS, ANSWER_TABLE, COLUMN_OF_STATUS

ANSWERS, EVENTS = "inventory.events.v1", "order.events.v1"
QUANTITY = 3
# An order is refunded only by a feature that is not built yet.
STATUSES = [status for status in COLUMN_OF_STATUS if status != "refunded"]
INERT = [
    (answer, status)
    for answer in ANSWER_TABLE
    for status in STATUSES
    if ANSWER_CELLS[answer, COLUMN_OF_STATUS[status]] == "-"
]
Order = dict[str, Any]


def order_in(shop: Shop, status: str) -> Order:
    """Bring an order into a status, by what users do, and return it at rest."""
    order = shop.customer.placed((shop.sku(), QUANTITY))
    if status == "cancelled":
        assert shop.customer.cancel(order).status_code == 200
        return shop.await_order(order["id"], status="cancelled", reservation_status="released")
    if status != "pending":
        assert shop.service.confirm(order).status_code == 200
    for step in ("processing", "shipped", "delivered"):
        if COLUMN_OF_STATUS[status] == "later" and STATUSES.index(step) <= STATUSES.index(status):
            assert shop.admin.move(order, step).status_code == 200
    return shop.await_order(order["id"], status=status, pending_operation=None)


@pytest.fixture(scope="module")
def at_rest(shop: Shop) -> Callable[[str], Order]:
    """Return an order in a status; what changes nothing may be tried on one order again and again."""
    made: dict[str, Order] = {}

    def order(status: str) -> Order:
        if status not in made:
            made[status] = order_in(shop, status)
        return made[status]

    return order


def is_stuck(shop: Shop, order_id: str) -> bool:
    pages = shop.admin.pages("admin/", params={"stuck": "true"})
    return any(order["id"] == order_id for page in pages for order in page)


@pytest.mark.parametrize(("answer", "status"), INERT)
def test_an_answer_in_a_cell_without_effect_changes_and_tells_nothing(
    shop: Shop, at_rest: Callable[[str], Order], answer: str, status: str
) -> None:
    order = at_rest(status)
    before, told = shop.probe.order(order["id"]), shop.kinds(order["id"], EVENTS)

    event_id = shop.outsider.tell(forged.stock_answer(answer, order["id"], order["items"][0]["sku"], QUANTITY))

    shop.probe.await_taken("order", event_id)
    assert shop.probe.order(order["id"]) == before
    assert shop.kinds(order["id"], EVENTS) == told
    assert shop.probe.parked("order", order["id"]) == []
    assert shop.admin.order(order["id"]) == order


def test_stock_reserved_of_a_pending_order_reserves_it(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), QUANTITY))

    assert (order["status"], order["reservation_status"], order["pending_operation"]) == ("pending", "reserved", None)
    assert order["reserved_until"] is not None
    assert shop.kinds(order["id"], ANSWERS) == ["StockReserved"]
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced"]


def test_stock_reserved_of_a_pending_order_that_is_paid_already_confirms_it(shop: Shop) -> None:
    sku = shop.sku()
    with shop.frozen("inventory-worker"):
        order = shop.customer.placed((sku, QUANTITY), wait=None)
        confirmed = shop.service.confirm(order, wait=None)
        assert confirmed.status_code == 202, confirmed.text
        assert confirmed.json()["status"] == "pending"
        assert confirmed.json()["payment_status"] == "paid"

    shop.await_order(order["id"], status="confirmed", reservation_status="allocated")
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderConfirmed"]


def test_stock_reserved_of_a_pending_order_confirms_it_where_the_shop_confirms_by_itself(shop: Shop) -> None:
    sku = shop.sku()
    shop.processes.stop("order-worker")
    other = shop.stack.start_process(
        "order", "worker", name="order-worker-auto", environment={"AUTO_CONFIRM_ORDERS": "true"}
    )
    try:
        shop.stack.await_ready(other)
        order = shop.customer.placed((sku, QUANTITY))
        shop.await_order(order["id"], status="confirmed", reservation_status="allocated", payment_status="pending")
        assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderConfirmed"]
    finally:
        shop.processes.stop(other)
        shop.stack.start_again("order-worker")
    assert shop.service.confirm(order).json()["payment_status"] == "paid"


def test_stock_reserved_twice_for_a_pending_order_reserves_it_once(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), QUANTITY))
    before = shop.probe.order(order["id"])
    shop.kinds(order["id"], ANSWERS)
    (reserved,) = shop.log.of(order["id"], ANSWERS)

    again = shop.outsider.repeat(reserved, event_id="0b8c1c5e-7d1e-4a54-9d0a-2f3a5b0c9d11")

    shop.probe.await_taken("order", again)
    assert shop.probe.order(order["id"]) == before


def test_stock_rejected_of_a_pending_order_cancels_it_for_insufficient_stock(shop: Shop) -> None:
    sku = shop.sku(stock=2)

    refused = shop.customer.place((sku, QUANTITY), wait=10)

    assert refused.status_code == 409
    order = shop.await_order(refused.json()["order_id"], status="cancelled", cancel_reason="insufficient_stock")
    assert order["reservation_status"] == "rejected"
    assert [(row["sku"], row["requested"], row["available"]) for row in order["shortages"]] == [(sku, QUANTITY, 2)]
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderCancelled"]
    assert shop.kinds(order["id"], ANSWERS) == ["StockRejected"]


def test_stock_rejected_of_a_pending_order_makes_a_recorded_payment_due_for_refund(shop: Shop) -> None:
    sku = shop.sku(stock=2)
    with shop.frozen("inventory-worker"):
        order = shop.customer.placed((sku, QUANTITY), wait=None)
        assert shop.service.confirm(order, wait=None).status_code == 202

    shop.await_order(order["id"], status="cancelled", cancel_reason="insufficient_stock", payment_status="refund_due")
    shop.kinds(order["id"], EVENTS)
    cancelled, asked = shop.log.of(order["id"], EVENTS)[-2:]
    assert (cancelled.kind, cancelled.event["refund_minor"]) == ("OrderCancelled", 3000)
    assert (asked.kind, asked.event["amount_minor"]) == ("RefundRequested", 3000)


def test_stock_reservation_expired_of_a_pending_order_cancels_it(shop: Shop) -> None:
    sku = shop.sku()
    order = shop.customer.placed((sku, QUANTITY), payment_method=SHORT_HOLD)

    shop.await_order(order["id"], status="cancelled", cancel_reason="expired", reservation_status="expired")

    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced", "OrderCancelled"]
    assert shop.kinds(order["id"], ANSWERS) == ["StockReserved", "StockReservationExpired"]
    assert shop.admin.level(sku) == (10, 0, 0)


def test_stock_allocated_of_a_confirmed_order_allocates_it(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), QUANTITY))

    answer = shop.service.confirm(order)

    assert (answer.json()["status"], answer.json()["reservation_status"]) == ("confirmed", "allocated")
    assert answer.json()["pending_operation"] is None
    assert shop.kinds(order["id"], ANSWERS) == ["StockReserved", "StockAllocated"]


def test_stock_shortfall_of_a_confirmed_order_cancels_it_and_its_payment_is_due_for_refund(shop: Shop) -> None:
    order = order_in(shop, "confirmed")
    sku = order["items"][0]["sku"]

    shop.outsider.tell(forged.stock_answer("StockShortfall", order["id"], sku, QUANTITY))

    shop.await_order(order["id"], status="cancelled", cancel_reason="stock_shortfall", payment_status="refund_due")
    told = ["OrderPlaced", "OrderConfirmed", "OrderCancelled", "RefundRequested"]
    assert shop.kinds(order["id"], EVENTS) == told


@pytest.mark.parametrize("status", [status for status, column in COLUMN_OF_STATUS.items() if column == "later"])
def test_stock_shortfall_of_an_order_that_has_moved_on_lists_it_as_stuck(shop: Shop, status: str) -> None:
    order = order_in(shop, status)
    assert not is_stuck(shop, order["id"])
    told = shop.kinds(order["id"], EVENTS)

    shop.outsider.tell(forged.stock_answer("StockShortfall", order["id"], order["items"][0]["sku"], QUANTITY))

    def listed() -> None:
        assert is_stuck(shop, order["id"])

    eventually(listed, within=15)
    assert shop.admin.order(order["id"])["status"] == status
    assert shop.kinds(order["id"], EVENTS) == told


def test_stock_released_of_a_cancelled_order_notes_that_its_stock_is_free(shop: Shop) -> None:
    order = order_in(shop, "cancelled")

    assert shop.kinds(order["id"], ANSWERS) == ["StockReserved", "StockReleased"]
    assert shop.admin.level(order["items"][0]["sku"]) == (10, 0, 0)


def test_an_answer_for_an_order_that_nobody_knows_is_parked_under_its_key(shop: Shop) -> None:
    order_id = "018f0000-0000-7000-8000-00000000beef"

    event_id = shop.outsider.tell(forged.stock_answer("StockReserved", order_id, "SKU-NOBODY"))

    shop.probe.await_taken("order", event_id)
    (parked,) = shop.probe.parked("order", order_id)
    assert (parked["event_id"], parked["fingerprint"]) == (event_id, "order_missing")


def test_every_cell_of_the_table_is_tested() -> None:
    effects = {
        ("StockReserved", "pending"),
        ("StockRejected", "pending"),
        ("StockReservationExpired", "pending"),
        ("StockAllocated", "confirmed"),
        ("StockShortfall", "confirmed"),
        ("StockShortfall", "later"),
        ("StockReleased", "ended"),
    }
    inert = {(answer, COLUMN_OF_STATUS[status]) for answer, status in INERT}
    assert effects | inert == set(ANSWER_CELLS)
    assert not effects & inert
