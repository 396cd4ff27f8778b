"""Lists of orders among 200,000: what PostgreSQL reads for a page, by EXPLAIN.

The shop that is made up here is unfair on purpose: a status is rare and old, a customer and a vendor have much, others
have next to nothing, a SKU is in every tenth order.
"""

import csv
import io
import itertools
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from deploy.local.databases import Databases
from services.chassis.database import statements, transaction
from services.chassis.http import pacing
from services.chassis.http.assembly import assemble
from services.chassis.statements import Statement, sql
from services.order.api import exports
from services.order.bootstrap import SERVICE
from services.order.domain.scopes import OrderFilter, Scope, unindexed
from services.order.domain.statuses import OrderStatus, PaymentStatus
from services.order.repository import (
    addresses,
    history,
    lines,
    listing,
    payments,
    refunds,
    returns,
    revisions,
    shipments,
    stuck,
    timeline,
)
from services.order.repository.orders import LOCK_ORDERS
from tests.support.services import World, world_of

ORDERS = 200_000
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# Rows that a page of 100 may touch in all of a statement's scans: some for each pair of statuses, some that a filter
# takes out. What a scan of the table would touch is far away from it.
ROWS = 12_000
PAGE = 101
SORTS = ("created_at", "-created_at", "updated_at", "-updated_at", "total_amount", "-total_amount")
ADMIN = Scope(internal=True)
BIG, SMALL = "big", "small"
# Tables of the chassis that hold what is in trouble or on its way: they are empty here, and small anywhere.
SMALL_TABLES = frozenset({"outbox", "parked_keys", "consumer_progress"})
FILL = f"""
INSERT INTO orders (id, order_number, request_id, customer_id, customer_email, locale, currency, subtotal_minor,
    discount_minor, tax_minor, shipping_minor, total_minor, shipping_address, billing_address, shipping_method,
    payment_method, metadata, status, payment_status, reservation_status, pending_operation, recorded_minor,
    refund_waived, confirm_when_reserved, shortages, held, stuck_reason, version, events, created_at, updated_at,
    ship_by)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid,
    'ORD' || lpad((i * 7919 % 10000019)::text, 8, '0'),
    CASE WHEN i % 3 = 0 THEN 'R' || i END, CASE WHEN i % 10 = 0 THEN '{BIG}' ELSE 'c' || i % 30000 END,
    'C' || i % 30000 || '@shop.example', 'en', 'EUR', i % 9973, 0, 0, 0, i % 9973, '{{}}', '{{}}', 'standard', 'card',
    '{{}}', s.status, CASE WHEN i % 5000 = 7 THEN 'failed' WHEN s.status = 'refunded' THEN 'refunded'
                           WHEN s.status = 'cancelled' AND i % 2 = 0 THEN 'refund_due'
                           WHEN s.status = 'pending' THEN 'pending' ELSE 'paid' END,
    'allocated', CASE WHEN i > {ORDERS} - 50 THEN 'reserving' END, 0, false, false, '[]', '[]',
    CASE WHEN i % 20000 = 3 THEN 'stock_shortfall' END, 1, 1, timestamptz '{BEGIN}' + i * interval '1 minute',
    timestamptz '{BEGIN}' + i * interval '1 minute' + (i % 37) * interval '7 minutes',
    CASE WHEN s.status = 'processing' THEN now() + (i % 50 - 5) * interval '1 day' END
FROM generate_series(1, {ORDERS}) i, LATERAL (SELECT CASE
    WHEN i < 40 THEN 'refunded' WHEN i > {ORDERS} - 300 THEN 'pending' WHEN i > {ORDERS} - 1000 THEN 'processing'
    WHEN i % 20 = 0 THEN 'cancelled' WHEN i % 1000 = 1 THEN 'shipped' ELSE 'delivered' END AS status) s;
INSERT INTO order_items (order_id, position, id, sku, product_name, variant_name, vendor_id, quantity,
    unit_price_minor, discount_minor, tax_minor, total_minor)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 0, gen_random_uuid(),
    CASE WHEN i % 10 = 0 THEN 'HIT' ELSE 'S' || i % 5000 END, 'P', 'V',
    CASE WHEN i % 2 = 0 THEN '{BIG}' WHEN i % 60000 = 1 THEN '{SMALL}' ELSE 'v' || i % 500 END, 1, 1, 0, 0, 1
FROM generate_series(1, {ORDERS}) i;
INSERT INTO shipments (id, order_id, number, location, carrier, tracking_number, lines, shipped_at)
SELECT gen_random_uuid(), o.id, o.order_number || '-1', 'main', 'DHL', 'T' || o.order_number, '[]', o.updated_at
FROM orders o WHERE o.status IN ('shipped', 'delivered') AND o.total_minor % 4 = 0;
INSERT INTO order_history (order_id, version, status, reason, public, actor_type, actor_id, created_at)
SELECT id, 1, 'pending', 'placed', true, 'customer', 'c', created_at FROM orders;
INSERT INTO addresses (id, customer_id, fields, version, created_at, updated_at)
SELECT gen_random_uuid(), 'c' || i % 3000, '{{}}', 1, now() + i * interval '1 second', now()
FROM generate_series(1, 30000) i;
INSERT INTO payments (provider, reference, order_id, amount_minor, currency, recorded_at)
SELECT 'stripe', 'p' || o.id, o.id, 1, 'EUR', o.created_at FROM orders o;
INSERT INTO refunds (id, order_id, status, amount_minor, conceded_minor, shipping_minor, currency, reason, lines,
    provider, reference, provider_reference, created_at)
SELECT gen_random_uuid(), p.order_id, 'succeeded', 1, 0, 0, 'EUR', 'other', '[]', p.provider, p.reference,
    'r' || p.order_id, p.recorded_at FROM payments p;
INSERT INTO returns (id, order_id, return_number, status, expected, lines, requested_at)
SELECT gen_random_uuid(), o.id, 'RET' || o.order_number, 'requested', false, '[]', o.updated_at FROM orders o;
INSERT INTO order_revisions (order_id, revision, status, lines, totals, shortages, actor_type, actor_id, created_at)
SELECT o.id, n, 'applied', '[]', '{{}}', '[]', 'admin', 'a', o.updated_at FROM orders o, generate_series(1, 2) n;
INSERT INTO order_notes (order_id, event_id, cause) SELECT o.id, gen_random_uuid(), '[]' FROM orders o;
INSERT INTO parcels (order_id, last_number, numbers) SELECT o.id, 1, '[]' FROM orders o;
INSERT INTO shipment_events (shipment_id, event_id, type, occurred_at, recorded_at)
SELECT s.id, 'e' || n, 'in_transit', s.shipped_at, s.shipped_at FROM shipments s, generate_series(1, 4) n;
"""
FILTERS: Mapping[str, tuple[Scope, dict[str, Any]]] = {
    "all": (ADMIN, {}),
    "a common status": (ADMIN, {"status": "delivered"}),
    "a rare and old status": (ADMIN, {"status": "refunded"}),
    "a new status": (ADMIN, {"status": "pending"}),
    "a payment status": (ADMIN, {"payment_status": "refund_due"}),
    "a rare payment status": (ADMIN, {"payment_status": "failed"}),
    "a pair of statuses that nothing has": (ADMIN, {"status": "refunded", "payment_status": "pending"}),
    "placed lately": (ADMIN, {"created_from": BEGIN + timedelta(minutes=ORDERS - 1000)}),
    "placed long ago": (ADMIN, {"created_before": BEGIN + timedelta(minutes=1000)}),
    "a status in a range": (
        ADMIN,
        {"status": "cancelled", "created_from": BEGIN, "created_before": BEGIN + timedelta(minutes=50_000)},
    ),
    "changed lately": (ADMIN, {"updated_from": BEGIN + timedelta(minutes=ORDERS - 1000)}),
    "a status changed since ever": (ADMIN, {"status": "pending", "updated_from": BEGIN}),
    "a number": (ADMIN, {"number": "ORD00007919"}),
    "a request": (ADMIN, {"request_id": "R3000"}),
    "a customer": (ADMIN, {"customer_id": "c77"}),
    "a customer and a status": (ADMIN, {"customer_id": "c77", "status": "delivered"}),
    "what waits": (ADMIN, {"stuck": True}),
    "what does not wait": (ADMIN, {"stuck": False}),
    "what is late": (ADMIN, {"overdue": True}),
    "what is not late": (ADMIN, {"overdue": False}),
    "a status that is not late": (ADMIN, {"overdue": False, "stuck": False, "status": "processing"}),
    "searching a number": (ADMIN, {"q": "ORD00007919"}),
    "searching the beginning of a number": (ADMIN, {"q": "ord0012"}),
    "searching the beginning of all numbers": (ADMIN, {"q": "ORD"}),
    "searching an address": (ADMIN, {"q": "c77@SHOP.example"}),
    "searching a SKU": (ADMIN, {"q": "S77"}),
    "searching a SKU that is everywhere": (ADMIN, {"q": "HIT"}),
    "searching a tracking number": (ADMIN, {"q": "TORD00007919"}),
    "searching nothing": (ADMIN, {"q": "nobody has this %"}),
    "searching in a status": (ADMIN, {"q": "S77", "status": "cancelled"}),
    "one's own": (Scope(customer_id="c77"), {}),
    "one's own of a status": (Scope(customer_id="c77"), {"status": "delivered", "updated_from": BEGIN}),
    "a vendor with few": (Scope(vendor_id=SMALL), {}),
    "a vendor with many": (Scope(vendor_id=BIG), {}),
    "a vendor with some": (Scope(vendor_id="v77"), {}),
    "a vendor with none": (Scope(vendor_id="nobody"), {}),
    "a status of a vendor with few": (Scope(vendor_id=SMALL), {"status": "delivered"}),
    "a status of a vendor with many": (Scope(vendor_id=BIG), {"status": "delivered"}),
    "a new status of a vendor with many": (Scope(vendor_id=BIG), {"status": "pending"}),
    "an old status of a vendor with many": (Scope(vendor_id=BIG), {"status": "refunded"}),
}
CASES = [
    pytest.param(scope, OrderFilter(**filters, sort=sort), id=f"{name}, {sort}")
    for (name, (scope, filters)), sort in itertools.product(FILTERS.items(), SORTS)
    if unindexed(scope, OrderFilter(**filters, sort=sort)) is None
]


@pytest.fixture(scope="module")
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(SERVICE, postgres_server) as world:
        world.rows(FILL)
        with statements(world.runtime.engine) as connection:
            connection.execute(sql("VACUUM ANALYZE"))
        yield world


def plan_of(world: World, statement: Statement, values: Mapping[str, object]) -> dict[str, Any]:
    explained = sql(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {statement.text}")
    with transaction(world.runtime.engine) as connection:
        (plan,) = connection.execute(explained, dict(values)).scalar_one()
    root: dict[str, Any] = plan["Plan"]
    return root


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def scans(plan: dict[str, Any]) -> list[str]:
    """Return the tables that are read from their beginning to their end."""
    return [node["Relation Name"] for node in nodes(plan) if node["Node Type"] == "Seq Scan"]


def touched(plan: dict[str, Any]) -> float:
    """Return how many rows of tables are looked at."""
    found = 0.0
    for node in nodes(plan):
        if "Relation Name" in node:
            rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            found += (rows + node.get("Rows Removed by Index Recheck", 0)) * node["Actual Loops"]
    return found


@pytest.mark.parametrize(("scope", "wanted"), CASES)
def test_a_page_is_read_from_an_index_and_costs_what_it_shows(world: World, scope: Scope, wanted: OrderFilter) -> None:
    plan = plan_of(world, *listing.page(scope, wanted, None, PAGE))
    assert scans(plan) == []
    assert touched(plan) <= ROWS


@pytest.mark.parametrize(("scope", "wanted"), [case for case in CASES if "created_at" in (case.id or "")])
def test_so_does_a_page_far_behind_the_first(world: World, scope: Scope, wanted: OrderFilter) -> None:
    middle = (BEGIN + timedelta(minutes=ORDERS // 2), "00000000-0000-7000-8000-000000018000")
    plan = plan_of(world, *listing.page(scope, wanted, middle, PAGE))
    assert scans(plan) == []
    assert touched(plan) <= ROWS


def test_every_filter_and_sort_has_a_case_or_is_refused() -> None:
    """So that nobody adds a filter that nothing looks at."""
    tried = {name for _, filters in FILTERS.values() for name in filters} | {"sort"}
    assert tried == set(OrderFilter.__dataclass_fields__)
    assert {wanted.sort for _, wanted in (case.values for case in CASES)} == set(SORTS)  # type: ignore[attr-defined]


def test_pages_hold_each_order_once_whichever_way_they_are_found(world: World) -> None:
    for filters in ({"status": "cancelled"}, {"payment_status": "failed"}, {"q": "S77"}, {"overdue": True}, {}):
        for sort in ("created_at", "-created_at"):
            whole = ids(world, ADMIN, OrderFilter(**filters, sort=sort), limit=300)
            assert len(set(whole)) == len(whole) > 13
            assert whole == sorted(whole, reverse=sort.startswith("-"))
            assert ids(world, ADMIN, OrderFilter(**filters, sort=sort), limit=300, step=13) == whole


def test_what_is_merged_is_what_a_plain_look_finds(world: World) -> None:
    for status, payment in itertools.product([None, *OrderStatus], [None, *PaymentStatus]):
        plain = world.rows(
            "SELECT id::text FROM orders WHERE status = coalesce(:s, status) AND payment_status = coalesce(:p, "
            "payment_status) ORDER BY updated_at DESC, id DESC LIMIT 30",
            s=status and status.value,
            p=payment and payment.value,
        )
        wanted = OrderFilter(
            status=status and status.value, payment_status=payment and payment.value, sort="-updated_at"
        )
        assert ids(world, ADMIN, wanted, limit=30, step=30) == plain


def ids(world: World, scope: Scope, wanted: OrderFilter, *, limit: int, step: int = 300) -> list[str]:
    """Return the first orders of a list, read page by page."""
    found: list[str] = []
    after = None
    while len(found) < limit:
        with world.runtime.queries() as uow:
            rows = uow.find_page(scope, wanted, after, min(step, limit - len(found)))
        if not rows:
            break
        found += [row.id for row in rows]
        after = (world.one("SELECT created_at FROM orders WHERE id = :id", id=rows[-1].id), rows[-1].id)
    return found


def test_what_belongs_to_a_page_is_read_by_indexes_too(world: World) -> None:
    page = {"ids": world.rows("SELECT id::text FROM orders ORDER BY created_at DESC LIMIT 100")}
    customer = {"customer_id": "c77", "after_id": None, "after_time": None, "limit": PAGE}
    for statement, values in (
        (lines.CONTENT, page),
        (lines.LINES, page),
        (history.OF_ORDERS, page),
        (shipments.OF_ORDERS, page),
        (shipments.EVENTS, {"ids": world.rows("SELECT id::text FROM shipments LIMIT 100")}),
        (revisions.NEWEST, page),
        (listing.SEEN, page),
        (LOCK_ORDERS, page),
        (addresses.PAGE, customer),
        (stuck.FIND, {"among": page["ids"]}),
        (stuck.FIND, {"among": None}),
    ):
        plan = plan_of(world, statement, values)
        assert {table for table in scans(plan) if table not in SMALL_TABLES} == set(), statement.text
        assert touched(plan) <= ROWS


def test_what_belongs_to_one_order_is_read_by_indexes_too(world: World) -> None:
    one = {"order_id": world.rows("SELECT id::text FROM orders ORDER BY created_at DESC LIMIT 1")[0]}
    for statement, values in (
        (payments.OF_ORDER, one),
        (payments.HOLDERS, {"providers": ["stripe"], "references": [f"p{one['order_id']}"]}),
        (refunds.OF_ORDER, one),
        (refunds.NAMED, {"reference": f"r{one['order_id']}"}),
        (returns.OF_ORDER, one),
        (revisions.FIND, {**one, "revision": 1}),
        (timeline.HISTORY, one),
        (timeline.NOTES, one),
        (shipments.PARCELS_OF, {"id": one["order_id"]}),
    ):
        plan = plan_of(world, statement, values)
        assert scans(plan) == [], statement.text
        assert 0 < touched(plan) <= PAGE, statement.text


def test_a_search_in_a_status_costs_at_most_what_the_searched_is_in(world: World) -> None:
    plan = plan_of(world, *listing.page(ADMIN, OrderFilter(q="HIT", status="cancelled"), None, PAGE))
    assert scans(plan) == []
    assert touched(plan) <= 2 * ORDERS // 10 + ROWS


@pytest.fixture(scope="module")
def download(world: World) -> Callable[..., Iterator[bytes]]:
    """Return what downloads orders as CSV from the service's own application, piece by piece."""
    settings = world.runtime.settings
    claims = {"sub": "admin", "roles": ["admin"], "iss": settings.jwt_issuer, "aud": settings.jwt_audience}
    token = jwt.encode(
        {**claims, "exp": datetime.now(UTC) + timedelta(hours=1)}, settings.jwt_secret.get_secret_value(), "HS256"
    )
    client = assemble(world.runtime).test_client()

    def pieces(**filters: str) -> Iterator[bytes]:
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/csv"}
        answer = client.get("/api/v1/orders/admin/", query_string=filters, headers=headers)
        assert (answer.status_code, answer.content_type) == (200, "text/csv; charset=utf-8")
        return answer.iter_encoded()

    return pieces


def test_a_download_has_every_row_once_and_in_order(world: World, download: Callable[..., Iterator[bytes]]) -> None:
    text = b"".join(
        download(status="cancelled", sort="created_at", **{"created_at[lt]": "2026-02-01T00:00:00Z"})
    ).decode()
    head, *rows = csv.reader(io.StringIO(text))
    assert tuple(head) == exports.COLUMNS
    found = [row[0] for row in rows]
    within = "status = 'cancelled' AND created_at < '2026-02-01 00:00Z'"
    assert found == world.rows(f"SELECT id::text FROM orders WHERE {within} ORDER BY created_at")
    assert len(found) > 5 * 100


def test_a_download_rests_after_each_part(
    monkeypatch: pytest.MonkeyPatch, download: Callable[..., Iterator[bytes]]
) -> None:
    rests: list[float] = []
    monkeypatch.setattr(pacing, "sleep", rests.append)
    pieces = list(download(sort="created_at", **{"created_at[lt]": "2026-01-01T10:00:00Z"}))
    assert len(pieces) == 1 + 600 // 100
    # None before the head, and hardly one after it.
    assert sum(rest > 0 for rest in rests) >= 600 // 100


def test_a_download_needs_no_more_memory_for_many_rows_than_for_few(download: Callable[..., Iterator[bytes]]) -> None:
    def peak(**filters: str) -> tuple[int, int]:
        # What is made once is not counted.
        list(itertools.islice(download(**filters), 3))
        tracemalloc.start()
        length = sum(map(len, download(**filters)))
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return length, found

    few, many = (peak(**{"created_at[lt]": until}) for until in ("2026-01-01T10:00:00Z", "2026-01-11T00:00:00Z"))
    assert many[0] > 20 * few[0]
    assert many[1] < 1.5 * few[1]
    # Which is what a part takes.
    assert many[1] < 8_000_000


def test_rows_that_come_meanwhile_are_no_reason_to_hold_a_transaction(
    world: World, download: Callable[..., Iterator[bytes]]
) -> None:
    pieces = download(sort="created_at", **{"created_at[lt]": "2026-01-02T00:00:00Z"})
    next(pieces)
    next(pieces)
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in%'"
    assert world.one(query) == 0
    assert sum(piece.count(b"\r\n") for piece in pieces) == 1439 - 100
