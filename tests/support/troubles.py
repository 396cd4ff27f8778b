"""What the guides for operators are about, made on purpose: an order that waits, a parked key, books that are wrong."""

from collections.abc import Mapping

from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import unique

_UNREADABLE = b"not an event"


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
