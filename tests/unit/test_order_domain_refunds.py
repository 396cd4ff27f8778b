"""Refunds: never more than was paid, each to one payment, and what becomes of them."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import contracts
from services.order.domain.refund_requests import (
    CreateRefund,
    RefundRest,
    WantedRefund,
    create,
    refund_rest,
)
from services.order.domain.refunds import RefundStatus
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.statuses import OrderStatus, PaymentStatus
from tests.support.refund_books import REST, Books
from tests.support.saga_builders import (
    ADMIN,
    ORDER_ID,
    OTHER_SKU,
    SKU,
    a_line,
    a_payment,
    an_order,
    unhurried,
    when,
)

IDS = tuple(f"r-{n}" for n in range(9))
# Three of 3.33 EUR, one of 5.01, shipping 10.00: 25.00 EUR.
LINES = (
    replace(a_line(SKU, 3), total_minor=999),
    replace(a_line(OTHER_SKU, 1, item_id="i-2"), total_minor=501),
)


@pytest.fixture
def paid() -> Books:
    """A delivered order of 25.00 EUR that is paid."""
    return Books(LINES, an_order("delivered", recorded_minor=2500), a_payment())


def test_a_refund_of_nothing_in_particular_is_of_all_that_is_left(paid: Books) -> None:
    paid.create(WantedRefund(amount_minor=700))
    assert paid.create() == ["RefundRequested"]
    assert paid.amounts == [700, 1800]
    assert paid.create() is RefusalCode.NOTHING_TO_REFUND


def test_shares_of_a_line_add_up_to_it(paid: Books) -> None:
    for _ in range(3):
        paid.create(WantedRefund(units={"i-1": 1}))
    assert sum(paid.amounts) == 999
    assert paid.create(WantedRefund(units={"i-1": 1})) is RefusalCode.REFUND_TOO_LARGE


def test_shipping_is_refunded_once(paid: Books) -> None:
    assert paid.create(WantedRefund(shipping=True)) == ["RefundRequested"]
    assert paid.amounts == [1000]
    assert paid.create(WantedRefund(shipping=True)) is RefusalCode.NOTHING_TO_REFUND


def test_an_item_that_the_order_does_not_have_is_named(paid: Books) -> None:
    assert paid.create(WantedRefund(units={"i-1": 1, "i-9": 1})) is RefusalCode.UNKNOWN_ITEM


def test_more_than_is_left_is_refused(paid: Books) -> None:
    assert paid.create(WantedRefund(amount_minor=2501)) is RefusalCode.REFUND_TOO_LARGE
    assert paid.create(WantedRefund(amount_minor=2500)) == ["RefundRequested"]


def test_nothing_is_refunded_of_a_pending_order() -> None:
    pending = Books(LINES, an_order("pending", recorded_minor=2500), a_payment())
    assert pending.create() is RefusalCode.REFUND_NOT_ALLOWED


def test_an_order_becomes_refunded_once_all_of_it_is_paid_back(paid: Books) -> None:
    paid.create()
    assert (paid.order.status, paid.order.payment_status) == (OrderStatus.DELIVERED, PaymentStatus.REFUND_DUE)
    assert paid.settle("r-0-0", "succeeded") == ["RefundIssued", "OrderRefunded"]
    assert (paid.order.status, paid.order.payment_status) == (OrderStatus.REFUNDED, PaymentStatus.REFUNDED)
    assert paid.order.amount_due_minor == 0


def test_a_cancelled_order_stays_cancelled_when_its_payment_is_back() -> None:
    cancelled = Books(LINES, an_order("cancelled", recorded_minor=2500), a_payment())
    cancelled.request_due()
    assert cancelled.settle("r-0-0", "succeeded") == ["RefundIssued"]
    assert (cancelled.order.status, cancelled.order.payment_status) == (OrderStatus.CANCELLED, PaymentStatus.REFUNDED)


def test_a_part_that_is_paid_back_leaves_the_order_partially_refunded_and_nothing_due(paid: Books) -> None:
    paid.create(WantedRefund(amount_minor=700), provider_reference="re-1")
    assert (paid.order.payment_status, paid.order.amount_due_minor) == (PaymentStatus.PARTIALLY_REFUNDED, 0)
    assert paid.order.refund_due_minor == 0


def test_a_refund_that_has_happened_is_not_asked_for(paid: Books) -> None:
    assert paid.create(WantedRefund(amount_minor=700), provider_reference="re-1") == ["RefundIssued"]
    (refund,) = paid.refunds.values()
    assert (refund.status, refund.provider_reference) == (RefundStatus.SUCCEEDED, "re-1")


def test_a_report_that_comes_again_brings_the_provider_s_name_that_the_first_had_not(paid: Books) -> None:
    paid.create(WantedRefund(amount_minor=700))
    paid.settle("r-0-0", "succeeded")
    before, paid.order.history = paid.order.version, []

    assert paid.settle("r-0-0", "succeeded", provider_reference="re-1") == []
    assert paid.refunds["r-0-0"].provider_reference == "re-1"
    assert [(row.reason, row.public) for row in paid.order.history] == [("refund_named", False)]
    for names in ({}, {"provider_reference": "re-1"}):
        assert paid.settle("r-0-0", "succeeded", **names) == []
    assert (paid.order.version, paid.refunds["r-0-0"].provider_reference) == (before + 1, "re-1")


def test_a_refund_that_has_a_name_is_given_no_other(paid: Books) -> None:
    paid.create(WantedRefund(amount_minor=700), provider_reference="re-1")
    assert paid.settle("r-0-0", "succeeded", provider_reference="re-2") is RefusalCode.REFUND_SETTLED
    assert paid.refunds["r-0-0"].provider_reference == "re-1"


def test_a_second_payment_goes_back_to_where_it_came_from() -> None:
    twice = Books(LINES, an_order("confirmed", recorded_minor=3200), a_payment(), a_payment("p-2", 700))
    assert twice.request_due() == ["RefundRequested"]
    (refund,) = twice.refunds.values()
    assert (refund.reference, refund.amount_minor, refund.conceded_minor) == ("p-2", 700, 0)
    twice.settle("r-0-0", "succeeded")
    assert (twice.order.payment_status, twice.order.is_paid) == (PaymentStatus.PAID, True)
    assert twice.request_due() == []


def test_what_one_payment_does_not_hold_is_spread_over_several() -> None:
    both = Books(LINES, an_order("delivered", recorded_minor=2500), a_payment("p-1", 2000), a_payment("p-2", 500))
    assert both.create(WantedRefund(amount_minor=800)) == ["RefundRequested"] * 2
    assert [(r.reference, r.amount_minor) for r in both.refunds.values()] == [("p-2", 500), ("p-1", 300)]


def test_a_refund_that_failed_can_be_tried_again_or_asked_for_anew(paid: Books) -> None:
    paid.create(WantedRefund(amount_minor=2000))
    assert paid.settle("r-0-0", "failed") == ["RefundFailed"]
    assert (paid.order.refunding_minor, paid.order.refund_due_minor) == (0, 0)
    assert paid.settle("r-0-0", "pending") == ["RefundRequested"]
    paid.settle("r-0-0", "failed")
    assert paid.create() == ["RefundRequested"]
    assert paid.settle("r-0-0", "pending") is RefusalCode.REFUND_TOO_LARGE


def test_units_that_another_refund_has_paid_back_are_not_tried_again(paid: Books) -> None:
    paid.create(WantedRefund(units={"i-1": 2}))
    paid.settle("r-0-0", "failed")
    paid.create(WantedRefund(units={"i-1": 2}))
    assert paid.settle("r-0-0", "pending") is RefusalCode.REFUND_TOO_LARGE
    assert paid.settle("r-0-0", "succeeded") is RefusalCode.REFUND_TOO_LARGE
    paid.settle("r-1-0", "failed")
    assert paid.settle("r-0-0", "pending") == ["RefundRequested"]


def test_shipping_that_another_refund_has_paid_back_is_not_tried_again(paid: Books) -> None:
    paid.create(WantedRefund(shipping=True))
    paid.settle("r-0-0", "failed")
    paid.create(WantedRefund(shipping=True))
    assert paid.settle("r-0-0", "pending") is RefusalCode.REFUND_TOO_LARGE


def test_a_refund_that_was_reported_as_failed_may_turn_out_to_have_been_paid(paid: Books) -> None:
    paid.create()
    paid.settle("r-0-0", "failed")
    assert paid.settle("r-0-0", "succeeded") == ["RefundIssued", "OrderRefunded"]
    assert (paid.order.payment_status, paid.order.refunding_minor) == (PaymentStatus.REFUNDED, 0)
    assert paid.refunds["r-0-0"].failure_code is None


def test_a_refund_goes_to_the_payment_that_is_named_and_to_no_other() -> None:
    both = Books(LINES, an_order("delivered", recorded_minor=2500), a_payment("p-1", 2000), a_payment("p-2", 500))
    assert both.create(WantedRefund(amount_minor=2100), payment_reference="p-1") is RefusalCode.REFUND_TOO_LARGE
    assert both.create(WantedRefund(amount_minor=800), payment_reference="p-1") == ["RefundRequested"]
    assert both.create(payment_reference="p-1") == ["RefundRequested"]
    assert [(r.reference, r.amount_minor) for r in both.refunds.values()] == [("p-1", 800), ("p-1", 1200)]
    assert both.create(payment_reference="p-9") is RefusalCode.UNKNOWN_PAYMENT


def test_of_several_payments_the_one_that_was_paid_back_elsewhere_has_to_be_named() -> None:
    both = Books(LINES, an_order("delivered", recorded_minor=2500), a_payment("p-1", 2000), a_payment("p-2", 500))
    assert both.create(provider_reference="re-1") is RefusalCode.UNKNOWN_PAYMENT
    assert both.create(provider_reference="re-1", payment_reference="p-1") == ["RefundIssued"]
    assert [(r.reference, r.amount_minor) for r in both.refunds.values()] == [("p-1", 2000)]


def test_a_refund_that_was_paid_elsewhere_is_of_one_payment_also_where_two_providers_gave_one_name() -> None:
    other = replace(a_payment("p-1", 500), provider="paypal")
    both = Books(LINES, an_order("delivered", recorded_minor=2500), a_payment("p-1", 2000), other)
    assert both.create(provider_reference="re-1", payment_reference="p-1") is RefusalCode.UNKNOWN_PAYMENT
    assert both.create(payment_reference="p-1") == ["RefundRequested", "RefundRequested"]
    assert both.settle("r-0-0", "succeeded", provider_reference="re-1") == ["RefundIssued"]
    assert both.refunds["r-0-0"].provider == "paypal"


def test_a_report_that_comes_twice_changes_nothing_and_one_that_contradicts_is_refused(paid: Books) -> None:
    paid.create()
    paid.settle("r-0-0", "succeeded")
    version = paid.order.version
    assert paid.settle("r-0-0", "succeeded") == []
    assert paid.settle("r-0-0", "failed") is RefusalCode.REFUND_SETTLED
    assert paid.order.version == version


def test_the_rest_is_refunded_once_however_often_it_is_asked_for(paid: Books) -> None:
    command = RefundRest(order_id=ORDER_ID, actor=ADMIN)
    paid.keep(refund_rest(paid.known, command, when(), IDS))
    again = refund_rest(paid.known, command, when(), IDS)
    assert (again, len(paid.refunds)) == (([], []), 1)


@pytest.mark.parametrize("status", [status for status in OrderStatus if status not in ("delivered", "refunded")])
def test_only_a_delivered_order_becomes_refunded(status: OrderStatus) -> None:
    books = Books(LINES, an_order(status.value, recorded_minor=2500), a_payment())
    refused = refund_rest(books.known, RefundRest(order_id=ORDER_ID, actor=ADMIN), when(), IDS)
    assert isinstance(refused, Refusal)
    assert refused.code is RefusalCode.INVALID_TRANSITION


_wanted = st.one_of(
    st.builds(WantedRefund, amount_minor=st.integers(0, 3000)),
    st.builds(WantedRefund, units=st.dictionaries(st.sampled_from(["i-1", "i-2"]), st.integers(1, 3), min_size=1)),
    st.just(WantedRefund(shipping=True)),
    st.just(REST),
)
_settled = st.tuples(st.integers(0, 5), st.sampled_from(RefundStatus))


@unhurried
@given(steps=st.lists(st.one_of(_wanted, _settled), max_size=12), excess=st.sampled_from([0, 700]))
def test_whatever_is_asked_for_and_settled_no_more_goes_back_than_was_paid(
    steps: list[WantedRefund | tuple[int, RefundStatus]], excess: int
) -> None:
    payments = [a_payment("p-1", 2000), a_payment("p-2", 500 + excess)]
    books = Books(LINES, an_order("delivered", recorded_minor=2500 + excess), *payments)
    for step in steps:
        if isinstance(step, WantedRefund):
            books.create(step)
        elif books.refunds:
            books.settle(list(books.refunds)[step[0] % len(books.refunds)], step[1].value)
        live = [refund for refund in books.refunds.values() if refund.is_live]
        paid_back = Counter[str]()
        for refund in live:
            paid_back[refund.reference] += refund.amount_minor
        assert all(paid_back[payment.reference] <= payment.amount_minor for payment in payments)
        pending = sum(refund.amount_minor for refund in live if refund.status is RefundStatus.PENDING)
        assert books.order.refunding_minor == pending
        assert books.order.refunded_minor == sum(refund.amount_minor for refund in live) - pending
        assert books.order.conceded_minor == sum(refund.conceded_minor for refund in live)
        assert books.order.kept_minor >= 0
        back = books.order.refunded_minor >= books.order.recorded_minor
        assert (books.order.status is OrderStatus.REFUNDED) is back


def test_what_is_told_of_a_refund_names_it_its_payment_and_its_lines(paid: Books) -> None:
    made = create(
        paid.known,
        CreateRefund(order_id=ORDER_ID, actor=ADMIN, wanted=WantedRefund(units={"i-1": 2}), reason="damaged"),
        when(),
        IDS,
    )
    assert not isinstance(made, Refusal)
    (told,) = made[1]
    assert isinstance(told, contracts.RefundRequested)
    assert (told.refund_id, told.provider, told.reference) == ("r-0", "stripe", "p-1")
    assert (told.amount_minor, told.currency, told.shipping_minor) == (666, "EUR", 0)
    assert [(line.item_id, line.sku, line.quantity) for line in told.lines] == [("i-1", SKU, 2)]
