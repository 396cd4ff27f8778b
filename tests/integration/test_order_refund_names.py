"""What a provider paid back once settles one refund, whoever reports it at the same moment."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from deploy.local.databases import Databases
from schemas import contracts
from services.chassis.database import transaction
from services.chassis.events import Cause, new_id
from services.chassis.idempotency import Answer
from services.chassis.runtime import Runtime
from services.chassis.statements import sql
from services.order.bootstrap import SERVICE
from services.order.domain.refund_requests import CreateRefund, WantedRefund
from services.order.domain.refusals import Refusal
from tests.support import shop
from tests.support.eventually import eventually
from tests.support.saga_builders import ADMIN
from tests.support.services import World, world_of

NAME = "re_1"


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    """Two orders, confirmed and paid with 10.00 each."""
    with world_of(SERVICE, postgres_server) as world:
        world.runtime.processor(world.runtime.subscriptions[0]).handle([world.record(shop.variant("S1"))])
        for _ in range(2):
            payment = contracts.OrderRequestedPayment(
                provider="stripe", reference=new_id(), amount_minor=1000, currency="EUR"
            )
            world.deliver(shop.request(new_id(), {"S1": 1}, payment=payment))
        for order_id in world.rows("SELECT id::text FROM orders"):
            world.deliver(shop.reserved(order_id, {"S1": 1}))
        assert world.rows("SELECT status FROM orders") == ["confirmed"] * 2
        yield world


def refunded(api: Runtime[object, object], order_id: str) -> str:
    """Report a refund of an order, and return `refunded` or why it was refused."""
    command = CreateRefund(
        order_id=order_id,
        actor=ADMIN,
        wanted=WantedRefund(amount_minor=100),
        reason="goodwill",
        provider_reference=NAME,
    )
    answer = api.commands().submit(
        command,
        caller=order_id,
        cause=Cause(new_id(), new_id()),
        render=lambda made, _: Answer(200, (made.code.value if isinstance(made, Refusal) else "refunded").encode(), {}),
    )
    return answer.body.decode()


def both_wait(world: World) -> None:
    assert world.one("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'refunds'::regclass") == 2


def test_two_orders_that_report_one_refund_at_once_are_not_both_believed(world: World) -> None:
    orders = world.rows("SELECT id::text FROM orders")
    with ThreadPoolExecutor(2) as pool:
        # Both look whether the name is used, and find it free, before one of them writes it down.
        with transaction(world.process().engine) as other:
            other.execute(sql("LOCK TABLE refunds IN SHARE MODE"))
            runs = [pool.submit(refunded, world.process(), order_id) for order_id in orders]
            eventually(lambda: both_wait(world), within=10)
        assert sorted(run.result(30) for run in runs) == ["refund_reference_used", "refunded"]
    assert world.rows("SELECT provider_reference FROM refunds") == [NAME]
    assert world.rows("SELECT refunded_minor FROM orders ORDER BY 1") == [0, 100]
