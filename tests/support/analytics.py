"""Orders that live by SQL, and the analytics of them by a naive recomputation from the raw tables, in Python."""

import contextlib
import random
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

from services.chassis.connection import Engine
from services.chassis.database import ANALYTICS_LOCK, transaction
from services.chassis.health import Health
from services.chassis.statements import sql
from services.chassis.upkeep import Upkeep
from services.order.domain.analytics import Facts, Span
from services.order.domain.orders import Order
from services.order.domain.scopes import Scope
from services.order.domain.statuses import OrderStatus
from services.order.repository.analytics_facts import refresh
from tests.support.services import World

# Half hours off, and a day of 25 hours: New York set its clocks back on 2025-11-02.
ZONES = ("UTC", "Asia/Kolkata", "America/New_York")
BEGIN = datetime(2025, 10, 30, tzinfo=UTC)
SPANS = (
    Span(date(2025, 10, 1), date(2025, 11, 30)),
    Span(date(2025, 10, 31), date(2025, 11, 2)),
    # A month without its last day, or its first ones.
    Span(date(2025, 10, 1), date(2025, 10, 30)),
    Span(date(2025, 11, 2), date(2025, 11, 30)),
)
TODAY = date(2026, 6, 1)
LIFE = ("pending", "confirmed", "processing", "shipped", "delivered")
TABLES = ("analytics_facts", "analytics_products", "analytics_pairs")
INSERT = """
INSERT INTO orders (id, order_number, customer_id, locale, currency, subtotal_minor, discount_minor, tax_minor,
    shipping_minor, total_minor, shipping_address, billing_address, shipping_method, payment_method, metadata, status,
    reservation_status, recorded_minor, refund_waived, confirm_when_reserved, shortages, held, version, events,
    created_at, updated_at)
VALUES (:id, :id, :customer, 'en', :currency, :total, 0, 0, 0, :total, '{}', '{}', 'standard', 'card', '{}', 'pending',
    'reserved', 100000, false, false, '[]', '[]', 1, 1, :at, now())
"""
ITEM = """
INSERT INTO order_items (order_id, position, id, sku, product_name, variant_name, vendor_id, quantity, unit_price_minor,
    discount_minor, tax_minor, total_minor)
VALUES (:order_id, :position, gen_random_uuid(), :sku, '', '', :vendor, :n, 100, 0, 0, :total)
"""
HISTORY = """
INSERT INTO order_history (order_id, version, previous_status, status, reason, public, actor_type, actor_id, created_at)
VALUES (:id, :version, :previous, :status, 'test', true, 'system', 'order', :at)
"""


class Orders:
    """Orders that live by SQL: placed, moved on, given back, cancelled."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.ids: list[str] = []

    def place(self, draw: random.Random) -> None:
        order_id, at = str(uuid.UUID(int=draw.getrandbits(128))), BEGIN + timedelta(minutes=draw.randrange(6 * 1440))
        lines = [
            (draw.choice("ABCDE"), draw.choice((None, "v1", "v2")), draw.randint(1, 3))
            for _ in range(draw.randint(1, 4))
        ]
        total = sum(100 * n for _, _, n in lines)
        customer, currency = draw.choice((None, "ada", "ben")), draw.choice(("EUR", "EUR", "JPY"))
        self._world.rows(INSERT, id=order_id, customer=customer, currency=currency, total=total, at=at)
        for i, (sku, vendor, n) in enumerate(lines):
            self._world.rows(ITEM, order_id=order_id, position=i, sku=sku, vendor=vendor, n=n, total=100 * n)
        self._world.rows(HISTORY, id=order_id, version=1, previous=None, status="pending", at=at)
        self.ids.append(order_id)

    def move(self, draw: random.Random) -> None:
        order_id = draw.choice(self.ids)
        status, version = self._world.one("SELECT status, version FROM orders WHERE id = :id", id=order_id)
        if status in ("delivered", "cancelled"):
            return
        to = draw.choice((LIFE[LIFE.index(status) + 1], "cancelled"))
        at = "(SELECT max(created_at) FROM order_history WHERE order_id = :id) + :stay * interval '1 second'"
        stay = draw.choice((0.000001, 0.5, 61, 90_000, 700_000))
        insert = HISTORY.replace(":at)", f"{at})")
        self._world.rows(insert, id=order_id, version=version + 1, previous=status, status=to, stay=stay)
        self._world.rows(
            """UPDATE orders SET status = :to, version = version + 1, updated_at = now(), refund_waived = :waived,
                   confirmed_at = CASE WHEN :to = 'confirmed' THEN now() ELSE confirmed_at END,
                   cancel_reason = CASE WHEN :to = 'cancelled' THEN :reason END WHERE id = :id""",
            id=order_id, to=to, reason=draw.choice(("timeout", "customer_request")),
            waived=to == "cancelled" and draw.random() < 0.5,
        )  # fmt: skip

    def give_back(self, draw: random.Random) -> None:
        """Pay something back: of what was owed, or of what was paid twice."""
        self._world.rows(
            """UPDATE orders SET conceded_minor = least(total_minor, conceded_minor + :conceded), updated_at = now(),
                   refunding_minor = refunded_minor + 10, refunded_minor = refunding_minor WHERE id = :id""",
            id=draw.choice(self.ids), conceded=draw.choice((0, 50)),
        )  # fmt: skip

    def edit(self, draw: random.Random) -> None:
        """Change the quantity of a line, to less than was conceded too."""
        order_id, n = draw.choice(self.ids), draw.randint(1, 5)
        self._world.rows(
            "UPDATE order_items SET quantity = :n, total_minor = 100 * :n WHERE order_id = :id AND position = 0",
            id=order_id, n=n,
        )  # fmt: skip
        self._world.rows(
            """UPDATE orders SET updated_at = now(),
                   total_minor = (SELECT sum(total_minor) FROM order_items WHERE order_id = :id) WHERE id = :id""",
            id=order_id,
        )  # fmt: skip


def analyst(engine: Engine, health: Health, zones: Sequence[str] = ZONES) -> Upkeep:
    """Return what a worker runs on a thread of its own, in more of a hurry."""
    return Upkeep(
        engine=engine,
        health=health,
        name="analytics",
        lock=ANALYTICS_LOCK,
        seconds=0.1,
        step=partial(refresh, zones=zones),
    )


@contextlib.contextmanager
def in_the_middle(world: World) -> Iterator[None]:
    """Let whoever counts wait, for the length of the block, where the facts and products of a day are written."""
    with transaction(world.process().engine) as connection:
        connection.execute(sql("LOCK TABLE analytics_pairs IN EXCLUSIVE MODE"))
        yield


def waits_in_the_middle(world: World, seconds: float = 0) -> None:
    """Assert that somebody does, and has for so long."""
    query = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
               AND query LIKE '%placed AS MATERIALIZED%' AND now() - query_start >= make_interval(secs => :seconds)"""
    assert world.one(query, seconds=seconds) == 1


def counted(world: World, zones: Sequence[str] = ZONES) -> None:
    """Look for changes and count, as the worker does, until nothing is left."""
    while True:
        with transaction(world.runtime.engine) as connection:
            if not refresh(connection, zones, seconds=0.05):
                return


def answered(world: World, zone: str, span: Span, vendor: str | None = None) -> dict[str, Facts]:
    with world.runtime.queries() as uow:
        return uow.analytics.facts(Scope(vendor_id=vendor), zone, span, TODAY)


def _order(order_id: str, kept: Sequence[Any]) -> Order:
    """Return an order as the domain has it, which knows what is owed of it."""
    currency, customer, status, total, recorded, refunded, refunding, conceded, waived = kept
    return Order(
        id=order_id,
        number=order_id,
        customer_id=customer,
        currency=currency,
        total_minor=total,
        payment_method="card",
        status=OrderStatus(status),
        recorded_minor=recorded,
        refunded_minor=refunded,
        refunding_minor=refunding,
        conceded_minor=conceded,
        refund_waived=waived,
        created_at=0,
        updated_at=0,
    )


def naive(  # noqa: C901, PLR0912  # in one piece: as plain as what it is compared with is not
    world: World, zone: str, span: Span, vendor: str | None
) -> dict[str, dict[str, Any]]:
    """Return the same from the raw tables, in Python."""
    orders = world.rows(
        """SELECT id::text, cancel_reason, confirmed_at IS NOT NULL, created_at, currency, customer_id, status,
                  total_minor, recorded_minor, refunded_minor, refunding_minor, conceded_minor, refund_waived
           FROM orders ORDER BY created_at, id"""
    )
    items, history = defaultdict(list), defaultdict(list)
    for order_id, *row in world.rows("SELECT order_id::text, sku, vendor_id, quantity, total_minor FROM order_items"):
        if vendor is None or row[1] == vendor:
            items[order_id].append(row)
    for order_id, *row in world.rows("SELECT order_id::text, status, created_at FROM order_history ORDER BY version"):
        history[order_id].append(row)
    found: dict[str, dict[str, Any]] = {}
    earlier: Counter[tuple[str, str]] = Counter()
    worth: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for order_id, reason, confirmed, at, *kept in orders:
        order = _order(order_id, kept)
        currency, customer, total, status = order.currency, order.customer_id, order.total_minor, order.status.value
        local = at.astimezone(ZoneInfo(zone))
        before = earlier[customer, currency]
        earlier[customer, currency] += 1
        sold, lines = status != "cancelled", items[order_id]
        gross = total if vendor is None else sum(line[3] for line in lines)
        back = total - order.owed_minor if vendor is None else 0
        if customer and local.date() <= span.last:
            worth[currency][0] += order.owed_minor * sold
            worth[currency][1] += before == 0
        if not lines or not span.first <= local.date() <= span.last:
            continue
        counts = found.setdefault(
            currency, {"counts": Counter(), "products": {}, "pairs": Counter(), "stays": defaultdict(list)}
        )
        c = counts["counts"]
        c["status", status] += 1
        c["confirmed", ""] += confirmed
        c["failed", ""] += not sold and not confirmed
        c["cancelled", reason or ""] += not sold
        c["cancelled_total", ""] += 0 if sold else gross
        c["hour", str(local.hour)] += 1
        c["weekday", str(local.isoweekday())] += 1
        for (state, since), (_, until) in zip(history[order_id], history[order_id][1:], strict=False):
            counts["stays"][state].append((until - since) / timedelta(microseconds=1))
        if vendor is None:
            c["guests", ""] += customer is None
            c["new", ""] += customer is not None and before == 0
            c["second", ""] += customer is not None and before == 1
            c["returning", ""] += customer is not None and before > 0
            c["identified", ""] += order.owed_minor * (sold and customer is not None)
            c["retained", ""] += 0 if sold else min(order.owed_minor, order.kept_minor)
        if not sold:
            continue
        c["gross", ""] += gross
        c["refunded", ""] += back
        c["hour_revenue", str(local.hour)] += gross - back
        c["weekday_revenue", str(local.isoweekday())] += gross - back
        c["lines", ""] += len(lines)
        c["basket", str(min(len(lines), 10))] += 1
        c["units", ""] += sum(line[2] for line in lines)
        if vendor is None:
            for seller in {line[1] for line in lines}:
                own = [line for line in lines if line[1] == seller]
                c["vendor_orders", seller or ""] += 1
                c["vendor_units", seller or ""] += sum(line[2] for line in own)
                c["vendor_revenue", seller or ""] += sum(line[3] for line in own)
        for sku in {line[0] for line in lines}:
            own = [line for line in lines if line[0] == sku]
            units, revenue, n = counts["products"].get(sku, (0, 0, 0))
            counts["products"][sku] = (units + sum(x[2] for x in own), revenue + sum(x[3] for x in own), n + 1)
        counts["pairs"].update(combinations(sorted({line[0] for line in lines}), 2))
    for currency, counts in found.items():
        counts["lifetime"] = tuple(worth[currency]) if vendor is None else (0, 0)
    return found


def agree(world: World, zones: Sequence[str] = ZONES) -> None:
    """Assert that all answers equal the naive ones."""
    for zone in zones:
        for span in SPANS:
            for vendor in (None, "v1"):
                facts, expected = answered(world, zone, span, vendor), naive(world, zone, span, vendor)
                assert facts.keys() == expected.keys()
                for currency, wanted in expected.items():
                    same(facts[currency], wanted)


def same(facts: Facts, wanted: dict[str, Any]) -> None:
    shown = {
        (measure, key): n
        for measure, keys in facts.counts.items()
        for key, n in keys.items()
        if n and not measure.startswith("time:")
    }
    assert shown == {at: n for at, n in wanted["counts"].items() if n}
    assert {p.sku: (p.units, p.revenue_minor, p.orders) for p in facts.products} == wanted["products"]
    assert {pair.skus: pair.orders for pair in facts.pairs} == dict(
        sorted(wanted["pairs"].items(), key=lambda row: (-row[1], row[0]))[:10]
    )
    assert facts.lifetime == wanted["lifetime"]
    times = {status.value: (n, found) for status, n, found in facts.times()}
    assert {status: n for status, (n, _) in times.items()} == {s: len(stays) for s, stays in wanted["stays"].items()}
    for status, stays in wanted["stays"].items():
        exact = [sorted(stays)[-(-len(stays) * p // 100) - 1] for p in (50, 90, 99)]
        for estimate, true in zip(times[status][1], exact, strict=True):
            assert abs(estimate - true) <= 0.022 * true + 0.5
