"""What has become due is asked for once, by itself; a refund that failed is tried again by people alone."""

from collections.abc import Callable
from typing import Any

import pytest

from schemas import contracts
from services.chassis.commands import Submitted
from services.chassis.events import Cause, new_id
from services.order.domain.orders import CancelOrder
from services.order.domain.payments import ConfirmOrder
from services.order.domain.placing import PlaceOrder
from services.order.domain.refunds import RefundStatus, SettleRefund
from services.order.domain.statuses import CancelReason
from tests.support.saga_builders import ADMIN, NOW, a_draft, a_payment, a_variant
from tests.support.saga_memory import ORDER_SETTINGS, Message, OrderService, Result

PAYMENT = a_payment(amount_minor=1000)
CANCEL: dict[str, Any] = {"actor": ADMIN, "reason": CancelReason.OTHER}


def run(service: OrderService, command: Any, subject: str | None) -> Result:
    return service.run(Submitted(command, Cause(subject or "", new_id()), subject), NOW)


def cancelled_with_a_failed_refund() -> tuple[OrderService, str]:
    """Return an order that was paid and cancelled, and whose refund failed."""
    service = OrderService(ORDER_SETTINGS[False], {"MUG": a_variant("MUG", 1000)})
    draft = a_draft(("MUG", 1), payment_method="card")
    order_id = run(service, PlaceOrder(draft=draft, actor=ADMIN), None).answer.order.id
    run(service, ConfirmOrder(order_id=order_id, payment=PAYMENT, actor=ADMIN), order_id)
    run(service, CancelOrder(order_id=order_id, **CANCEL), order_id)
    (refund_id,) = service.refunds
    failed = SettleRefund(order_id=order_id, refund_id=refund_id, actor=ADMIN, status=RefundStatus.FAILED)
    run(service, failed, order_id)
    return service, order_id


def hear_a_late_answer(service: OrderService, order_id: str) -> Result:
    released = contracts.StockReleased(order_id=order_id, lines=(), restocked=True, released_at=NOW)
    return service.handle(Message(released, new_id(), 0), NOW)


def report_the_payment_again(service: OrderService, order_id: str) -> Result:
    return run(service, ConfirmOrder(order_id=order_id, payment=PAYMENT, actor=ADMIN), order_id)


def cancel_again(service: OrderService, order_id: str) -> Result:
    return run(service, CancelOrder(order_id=order_id, **CANCEL), order_id)


@pytest.mark.parametrize("meanwhile", [hear_a_late_answer, report_the_payment_again, cancel_again])
def test_a_refund_that_failed_is_not_asked_for_again_by_itself(
    meanwhile: Callable[[OrderService, str], Result],
) -> None:
    service, order_id = cancelled_with_a_failed_refund()

    assert meanwhile(service, order_id).emitted == []

    (refund,) = service.refunds.values()
    again = SettleRefund(order_id=order_id, refund_id=refund.id, actor=ADMIN, status=RefundStatus.PENDING)
    (asked,) = run(service, again, order_id).emitted
    assert isinstance(asked.event, contracts.RefundRequested)
    assert asked.event.refund_id == refund.id


def test_a_further_payment_of_a_cancelled_order_asks_for_what_has_become_due() -> None:
    service, order_id = cancelled_with_a_failed_refund()
    second = a_payment("p-2", 300)
    run(service, ConfirmOrder(order_id=order_id, payment=second, actor=ADMIN), order_id)
    assert sum(one.amount_minor for one in service.refunds.values() if one.is_live) == 1300
