"""Cancelling: who may, when, and what becomes of money and stock."""

from copy import deepcopy
from typing import Any

import pytest

from schemas import contracts
from services.order.domain.history import Actor
from services.order.domain.orders import CancelOrder, Order, Told, cancel
from services.order.domain.payments import confirm
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.statuses import GIVEN_REASONS, CancelReason, OrderStatus, PaymentStatus
from tests.support.saga_builders import (
    ADMIN,
    CONFIRM_TERMS,
    NOW,
    ORDER_ID,
    SECOND,
    TOTAL,
    a_payment,
    a_reserved_order,
    an_order,
    when,
)

CANCELLABLE = ["pending", "confirmed", "processing", "shipped"]
OWNER = Actor(type="customer", id="c-1")
OWN = (OrderStatus.PENDING, OrderStatus.CONFIRMED)


def ask(order: Order, *, seconds: int = 60, **values: Any) -> tuple[Told, RefusalCode | None]:
    usual = {"order_id": ORDER_ID, "reason": CancelReason.ADMIN_REQUEST, "actor": ADMIN}
    told, refusal = cancel(order, CancelOrder(**{**usual, **values}), when(seconds))
    return told, refusal.code if isinstance(refusal, Refusal) else None


@pytest.mark.parametrize("status", CANCELLABLE)
def test_an_order_can_be_cancelled_until_it_is_delivered(status: str) -> None:
    order = an_order(status)
    told, refused = ask(order)
    assert (refused, order.status, order.cancelled_at) == (None, OrderStatus.CANCELLED, NOW + 60 * SECOND)
    assert isinstance(told, contracts.OrderCancelled)
    assert (told.previous_status, told.reason) == (status, "admin_request")


@pytest.mark.parametrize("status", ["delivered", "refunded"])
def test_an_order_that_has_arrived_is_not_cancelled(status: str) -> None:
    order = an_order(status)
    before = deepcopy(order)
    assert ask(order) == (None, RefusalCode.INVALID_TRANSITION)
    assert order == before


def test_cancelling_again_changes_and_tells_nothing_and_keeps_the_first_reason() -> None:
    order = an_order("cancelled")
    before = deepcopy(order)
    assert ask(order, reason=CancelReason.OTHER) == (None, None)
    assert order == before


@pytest.mark.parametrize("order", [an_order(), a_reserved_order(), an_order("confirmed")])
def test_a_cancel_ends_whatever_was_awaited(order: Order) -> None:
    order.confirm_when_reserved = True
    ask(order)
    assert (order.pending_operation, order.deadline_at, order.reserved_until) == (None, None, None)
    assert not order.confirm_when_reserved


@pytest.mark.parametrize("status", ["confirmed", "processing"])
def test_a_cancelled_order_is_stuck_no_more(status: str) -> None:
    order = an_order(status, stuck_reason="allocation_timeout")
    ask(order)
    assert order.stuck_reason is None


def test_a_cancel_makes_what_was_paid_due_for_refund() -> None:
    order = an_order("confirmed", recorded_minor=TOTAL)
    told, _ = ask(order)
    assert isinstance(told, contracts.OrderCancelled)
    assert (told.refund_minor, told.currency) == (TOTAL, "EUR")
    assert (order.refund_due_minor, order.payment_status) == (TOTAL, PaymentStatus.REFUND_DUE)


def test_a_cancel_that_keeps_the_money_refunds_nothing() -> None:
    order = an_order("confirmed", recorded_minor=TOTAL)
    told, _ = ask(order, refund=False)
    assert isinstance(told, contracts.OrderCancelled)
    assert (told.refund_minor, order.refund_due_minor, order.payment_status) == (0, 0, PaymentStatus.PAID)


def test_a_cancel_that_keeps_the_money_still_gives_back_what_was_paid_twice() -> None:
    order = an_order("confirmed", recorded_minor=TOTAL + 700)
    told, _ = ask(order, refund=False)
    assert isinstance(told, contracts.OrderCancelled)
    assert (told.refund_minor, order.refund_due_minor) == (700, 700)


@pytest.mark.parametrize("recorded", [0, TOTAL])
def test_a_payment_after_a_cancel_that_kept_the_money_is_due_for_refund_all_the_same(recorded: int) -> None:
    order = an_order("confirmed", recorded_minor=recorded)
    ask(order, refund=False)
    confirm(order, a_payment("p-2", 700), when(90), known=False, prepaid=True, terms=CONFIRM_TERMS)
    assert order.refund_due_minor == 700


@pytest.mark.parametrize("restock", [True, False])
@pytest.mark.parametrize("notify", [True, False])
def test_a_cancel_says_whether_goods_go_back_and_whether_the_customer_is_told(restock: bool, notify: bool) -> None:
    told, _ = ask(an_order("confirmed"), restock=restock, notify_customer=notify)
    assert isinstance(told, contracts.OrderCancelled)
    assert (told.restock, told.notify_customer) == (restock, notify)


@pytest.mark.parametrize("reason", list(CancelReason))
def test_every_reason_has_its_symbol_in_the_event(reason: CancelReason) -> None:
    told, _ = ask(an_order(), reason=reason)
    assert isinstance(told, contracts.OrderCancelled)
    assert told.reason.value == reason.value


def test_the_saga_s_own_reasons_cannot_be_given_by_a_person() -> None:
    assert set(CancelReason) - set(GIVEN_REASONS) == {"insufficient_stock", "stock_shortfall", "timeout", "expired"}


# --- owners: only before processing, only within the window


@pytest.mark.parametrize("status", ["processing", "shipped", "delivered"])
def test_a_customer_who_is_late_reads_while_what_they_may_cancel_and_not_that_they_may(status: str) -> None:
    command = CancelOrder(
        order_id=ORDER_ID, reason=CancelReason.CUSTOMER_REQUEST, actor=OWNER, only_from=OWN, not_after=None
    )
    _, refusal = cancel(an_order(status), command, when())
    assert refusal is not None
    assert refusal.detail == f"order ORD00000001 is {status}; you can cancel it only while it is pending or confirmed"


@pytest.mark.parametrize("status", ["pending", "confirmed"])
def test_an_owner_cancels_before_the_order_is_processed(status: str) -> None:
    told, refused = ask(an_order(status), only_from=OWN, actor=OWNER)
    assert (told is not None, refused) == (True, None)


@pytest.mark.parametrize("status", ["processing", "shipped", "delivered"])
def test_an_owner_does_not_cancel_what_is_being_processed(status: str) -> None:
    order = an_order(status)
    assert ask(order, only_from=OWN, actor=OWNER) == (None, RefusalCode.INVALID_TRANSITION)
    assert order.status == status


def test_an_owner_cancels_up_to_the_end_of_the_window() -> None:
    assert ask(an_order(), seconds=600, only_from=OWN, not_after=600 * SECOND)[1] is None


def test_an_owner_does_not_cancel_after_the_window_has_closed() -> None:
    order = an_order()
    assert ask(order, seconds=601, only_from=OWN, not_after=600 * SECOND) == (None, RefusalCode.CANCEL_WINDOW_CLOSED)
    assert order.status is OrderStatus.PENDING


def test_without_a_window_there_is_no_end_to_it() -> None:
    assert ask(an_order(), seconds=10**9)[1] is None


def test_the_history_keeps_the_reason_and_the_note() -> None:
    order = an_order()
    told, _ = cancel(
        order,
        CancelOrder(order_id=ORDER_ID, reason=CancelReason.FRAUD_SUSPECTED, actor=ADMIN),
        when(actor=ADMIN, note="three cards", event_id="r-1"),
    )
    [row] = order.history
    assert (row.reason, row.note, row.actor, row.event_id) == ("fraud_suspected", "three cards", ADMIN, "r-1")
    assert told is not None
