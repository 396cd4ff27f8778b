"""Analytics by REST: who sees which figures, and what is refused how. That they are right: tests/integration."""

from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.running_shop import Shop
from tests.support.storefront import unique


def test_an_answer_says_its_days_its_zone_and_until_when_it_is_complete(shop: Shop) -> None:
    shown = shop.admin.get("analytics/", params={"period": "day", "compare": "previous_period"}).json()
    assert shown["time_zone"] == "UTC"
    assert shown["from"] == shown["to"]
    assert shown["previous_to"] < shown["from"]
    assert "as_of" in shown


@pytest.mark.parametrize("role", ["customer", "warehouse", "service"])
def test_analytics_are_for_admins_and_vendors(shop: Shop, role: str) -> None:
    client = {"customer": shop.customer, "warehouse": shop.callers.warehouse(), "service": shop.service}[role]
    refused = client.get("analytics/")
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden_role")


@pytest.mark.parametrize(
    ("parameters", "status", "code", "parameter"),
    [
        ({"time_zone": "Mars"}, 422, "unknown_time_zone", "time_zone"),
        ({"from": "2026-02-01", "to": "2026-01-01"}, 422, "invalid_period", "from"),
        ({"from": "2000-01-01", "to": "2026-01-01"}, 422, "invalid_period", "from"),
        ({"period": "decade"}, 400, "invalid_request", "period"),
        ({"period": "day", "from": "2026-01-01"}, 400, "invalid_request", "from"),
        ({"to": "2026-01-01"}, 400, "invalid_request", "to"),
        ({"from": "1767225600"}, 400, "invalid_request", "from"),
        ({"compare": "last_year"}, 400, "invalid_request", "compare"),
        ({"zone": "UTC"}, 400, "invalid_request", "zone"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(
    shop: Shop, parameters: dict[str, str], status: int, code: str, parameter: str
) -> None:
    refused = shop.admin.get("analytics/", params=parameters)
    assert (refused.status_code, refused.json()["code"]) == (status, code)
    assert refused.json()["errors"][0]["parameter"] == parameter


def test_a_vendor_sees_their_own_lines_and_nobody_s_customers(shop: Shop) -> None:
    ours, theirs = unique("vendor"), unique("vendor")
    shop.callers.customer().placed((shop.sku(vendor_id=ours, price="3.00"), 2), (shop.sku(vendor_id=theirs), 1))

    def figures(vendor_id: str) -> list[dict[str, Any]]:
        return list(shop.callers.vendor(vendor_id).get("analytics/", params={"period": "day"}).json()["data"])

    def is_counted() -> None:
        assert figures(ours)

    eventually(is_counted, within=30)
    (seen,) = figures(ours)
    assert (seen["orders"], seen["units"], seen["revenue"]) == (1, 2, "6.00")
    assert (seen["customers"], seen["vendors"]) == (None, None)
    assert figures(unique("vendor")) == []
    (whole,) = shop.admin.get("analytics/", params={"period": "day"}).json()["data"]
    assert {ours, theirs} <= {row["vendor_id"] for row in whole["vendors"]}


def test_a_refund_and_a_cancel_restate_the_day_of_the_order(shop: Shop) -> None:
    """In a currency of their own, which is an answer of its own."""

    def figures() -> tuple[Any, ...]:
        data = shop.admin.get("analytics/", params={"period": "day"}).json()["data"]
        found = [row for row in data if row["currency"] == "ISK"]
        names = ("orders", "cancelled", "gross", "refunded", "revenue", "average_order_value")
        return tuple(found[0][name] for name in names) if found else ()

    def are(*expected: Any) -> None:
        assert figures() == expected

    sku = shop.sku(price="500", currency="ISK")
    kept, gone = (shop.customer.placed((sku, 2)) for _ in range(2))
    total = int(kept["total_amount"])
    eventually(lambda: are(2, 0, str(2 * total), "0", str(2 * total), str(total)), within=30)
    assert shop.service.confirm(kept).status_code == 200
    asked = {"lines": [{"item_id": kept["items"][0]["id"], "quantity": 1}], "reason": "damaged"}
    assert shop.admin.post(f"{kept['id']}/refunds/", asked, key=unique("refund")).status_code == 201
    assert shop.service.cancel(gone).status_code == 200
    eventually(lambda: are(2, 1, str(total), "500", str(total - 500), str(total - 500)), within=30)
