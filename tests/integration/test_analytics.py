"""Analytics equal a naive recomputation from the raw tables, whatever becomes of orders and in every time zone."""

import random

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deploy.local.databases import Databases
from services.order.bootstrap import SERVICE
from tests.support.analytics import Orders, agree, counted
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
