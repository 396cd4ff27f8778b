"""Recording payments and confirming, rule by rule."""

from copy import deepcopy

import pytest

from schemas import contracts
from services.order.domain.orders import Order, Told
from services.order.domain.payments import Payment, confirm
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus, PaymentStatus, PendingOperation
from tests.support.saga_builders import (
    CONFIRM_TERMS,
    NOW,
    SECOND,
    TOTAL,
    a_payment,
    a_reserved_order,
    an_order,
    when,
)

LATER = ["processing", "shipped", "delivered"]


def ask(
    order: Order, payment: Payment | None, *, known: bool = False, prepaid: bool = True
) -> tuple[Told, RefusalCode | None]:
    told, refusal = confirm(order, payment, when(60), known=known, prepaid=prepaid, terms=CONFIRM_TERMS)
    return told, refusal.code if isinstance(refusal, Refusal) else None


def test_a_payment_confirms_a_pending_order_whose_stock_is_reserved() -> None:
    order = a_reserved_order()
    told, refused = ask(order, a_payment())
    assert (refused, order.status, order.pending_operation) == (
        None,
        OrderStatus.CONFIRMED,
        PendingOperation.ALLOCATING,
    )
    assert (order.recorded_minor, order.payment_status) == (TOTAL, PaymentStatus.PAID)
    assert order.deadline_at == NOW + 360 * SECOND
    assert isinstance(told, contracts.OrderConfirmed)
    assert (told.payment_provider, told.payment_reference) == ("stripe", "p-1")


def test_a_payment_while_stock_is_open_is_recorded_and_the_order_confirms_later() -> None:
    order = an_order()
    assert ask(order, a_payment()) == (None, None)
    assert (order.status, order.recorded_minor, order.confirm_when_reserved) == (OrderStatus.PENDING, TOTAL, True)


def test_a_confirmed_and_unpaid_order_takes_its_payment() -> None:
    order = an_order("confirmed")
    assert ask(order, a_payment()) == (None, None)
    assert (order.status, order.payment_status, order.amount_due_minor) == (
        OrderStatus.CONFIRMED,
        PaymentStatus.PAID,
        0,
    )


@pytest.mark.parametrize("status", LATER)
def test_an_unpaid_order_takes_its_payment_later_too(status: str) -> None:
    order = an_order(status, payment_method="invoice")
    assert ask(order, a_payment(), prepaid=False) == (None, None)
    assert (order.status, order.payment_status) == (status, PaymentStatus.PAID)


@pytest.mark.parametrize("status", ["pending", "confirmed", *LATER])
def test_the_same_reference_again_records_nothing_twice(status: str) -> None:
    order = an_order(status, recorded_minor=TOTAL, confirm_when_reserved=status == "pending")
    before = deepcopy(order)
    assert ask(order, a_payment(), known=True) == (None, None)
    assert order == before


@pytest.mark.parametrize("status", ["pending", "confirmed", *LATER])
def test_another_reference_when_paid_is_refused_recorded_and_due_for_refund(status: str) -> None:
    order = an_order(status, recorded_minor=TOTAL, payment_reference="p-1", payment_provider="stripe")
    told, refused = ask(order, a_payment("p-2", 700))
    assert (told, refused) == (None, RefusalCode.ALREADY_PAID)
    assert (order.status, order.recorded_minor, order.refund_due_minor) == (status, TOTAL + 700, 700)
    assert order.payment_status is PaymentStatus.REFUND_DUE
    assert order.payment_reference == "p-1", "the payment that paid it stays the order's own"


def test_a_payment_for_a_cancelled_order_is_refused_recorded_and_due_for_refund() -> None:
    order = an_order("cancelled")
    told, refused = ask(order, a_payment(amount_minor=700))
    assert (told, refused) == (None, RefusalCode.ORDER_CANCELLED)
    assert (order.status, order.recorded_minor, order.refund_due_minor) == (OrderStatus.CANCELLED, 700, 700)


def test_a_known_payment_for_a_cancelled_order_is_refused_and_not_recorded_again() -> None:
    order = an_order("cancelled", recorded_minor=TOTAL)
    assert ask(order, a_payment(), known=True) == (None, RefusalCode.ORDER_CANCELLED)
    assert order.refund_due_minor == TOTAL


def test_a_cancelled_order_is_not_confirmed_without_a_payment_either() -> None:
    assert ask(an_order("cancelled"), None, prepaid=False) == (None, RefusalCode.ORDER_CANCELLED)


@pytest.mark.parametrize("status", ["pending", "confirmed", *LATER])
@pytest.mark.parametrize(
    "payment",
    [
        pytest.param(a_payment(amount_minor=TOTAL - 1), id="too little"),
        pytest.param(a_payment(amount_minor=TOTAL + 1), id="too much"),
        pytest.param(a_payment(currency="USD"), id="another currency"),
    ],
)
def test_an_amount_or_currency_other_than_due_is_refused_and_not_recorded(status: str, payment: Payment) -> None:
    order = an_order(status)
    before = deepcopy(order)
    assert ask(order, payment) == (None, RefusalCode.PAYMENT_MISMATCH)
    assert order == before


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(an_order("confirmed", recorded_minor=TOTAL), id="paid"),
        pytest.param(an_order("cancelled"), id="cancelled"),
    ],
)
def test_money_of_another_currency_is_never_added_to_the_order_s(order: Order) -> None:
    recorded = order.recorded_minor
    assert ask(order, a_payment("p-2", currency="JPY")) == (None, RefusalCode.PAYMENT_MISMATCH)
    assert order.recorded_minor == recorded


@pytest.mark.parametrize("order", [an_order(), a_reserved_order()], ids=["reserving", "reserved"])
def test_a_prepaid_order_is_not_confirmed_without_a_payment(order: Order) -> None:
    before = deepcopy(order)
    assert ask(order, None) == (None, RefusalCode.PAYMENT_REQUIRED)
    assert order == before


def test_an_invoice_is_confirmed_without_a_payment() -> None:
    order = a_reserved_order(payment_method="invoice")
    told, refused = ask(order, None, prepaid=False)
    assert isinstance(told, contracts.OrderConfirmed)
    assert (refused, told.payment_reference, order.payment_status) == (None, None, PaymentStatus.PENDING)


def test_an_invoice_that_is_confirmed_while_reserving_confirms_later() -> None:
    order = an_order(payment_method="invoice")
    assert ask(order, None, prepaid=False) == (None, None)
    assert (order.status, order.confirm_when_reserved) == (OrderStatus.PENDING, True)


def test_a_prepaid_order_that_costs_nothing_needs_no_payment() -> None:
    order = a_reserved_order(total_minor=0)
    told, refused = ask(order, None)
    assert isinstance(told, contracts.OrderConfirmed)
    assert refused is None


def test_confirming_a_confirmed_order_again_changes_nothing() -> None:
    order = an_order("confirmed")
    before = deepcopy(order)
    assert ask(order, None) == (None, None)
    assert order == before


@pytest.mark.parametrize("status", LATER)
def test_an_order_that_has_moved_on_cannot_become_confirmed_again(status: str) -> None:
    order = an_order(status)
    before = deepcopy(order)
    assert ask(order, None, prepaid=False) == (None, RefusalCode.INVALID_TRANSITION)
    assert order == before


def test_a_paid_order_that_is_confirmed_again_with_its_payment_confirms_as_soon_as_stock_allows() -> None:
    order = a_reserved_order(recorded_minor=TOTAL)
    told, refused = ask(order, a_payment(), known=True)
    assert isinstance(told, contracts.OrderConfirmed)
    assert refused is None


def test_a_recorded_payment_is_kept_in_the_internal_history() -> None:
    order = an_order("confirmed")
    ask(order, a_payment())
    [row] = order.history
    assert (row.reason, row.public, row.status) == ("payment_recorded", False, OrderStatus.CONFIRMED)


def test_money_due_for_refund_is_always_what_was_recorded_minus_what_is_owed() -> None:
    order = an_order()
    for n, (payment, due) in enumerate(
        [(a_payment("p-1"), 0), (a_payment("p-2", 300), 300), (a_payment("p-3", 5), 305)]
    ):
        ask(order, payment)
        assert (order.refund_due_minor, len(order.history)) == (due, n + 1)
