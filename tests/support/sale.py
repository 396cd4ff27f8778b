"""A sale, and every event that it leaves on the topics that others read."""

from tests.support.log import Entry
from tests.support.running_shop import Shop

TOPICS = ("order.events.v1", "inventory.events.v1", "catalog.variants.v1")


def events_of_a_sale(shop: Shop) -> list[Entry]:
    """Let an order be placed, paid and allocated, and return its events and those of its variant."""
    sku = shop.sku()
    order = shop.customer.placed((sku, 2))
    shop.service.confirm(order, wait=10)
    for topic in TOPICS:
        shop.kinds(order["id"], topic)
    entries = [entry for entry in shop.log.entries if entry.key in (order["id"].encode(), sku.encode())]
    sale = [entry for entry in entries if entry.topic in TOPICS]
    assert {entry.kind for entry in sale} >= {
        "VariantPublished",
        "OrderPlaced",
        "StockReserved",
        "OrderConfirmed",
        "StockAllocated",
    }
    return sale
