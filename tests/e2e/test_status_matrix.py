"""Every move of an order's status, asked for by everybody: from each status to each other, against the running service.

The expected answers stand here as a person would tell them; nothing is derived from the service's own table. They
are complete by construction: a status of the document or a role of the tokens that has no entry fails. Whatever is
refused leaves the order as it was, to the last field.
"""

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
import requests

from deploy.documents import DOCS
from services.chassis.http.roles import Role
from tests.support.running_shop import Shop
from tests.support.storefront import Client, unique

Order = dict[str, Any]

STATUSES = ("pending", "confirmed", "processing", "shipped", "delivered", "cancelled", "refunded")
# Everybody, and the role of their tokens. The vendor is the one whose every line it is.
PERSONS: Mapping[str, Role] = {
    "owner": Role.CUSTOMER,
    "stranger": Role.CUSTOMER,
    "vendor": Role.VENDOR,
    "other vendor": Role.VENDOR,
    "warehouse": Role.WAREHOUSE,
    "service": Role.SERVICE,
    "admin": Role.ADMIN,
}
# Whoever may set every status: admin and service.
_ALL = {
    # to:          p  c  p  s  d  c  r
    "pending":    "=  +  i  i  i  +  i",
    "confirmed":  "i  =  +  i  i  +  i",
    "processing": "i  i  =  +  i  +  i",
    "shipped":    "i  i  i  =  +  +  i",
    "delivered":  "i  i  i  i  =  i  >",
    "cancelled":  "i  c  i  i  i  =  i",
    "refunded":   "i  i  i  i  i  i  =",
}  # fmt: skip
# Vendors move on what is theirs alone, and along the way of the goods only.
_GOODS = {
    # to:          p  c  p  s  d  c  r
    "pending":    "f  f  i  i  i  f  f",
    "confirmed":  "f  f  +  i  i  f  f",
    "processing": "f  f  =  +  i  f  f",
    "shipped":    "f  f  i  =  +  f  f",
    "delivered":  "f  f  i  i  =  f  f",
    "cancelled":  "f  f  i  i  i  f  f",
    "refunded":   "f  f  i  i  i  f  f",
}  # fmt: skip
_NONE = dict.fromkeys(STATUSES, "f  f  f  f  f  f  f")
_NOT_THERE = dict.fromkeys(STATUSES, "n  n  n  n  n  n  n")
# `PATCH …/status/`, for each from its status to each:
#   + is moved    > is asked for, and moved once the money went back    = is so already, and stays as it is
#   i invalid_status_transition    c order_cancelled    f forbidden_role    n order_not_found
SET: Mapping[str, Mapping[str, str]] = {
    "owner": _NONE,
    "stranger": _NONE,
    "vendor": _GOODS,
    "other vendor": _NOT_THERE,
    "warehouse": _NONE,
    "service": _ALL,
    "admin": _ALL,
}
# The named calls, for each from every status.
NAMED: Mapping[str, Mapping[str, str]] = {
    "cancel": {
        # from:          p  c  p  s  d  c  r
        "owner":        "+  +  i  i  i  =  i",
        "stranger":     "n  n  n  n  n  n  n",
        "vendor":       "f  f  f  f  f  f  f",
        "other vendor": "f  f  f  f  f  f  f",
        "warehouse":    "f  f  f  f  f  f  f",
        "service":      "+  +  +  +  i  =  i",
        "admin":        "+  +  +  +  i  =  i",
    },
    "confirm": {
        "owner":        "f  f  f  f  f  f  f",
        "stranger":     "f  f  f  f  f  f  f",
        "vendor":       "f  f  f  f  f  f  f",
        "other vendor": "f  f  f  f  f  f  f",
        "warehouse":    "f  f  f  f  f  f  f",
        "service":      "+  =  i  i  i  c  i",
        "admin":        "+  =  i  i  i  c  i",
    },
}  # fmt: skip
_CALLED = {"cancel": "cancelled", "confirm": "confirmed"}
# What may follow each.
FOLLOWS: Mapping[str, set[str]] = {
    "pending": {"confirmed", "cancelled"},
    "confirmed": {"processing", "cancelled"},
    "processing": {"shipped", "cancelled"},
    "shipped": {"delivered", "cancelled"},
    "delivered": {"refunded"},
    "cancelled": set(),
    "refunded": set(),
}
_REFUSALS = {
    (409, "invalid_status_transition"): "i",
    (409, "order_cancelled"): "c",
    (403, "forbidden_role"): "f",
    (404, "order_not_found"): "n",
}


class Cast:
    """Everybody, and orders in every status: one each for what changes nothing, a new one for what does."""

    def __init__(self, shop: Shop) -> None:
        vendor = unique("vendor")
        self._shop = shop
        self._sku = shop.sku(stock=1000, vendor_id=vendor)
        self._still: dict[str, Order] = {}
        self.persons: Mapping[str, Client] = {
            "owner": shop.callers.customer(),
            "stranger": shop.callers.customer(),
            "vendor": shop.callers.vendor(vendor),
            "other vendor": shop.callers.vendor(unique("vendor")),
            "warehouse": shop.callers.warehouse(),
            "service": shop.service,
            "admin": shop.admin,
        }

    def ask(self, status: str, to: str, cell: str, how: Callable[[Order], requests.Response]) -> str:
        """Ask for a move of an order from a status to another, and return what came of it, as in the tables.

        Args:
            status: the order's.
            to: the wanted one.
            cell: what is expected: an order that should stay as it is serves again.
            how: makes the request.

        """
        order = self._still.pop(status, None) if cell not in "+>" else None
        order = order or self._bring_to(status)
        answer = how(order)
        after = self._shop.admin.order(order["id"])
        if answer.status_code >= 300:
            assert after == order, f"{answer.text} changed the order"
            self._still[status] = order
            return self._refusal(answer, order, to)
        if after == order:
            assert (answer.status_code, status) == (200, to)
            self._still[status] = order
            return "="
        return ">" if self._is_asked_for(answer, after) else self._moved(answer, order, after, to)

    @staticmethod
    def _refusal(answer: requests.Response, order: Order, to: str) -> str:
        problem = answer.json()
        letter = _REFUSALS.get((answer.status_code, problem["code"]), answer.text)
        if letter == "i":
            told = (problem["from"], problem["to"], set(problem["allowed"]))
            assert told == (order["status"], to, FOLLOWS[order["status"]])
        return letter

    @staticmethod
    def _moved(answer: requests.Response, order: Order, after: Order, to: str) -> str:
        assert (answer.status_code, answer.json()["status"], after["status"]) == (200, to, to)
        assert set(after["allowed_transitions"]) == FOLLOWS[to]
        moves = [(row["previous_status"], row["status"]) for row in after["status_history"]]
        assert moves.count((order["status"], to)) == 1
        return "+"

    def _is_asked_for(self, answer: requests.Response, after: Order) -> bool:
        if answer.status_code != 202:
            return False
        assert (answer.json()["status"], after["status"]) == ("delivered", "delivered")
        self._settle(after)
        assert self._shop.admin.order(after["id"])["status"] == "refunded"
        return True

    def _settle(self, order: Order) -> None:
        for refund in self._shop.service.get(f"{order['id']}/refunds/").json()["data"]:
            done = self._shop.service.post(f"{order['id']}/refunds/{refund['id']}/settle/")
            assert done.status_code == 200, done.text

    def _bring_to(self, status: str) -> Order:
        """Return a new order of the owner in a status, in which nothing is awaited of inventory any more."""
        shop, order = self._shop, self.persons["owner"].placed((self._sku, 1))
        way = STATUSES[1 : STATUSES.index("delivered" if status == "refunded" else status) + 1]
        for step in () if status == "cancelled" else way:
            moved = shop.service.confirm(order) if step == "confirmed" else shop.admin.move(order, step)
            assert moved.status_code == 200, moved.text
        if status == "cancelled":
            assert shop.service.cancel(order).status_code == 200
            return shop.await_order(order["id"], reservation_status="released")
        if status == "refunded":
            assert shop.admin.move(order, "refunded").status_code == 202
            self._settle(order)
        expected = "reserved" if status == "pending" else "allocated"
        return shop.await_order(order["id"], status=status, reservation_status=expected)


@pytest.fixture(scope="module")
def cast(shop: Shop) -> Cast:
    return Cast(shop)


def payment_of(order: Order) -> dict[str, str]:
    """Return a payment of what is due."""
    amount, currency = order["amount_due"], order["currency"]
    return {"provider": "stripe", "reference": unique("matrix"), "amount": amount, "currency": currency}


def set_status(client: Client, to: str, order: Order) -> requests.Response:
    # A payment of an order that is confirmed or has ended would be looked at for its own sake.
    paid = (order["status"], to) == ("pending", "confirmed")
    return client.move(order, to, **({"payment": payment_of(order)} if paid else {}))


def call_named(client: Client, call: str, order: Order) -> requests.Response:
    paid = (order["status"], call) == ("pending", "confirm")
    return client.post(f"{order['id']}/{call}/", payment_of(order) if paid else {})


def test_every_status_and_every_role_has_its_entries() -> None:
    document = json.loads((DOCS / "openapi" / "order.json").read_text(encoding="utf-8"))
    statuses = document["components"]["schemas"]["OrderStatus"]["enum"]
    assert sorted(statuses) == sorted(STATUSES) == sorted(FOLLOWS)
    assert set(PERSONS.values()) == set(Role)
    for grid in (SET, *NAMED.values()):
        assert grid.keys() == PERSONS.keys()
    for rows in SET.values():
        assert list(rows) == list(STATUSES)
    for rows in (*SET.values(), *NAMED.values()):
        assert {len(row.split()) for row in rows.values()} == {len(STATUSES)}


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("person", PERSONS)
def test_a_status_is_set_as_the_table_says(cast: Cast, person: str, status: str) -> None:
    expected, answers = SET[person][status].split(), []
    for to, cell in zip(STATUSES, expected, strict=True):
        answers.append(cast.ask(status, to, cell, partial(set_status, cast.persons[person], to)))
    assert dict(zip(STATUSES, answers, strict=True)) == dict(zip(STATUSES, expected, strict=True))


@pytest.mark.parametrize("call", NAMED)
@pytest.mark.parametrize("person", PERSONS)
def test_a_named_call_moves_as_the_table_says(cast: Cast, person: str, call: str) -> None:
    expected, answers = NAMED[call][person].split(), []
    for status, cell in zip(STATUSES, expected, strict=True):
        answers.append(cast.ask(status, _CALLED[call], cell, partial(call_named, cast.persons[person], call)))
    assert dict(zip(STATUSES, answers, strict=True)) == dict(zip(STATUSES, expected, strict=True))
