"""A random interleaving of everything on the real system: REST, Kafka, deadlines, duplicates and replays.

At rest: cancelled ⇔ nothing held, confirmed ⇔ allocated, ledger = levels, money due = money recorded - owed; and the
log holds each key's first occurrences in sequence. The seed is told when it fails; threads make every run another.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import life
from tests.support.accounts import sums
from tests.support.eventually import eventually
from tests.support.life import Notes
from tests.support.log import first_occurrences, sequence_faults
from tests.support.replay import Groups, replay_everything
from tests.support.running_shop import SHORT_HOLD, Shop
from tests.support.throughout import throughout

SEED = 4
SKUS, STOCK = 5, 60
PHASE_SECONDS = 4.0
ANSWERS, EVENTS = "inventory.events.v1", "order.events.v1"
# Told in its own time, when a mail has gone out.
MAILS = ("notification.events.v1",)
_STILL_HELD = """SELECT order_id FROM reservations
    WHERE order_id = ANY(CAST(:ids AS uuid[])) AND status IN ('reserved', 'allocated')"""
HOLDS = {"pending": "reserved", "confirmed": "allocated", "processing": "allocated"}
LEFT = ("shipped", "delivered")


@dataclass(frozen=True)
class Rest:
    """The shop at rest after its random life."""

    shop: Shop
    skus: list[str]
    notes: Notes
    orders: list[Mapping[str, Any]]
    reservations: Mapping[str, Mapping[str, Any]]


@pytest.fixture(scope="module")
def rest(shop: Shop) -> Rest:
    """Let a shop live for a while, with processes that stand still and a replay in the middle; wait until it rests."""
    chance = random.Random(SEED)
    skus = [shop.sku(stock=STOCK, price="3.00", low_stock_threshold=5) for _ in range(SKUS)]
    notes = Notes()
    notes.received.update(dict.fromkeys(skus, STOCK))

    actors = life.live(shop, notes, skus, seed=SEED, seconds=PHASE_SECONDS)
    for _ in range(3):
        stand_still(shop, chance)
    life.finish(actors)

    actors = life.live(shop, notes, skus, seed=SEED + 1, seconds=2 * PHASE_SECONDS)
    replay_everything(shop)
    life.finish(actors)

    actors = life.live(shop, notes, skus, seed=SEED + 2, seconds=PHASE_SECONDS)
    for _ in range(3):
        stand_still(shop, chance)
    life.finish(actors)
    return come_to_rest(shop, skus, notes)


def stand_still(shop: Shop, chance: random.Random) -> None:
    """Freeze a worker for a moment, long enough for its neighbours to go on without it."""
    with shop.frozen(chance.choice(["order-worker", "inventory-worker", "kafka"])):
        throughout(bool, seconds=chance.uniform(0.2, 0.9))


def come_to_rest(shop: Shop, skus: list[str], notes: Notes) -> Rest:
    """Wait until nobody waits for anybody any more, and return what there is."""
    query = """SELECT o.*, o.id::text AS order_id, (SELECT jsonb_object_agg(sku, n) FROM (
                   SELECT sku, sum(quantity) AS n FROM order_items i WHERE i.order_id = o.id GROUP BY sku) s) AS wanted
               FROM orders o WHERE id IN (SELECT order_id FROM order_items WHERE sku = ANY(:skus)) ORDER BY o.id"""

    def rested() -> list[Mapping[str, Any]]:
        rows = shop.probe.rows("order", query, skus=skus)
        orders = [{**row, "id": row["order_id"]} for row in rows]
        waiting = [order["id"] for order in orders if order["pending_operation"]]
        held = [o["id"] for o in orders if (o["status"], o["payment_method"]) == ("pending", SHORT_HOLD)]
        cancelled = [order["id"] for order in orders if order["status"] == "cancelled"]
        # Asked of inventory: an order that is cancelled at the very moment when it expires is told of no release.
        releasing = shop.probe.rows("inventory", _STILL_HELD, ids=cancelled)
        assert not waiting + held + releasing, (waiting, held, releasing)
        return orders

    eventually(rested, within=60)
    shop.probe.await_published()
    Groups(shop).await_read()
    orders = rested()
    rows = shop.probe.rows(
        "inventory",
        "SELECT order_id::text, status, lines FROM reservations WHERE order_id = ANY(CAST(:ids AS uuid[]))",
        ids=[*(order["id"] for order in orders), *notes.overtaken],
    )
    shop.log.settle()
    return Rest(shop, skus, notes, orders, {row["order_id"]: row for row in rows})


@pytest.mark.timing
def test_everything_happened_that_can_happen(rest: Rest) -> None:
    done = rest.notes.done
    for outcome in (
        *("placed by card", f"placed by {SHORT_HOLD}", "requested", "paid 200", "paid 409", "confirmed 200"),
        *("cancelled 200", "processing 200", "shipped 200", "stocked 201", "repeated", "overtaken"),
    ):
        assert done[outcome] > 0, (outcome, done)
    reasons = Counter(order["cancel_reason"] for order in rest.orders)
    assert min(reasons[reason] for reason in (None, "other", "expired", "insufficient_stock")) > 0, reasons
    statuses = Counter(order["status"] for order in rest.orders)
    assert min(statuses[status] for status in ("pending", "confirmed", "cancelled")) > 0, statuses
    assert sum(statuses[status] for status in LEFT) > 0, statuses


def test_no_order_was_lost_or_doubled(rest: Rest) -> None:
    ids = {order["id"] for order in rest.orders}
    assert set(rest.notes.orders) <= ids
    requests = Counter(order["request_id"] for order in rest.orders if order["request_id"])
    assert requests == Counter(rest.notes.requests)
    numbers = Counter(order["order_number"] for order in rest.orders)
    assert max(numbers.values()) == 1


def test_an_order_is_cancelled_if_and_only_if_nothing_is_held_for_it(rest: Rest) -> None:
    for order in rest.orders:
        reservation = rest.reservations[order["id"]]
        holds = reservation["status"] in ("reserved", "allocated")
        assert holds == (order["status"] in HOLDS), (order["id"], order["status"], reservation)
        if order["status"] == "cancelled":
            assert reservation["status"] in ("released", "rejected", "expired", "shipped"), reservation


def test_an_order_is_confirmed_if_and_only_if_its_stock_is_allocated(rest: Rest) -> None:
    for order in rest.orders:
        reservation = rest.reservations[order["id"]]
        if order["status"] in HOLDS:
            assert reservation["status"] == HOLDS[order["status"]], (order["id"], order["status"])
            assert order["reservation_status"] == HOLDS[order["status"]]
        if order["status"] in LEFT:
            assert reservation["status"] == "shipped"


def test_what_is_held_is_what_was_ordered(rest: Rest) -> None:
    for order in rest.orders:
        reservation = rest.reservations[order["id"]]
        if reservation["status"] in ("reserved", "allocated"):
            held: Counter[str] = Counter()
            for sku, _location, quantity in reservation["lines"]:
                held[sku] += quantity
            assert held == order["wanted"], order["id"]


def test_orders_that_were_overtaken_by_their_cancel_hold_nothing(rest: Rest) -> None:
    found = {rest.reservations[order_id]["status"] for order_id in rest.notes.overtaken}
    assert found == {"cancelled_first"}


def test_the_books_balance_and_explain_every_unit(rest: Rest) -> None:
    audit = rest.shop.admin.audit()
    assert audit["ok"], audit["differences"]
    shipped: Counter[str] = Counter()
    written_off: Counter[str] = Counter()
    held: dict[str, Counter[str]] = defaultdict(Counter)
    for order in rest.orders:
        wanted = Counter(order["wanted"])
        if rest.reservations[order["id"]]["status"] == "shipped":
            shipped += wanted
        held[rest.reservations[order["id"]]["status"]] += wanted
        for entry in first(rest, order["id"], ANSWERS, "StockReleased"):
            if not entry["restocked"]:
                written_off += wanted
    for sku in rest.skus:
        on_hand = rest.notes.received[sku] - shipped[sku] - written_off[sku]
        assert rest.shop.admin.level(sku) == (on_hand, held["reserved"][sku], held["allocated"][sku]), sku


def first(rest: Rest, order_id: str, topic: str, kind: str) -> list[dict[str, Any]]:
    """Return the events of one kind that the log has of an order, each once."""
    entries = {entry.event_id: entry.event for entry in rest.shop.log.of(order_id, topic) if entry.kind == kind}
    return list(entries.values())


def test_money_due_is_what_was_recorded_minus_what_is_owed(rest: Rest) -> None:
    shown = {row["id"]: row for page in rest.shop.admin.pages("admin/", params={"limit": 100}) for row in page}
    paid: Counter[str] = Counter()
    for (order_id, _), amount in rest.notes.payments.items():
        paid[order_id] += amount
    for order in rest.orders:
        recorded, total = order["recorded_minor"], order["total_minor"]
        assert recorded == paid[order["id"]], order["id"]
        kept = order["status"] != "cancelled" or order["refund_waived"]
        due_back = max(0, recorded - (total if kept else 0))
        seen = shown[order["id"]]
        expected = "refund_due" if due_back else "paid" if recorded >= total else "pending"
        assert seen["payment_status"] == expected, order["id"]
        if order["status"] != "cancelled":
            assert seen["amount_due"] == f"{max(0, total - recorded) / 100:.2f}"


def test_in_the_log_the_first_occurrences_of_every_key_are_in_sequence(rest: Rest) -> None:
    assert sequence_faults(rest.shop.log.entries) == []
    for order in rest.orders:
        ours = {e.event_id for e in rest.shop.log.of(order["id"], EVENTS) if e.is_ours}
        assert len(ours) == order["events"], order["id"]


def test_every_order_was_told_of_once_an_event(rest: Rest) -> None:
    rows = rest.shop.probe.rows(
        "notification",
        """SELECT subject, event_id, audience, count(*) AS n FROM notifications WHERE subject = ANY(:ids)
           GROUP BY 1, 2, 3""",
        ids=[order["id"] for order in rest.orders],
    )
    assert {row["n"] for row in rows} == {1}
    assert {row["subject"] for row in rows} == {order["id"] for order in rest.orders}


def test_a_replay_of_every_topic_at_rest_changes_nothing(rest: Rest) -> None:
    shop = rest.shop
    before, ends = sums(shop), shop.log.ends(without=MAILS)

    replay_everything(shop)

    assert sums(shop) == before
    shop.probe.await_published()
    assert shop.log.ends(without=MAILS) == ends
    # Of this life alone: an administrator may have another's mail sent again, and that is told again.
    ids = {order["id"] for order in rest.orders}
    mails = [entry.event for entry in first_occurrences(shop.log.entries) if entry.topic in MAILS]
    told = Counter(event["notification_id"] for event in mails if event["order_id"] in ids)
    assert set(told.values()) == {1}
