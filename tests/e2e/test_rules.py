"""The eight rules that make the saga correct, each on the real system, each under its own name."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from tests.support import forged
from tests.support.accounts import everything, sums
from tests.support.eventually import eventually
from tests.support.log import Entry, sequence_faults
from tests.support.replay import Groups, replay_everything
from tests.support.running_shop import SHORT_HOLD, Shop
from tests.support.storefront import Client
from tests.support.throughout import throughout

ANSWERS, EVENTS = "inventory.events.v1", "order.events.v1"
# Told in its own time, when a mail has gone out.
MAILS = ("notification.events.v1",)
Order = dict[str, Any]


def the_event(shop: Shop, order_id: str, kind: str, topic: str = EVENTS) -> Entry:
    """Return the record of an order's event, as the services wrote it, once it is in the log."""

    def found() -> Entry:
        entries = [entry for entry in shop.log.of(order_id, topic) if entry.kind == kind and entry.is_ours]
        assert entries
        return entries[0]

    return eventually(found, within=15)


# --- 1. State, inbox claim, consumer position and outgoing events commit in one database transaction.


@pytest.fixture
def unpublished(shop: Shop) -> Iterator[Order]:
    """An order that inventory has reserved but not told of yet: its relay is off."""
    sku = shop.sku()
    shop.processes.stop("inventory-worker")
    alone = shop.stack.start_process("inventory", "worker", "--only", "consumer", name="inventory-consumer")
    shop.stack.await_ready(alone)
    order = shop.customer.placed((sku, 3), wait=None)
    shop.await_reservation(order["id"], "reserved")
    yield order
    shop.processes.stop(alone)
    shop.stack.start_again("inventory-worker")


def test_rule_1_state_inbox_claim_position_and_outgoing_events_commit_in_one_transaction(
    shop: Shop, unpublished: Order
) -> None:
    placed = the_event(shop, unpublished["id"], "OrderPlaced")

    # Rows of one transaction carry its number.
    numbers = shop.probe.rows(
        "inventory",
        """SELECT (SELECT xmin::text FROM inbox WHERE event_id = CAST(:event AS uuid)) AS claim,
                  (SELECT xmin::text FROM reservations WHERE order_id = CAST(:order AS uuid)) AS state,
                  (SELECT xmin::text FROM stock_movements WHERE order_id = CAST(:order AS uuid)) AS ledger,
                  (SELECT xmin::text FROM outbox WHERE aggregateid = :order) AS told""",
        event=placed.event_id,
        order=unpublished["id"],
    )[0]
    assert numbers["claim"] is not None
    assert len(set(numbers.values())) == 1, numbers


@contextmanager
def locked(shop: Shop, sku: str) -> Iterator[None]:
    """Hold a SKU's row, so that whoever wants to change its stock waits."""
    with shop.probe.engine("inventory").connect().execution_options(isolation_level="READ COMMITTED") as connection:
        connection.execute(sa.text("SELECT FROM skus WHERE sku = :sku FOR UPDATE"), {"sku": sku})
        yield
        connection.rollback()


def test_rule_1_kafka_offsets_are_committed_after_the_transaction_never_before(shop: Shop) -> None:
    groups, sku = Groups(shop), shop.sku()
    progress = """SELECT next_offset FROM consumer_progress
                  WHERE consumer = 'inventory' AND topic = :topic AND partition = :partition"""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with locked(shop, sku):
        order = shop.customer.placed((sku, 3), wait=None)
        placed = the_event(shop, order["id"], "OrderPlaced")

        def handled_but_not_committed() -> None:
            assert shop.probe.value("inventory", waiting) == 1

        eventually(handled_but_not_committed, within=10)
        place = (placed.topic, placed.partition)
        position = {"topic": placed.topic, "partition": placed.partition}

        def nothing_of_it_stands() -> None:
            assert groups.committed("inventory").get(place, 0) <= placed.offset
            assert shop.probe.value("inventory", progress, **position) <= placed.offset
            assert not shop.probe.taken("inventory", [placed.event_id])

        throughout(nothing_of_it_stands, seconds=1)

    def all_of_it_stands() -> None:
        assert groups.committed("inventory").get(place, 0) > placed.offset
        assert shop.probe.value("inventory", progress, **position) > placed.offset
        assert shop.probe.taken("inventory", [placed.event_id])

    eventually(all_of_it_stands, within=10)


# --- 2. The outbox relay deletes a row only after the broker acknowledged it. A crash can duplicate, never lose.

_UNPUBLISHED = "SELECT count(*) FROM outbox WHERE aggregateid = ANY(:ids)"


def test_rule_2_the_relay_deletes_a_row_only_after_the_broker_acknowledged_it(shop: Shop) -> None:
    sku = shop.sku()
    with shop.frozen("kafka"):
        order = shop.customer.placed((sku, 1), wait=None)

        def still_there() -> None:
            assert shop.probe.value("order", _UNPUBLISHED, ids=[order["id"]]) == 1

        throughout(still_there, seconds=2)
    the_event(shop, order["id"], "OrderPlaced")
    shop.probe.await_published()


def test_rule_2_a_relay_that_crashes_in_between_loses_nothing(shop: Shop) -> None:
    sku = shop.sku()
    with shop.frozen("kafka"):
        orders = [shop.customer.placed((sku, 1), wait=None) for _ in range(5)]
        ids = [order["id"] for order in orders]
        assert shop.probe.value("order", _UNPUBLISHED, ids=ids) == 5
        shop.processes.kill("order-worker")
    shop.stack.start_again("order-worker")

    for order in orders:
        shop.await_order(order["id"], reservation_status="reserved")
    shop.probe.await_published()
    shop.log.settle()
    assert sequence_faults(entry for order_id in ids for entry in shop.log.of(order_id)) == []


# --- 3. Consumers are idempotent. Replaying a whole topic from offset 0 changes nothing.


def delivered_order(shop: Shop) -> Order:
    """Bring an order to its end, mails included."""
    order = shop.customer.placed((shop.sku(), 3))
    assert shop.service.confirm(order).status_code == 200
    for status in ("processing", "shipped", "delivered"):
        assert shop.admin.move(order, status).status_code == 200
    shop.await_reservation(order["id"], "shipped")

    def told() -> None:
        query = "SELECT count(*) FROM notifications WHERE subject = :order AND status = 'sent'"
        assert shop.probe.value("notification", query, order=order["id"]) == 5

    eventually(told, within=15)
    return order


def test_rule_3_an_event_that_comes_again_changes_nothing(shop: Shop) -> None:
    order = delivered_order(shop)
    before, told = everything(shop, order["id"]), shop.kinds(order["id"], ANSWERS)
    groups = Groups(shop)

    for entry in shop.log.of(order["id"]):
        shop.outsider.repeat(entry)

    groups.await_read()
    assert everything(shop, order["id"]) == before
    assert shop.kinds(order["id"], ANSWERS) == told


def test_rule_3_an_event_that_would_act_each_time_acts_once(shop: Shop) -> None:
    order = delivered_order(shop)
    shortfall = forged.stock_answer("StockShortfall", order["id"], order["items"][0]["sku"])
    event_id = shop.outsider.tell(shortfall)
    shop.probe.await_taken("order", event_id)
    before = everything(shop, order["id"])
    assert [row["reason"] for row in before[1]].count("stock_shortfall") == 1  # type: ignore[index, union-attr]

    for _ in range(3):
        shop.outsider.tell(shortfall, event_id=event_id)

    Groups(shop).await_read()
    assert everything(shop, order["id"]) == before


def test_rule_3_replaying_every_topic_from_offset_0_changes_nothing(shop: Shop) -> None:
    delivered_order(shop)
    Groups(shop).await_read()
    shop.probe.await_published()
    before, ends = sums(shop), shop.log.ends(without=MAILS)

    replay_everything(shop)

    assert sums(shop) == before
    shop.probe.await_published()
    assert shop.log.ends(without=MAILS) == ends


# --- 4. Order per key: in the log, and in how a key's events are handled, retried and parked.


def test_rule_4_in_the_log_the_first_occurrences_of_a_keys_events_are_in_sequence(shop: Shop) -> None:
    delivered_order(shop)
    shop.probe.await_published()
    shop.log.settle()

    assert sequence_faults(shop.log.entries) == []
    ours = [entry for entry in shop.log.entries if entry.is_ours]
    assert {entry.topic for entry in ours} >= {EVENTS, ANSWERS, "catalog.variants.v1", "notification.events.v1"}


def poisoned_order(shop: Shop, sku: str) -> tuple[Order, str]:
    """Place an order, and put a record under its key that the order service cannot read."""
    order = shop.customer.placed((sku, 1))
    poison_id = str(uuid.uuid4())
    headers = {"ce_id": poison_id, "ce_type": "oms.inventory.StockAllocated"}
    shop.outsider.write(ANSWERS, order["id"].encode(), b"\x01 no magic byte", headers)
    shop.probe.await_taken("order", poison_id)
    return order, poison_id


def test_rule_4_a_keys_events_are_parked_and_retried_in_order(shop: Shop) -> None:
    order, poison_id = poisoned_order(shop, shop.sku())

    assert shop.service.confirm(order, wait=None).status_code == 200
    allocated = the_event(shop, order["id"], "StockAllocated", ANSWERS)
    shop.probe.await_taken("order", allocated.event_id)
    waiting = [row["event_id"] for row in shop.probe.parked("order", order["id"])]
    assert waiting == [poison_id, allocated.event_id]
    assert shop.admin.order(order["id"])["pending_operation"] == "allocating"

    shop.operate("order", "parked", "discard", "--key", order["id"], "--reason", "cannot be read")

    shop.await_order(order["id"], reservation_status="allocated", pending_operation=None)
    assert shop.probe.parked("order", order["id"]) == []


# --- 5. All or nothing; lines of one SKU are added up first.


def test_rule_5_an_order_is_reserved_if_and_only_if_every_line_fits(shop: Shop) -> None:
    plenty, scarce = shop.sku(stock=10), shop.sku(stock=1)

    assert shop.customer.place((plenty, 1), (scarce, 2), wait=10).status_code == 409
    assert (shop.admin.level(plenty), shop.admin.level(scarce)) == ((10, 0, 0), (1, 0, 0))

    assert shop.customer.place((plenty, 1), (scarce, 1), wait=10).status_code == 201
    assert (shop.admin.level(plenty), shop.admin.level(scarce)) == ((10, 1, 0), (1, 1, 0))


def test_rule_5_lines_of_one_sku_are_added_up_before_they_are_compared(shop: Shop) -> None:
    sku = shop.sku(stock=10)

    refused = shop.customer.place((sku, 6), (sku, 5), wait=10)
    assert [(row["requested"], row["available"]) for row in refused.json()["shortages"]] == [(11, 10)]
    assert shop.admin.level(sku) == (10, 0, 0)

    order = shop.customer.placed((sku, 6), (sku, 4))
    assert shop.admin.level(sku) == (10, 10, 0)
    assert [item["quantity"] for item in order["items"]] == [6, 4]


# --- 6. Early and late messages are normal. The tables themselves: test_answers_table, test_reservations_table.


def test_rule_6_a_cancel_that_overtakes_its_order_reserves_nothing(shop: Shop) -> None:
    order_id, sku = str(uuid.uuid4()), shop.sku()

    shop.outsider.tell(forged.cancelled(order_id))
    placed = shop.outsider.tell(forged.placed(order_id, (sku, 3)))

    shop.probe.await_taken("inventory", placed)
    shop.await_reservation(order_id, "cancelled_first")
    assert shop.admin.level(sku) == (10, 0, 0)
    assert shop.kinds(order_id, ANSWERS) == []


def test_rule_6_an_answer_that_comes_after_the_end_leaves_nothing_held(shop: Shop) -> None:
    sku = shop.sku()
    with shop.frozen("inventory-worker"):
        order = shop.customer.placed((sku, 3), wait=None)
        assert shop.customer.cancel(order, wait=None).json()["status"] == "cancelled"

    shop.await_order(order["id"], status="cancelled", reservation_status="released")
    assert shop.kinds(order["id"], ANSWERS) == ["StockReserved", "StockReleased"]
    assert shop.admin.level(sku) == (10, 0, 0)


# --- 7. Nothing waits for ever, and nothing is given up because we were away.


def await_deadline(shop: Shop, order_id: str) -> None:
    """Wait until an order's deadline has passed, by the database's clock."""

    def passed() -> None:
        query = "SELECT deadline_at < clock_timestamp() FROM orders WHERE id = CAST(:id AS uuid)"
        assert shop.probe.value("order", query, id=order_id)

    eventually(passed, within=10)


@pytest.mark.timing
def test_rule_7_an_order_that_inventory_does_not_answer_is_cancelled_with_timeout(shop: Shop, hasty: Client) -> None:
    sku = shop.sku()
    with shop.frozen("inventory-worker"):
        order = hasty.placed((sku, 3), wait=0)
        shop.await_order(order["id"], status="cancelled", cancel_reason="timeout")

    shop.await_reservation(order["id"], "released")
    assert shop.admin.level(sku) == (10, 0, 0)


@pytest.mark.timing
def test_rule_7_an_order_that_was_answered_while_we_were_away_is_not_given_up(shop: Shop, hasty: Client) -> None:
    sku = shop.sku()
    with shop.frozen("inventory-worker"):
        order = hasty.placed((sku, 3), wait=0)
        the_event(shop, order["id"], "OrderPlaced")
        shop.processes.pause("order-worker")
    try:
        the_event(shop, order["id"], "StockReserved", ANSWERS)
        await_deadline(shop, order["id"])
    finally:
        shop.processes.resume("order-worker")

    shop.await_order(order["id"], status="pending", reservation_status="reserved")
    assert shop.kinds(order["id"], EVENTS) == ["OrderPlaced"]


@pytest.mark.timing
def test_rule_7_a_reservation_that_was_confirmed_while_we_were_away_does_not_expire(shop: Shop) -> None:
    order = shop.customer.placed((shop.sku(), 3), wait=None, payment_method=SHORT_HOLD)
    shop.await_reservation(order["id"], "reserved")
    with shop.frozen("inventory-worker"):
        assert shop.service.confirm(order, wait=None).status_code in (200, 202)
        the_event(shop, order["id"], "OrderConfirmed")

        def passed() -> None:
            query = "SELECT deadline_at < clock_timestamp() FROM reservations WHERE order_id = CAST(:id AS uuid)"
            assert shop.probe.value("inventory", query, id=order["id"])

        eventually(passed, within=10)

    shop.await_order(order["id"], status="confirmed", reservation_status="allocated")
    assert shop.kinds(order["id"], ANSWERS) == ["StockReserved", "StockAllocated"]


@pytest.mark.timing
def test_rule_7_an_order_whose_stock_is_not_allocated_in_time_is_listed_and_never_cancelled(
    shop: Shop, hasty_url: str
) -> None:
    order = shop.customer.placed((shop.sku(), 3))
    with shop.frozen("inventory-worker"):
        assert shop.service.at("order", hasty_url).confirm(order, wait=0).status_code == 200

        def listed() -> None:
            rows = shop.admin.get("admin/", params={"stuck": "true", "limit": 100}).json()["data"]
            assert order["id"] in {row["id"] for row in rows}
            assert shop.probe.order(order["id"])["stuck_reason"] == "allocation_timeout"  # type: ignore[index]

        eventually(listed, within=10)
        assert shop.admin.order(order["id"])["status"] == "confirmed"

    shop.await_order(order["id"], status="confirmed", reservation_status="allocated")
    rows = shop.admin.get("admin/", params={"stuck": "true", "limit": 100}).json()["data"]
    assert order["id"] not in {row["id"] for row in rows}


# --- 8. A poison message delays only its own key.


def test_rule_8_a_poison_message_delays_only_its_own_key(shop: Shop) -> None:
    sku = shop.sku(stock=1000)
    order, _ = poisoned_order(shop, sku)
    partition = the_event(shop, order["id"], "OrderPlaced").partition

    def neighbour() -> Order:
        other = shop.customer.placed((sku, 1), wait=None)
        assert the_event(shop, other["id"], "OrderPlaced").partition == partition
        return other

    # Another key of the very same partition, behind the poison.
    other = eventually(neighbour, within=30)
    shop.await_order(other["id"], reservation_status="reserved")
    assert shop.service.confirm(shop.admin.order(other["id"])).json()["reservation_status"] == "allocated"
    assert len(shop.probe.parked("order", order["id"])) == 1
