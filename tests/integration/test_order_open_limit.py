"""How many orders of one customer may wait to be paid: what is counted, and that nobody gets past it at once."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from deploy.local.databases import Databases
from schemas import contracts
from services.chassis.events import Cause, new_id
from services.chassis.idempotency import Answer
from services.order.bootstrap import SERVICE
from services.order.domain.placing import PlaceOrder
from services.order.handlers.commands import Accepted
from tests.support import shop
from tests.support.saga_builders import ADMIN, a_draft
from tests.support.services import World, world_of

LIMIT = 2


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    """A shop that sells S1 for 10.00, where two orders of a customer may wait to be paid."""
    with world_of(SERVICE, postgres_server, max_open_orders=LIMIT) as world:
        world.runtime.processor(world.runtime.subscriptions[0]).handle([world.record(shop.variant("S1"))])
        yield world


def asked(customer: str = "c-1", **values: Any) -> contracts.OrderRequested:
    return shop.request(new_id(), {"S1": 1}, customer_id=customer, **values)


def paid(customer: str = "c-1") -> contracts.OrderRequested:
    payment = contracts.OrderRequestedPayment(provider="stripe", reference=new_id(), amount_minor=1000, currency="EUR")
    return asked(customer, payment=payment)


def told(world: World, *requests: contracts.OrderRequested) -> list[str]:
    """Ask for orders in one batch; return what is told of each, `placed` or why not."""
    before = len(world.emitted())
    world.deliver(*requests)
    events = [event for *_, event in world.emitted()[before:]]
    return [event.code if isinstance(event, contracts.OrderRequestRejected) else "placed" for event in events]


def test_what_was_paid_before_it_was_asked_for_is_taken_however_many_others_wait_to_be_paid(world: World) -> None:
    assert told(world, asked(), asked(), asked()) == ["placed", "placed", "too_many_open_orders"]
    assert told(world, paid(), asked()) == ["placed", "too_many_open_orders"]


def test_what_was_paid_before_it_was_asked_for_takes_no_place_of_those_that_wait(world: World) -> None:
    assert told(world, paid(), paid(), asked(), asked()) == ["placed"] * 4
    assert told(world, asked()) == ["too_many_open_orders"]


def test_a_customer_who_cannot_be_is_answered_like_any_other_fault(world: World) -> None:
    assert told(world, asked("a\0b"), asked("c" * 200)) == ["invalid_request"] * 2


def test_an_order_that_is_paid_in_part_still_waits_to_be_paid(world: World) -> None:
    told(world, asked(), asked())
    for amount in (400, 600):
        assert told(world, asked()) == ["too_many_open_orders"]
        world.deliver(
            contracts.PaymentReported(
                order_id=world.rows("SELECT id::text FROM orders ORDER BY id")[0],
                provider="stripe",
                reference=new_id(),
                amount_minor=amount,
                currency="EUR",
                outcome=contracts.PaymentReportedOutcome.CAPTURED,
                reported_at=0,
            )
        )
    assert told(world, asked()) == ["placed"]


def test_orders_that_are_placed_at_once_by_several_processes_do_not_get_past_the_limit(world: World) -> None:
    apis = [world.process().commands() for _ in range(4)]
    start = threading.Barrier(24)

    def place(n: int) -> int:
        start.wait(10)
        answer = apis[n % len(apis)].submit(
            PlaceOrder(draft=a_draft(("S1", 1), customer_id=f"c-{n // len(apis) % 2}"), actor=ADMIN),
            caller=f"caller-{n}",
            cause=Cause(new_id(), new_id()),
            render=lambda outcome, _: Answer(201 if isinstance(outcome, Accepted) else 409, b"", {}),
        )
        return answer.status

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(place, range(24)))
    assert sorted(answers) == [201] * 2 * LIMIT + [409] * (24 - 2 * LIMIT)
    assert world.rows("SELECT count(*) FROM orders GROUP BY customer_id") == [LIMIT, LIMIT]
    assert world.deadlocks() == 0
