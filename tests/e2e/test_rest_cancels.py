"""What a customer may decide about the cancel of their own order."""

from typing import Any

import pytest

from tests.support.running_shop import Shop


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"restock": False}, "/restock"),
        ({"refund": False}, "/refund"),
        ({"notify_customer": False}, "/notify_customer"),
        ({"reason": "fraud_suspected"}, "/reason"),
    ],
)
def test_a_customer_decides_only_what_is_theirs(shop: Shop, body: dict[str, Any], pointer: str) -> None:
    order = shop.customer.placed((shop.sku(), 1))

    refused = shop.customer.cancel(order, **body)

    assert (refused.status_code, refused.json()["code"]) == (403, "field_not_allowed")
    assert refused.json()["errors"][0]["pointer"] == pointer
    assert shop.customer.order(order["id"])["status"] == "pending"
