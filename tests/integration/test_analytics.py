"""Analytics equal a naive recomputation from the raw tables, whatever becomes of orders and in every time zone."""

import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.local.databases import Databases
from services.order.bootstrap import SERVICE
from services.order.repository.analytics import Analytics
from tests.support.analytics import SPANS, Orders, agree, answered, counted, naive
from tests.support.services import world_of


@settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def test_answers_equal_a_naive_recomputation_whatever_became_of_the_orders(
    postgres_server: Databases, seed: int
) -> None:
    with world_of(SERVICE, postgres_server) as world:
        draw, orders = random.Random(seed), Orders(world)
        for _ in range(12):
            orders.place(draw)
        counted(world)
        agree(world)
        for _ in range(3):
            for _ in range(5):
                draw.choice((orders.move, orders.move, orders.give_back, orders.edit, orders.place))(draw)
            counted(world)
            agree(world)


def test_of_many_skus_the_best_are_shown_and_pairs_among_the_most_frequent(
    postgres_server: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With limits that five SKUs reach."""
    monkeypatch.setattr(Analytics, "BEST", 2)
    monkeypatch.setattr(Analytics, "FREQUENT", 3)
    with world_of(SERVICE, postgres_server) as world:
        draw, orders = random.Random(7), Orders(world)
        for _ in range(40):
            orders.place(draw)
        world.rows("UPDATE order_items SET total_minor = total_minor * (1 + ascii('E') - ascii(sku))")
        counted(world)
        for span in SPANS:
            facts, wanted = answered(world, "UTC", span), naive(world, "UTC", span, None)
            for currency, found in wanted.items():
                sold, pairs = found["products"], found["pairs"]
                best = sorted(sold, key=lambda sku: (-sold[sku][1], sku))[:2]
                frequent = sorted(sold, key=lambda sku: (-sold[sku][2], sku))[:3]
                among = [pair for pair in pairs if set(pair) <= set(frequent)]
                assert len(sold) > len(frequent)
                assert [product.sku for product in facts[currency].products] == best
                assert [pair.skus for pair in facts[currency].pairs] == sorted(
                    among, key=lambda pair: (-pairs[pair], pair)
                )[:2]
