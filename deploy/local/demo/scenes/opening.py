"""The shop opens."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from deploy.local.demo.catalog import CURRENCY, LOW_STOCK_THRESHOLD, SHELF, ShelfItem
from deploy.local.demo.client import INVENTORY, ORDERS
from deploy.local.demo.promises import Promise
from deploy.local.demo.shop import Shop
from deploy.local.demo.stage import Stage

_HANDS = 6


def open_shop(shop: Shop, stage: Stage) -> None:
    """Publish every variant and receive its first units; wait until the order service knows them all."""
    with ThreadPoolExecutor(_HANDS) as pool:
        on_hand = list(pool.map(lambda item: _put_on_shelf(shop, item), SHELF))
    shop.received = {item.sku: item.units for item in SHELF}
    units = sum(shop.received.values())
    stage.promise(
        Promise(
            "the warehouse received the first units", sum(on_hand) == units, f"{units:,} units of {len(SHELF)} variants"
        )
    )
    refusal = shop.until("the order service to know every variant", lambda: _refused_for_its_price(shop))
    total = f"one of each would cost {refusal['total_amount']} {CURRENCY}"
    priced = refusal["code"] == "price_changed"
    stage.promise(Promise("the order service prices all of them", priced, total))


def _put_on_shelf(shop: Shop, item: ShelfItem) -> int:
    """Publish a variant and book its units in; return how many are on hand."""
    variant = {
        "product_name": item.product,
        "variant_name": item.variant,
        "price": item.price,
        "currency": CURRENCY,
        "low_stock_threshold": LOW_STOCK_THRESHOLD,
        "vendor_id": item.vendor,
    }
    shop.admin.change("PUT", "inventory", f"{INVENTORY}variants/{item.sku}/", variant)
    receipt = {"quantity": item.units, "reference": "delivery note 1"}
    level = shop.warehouse.change("POST", "inventory", f"{INVENTORY}stock/{item.sku}/receipts/", receipt)
    return int(level.body["on_hand"])


def _refused_for_its_price(shop: Shop) -> dict[str, Any] | None:
    """Ask for one of each at a price that is wrong: refused for an unknown SKU, or for the price once all are known."""
    body = {
        "items": [{"sku": item.sku, "quantity": 1} for item in SHELF],
        "shipping_address": shop.customer("Nobody").address(),
        "expected_total": "0.01",
    }
    refusal: dict[str, Any] = shop.backend.change("POST", "order", ORDERS, body, expect=(422,)).body
    return refusal if refusal["code"] == "price_changed" else None
