"""What the order service does with each answer of inventory in each status."""

from copy import deepcopy

import pytest

from schemas import contracts
from services.order.domain.lines import Held, Shortage
from services.order.domain.orders import ConfirmTerms, Order, Told
from services.order.domain.payments import record
from services.order.domain.reactions import REACTIONS, Reaction, react
from services.order.domain.statuses import OrderStatus, PaymentStatus, PendingOperation, ReservationStatus
from tests.support.saga_builders import (
    AUTO_CONFIRM,
    CONFIRM_TERMS,
    NOW,
    SECOND,
    SKU,
    TOTAL,
    a_payment,
    a_reserved_order,
    an_order,
    when,
)
from tests.support.saga_events import stock_answer
from tests.support.saga_tables import ANSWER_CELLS, ANSWER_TABLE, COLUMN_OF_STATUS

CELLS = [
    (answer, status, ANSWER_CELLS[answer, column])
    for answer in ANSWER_TABLE
    for status, column in COLUMN_OF_STATUS.items()
]


def cells(*kinds: str) -> list[tuple[str, str]]:
    return [(answer, status) for answer, status, cell in CELLS if cell.split()[0] in kinds]


def take(order: Order, answer: str, terms: ConfirmTerms = CONFIRM_TERMS) -> Told:
    return react(stock_answer(answer), order, terms, when(60, event_id="e-1"))


@pytest.mark.parametrize(("answer", "status"), cells("-"))
def test_an_answer_that_nobody_waits_for_changes_and_tells_nothing(answer: str, status: str) -> None:
    order = an_order(status)
    before = deepcopy(order)
    assert take(order, answer, AUTO_CONFIRM) is None
    assert order == before


@pytest.mark.parametrize(("answer", "status"), cells("reserved"))
def test_reserved_stock_is_noted_and_the_order_waits_for_its_payment(answer: str, status: str) -> None:
    order = an_order(status)
    assert take(order, answer) is None
    assert order.status is OrderStatus.PENDING
    assert order.reservation_status is ReservationStatus.RESERVED
    assert order.held == (Held(SKU, "main", 3),)
    assert order.reserved_until == NOW + 900 * SECOND
    assert order.pending_operation is None
    assert order.deadline_at is None, "the answer has come; what runs now is the reservation's deadline"


@pytest.mark.parametrize(("answer", "status"), cells("cancelled"))
def test_bad_news_cancels_the_order_with_its_reason_and_a_payment_becomes_due_for_refund(
    answer: str, status: str
) -> None:
    order = an_order(status, recorded_minor=TOTAL)
    told = take(order, answer)
    reason = ANSWER_CELLS[answer, COLUMN_OF_STATUS[status]].split()[1]
    assert (order.status, order.cancel_reason) == (OrderStatus.CANCELLED, reason)
    assert (order.pending_operation, order.deadline_at, order.held) == (None, None, ())
    assert (order.refund_due_minor, order.payment_status) == (TOTAL, PaymentStatus.REFUND_DUE)
    assert isinstance(told, contracts.OrderCancelled)
    assert (told.reason, told.previous_status, told.refund_minor) == (reason, status, TOTAL)
    assert (told.restock, told.notify_customer, told.cancelled_at) == (True, True, NOW + 60 * SECOND)


@pytest.mark.parametrize(("answer", "status"), cells("allocated"))
def test_allocated_stock_ends_the_operation(answer: str, status: str) -> None:
    order = an_order(status, reserved_until=NOW, stuck_reason="allocation_timeout")
    assert take(order, answer) is None
    assert (order.status, order.reservation_status) == (OrderStatus.CONFIRMED, ReservationStatus.ALLOCATED)
    assert (order.pending_operation, order.deadline_at, order.reserved_until) == (None, None, None)
    assert order.held == (Held(SKU, "main", 3),)
    assert order.stuck_reason is None, "it came late, but it came"


@pytest.mark.parametrize(("answer", "status"), cells("stuck"))
def test_a_shortfall_of_an_order_that_has_moved_on_lists_it_as_stuck(answer: str, status: str) -> None:
    order = an_order(status)
    assert take(order, answer) is None
    assert (order.status, order.stuck_reason) == (status, "stock_shortfall")


@pytest.mark.parametrize(("answer", "status"), cells("released"))
def test_released_stock_is_noted_on_an_order_that_has_ended(answer: str, status: str) -> None:
    order = an_order(status, held=(Held(SKU, "main", 3),))
    assert take(order, answer) is None
    assert (order.status, order.reservation_status, order.held) == (status, ReservationStatus.RELEASED, ())


def test_the_code_s_table_has_every_cell_and_acts_where_the_design_s_does() -> None:
    acts = {
        (answer.__name__, status.value): reaction is not Reaction.NOTHING
        for answer, row in REACTIONS.items()
        for status, reaction in row.items()
    }
    assert acts == {(answer, status): cell != "-" for answer, status, cell in CELLS}


@pytest.mark.parametrize(
    ("terms", "values"),
    [
        pytest.param(AUTO_CONFIRM, {}, id="auto-confirm"),
        pytest.param(CONFIRM_TERMS, {"recorded_minor": TOTAL}, id="already paid"),
        pytest.param(CONFIRM_TERMS, {"confirm_when_reserved": True}, id="confirmed while reserving"),
    ],
)
def test_reserved_stock_confirms_an_order_that_needs_nothing_more(terms: ConfirmTerms, values: dict[str, int]) -> None:
    order = an_order(**values, payment_provider="stripe", payment_reference="p-1")
    told = take(order, "StockReserved", terms)
    assert (order.status, order.pending_operation) == (OrderStatus.CONFIRMED, PendingOperation.ALLOCATING)
    assert order.confirmed_at == NOW + 60 * SECOND
    assert order.deadline_at == NOW + 360 * SECOND, "the allocation's time-out runs from now"
    assert isinstance(told, contracts.OrderConfirmed)
    assert (told.order_id, told.total_minor, told.currency) == (order.id, TOTAL, "EUR")
    assert (told.payment_provider, told.payment_reference, told.confirmed_at) == ("stripe", "p-1", order.confirmed_at)


@pytest.mark.parametrize("terms", [CONFIRM_TERMS, AUTO_CONFIRM])
def test_reserved_stock_that_is_told_twice_confirms_nothing_the_second_time(terms: ConfirmTerms) -> None:
    order = an_order()
    take(order, "StockReserved", terms)
    before = deepcopy(order)
    assert take(order, "StockReserved", terms) is None
    assert order == before


def test_allocated_stock_that_is_told_twice_changes_nothing_the_second_time() -> None:
    order = an_order("confirmed")
    take(order, "StockAllocated")
    before = deepcopy(order)
    take(order, "StockAllocated")
    assert order == before


def test_released_stock_that_is_told_twice_changes_nothing_the_second_time() -> None:
    order = an_order("cancelled")
    take(order, "StockReleased")
    before = deepcopy(order)
    take(order, "StockReleased")
    assert order == before


def test_an_order_that_expires_while_it_waits_for_its_payment_is_cancelled() -> None:
    order = a_reserved_order(reserved_until=NOW)
    assert isinstance(take(order, "StockReservationExpired"), contracts.OrderCancelled)
    assert (order.reservation_status, order.reserved_until) == (ReservationStatus.EXPIRED, None)


def test_every_short_line_is_kept_on_a_rejected_order() -> None:
    order = an_order()
    shortages = (
        contracts.StockRejectedShortage(sku="A", requested=3, available=1, expected_at=NOW),
        contracts.StockRejectedShortage(sku="B", requested=1, available=0),
    )
    react(stock_answer("StockRejected", shortages=shortages), order, CONFIRM_TERMS, when())
    assert order.shortages == (Shortage("A", 3, 1, NOW), Shortage("B", 1, 0, None))
    assert order.reservation_status is ReservationStatus.REJECTED


def test_every_short_line_is_kept_on_an_order_whose_stock_was_gone_when_it_was_confirmed() -> None:
    order = an_order("confirmed")
    take(order, "StockShortfall")
    assert order.shortages == (Shortage(SKU, 3, 1, None),)


@pytest.mark.parametrize(("answer", "status"), cells("reserved", "cancelled", "allocated", "stuck", "released"))
def test_every_change_appends_history_that_names_the_causing_event(answer: str, status: str) -> None:
    order = an_order(status)
    version = order.version
    take(order, answer)
    [row] = order.history
    assert (row.previous_status, row.status, row.event_id) == (status, order.status, "e-1")
    assert (row.at, order.updated_at, order.version) == (NOW + 60 * SECOND, NOW + 60 * SECOND, version + 1)


def test_a_payment_recorded_while_reserving_is_due_for_refund_when_stock_is_short() -> None:
    order = an_order()
    record(order, a_payment(), when())
    assert order.refund_due_minor == 0
    take(order, "StockRejected")
    assert order.refund_due_minor == TOTAL
