"""A shop's life at random: customers, a storefront, a warehouse and an outsider that repeats what it finds.

Several actors share the orders; each draws from its own seed. What they did that the services cannot be asked for
(payments that were taken, units that came in) is noted, so that the end can be compared with it.
"""

import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import requests

from tests.support import forged
from tests.support.running_shop import SHORT_HOLD, Shop
from tests.support.storefront import unique

Order = dict[str, Any]


class Notes:
    """What the actors share and note, under one lock."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.orders: dict[str, Order] = {}
        self.requests: list[str] = []
        self.overtaken: list[str] = []
        # (order id, reference) -> amount in minor units
        self.payments: dict[tuple[str, str], int] = {}
        self.received: Counter[str] = Counter()
        self.done: Counter[str] = Counter()

    def add(self, order: Order) -> None:
        """Note an order that was placed."""
        with self.lock:
            self.orders.setdefault(order["id"], order)


class Actor:
    """Does one random thing after the other until the time is up."""

    def __init__(self, shop: Shop, notes: Notes, skus: list[str], seed: int) -> None:
        self._shop = shop
        self._notes = notes
        self._skus = skus
        self._chance = random.Random(seed)
        callers = shop.callers
        self._customer, self._service, self._admin = callers.customer(), callers.service(), callers.admin()
        self._actions: list[tuple[int, Callable[[], str]]] = [
            (10, self._place),
            (5, self._request),
            (9, self._confirm),
            (5, self._cancel),
            (20, self._move),
            (4, self._stock),
            (4, self._repeat),
            (1, self._overtake),
        ]

    def run(self, seconds: float) -> None:
        """Act for so long."""
        weights = [weight for weight, _ in self._actions]
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            (action,) = self._chance.choices([action for _, action in self._actions], weights)
            outcome = action()
            with self._notes.lock:
                self._notes.done[outcome] += 1

    def _items(self) -> list[tuple[str, int]]:
        return [
            (self._chance.choice(self._skus), self._chance.randint(1, 3)) for _ in range(self._chance.randint(1, 3))
        ]

    def _order(self) -> Order | None:
        with self._notes.lock:
            known = list(self._notes.orders.values())
        return self._chance.choice(known[-40:]) if known else None

    def _place(self) -> str:
        method = self._chance.choice(["card", "card", "invoice", SHORT_HOLD])
        order = self._customer.placed(*self._items(), wait=None, payment_method=method)
        self._notes.add(order)
        return f"placed by {method}"

    def _request(self) -> str:
        """Ask for an order by Kafka, sometimes twice, and look for one that was asked for before."""
        request_id = unique("life")
        request = forged.requested(request_id, *self._items(), payment_method="invoice")
        self._shop.outsider.tell(request)
        if self._chance.random() < 0.3:
            self._shop.outsider.tell(request)
        with self._notes.lock:
            self._notes.requests.append(request_id)
            asked = self._chance.choice(self._notes.requests)
        for order in self._service.get("", params={"request_id": asked}).json()["data"]:
            self._notes.add(order)
        return "requested"

    def _confirm(self) -> str:
        order = self._order()
        if order is None:
            return "nothing to confirm"
        if order["payment_method"] == "invoice" and self._chance.random() < 0.5:
            answer = self._service.post(f"{order['id']}/confirm/", {})
            return f"confirmed {_told(answer)}"
        with self._notes.lock:
            known = [reference for order_id, reference in self._notes.payments if order_id == order["id"]]
        reference = self._chance.choice([*known, unique("pay")]) if self._chance.random() < 0.5 else unique("pay")
        answer = self._service.confirm(order, wait=None, reference=reference, amount=order["total_amount"])
        if answer.status_code in (200, 202, 409):
            with self._notes.lock:
                self._notes.payments[order["id"], reference] = _minor(order["total_amount"])
        return f"paid {_told(answer)}"

    def _cancel(self) -> str:
        order = self._order()
        if order is None:
            return "nothing to cancel"
        body = {"reason": "other", "restock": self._chance.random() < 0.7, "refund": self._chance.random() < 0.7}
        return f"cancelled {_told(self._service.cancel(order, wait=None, **body))}"

    def _move(self) -> str:
        order = self._order()
        if order is None:
            return "nothing to move"
        seen = self._admin.order(order["id"])
        onward = [status for status in seen["allowed_transitions"] if status in ("processing", "shipped", "delivered")]
        if not onward:
            return "not moved"
        return f"{onward[0]} {_told(self._admin.move(order, onward[0]))}"

    def _stock(self) -> str:
        sku, quantity = self._chance.choice(self._skus), self._chance.randint(1, 6)
        if self._chance.random() < 0.6:
            answer = self._admin.receive(sku, quantity)
            assert answer.status_code == 201, answer.text
        else:
            quantity = -quantity
            answer = self._admin.adjust(sku, quantity=quantity)
        if answer.status_code == 201:
            with self._notes.lock:
                self._notes.received[sku] += quantity
        return f"stocked {_told(answer)}"

    def _repeat(self) -> str:
        """Write some record of the log once more, as a relay does that crashed."""
        with self._notes.lock:
            own = set(self._notes.orders)
        ours = [
            entry for entry in self._shop.log.entries[-2000:] if entry.is_ours and (entry.key or b"").decode() in own
        ]
        if not ours:
            return "nothing to repeat"
        self._shop.outsider.repeat(self._chance.choice(ours))
        return "repeated"

    def _overtake(self) -> str:
        """Let a cancel overtake its order."""
        order_id = str(uuid.uuid4())
        with self._notes.lock:
            self._notes.overtaken.append(order_id)
        self._shop.outsider.tell(forged.cancelled(order_id))
        self._shop.outsider.tell(forged.placed(order_id, (self._chance.choice(self._skus), 1)))
        return "overtaken"


def _told(answer: requests.Response) -> str:
    """Return how a call ended; a fault of the services fails the test."""
    assert answer.status_code < 500, answer.text
    return str(answer.status_code)


def _minor(amount: str) -> int:
    return int(amount.replace(".", ""))


def live(
    shop: Shop, notes: Notes, skus: list[str], *, seed: int, seconds: float, actors: int = 3
) -> list[threading.Thread]:
    """Let some actors act for so long, each in a thread of its own; an error of one is raised by `finish`."""
    threads: list[threading.Thread] = []
    for number in range(actors):
        thread = _Acting(Actor(shop, notes, skus, seed * 1000 + number), seconds)
        thread.start()
        threads.append(thread)
    return threads


def finish(threads: list[threading.Thread]) -> None:
    """Wait for actors; raise what one of them failed with."""
    for thread in threads:
        thread.join()
    for thread in threads:
        assert isinstance(thread, _Acting)
        if thread.error is not None:
            raise thread.error


class _Acting(threading.Thread):
    def __init__(self, actor: Actor, seconds: float) -> None:
        super().__init__(name="actor")
        self._actor = actor
        self._seconds = seconds
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self._actor.run(self._seconds)
        except BaseException as error:  # noqa: BLE001 - handed on by `finish`
            self.error = error
