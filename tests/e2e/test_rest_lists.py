"""Lists: pages behind a cursor, filters, orders of rows, and what a page costs."""

import csv
import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.running_shop import Shop
from tests.support.statements import counted
from tests.support.storefront import Client, unique

ORDERS = 105
LISTS = {
    "a customer's orders": ("order", "", {}),
    "everything of them": ("order", "", {"expand": "status_history,shipments"}),
    "all orders": ("order", "admin/", {}),
    "all orders that are stuck or not": ("order", "admin/", {"stuck": "false"}),
    "all orders of a status": ("order", "admin/", {"status": "pending"}),
    "all orders as they changed": ("order", "admin/", {"sort": "-updated_at"}),
    "all orders that a search may mean": ("order", "admin/", {"q": "ORD"}),
    "a vendor's orders": ("order", "vendor/", {}),
    "variants": ("inventory", "variants/", {}),
    "reservations": ("inventory", "reservations/", {}),
    "movements": ("inventory", "movements/", {}),
    "notifications": ("notification", "", {}),
}
_CALLERS = {"": "customer", "vendor/": "vendor", "admin/": "admin"}


@dataclass(frozen=True)
class Crowd:
    """A customer and a vendor with more orders than fit on a page."""

    customer: Client
    vendor: Client
    admin: Client
    sku: str
    orders: list[dict[str, Any]]


@pytest.fixture(scope="module")
def crowd(shop: Shop) -> Crowd:
    """Place many orders of one customer, of different totals, and let them come to rest."""
    vendor_id = unique("vendor")
    sku = shop.sku(stock=10_000, vendor_id=vendor_id)
    customer = shop.callers.customer(unique("crowd"))
    with ThreadPoolExecutor(8) as pool:
        clients = [Client(customer.urls, customer.token) for _ in range(8)]
        answers = list(pool.map(lambda n: clients[n % 8].place((sku, n % 7 + 1)), range(ORDERS)))
        admins = [shop.callers.admin() for _ in range(8)]
        # Variants too are more than a page.
        published = list(pool.map(lambda n: admins[n % 8].put_variant(unique("MANY")), range(ORDERS)))
    assert {answer.status_code for answer in published} == {200}
    orders = [answer.json() for answer in answers]
    shop.await_order(orders[-1]["id"], reservation_status="reserved")
    shop.kinds(orders[-1]["id"], "order.events.v1")
    for order in orders:
        shop.probe.await_taken("notification", shop.log.of(order["id"], "order.events.v1")[0].event_id)
    return Crowd(customer, shop.callers.vendor(vendor_id), shop.admin, sku, orders)


@pytest.mark.parametrize("name", LISTS)
def test_a_page_costs_a_fixed_number_of_statements_whatever_its_size(shop: Shop, crowd: Crowd, name: str) -> None:
    service, path, filters = LISTS[name]
    role = _CALLERS[path] if service == "order" else "admin"
    client: Client = getattr(crowd, role)
    small, large = (statements(shop, client, service, path, {**filters, "limit": limit}) for limit in (1, 100))
    assert small == large
    assert 0 < large < 10


def test_what_stuck_orders_wait_for_costs_one_statement_whatever_the_size_of_the_page(shop: Shop, crowd: Crowd) -> None:
    ids = [order["id"] for order in crowd.orders]
    mark = "UPDATE orders SET stuck_reason = :reason WHERE id = ANY(CAST(:ids AS uuid[]))"
    shop.probe.execute("order", mark, reason="stock_shortfall", ids=ids)
    try:
        rows = [row for page in crowd.admin.pages("admin/", params={"stuck": "true", "limit": 100}) for row in page]
        small, large = (
            statements(shop, crowd.admin, "order", "admin/", {"stuck": "true", "limit": limit}) for limit in (1, 100)
        )
        usual = statements(shop, crowd.admin, "order", "admin/", {"limit": 100})
    finally:
        shop.probe.execute("order", mark, reason=None, ids=ids)
    assert {row["id"] for row in rows if row["stuck"]["reason"] == "stock_shortfall"} >= set(ids)
    assert (small, large) == (usual + 1, usual + 1)


def statements(shop: Shop, client: Client, service: str, path: str, parameters: dict[str, Any]) -> int:
    """Return how many statements a full page costs."""

    def once() -> int:
        with counted(shop, service) as count:
            rows = client.get(path, service=service, params=parameters).json()["data"]
        assert len(rows) == parameters["limit"]
        return count.statements

    # The first look may open a connection, which costs statements too.
    return min(once() for _ in range(3))


def test_the_pages_of_a_list_hold_each_row_once_in_order(crowd: Crowd) -> None:
    pages = list(crowd.customer.pages("", params={"limit": 20}))

    assert [len(page) for page in pages] == [20, 20, 20, 20, 20, 5]
    rows = [row for page in pages for row in page]
    assert {row["id"] for row in rows} == {order["id"] for order in crowd.orders}
    assert [row["created_at"] for row in rows] == sorted((row["created_at"] for row in rows), reverse=True)


@pytest.mark.parametrize("sort", ["created_at", "-created_at", "updated_at", "-updated_at"])
def test_rows_are_sorted_by_time(crowd: Crowd, sort: str) -> None:
    column = sort.lstrip("-")
    rows = [row for page in crowd.customer.pages("", params={"limit": 50, "sort": sort}) for row in page]
    assert [row[column] for row in rows] == sorted((row[column] for row in rows), reverse=sort.startswith("-"))
    assert len({row["id"] for row in rows}) == ORDERS


@pytest.mark.parametrize("sort", ["total_amount", "-total_amount"])
def test_rows_are_sorted_by_total_and_equal_totals_by_id(crowd: Crowd, sort: str) -> None:
    rows = [row for page in crowd.customer.pages("", params={"limit": 10, "sort": sort}) for row in page]
    found = [(float(row["total_amount"]), row["id"]) for row in rows]
    assert found == sorted(found, reverse=sort.startswith("-"))
    assert len(set(found)) == ORDERS


def test_rows_come_without_history_and_shipments_unless_asked_for(crowd: Crowd) -> None:
    def page(**parameters: Any) -> dict[str, Any]:
        (row,) = crowd.customer.get("", params={"limit": 1, **parameters}).json()["data"]
        return dict(row)

    assert (page()["status_history"], page()["shipments"]) == (None, None)
    assert page(expand="status_history")["status_history"][0]["reason"] == "placed"
    assert page(expand="shipments")["shipments"] == []
    assert page(expand="status_history,shipments")["items"] == page()["items"]
    both = page(expand="shipments,status_history")
    assert (both["status_history"][0]["reason"], both["shipments"]) == ("placed", [])
    assert both == page(expand="status_history,shipments")


def test_a_cursor_does_not_mind_in_which_order_parts_are_named(crowd: Crowd) -> None:
    cursor = crowd.customer.get("", params={"limit": 1, "expand": "shipments,status_history"}).json()["next_cursor"]
    rest = crowd.customer.get("", params={"limit": 1, "expand": "status_history,shipments", "cursor": cursor})
    assert rest.status_code == 200


def test_filters_choose_rows(shop: Shop, crowd: Crowd) -> None:
    cancelled = crowd.orders[3]
    crowd.customer.cancel(cancelled)

    def ids(**filters: Any) -> list[str]:
        pages = crowd.customer.pages("", params={"limit": 100, "sort": "created_at", **filters})
        return [row["id"] for page in pages for row in page]

    rows = [row for page in crowd.customer.pages("", params={"limit": 100, "sort": "created_at"}) for row in page]
    # Orders that were placed in one group have one time.
    middle = rows[50]["created_at"]
    since = [row["id"] for row in rows if row["created_at"] >= middle]
    assert ids(status="cancelled") == [cancelled["id"]]
    assert len(ids(status="pending")) == ORDERS - 1
    assert ids(number=cancelled["order_number"]) == [cancelled["id"]]
    assert ids(**{"created_at[gte]": middle}) == since
    assert ids(**{"created_at[lt]": middle}) == [row["id"] for row in rows[: ORDERS - len(since)]]
    updated = shop.admin.order(cancelled["id"])["updated_at"]
    assert ids(**{"updated_at[gte]": updated}) == [cancelled["id"]]
    assert ids(request_id="nobody") == []


def test_rows_that_come_meanwhile_neither_shift_nor_repeat_others(shop: Shop) -> None:
    customer, sku = shop.callers.customer(), shop.sku(stock=100)
    first = [customer.placed((sku, 1), wait=None)["id"] for _ in range(6)]
    answer = customer.get("", params={"limit": 3}).json()
    customer.placed((sku, 1), wait=None)

    rest = customer.get("", params={"limit": 3, "cursor": answer["next_cursor"]}).json()

    assert [row["id"] for row in answer["data"] + rest["data"]] == list(reversed(first))
    assert rest["next_cursor"] is None


def test_a_cursor_belongs_to_its_list_its_filters_and_its_order(shop: Shop, crowd: Crowd) -> None:
    cursor = crowd.customer.get("", params={"limit": 1}).json()["next_cursor"]
    for client, path, others in (
        (crowd.customer, "", {"sort": "created_at"}),
        (crowd.customer, "", {"status": "pending"}),
        (shop.admin, "admin/", {}),
    ):
        refused = client.get(path, params={"cursor": cursor, **others})
        assert (refused.status_code, refused.json()["code"]) == (400, "invalid_cursor")
        assert refused.json()["errors"][0]["parameter"] == "cursor"
    # The size of a page may change on the way.
    assert crowd.customer.get("", params={"limit": 50, "cursor": cursor}).status_code == 200


def test_variants_are_searched_by_part_of_sku_or_name(shop: Shop) -> None:
    word = unique("word")
    sku = shop.sku(stock=0, product_name=f"Tea 100%_{word}")

    def found(q: str, **filters: Any) -> list[str]:
        rows = shop.customer.get("variants/", service="inventory", params={"q": q, **filters}).json()["data"]
        return [row["sku"] for row in rows]

    assert found(word) == found(word.upper()) == found(sku.lower()) == [sku]
    assert found(f"100%_{word}") == [sku]
    assert found(f"100_%{word}") == []
    assert found(word, active="false") == []


def test_operators_search_by_number_address_sku_and_tracking_number(shop: Shop) -> None:
    sku, email = shop.sku(), f"{unique('Ada')}@shop.example"
    order = shop.service.placed((sku, 1), customer_email=email, customer_id=unique("c"), payment_method="invoice")
    tracking = unique("T")
    shop.service.confirm(order)
    shop.admin.move(order, "processing")
    assert shop.admin.move(order, "shipped", tracking_number=tracking).status_code == 200

    def found(q: str, **filters: Any) -> list[str]:
        return [row["id"] for page in shop.admin.pages("admin/", params={"q": q, **filters}) for row in page]

    number = order["order_number"]
    for q in (number, number.lower(), email, email.upper(), sku, tracking):
        assert found(q) == [order["id"]], q
    assert order["id"] in found(number[:6])
    assert found(sku, status="shipped", payment_status="paid") == [order["id"]]
    # All of it but the number has to be there, and nothing in it is a pattern.
    for q in (number[1:], email[1:], sku[:-1], tracking.lower(), "ORD%", "%", "_", "\\"):
        assert found(q) == [], q


def test_operators_ask_for_what_is_to_be_paid_back_and_for_what_is_late(shop: Shop) -> None:
    sku, customer = shop.sku(), unique("c")
    paid, late = (shop.service.placed((sku, 1), customer_id=customer) for _ in range(2))
    for order in (paid, late):
        shop.service.confirm(order)
    shop.service.cancel(paid)
    shop.admin.move(late, "processing")
    make_late = "UPDATE orders SET ship_by = now() - interval '1 hour' WHERE id = CAST(:id AS uuid)"
    shop.probe.execute("order", make_late, id=late["id"])

    def found(**filters: Any) -> list[str]:
        return [
            row["id"] for row in shop.admin.get("admin/", params={"customer_id": customer, **filters}).json()["data"]
        ]

    assert found(payment_status="refund_due") == [paid["id"]]
    assert found(payment_status="paid") == [late["id"]]
    assert found(overdue="true") == [late["id"]]
    assert found(overdue="false") == [paid["id"]]
    shop.admin.move(late, "shipped")
    assert found(overdue="true") == []


@pytest.mark.parametrize(
    ("caller", "path", "parameters"),
    [
        ("service", "", {"sort": "total_amount", "status": "pending"}),
        ("service", "", {"updated_at[gte]": "2026-01-01T00:00:00Z"}),
        ("service", "", {"created_at[gte]": "2026-01-01T00:00:00Z", "sort": "-updated_at"}),
        ("admin", "admin/", {"sort": "-total_amount", "payment_status": "paid"}),
        ("admin", "admin/", {"q": "x", "sort": "updated_at"}),
        ("vendor", "vendor/", {"sort": "-total_amount"}),
    ],
)
def test_what_no_index_has_in_order_is_refused_with_what_to_ask_instead(
    shop: Shop, crowd: Crowd, caller: str, path: str, parameters: dict[str, str]
) -> None:
    client = crowd.vendor if caller == "vendor" else getattr(shop, caller)
    refused = client.get(path, params=parameters)
    assert (refused.status_code, refused.json()["code"]) == (400, "invalid_request")
    (fault,) = refused.json()["errors"]
    assert fault["parameter"] == "sort"
    assert "goes with" in fault["detail"] or "does not go with" in fault["detail"]
    if path == "":
        # A person's orders are few.
        assert client.get(path, params={**parameters, "customer_id": "c"}).status_code == 200


def test_all_orders_of_a_list_are_downloaded_as_csv(crowd: Crowd) -> None:
    headers, filters = {"Accept": "text/csv"}, {"customer_id": crowd.customer.subject, "status": "pending"}
    answer = crowd.admin.get("admin/", params=filters, headers=headers)
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="orders.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    listed = [row for page in crowd.admin.pages("admin/", params={**filters, "limit": 100}) for row in page]
    assert [row["id"] for row in rows] == [row["id"] for row in listed]
    same = ("order_number", "status", "customer_id", "total_amount", "amount_due", "created_at", "shipping_method")
    assert [[row[name] for name in same] for row in rows] == [[row[name] for name in same] for row in listed]
    assert rows[0]["skus"] == f"{crowd.sku}*{rows[0]['units']}"

    for name, value in (("limit", "5"), ("cursor", "x"), ("expand", "shipments"), ("sort", "updated_at")):
        refused = crowd.admin.get("admin/", params={**filters, name: value}, headers=headers)
        assert (refused.status_code, refused.json()["errors"][0]["parameter"]) == (400, name)
    for accept in ("*/*", "application/json", "application/json, text/csv"):
        assert crowd.admin.get("admin/", headers={"Accept": accept}).headers["Content-Type"] == "application/json"


def test_no_cell_of_a_download_is_a_formula(shop: Shop) -> None:
    customer = unique("=cmd|'/C calc'!A0")
    shop.service.placed((shop.sku(), 1), customer_id=customer, external_reference="@SUM(1+1)", wait=None)
    text = shop.admin.get("admin/", params={"customer_id": customer}, headers={"Accept": "text/csv"}).text
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["customer_id"], row["external_reference"]) == (f"'{customer}", "'@SUM(1+1)")
