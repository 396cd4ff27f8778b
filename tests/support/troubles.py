"""What the guides for operators are about, made on purpose: an order that waits, a parked key, books that are wrong.

And what alerts are about: what there is a sample of only while something is wrong.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping

import requests

from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import unique

_UNREADABLE = b"not an event"
# Nobody's consumer: no breaker of it stops one of the shop's, and no parked key of it is tried.
_NOBODY = "made-by-a-test"
_PARK = """
INSERT INTO parked_keys (consumer, topic, key, state, attempts, due_at, fingerprint, error)
VALUES (:consumer, 'inventory.events.v1', :consumer, 'dead', 10, now(), 'ValueError@made.py:1', 'made by a test')
"""
_OPEN_BREAKER = """
INSERT INTO breakers (consumer, topic, fingerprint, build_id)
VALUES (:consumer, 'inventory.events.v1', 'ValueError@made.py:1', :build_id)
"""
_COUNT_SENT = "SELECT count(*) FROM notifications WHERE subject = :id AND status = 'sent'"
# A mail each that waits, that is being sent, and whose outcome nobody knows; the last one is soon sent again.
_UNSEND = """
UPDATE notifications n SET status = open.status, due_at = now() + interval '1 hour',
    claim = CASE WHEN open.status = 'sending' THEN gen_random_uuid() END
FROM (VALUES ('order_placed', 'queued'), ('order_confirmed', 'sending'), ('order_cancelled', 'held')) open(mail, status)
WHERE n.subject = :id AND n.template = open.mail
"""
_COUNT_AS_SENT = "UPDATE notifications SET status = 'sent', claim = NULL WHERE subject = :id"


def make_trouble(shop: Shop) -> Mapping[str, str]:
    """Return shell variables that name what is wrong: ORDER_ID waits, KEY is parked, the books of SKU disagree."""
    order_id = _stuck_order(shop)
    return {"ORDER_ID": order_id, "KEY": _parked_key(shop), "SKU": _wrong_books(shop)}


def end_trouble(shop: Shop, named: Mapping[str, str]) -> None:
    """Put right what `make_trouble` made wrong, as far as nobody has done it yet."""
    reason = ("--reason", "made by a test")
    shop.operate("order", "parked", "discard", "--key", named["ORDER_ID"], *reason)
    for service in ("inventory", "notification"):
        shop.operate(service, "parked", "discard", "--key", named["KEY"], *reason)
    corrected = "UPDATE stock_levels SET on_hand = 10 WHERE sku = :sku AND on_hand = 13"
    shop.probe.execute("inventory", corrected, sku=named["SKU"])


@contextlib.contextmanager
def alarm(shop: Shop) -> Iterator[Callable[[], None]]:
    """Make something of all that there is an alert for; what is yielded makes again what goes away by itself."""
    order = shop.service.placed((shop.sku(), 1), customer_id="ada", customer_email="ada@shop.example")
    assert shop.service.confirm(order).status_code == 200
    assert shop.service.cancel(order).status_code == 200
    named = {"id": order["id"]}
    eventually(lambda: _require(shop.probe.value("notification", _COUNT_SENT, **named) == 3), within=20)
    shop.probe.execute("order", "UPDATE orders SET stuck_reason = 'allocation_timeout' WHERE id = :id", **named)
    shop.probe.execute("order", _PARK, consumer=_NOBODY)
    shop.probe.execute("order", _OPEN_BREAKER, consumer=_NOBODY, build_id=_build_id(shop))
    try:
        yield lambda: shop.probe.execute("notification", _UNSEND, **named)
    finally:
        shop.probe.execute("order", "UPDATE orders SET stuck_reason = NULL WHERE id = :id", **named)
        for table in ("parked_keys", "breakers"):
            shop.probe.execute("order", f"DELETE FROM {table} WHERE consumer = :consumer", consumer=_NOBODY)
        shop.probe.execute("notification", _COUNT_AS_SENT, **named)


def _build_id(shop: Shop) -> str:
    told = requests.get(shop.stack.state.services["order"].metrics_url, timeout=10).text
    found = re.search(r'^oms_build_info\{.*build_id="([^"]*)"', told, re.MULTILINE)
    assert found, told
    return found[1]


def _stuck_order(shop: Shop) -> str:
    """Make an order that waits for its allocation, since the answer is parked behind a record that nobody can read."""
    order = shop.service.placed((shop.sku(), 2), customer_id="ada", customer_email="ada@shop.example")
    order_id = str(order["id"])
    kind = {"ce_type": "oms.inventory.StockAllocated"}
    shop.outsider.write("inventory.events.v1", order_id.encode(), _UNREADABLE, kind)
    eventually(lambda: _require(shop.probe.parked("order", order_id)), within=15)
    assert shop.service.confirm(order, wait=None).status_code == 200
    # Waiting is normal for ten seconds, which nobody has to wait here.
    shop.probe.execute("order", "UPDATE orders SET updated_at = now() - interval '20 s' WHERE id = :id", id=order_id)
    assert order_id in shop.operate("order", "stuck")
    return order_id


def _parked_key(shop: Shop) -> str:
    """Make a key of order.events.v1 that inventory and notification cannot handle."""
    key = unique("broken")
    shop.outsider.write("order.events.v1", key.encode(), _UNREADABLE, {"ce_type": "oms.order.OrderConfirmed"})
    for service in ("inventory", "notification"):
        eventually(lambda service=service: _require(shop.probe.parked(service, key)), within=15)
    return key


def _wrong_books(shop: Shop) -> str:
    """Make a level that is not the sum of its movements, as somebody does who writes to the table by hand."""
    sku = shop.sku(stock=10)
    shop.probe.execute("inventory", "UPDATE stock_levels SET on_hand = on_hand + 3 WHERE sku = :sku", sku=sku)
    return sku


def _require(found: object) -> None:
    assert found
