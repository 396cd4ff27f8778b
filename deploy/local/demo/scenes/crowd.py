"""Many buyers at once for the last units."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from functools import partial
from typing import TypeVar

from deploy.local.demo.catalog import LIMITED
from deploy.local.demo.promises import Promise
from deploy.local.demo.shop import Order, Shop
from deploy.local.demo.stage import Stage
from schemas.contracts import OrderPlaced

T = TypeVar("T")
_BY_REST = ("Finja", "Georg", "Hanna", "Ivo", "Jule", "Kai", "Lotte", "Momo")
_BY_KAFKA = ("Nele", "Ole", "Pia", "Quirin")
_BUYERS = len(_BY_REST) + len(_BY_KAFKA)
_CROWD = {"crowd": f"{_BUYERS} buyers"}
_TICK_SECONDS = 0.1
_GATE_SECONDS = 10.0  # a call that an interrupt kept from starting must not hold up the others for ever


def rush_for_mugs(shop: Shop, stage: Stage) -> None:
    """Let everybody want one of the last units at the same moment."""
    buyers = [shop.customer(name) for name in _BY_REST]
    requests = [shop.request(name, f"mug-{name.lower()}", {LIMITED.sku: 1}, metadata=_CROWD) for name in _BY_KAFKA]
    records = [shop.storefront.record(request) for request in requests]
    by_rest = [partial(shop.place, buyer, {LIMITED.sku: 1}, expect=(201, 409), metadata=_CROWD) for buyer in buyers]
    calls: list[Callable[[], object]] = [*by_rest, partial(shop.storefront.send, records)]
    _at_once(stage, calls)
    for request in requests:
        shop.answer_to(request.request_id, OrderPlaced)
    orders = shop.until("every buyer to have an answer", lambda: _decided(shop))
    winners = [order for order in orders if order["reservation_status"] == "reserved"]
    losers = [order for order in orders if order["cancel_reason"] == "insufficient_stock"]
    served = f"{len(winners)} reserved of {LIMITED.units}, {shop.available(LIMITED.sku)} left"
    stage.promise(Promise("every mug was sold, and sold once", len(winners) == LIMITED.units, served))
    refused = len(losers) == _BUYERS - LIMITED.units
    stage.promise(Promise("the others were told: insufficient stock", refused, f"{len(losers)} of {_BUYERS} buyers"))
    stage.breathe()
    paid = [answer.body for answer in _at_once(stage, [partial(shop.pay, order) for order in winners])]
    confirmed = sum(order["status"] == "confirmed" for order in paid)
    stage.promise(Promise("the winners paid at once, all confirmed", confirmed == len(winners), f"{confirmed} orders"))


def _decided(shop: Shop) -> list[Order] | None:
    """Return the crowd's orders once inventory has answered all of them."""
    orders = [order for order in shop.orders() if order["metadata"] == _CROWD]
    done = len(orders) == _BUYERS and all(order["reservation_status"] != "pending" for order in orders)
    return orders if done else None


def _at_once(stage: Stage, calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make all calls at the same moment, each on a thread of its own, and return what they return."""
    gate = threading.Barrier(max(1, len(calls)))
    with ThreadPoolExecutor(max(1, len(calls))) as pool:
        futures = [pool.submit(_through, gate, call) for call in calls]
        waiting = set(futures)
        while waiting:
            waiting = wait(waiting, _TICK_SECONDS, FIRST_COMPLETED).not_done
            stage.tick()
    return [future.result() for future in futures]


def _through(gate: threading.Barrier, call: Callable[[], T]) -> T:
    gate.wait(_GATE_SECONDS)
    return call()
