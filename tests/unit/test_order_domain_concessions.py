"""What was paid back of something that a change then takes off the order is not paid back a second time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.order.domain.lines import OrderLine
from services.order.domain.refund_requests import WantedRefund
from services.order.domain.refunds import RefundStatus
from services.order.domain.refusals import RefusalCode
from tests.support.refund_books import Books
from tests.support.saga_builders import OTHER_SKU, SKU, a_line, a_payment, an_order, unhurried

SHIPPING = 1000
PRICE = 100
# Ten for 10.00 and four for 4.00, shipping for 10.00 EUR.
LINES = (a_line(SKU, 10), a_line(OTHER_SKU, 4, item_id="i-2"))
TOTAL = 2400


def of(item_id: str, quantity: int) -> OrderLine:
    line = next(line for line in LINES if line.item_id == item_id)
    return replace(line, quantity=quantity, total_minor=PRICE * quantity)


@pytest.fixture
def paid() -> Books:
    """A confirmed order that is paid: of 24.00 EUR."""
    return Books(LINES, an_order("confirmed", total_minor=TOTAL, recorded_minor=TOTAL), a_payment("p-1", TOTAL))


def test_units_that_were_paid_back_and_then_taken_off_are_paid_back_once(paid: Books) -> None:
    paid.create(WantedRefund(units={"i-1": 3}))
    assert paid.change([of("i-1", 7), LINES[1]], SHIPPING) == []
    assert (paid.amounts, paid.order.amount_due_minor, paid.order.refund_due_minor) == ([300], 0, 300)


def test_units_beyond_those_paid_back_are_due(paid: Books) -> None:
    paid.create(WantedRefund(units={"i-1": 3}))
    assert paid.change([of("i-1", 5), LINES[1]], SHIPPING) == ["RefundRequested"]
    assert paid.amounts == [300, 200]


def test_of_what_is_left_of_a_line_each_unit_can_be_paid_back(paid: Books) -> None:
    paid.create(WantedRefund(units={"i-1": 3}))
    paid.change([of("i-1", 7), LINES[1]], SHIPPING)
    assert paid.create(WantedRefund(units={"i-1": 8})) is RefusalCode.REFUND_TOO_LARGE
    assert paid.create(WantedRefund(units={"i-1": 7})) == ["RefundRequested"]


def test_a_line_that_goes_takes_along_what_was_paid_back_of_it(paid: Books) -> None:
    paid.create(WantedRefund(units={"i-1": 3, "i-2": 4}))
    assert paid.change([LINES[0]], SHIPPING) == []
    assert (paid.amounts, paid.order.kept_minor) == ([700], 1700)


def test_goodwill_stays_when_a_line_is_reduced(paid: Books) -> None:
    paid.create(WantedRefund(amount_minor=300))
    assert paid.change([of("i-1", 7), LINES[1]], SHIPPING) == ["RefundRequested"]
    assert paid.amounts == [300, 300]


def test_shipping_that_was_paid_back_and_becomes_cheaper_is_paid_back_once(paid: Books) -> None:
    paid.create(WantedRefund(shipping=True))
    assert paid.change(LINES, 400) == []
    assert paid.change(LINES, 700) == []
    assert (paid.amounts, paid.order.amount_due_minor) == ([1000], 300)


def test_of_an_order_that_was_paid_back_whole_and_grows_again_all_of_the_growth_is_owed(paid: Books) -> None:
    paid.create()
    paid.change([LINES[1]], SHIPPING)
    paid.change([of("i-1", 2), LINES[1]], SHIPPING)
    assert paid.order.amount_due_minor == 200


def test_a_refund_that_was_spread_over_two_payments_is_withdrawn_from_both() -> None:
    order = an_order("confirmed", total_minor=TOTAL, recorded_minor=TOTAL)
    paid = Books(LINES, order, a_payment("p-1", 2300), a_payment("p-2", 100))
    assert paid.create(WantedRefund(units={"i-1": 3})) == ["RefundRequested"] * 2
    assert paid.change([of("i-1", 7), LINES[1]], SHIPPING) == []
    assert [refund.conceded_minor for refund in paid.refunds.values()] == [0, 0]


def test_a_refund_that_failed_is_not_tried_again_once_a_change_has_paid_it_back(paid: Books) -> None:
    paid.create(WantedRefund(units={"i-1": 3}))
    paid.settle("r-0-0", "failed")
    assert paid.change([of("i-1", 7), LINES[1]], SHIPPING) == ["RefundRequested"]
    assert paid.settle("r-0-0", "pending") is RefusalCode.REFUND_TOO_LARGE
    assert paid.order.refunding_minor == 300


def test_a_refund_that_fails_after_a_change_is_due_again(paid: Books) -> None:
    paid.create(WantedRefund(units={"i-1": 3}))
    paid.change([of("i-1", 7), LINES[1]], SHIPPING)
    paid.settle("r-0-0", "failed")
    assert (paid.order.refund_due_minor, paid.order.amount_due_minor) == (300, 0)
    assert paid.settle("r-0-0", "pending") == ["RefundRequested"]


_items = st.sampled_from(["i-1", "i-2"])
_refunds = st.tuples(st.just("refund"), _items, st.integers(1, 5))
_changes = st.tuples(st.just("change"), _items, st.integers(0, 12))
_shipping = st.tuples(st.sampled_from(["refund shipping", "ship for"]), st.just(""), st.integers(0, 12))
_settled = st.tuples(st.just("settle"), st.sampled_from(["succeeded", "failed", "pending"]), st.integers(0, 5))


@unhurried
@given(steps=st.lists(st.one_of(_refunds, _changes, _shipping, _settled), max_size=12))
def test_every_unit_is_paid_back_once(steps: list[tuple[str, str, int]]) -> None:
    """Against a count by hand, as long as no refund fails; the sums agree then too."""
    order = an_order("confirmed", total_minor=TOTAL, recorded_minor=TOTAL)
    books = Books(LINES, order, a_payment("p-1", 2000), a_payment("p-2", 400))
    ordered, free = {"i-1": 10, "i-2": 4}, {"i-1": 0, "i-2": 0}
    shipping, shipping_free, failed = SHIPPING, 0, False
    for what, item_id, n in steps:
        match what:
            case "refund":
                if isinstance(books.create(WantedRefund(units={item_id: n})), list):
                    free[item_id] += n
            case "refund shipping":
                if isinstance(books.create(WantedRefund(shipping=True)), list):
                    shipping_free = shipping
            # The last line of an order cannot be taken off.
            case "change" if n or any(q for i, q in ordered.items() if i != item_id):
                free[item_id] = max(0, free[item_id] - max(0, ordered[item_id] - n))
                ordered[item_id] = n
                books.change([of(i, q) for i, q in ordered.items() if q], shipping)
            case "ship for":
                shipping, shipping_free = n * PRICE, min(shipping_free, n * PRICE)
                books.change(books.lines, shipping)
            case "settle" if books.refunds:
                refund = list(books.refunds.values())[n % len(books.refunds)]
                books.settle(refund.id, item_id)
                failed |= books.refunds[refund.id].status is RefundStatus.FAILED
        live = [refund for refund in books.refunds.values() if refund.is_live]
        assert order.conceded_minor == sum(refund.conceded_minor for refund in live)
        assert 0 <= order.kept_minor <= order.recorded_minor
        if not failed:
            owed = sum((ordered[i] - free[i]) * PRICE for i in ordered) + shipping - shipping_free
            assert owed == order.kept_minor + order.amount_due_minor
