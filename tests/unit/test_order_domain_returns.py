"""Returns: the window, what may come back, what a receipt makes due."""

from dataclasses import replace
from itertools import product

import pytest

from services.order.domain.lines import OrderLine, with_returned
from services.order.domain.receipts import Arrived, ReceiveReturn, propose, receive
from services.order.domain.refunds import Refundable
from services.order.domain.refusals import Refusal, RefusalCode
from services.order.domain.returns import (
    TRANSITIONS,
    DecideReturn,
    Disposition,
    Identity,
    RequestReturn,
    Return,
    Returnable,
    ReturnStatus,
    ReturnTerms,
    WantedLine,
    decide,
    expect,
    request,
)
from tests.support.saga_builders import ADMIN, NOW, ORDER_ID, SKU, a_line, a_payment, an_order, some_content, when

DAY = 86_400
TERMS = ReturnTerms(window_days=30, number_prefix="RET", number_length=8)
IDENTITY = Identity(return_id="r-1", count=0, number_key=b"k" * 32)


def line(shipped: int = 3, returned: int = 0) -> OrderLine:
    return replace(a_line(SKU, 3), shipped_quantity=shipped, returned_quantity=returned)


def ask(
    known: Returnable, quantity: int = 1, seconds: int = 0, *, within_window: bool = True, of_cancelled: bool = False
) -> Return | RefusalCode:
    command = RequestReturn(
        order_id=ORDER_ID,
        actor=ADMIN,
        lines=(WantedLine("i-1", quantity, "damaged"),),
        within_window=within_window,
        of_cancelled=of_cancelled,
    )
    made = request(known, command, when(seconds), identity=IDENTITY, terms=TERMS)
    return made.code if isinstance(made, Refusal) else made[0]


def returnable(*returns: Return, shipped: int = 3, returned: int = 0, status: str = "delivered") -> Returnable:
    return Returnable(an_order(status, delivered_at=NOW), some_content(line(shipped, returned)), returns)


def a_return(status: str = "approved", quantity: int = 2, received: int = 0) -> Return:
    made = ask(returnable(), quantity)
    assert isinstance(made, Return)
    lines = tuple(replace(one, received=received) for one in made.lines)
    return replace(made, status=ReturnStatus(status), lines=lines)


@pytest.mark.parametrize(
    ("seconds", "within", "refused"),
    [(30 * DAY, True, False), (30 * DAY + 1, True, True), (400 * DAY, False, False)],
)
def test_the_window_counts_from_the_delivery_and_holds_to_its_last_second(
    seconds: int, within: bool, refused: bool
) -> None:
    made = ask(returnable(), seconds=seconds, within_window=within)
    assert (made is RefusalCode.RETURN_WINDOW_CLOSED) is refused


@pytest.mark.parametrize("status", ["pending", "confirmed", "processing", "shipped", "cancelled"])
def test_only_of_a_delivered_order_something_is_sent_back(status: str) -> None:
    assert ask(returnable(status=status)) is RefusalCode.RETURN_NOT_ALLOWED


@pytest.mark.parametrize("status", ["pending", "confirmed", "processing", "shipped", "cancelled"])
def test_staff_sends_back_what_left_of_a_cancelled_order_and_of_no_other_sooner(status: str) -> None:
    made = ask(returnable(status=status), 3, of_cancelled=True)
    assert isinstance(made, Return) is (status == "cancelled")


def test_of_a_cancelled_order_no_more_is_sent_back_than_left() -> None:
    known = returnable(a_return("received", received=1), shipped=2, returned=1, status="cancelled")
    assert ask(known, 2, of_cancelled=True) is RefusalCode.RETURN_TOO_LARGE
    assert isinstance(ask(known, 1, of_cancelled=True), Return)


@pytest.mark.parametrize(
    ("known", "left"),
    [
        (returnable(), 3),
        (returnable(returned=1), 2),
        (returnable(a_return("requested")), 1),
        (returnable(a_return("approved")), 1),
        (returnable(a_return("declined")), 3),
        (returnable(a_return("partially_received", received=1), returned=1), 1),
        (returnable(a_return("received", received=1), returned=1), 2),
        (returnable(shipped=2), 2),
    ],
)
def test_no_more_comes_back_than_left_and_is_neither_back_nor_on_its_way(known: Returnable, left: int) -> None:
    assert isinstance(ask(known, left), Return)
    assert ask(known, left + 1) is RefusalCode.RETURN_TOO_LARGE


@pytest.mark.parametrize(("status", "to"), list(product(ReturnStatus, (ReturnStatus.APPROVED, ReturnStatus.DECLINED))))
def test_a_return_is_decided_once(status: ReturnStatus, to: ReturnStatus) -> None:
    order = an_order("delivered")
    command = DecideReturn(order_id=ORDER_ID, return_id="r-1", actor=ADMIN, status=to)
    made = decide(order, a_return(status), command, when())
    if status is to:
        assert made == (a_return(status), [])
        assert order.history == []
    elif to in TRANSITIONS[status]:
        assert not isinstance(made, Refusal)
        assert (made[0].status, len(made[1]), len(order.history)) == (to, 1, 1)
    else:
        assert isinstance(made, Refusal)
        assert order.history == []


def receipt(received: int, damaged: int = 0, *, complete: bool = False) -> ReceiveReturn:
    arrived = (Arrived("i-1", received, damaged, Disposition.RESTOCK),) if received else ()
    return ReceiveReturn(
        order_id=ORDER_ID,
        return_id="r-1",
        actor=ADMIN,
        location="main",
        lines=arrived,
        complete=complete,
        refund=False,
    )


@pytest.mark.parametrize("status", ["requested", "declined", "received"])
def test_nothing_arrives_of_a_return_that_is_not_approved_or_is_closed(status: str) -> None:
    made = receive(an_order("delivered"), a_return(status), receipt(1), when(), receipt_id="rc-1")
    assert isinstance(made, Refusal)
    assert made.code is RefusalCode.INVALID_RETURN_TRANSITION


def test_receipts_add_up_until_everything_is_there() -> None:
    order = an_order("delivered")
    first = receive(order, a_return(quantity=3), receipt(2, 1), when(1), receipt_id="rc-1")
    assert not isinstance(first, Refusal)
    (some,) = first[0].lines
    assert (first[0].status, some.received, some.damaged, some.restocked) == ("partially_received", 2, 1, 1)
    too_many = receive(order, first[0], receipt(2), when(2), receipt_id="rc-1")
    assert isinstance(too_many, Refusal)
    assert too_many.code is RefusalCode.RETURN_TOO_LARGE
    last = receive(order, first[0], receipt(1), when(3), receipt_id="rc-1")
    assert not isinstance(last, Refusal)
    assert (last[0].status, last[0].lines[0].received, last[1].lines[0].received) == ("received", 3, 1)
    assert (first[1].complete, last[1].complete) == (False, True)


@pytest.mark.parametrize(
    ("shipped", "returned", "expected"), [(3, 0, 3), (2, 0, 2), (3, 1, 2), (0, 0, None), (3, 3, None)]
)
def test_what_had_left_and_is_not_back_is_expected(shipped: int, returned: int, expected: int | None) -> None:
    known = returnable(shipped=shipped, returned=returned, status="cancelled")
    made = expect(known, {"i-1": shipped}, when(), identity=IDENTITY, terms=TERMS)
    assert (made[0].lines[0].quantity if made else None) == expected
    if made:
        assert (made[0].status, made[0].expected, len(made[1])) == ("approved", True, 2)


def test_of_what_leaves_later_a_further_return_expects_the_further_units_only() -> None:
    lost = a_return("received", quantity=1)
    known = returnable(lost, shipped=3, status="cancelled")
    made = expect(known, {"i-1": 2}, when(), identity=IDENTITY, terms=TERMS)
    assert made is not None
    assert [one.quantity for one in made[0].lines] == [2]


def test_a_receipt_proposes_what_its_units_cost_and_never_more_than_is_left() -> None:
    order = an_order("delivered", recorded_minor=2500, total_minor=2500)
    known = Refundable(order, some_content(replace(line(), total_minor=2500)), [a_payment()], [])
    shares = [propose(known, {"i-1": units}) for units in (1, 2, 3)]
    assert [share and share.amount_minor for share in shares] == [833, 1666, 2500]
    order.refunded_minor = 2000
    capped = propose(known, {"i-1": 3})
    assert capped is not None
    assert capped.amount_minor == 500
    order.refunded_minor = 2500
    assert propose(known, {"i-1": 3}) is None


def test_lines_count_what_came_back() -> None:
    assert [one.returned_quantity for one in with_returned([line(returned=1)], {"i-1": 2})] == [3]
