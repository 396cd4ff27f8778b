"""A worker ends with SIGKILL between any two steps of an edit: stock and order agree when it is back.

Each time three edits are under way at once: one adds units, one takes some away, one asks for more than there is.
Whatever was cut short, and wherever: the order is to the last line what the edit made of it, or what it was before;
inventory holds that and nothing else; and every step is told once, in its order.
"""

import contextlib
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import requests

from tests.chaos.shop import ADDRESS, PLENTY, SCARCE, TOPICS, Shop
from tests.support.eventually import eventually
from tests.support.killpoints import Point
from tests.support.log import Log, first_occurrences, sequence_faults

pytestmark = [pytest.mark.timing, pytest.mark.timeout(180)]

# Every step of an edit, in its order: who takes it, where they end, and which event it is about.
STEPS = [
    ("order", Point.BEFORE_PRODUCE, "OrderRevisionRequested"),
    ("order", Point.ACKNOWLEDGED, "OrderRevisionRequested"),
    ("inventory", Point.HANDLING, "OrderRevisionRequested"),
    ("inventory", Point.COMMITTED, "OrderRevisionRequested"),
    ("inventory", Point.BEFORE_PRODUCE, "StockReserved"),
    ("inventory", Point.ACKNOWLEDGED, "StockReserved"),
    ("inventory", Point.BEFORE_PRODUCE, "StockRejected"),
    ("order", Point.HANDLING, "StockReserved"),
    ("order", Point.COMMITTED, "StockReserved"),
    ("order", Point.HANDLING, "StockRejected"),
    ("order", Point.BEFORE_PRODUCE, "OrderRevised"),
    ("order", Point.ACKNOWLEDGED, "OrderRevised"),
    ("order", Point.BEFORE_PRODUCE, "OrderRevisionRejected"),
    ("inventory", Point.HANDLING, "OrderRevised"),
    ("inventory", Point.COMMITTED, "OrderRevised"),
    ("inventory", Point.COMMITTED, "OrderRevisionRejected"),
]


@dataclass(frozen=True, kw_only=True)
class Edit:
    """An edit of an order of two units, and how it ends.

    Args:
        quantity: that its line is to have; None adds a line of goods that ran out.
        units: that it has in the end.
        told: what the order service tells of the end.
        answered: what inventory answers.
        moved: what the edit does to the stock of its SKU, in its order: (kind, reserved, allocated).

    """

    quantity: int | None
    units: int
    told: str
    answered: str
    moved: list[tuple[str, int, int]]


EDITS = {
    "more": Edit(
        quantity=5,
        units=5,
        told="OrderRevised",
        answered="StockReserved",
        moved=[("reserved", 3, 0), ("allocated", -3, 3)],
    ),
    "less": Edit(quantity=1, units=1, told="OrderRevised", answered="StockReserved", moved=[("released", 0, -1)]),
    "too much": Edit(quantity=None, units=2, told="OrderRevisionRejected", answered="StockRejected", moved=[]),
}
ENDS = {"OrderRevised": ("applied", None), "OrderRevisionRejected": ("rejected", "insufficient_stock")}
PLACED = [("reserved", 2, 0), ("allocated", -2, 2)]


@pytest.fixture(scope="module")
def killable(servers: Shop) -> Iterator[Shop]:
    servers.open(killable=True)
    yield servers
    servers.close()


@pytest.fixture
def shop(killable: Shop) -> Shop:
    """The shop, whole again after a test that failed."""
    for service in ("order", "inventory"):
        for point in Point:
            killable.killpoints(service).disarm(point)
    killable.start_what_ended()
    return killable


def call(shop: Shop, method: str, path: str, key: str, body: object) -> requests.Response:
    """Ask the order service for something, as an administrator or (placing) as the storefront."""
    role = "service" if path == "" else "admin"
    headers = {"Authorization": f"Bearer {shop.token(role)}", "Idempotency-Key": key, "If-Match": "*"}
    url = f"{shop.stack.url('order-api')}/api/v1/orders/{path}"
    return requests.request(method, url, json=body, headers=headers, timeout=30)


def placed(shop: Shop, sku: str) -> dict[str, Any]:
    """Return an order of two units whose stock is allocated."""
    body = {"items": [{"sku": sku, "quantity": 2}], "shipping_address": ADDRESS}
    answer = call(shop, "POST", "", str(uuid.uuid4()), body)
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()

    def allocated() -> None:
        assert known(shop, order["id"]) == ("confirmed", "allocated", None)

    eventually(allocated, within=20)
    return order


def known(shop: Shop, order_id: str) -> tuple[Any, ...]:
    """Return (status, reservation, what is awaited) of an order."""
    query = "SELECT status, reservation_status, pending_operation FROM orders WHERE id = %s"
    return shop.ask("order", query, order_id)[0]


def ask_for(shop: Shop, order: dict[str, Any], edit: Edit, key: str) -> requests.Response:
    """Ask for an edit."""
    if edit.quantity is None:
        return call(shop, "POST", f"{order['id']}/items/", key, {"sku": SCARCE, "quantity": 1})
    item = order["items"][0]["id"]
    return call(shop, "PUT", f"{order['id']}/items/{item}/", key, {"quantity": edit.quantity})


def level(shop: Shop, sku: str) -> tuple[int, int]:
    """Return (reserved, allocated) of a SKU."""
    found: tuple[int, int] = shop.ask("inventory", "SELECT reserved, allocated FROM stock_levels WHERE sku = %s", sku)[
        0
    ]
    return found


def await_rest(shop: Shop, orders: dict[str, dict[str, Any]]) -> None:
    """Wait until both services have taken everything that the other told of these edits."""

    def rests() -> None:
        for name, order in orders.items():
            assert known(shop, order["id"]) == ("confirmed", "allocated", None)
            assert revisions(shop, order["id"]) == [ENDS[EDITS[name].told]]
            query = "SELECT revising FROM reservations WHERE order_id = %s"
            assert shop.ask("inventory", query, order["id"]) == [(None,)], "what is held is not settled"
        for service in ("order", "inventory"):
            waiting = shop.ask(service, "SELECT (SELECT count(*) FROM outbox), (SELECT count(*) FROM parked_keys)")
            assert waiting == [(0, 0)], f"{service} has (unpublished, parked) {waiting}"

    eventually(rests, within=40)


def revisions(shop: Shop, order_id: str) -> list[tuple[Any, ...]]:
    """Return (status, reason) of every edit of an order."""
    return shop.ask("order", "SELECT status, reason FROM order_revisions WHERE order_id = %s", order_id)


def require_agreement(shop: Shop, orders: dict[str, dict[str, Any]], before: dict[str, tuple[int, int]]) -> None:
    """Fail unless each edit had its end, once, and inventory holds what the orders are, neither more nor less."""
    for name, order in orders.items():
        edit, order_id, sku = EDITS[name], order["id"], order["items"][0]["sku"]
        items = shop.ask("order", "SELECT sku, quantity FROM order_items WHERE order_id = %s", order_id)
        assert items == [(sku, edit.units)], name
        held = shop.ask("inventory", "SELECT lines FROM reservations WHERE order_id = %s", order_id)
        assert held == [([[sku, "main", edit.units]],)], name
        reserved, allocated = before[sku]
        assert level(shop, sku) == (reserved, allocated + edit.units), name
        moved = shop.ask(
            "inventory",
            "SELECT kind, reserved, allocated FROM stock_movements WHERE order_id = %s ORDER BY id",
            order_id,
        )
        assert moved == [*PLACED, *edit.moved], name
    audit = shop.admin("GET", "audit/")
    assert audit["ok"], audit["differences"]
    require_log(shop, orders)


def require_log(shop: Shop, orders: dict[str, dict[str, Any]]) -> None:
    """Read the topics: the first occurrences of each order's events are its story, in sequence."""
    with contextlib.closing(Log(shop.stack.kafka.bootstrap_servers, TOPICS)) as log:
        log.settle()
        assert not sequence_faults(log.entries), sequence_faults(log.entries)[:5]
        for name, order in orders.items():
            edit = EDITS[name]
            stories = {
                "order.events.v1": ["OrderPlaced", "OrderConfirmed", "OrderRevisionRequested", edit.told],
                "inventory.events.v1": ["StockReserved", "StockAllocated", edit.answered],
            }
            for topic, story in stories.items():
                told = [e.kind for e in first_occurrences(log.of(order["id"], topic))]
                assert told == story, f"{name}: {topic} tells {told}"


def skus_of(step: int) -> list[str]:
    """Return SKUs that no other step edits at the same time; nothing else sells meanwhile."""
    return [PLENTY[(3 * step + n) % len(PLENTY)] for n in range(len(EDITS))]


@pytest.mark.parametrize(("service", "point", "event"), STEPS, ids=[f"{s}-{p}-{e}" for s, p, e in STEPS])
def test_a_worker_killed_at_a_step_of_an_edit_leaves_order_and_stock_agreed(
    shop: Shop, service: str, point: Point, event: str
) -> None:
    skus = skus_of(STEPS.index((service, point, event)))
    before = {sku: level(shop, sku) for sku in skus}
    orders = {name: placed(shop, sku) for name, sku in zip(EDITS, skus, strict=True)}
    worker, points = f"{service}-worker", shop.killpoints(service)
    points.arm(point, event)

    for name, order in orders.items():
        asked = ask_for(shop, order, EDITS[name], str(uuid.uuid4()))
        assert asked.status_code == 202, asked.text

    def dead() -> None:
        assert not shop.stack.processes.is_alive(worker), f"{worker} did not come to {point} of {event}"

    eventually(dead, within=20)
    assert shop.stack.processes.exit_status(worker) == -signal.SIGKILL
    assert not points.is_armed(point, event)
    shop.stack.start_again(worker)
    shop.stack.await_ready(worker)
    await_rest(shop, orders)
    require_agreement(shop, orders, before)


def answered(shop: Shop, order: dict[str, Any], edit: Edit, key: str) -> requests.Response:
    """Ask once more, as a storefront does that was cut off; other connections to who was killed are cut as well."""
    try:
        return ask_for(shop, order, edit, key)
    except requests.ConnectionError as error:
        raise AssertionError("cut off again") from error


def test_an_api_killed_before_it_answers_an_edit_made_it_once(shop: Shop) -> None:
    skus = skus_of(len(STEPS))
    before = {sku: level(shop, sku) for sku in skus}
    orders = {name: placed(shop, sku) for name, sku in zip(EDITS, skus, strict=True)}
    points = shop.killpoints("order")

    for name, order in orders.items():
        key = str(uuid.uuid4())
        points.arm(Point.COMMAND_COMMITTED)
        with pytest.raises(requests.ConnectionError):
            ask_for(shop, order, EDITS[name], key)
        assert not points.is_armed(Point.COMMAND_COMMITTED)
        again = eventually(partial(answered, shop, order, EDITS[name], key), within=20)
        assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")

    await_rest(shop, orders)
    require_agreement(shop, orders, before)
