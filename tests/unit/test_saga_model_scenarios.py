"""Courses of the saga with a name of their own, told step by step; after each the saga comes to rest."""

from collections import Counter

import pytest

from tests.support.saga_model import SIDES, Saga, Step
from tests.support.saga_promises import check_at_rest
from tests.support.saga_steps import (
    Advance,
    Cancel,
    CatchUp,
    Confirm,
    Deliver,
    Expire,
    Lose,
    Overtake,
    Place,
    Receive,
    Replay,
    Retry,
    Stray,
    Stumble,
    TimeOut,
    a_saga,
)

ONE_MUG = Place((("MUG", 1),))
ALL_MUGS = Place((("MUG", 6),))
TO_INVENTORY, TO_ORDER = CatchUp("inventory"), CatchUp("order")
RESERVED = (ONE_MUG, TO_INVENTORY, TO_ORDER)
ALLOCATED = (*RESERVED, Confirm(), TO_INVENTORY, TO_ORDER)


def at_rest(*steps: Step, auto_confirm: bool = False) -> Saga:
    saga = a_saga(*steps, auto_confirm=auto_confirm)
    saga.come_to_rest()
    check_at_rest(saga)
    return saga


def end_of(saga: Saga, back: int = 0) -> tuple[str, str | None, str]:
    """Return an order's status and cancel reason, and what its stock is doing."""
    order = saga.order.orders[saga.order_at(back)]
    stock = saga.inventory.reservations[order.id].status
    return order.status.value, order.cancel_reason and order.cancel_reason.value, stock.value


def mugs(saga: Saga) -> tuple[int, int, int]:
    level = saga.inventory.levels["MUG", "main"]
    return level.on_hand, level.reserved, level.allocated


# --- the straight ways


def test_an_order_is_placed_reserved_paid_allocated_shipped_and_delivered() -> None:
    saga = at_rest(*ALLOCATED, Advance("processing"), Advance("shipped"), TO_INVENTORY, Advance("delivered"))
    assert end_of(saga) == ("delivered", None, "shipped")
    assert mugs(saga) == (5, 0, 0)


def test_an_order_confirms_by_itself_where_the_shop_wants_it() -> None:
    saga = at_rest(ONE_MUG, auto_confirm=True)
    assert end_of(saga) == ("confirmed", None, "allocated")


def test_an_order_that_was_paid_while_stock_was_open_confirms_when_it_is_reserved() -> None:
    assert end_of(at_rest(ONE_MUG, Confirm())) == ("confirmed", None, "allocated")


def test_an_order_that_does_not_fit_is_cancelled_and_its_payment_is_due_for_refund() -> None:
    saga = at_rest(Place((("MUG", 7),)), Confirm())
    assert end_of(saga) == ("cancelled", "insufficient_stock", "rejected")
    assert saga.order.orders[saga.order_at(0)].refund_due_minor == 7000


def test_a_hundred_orders_for_the_last_ten_units_reserve_exactly_ten() -> None:
    saga = at_rest(Receive("MUG", 4), *[ONE_MUG] * 100)
    ends = Counter(end_of(saga, back) for back in range(100))
    assert ends == {("pending", None, "reserved"): 10, ("cancelled", "insufficient_stock", "rejected"): 90}
    assert mugs(saga) == (10, 10, 0)


def test_two_lines_of_one_sku_are_added_up_before_they_are_compared_with_the_stock() -> None:
    saga = at_rest(Place((("MUG", 4), ("MUG", 3))), Place((("MUG", 4), ("MUG", 2))))
    assert end_of(saga, 1) == ("cancelled", "insufficient_stock", "rejected")
    assert end_of(saga, 0) == ("pending", None, "reserved")


def test_an_order_is_rejected_as_a_whole_if_one_of_its_lines_does_not_fit() -> None:
    saga = at_rest(Place((("MUG", 1), ("TEE", 6))))
    assert end_of(saga) == ("cancelled", "insufficient_stock", "rejected")
    assert mugs(saga) == (6, 0, 0)


# --- early and late


def test_a_cancel_that_overtakes_its_order_reserves_nothing() -> None:
    saga = at_rest(ONE_MUG, Overtake())
    assert end_of(saga) == ("cancelled", "customer_request", "cancelled_first")
    assert mugs(saga) == (6, 0, 0)


def test_stock_that_is_reserved_after_the_order_was_given_up_is_released() -> None:
    saga = at_rest(ONE_MUG, Deliver("inventory"), TimeOut(), TO_ORDER)
    assert end_of(saga) == ("cancelled", "timeout", "released")
    assert mugs(saga) == (6, 0, 0)


def test_stock_that_is_allocated_after_the_order_was_cancelled_is_released() -> None:
    saga = at_rest(*RESERVED, Confirm(), TO_INVENTORY, Cancel(), TO_ORDER)
    assert end_of(saga) == ("cancelled", "customer_request", "released")
    assert mugs(saga) == (6, 0, 0)


def test_an_order_that_nobody_pays_expires_and_is_cancelled() -> None:
    assert end_of(at_rest(*RESERVED, Expire())) == ("cancelled", "expired", "expired")


def test_an_order_that_is_confirmed_after_its_reservation_expired_gets_its_stock_if_it_is_still_there() -> None:
    assert end_of(at_rest(*RESERVED, Expire(), Confirm())) == ("confirmed", None, "allocated")


@pytest.mark.parametrize("gone", [(ALL_MUGS, TO_INVENTORY), (Lose("MUG", 6),)], ids=["sold", "lost"])
def test_an_order_that_is_confirmed_after_its_stock_expired_and_is_gone_is_cancelled_and_refunded(
    gone: tuple[Step, ...],
) -> None:
    saga = a_saga(*RESERVED, Expire())
    back = len(gone) - 1
    saga.take([*gone, Confirm(back)])
    saga.come_to_rest()
    check_at_rest(saga)
    assert end_of(saga, back) == ("cancelled", "stock_shortfall", "expired")
    assert saga.order.orders[saga.order_at(back)].refund_due_minor == 1000


def test_an_allocation_that_takes_too_long_lists_the_order_and_its_late_answer_takes_it_off_the_list() -> None:
    saga = a_saga(*RESERVED, Confirm(), TimeOut())
    assert saga.order.orders[saga.order_at(0)].stuck_reason == "allocation_timeout"
    saga.come_to_rest()
    check_at_rest(saga)
    assert saga.order.orders[saga.order_at(0)].stuck_reason is None
    assert end_of(saga) == ("confirmed", None, "allocated")


def test_goods_of_an_order_that_is_cancelled_after_shipping_are_gone() -> None:
    saga = at_rest(*ALLOCATED, Advance("processing"), Advance("shipped"), Cancel())
    assert end_of(saga) == ("cancelled", "customer_request", "shipped")
    assert mugs(saga) == (5, 0, 0)


# --- once more


def test_replaying_both_topics_from_the_start_changes_nothing() -> None:
    saga = at_rest(*ALLOCATED, ONE_MUG, Cancel(), ALL_MUGS)
    before = (mugs(saga), [end_of(saga, back) for back in range(3)], len(saga.inventory.movements))
    events = sum(len(messages) for topic in saga.topics.values() for messages in topic.values())
    saga.take([Replay(side) for side in SIDES] + [CatchUp(side) for side in SIDES])
    saga.come_to_rest()
    assert before == (mugs(saga), [end_of(saga, back) for back in range(3)], len(saga.inventory.movements))
    assert events == sum(len(messages) for topic in saga.topics.values() for messages in topic.values())


def test_a_second_order_placed_changes_nothing_whatever_its_id() -> None:
    saga = a_saga(*RESERVED)
    told = len(saga.topics["inventory.events.v1"][saga.order_at(0)])
    saga.take([Stray("inventory", which=0)] * 3)
    assert len(saga.topics["inventory.events.v1"][saga.order_at(0)]) == told
    assert mugs(saga) == (6, 1, 0)


# --- parked


def test_a_message_that_fails_delays_only_its_own_order() -> None:
    saga = a_saga(ONE_MUG, ONE_MUG, Stumble("inventory", 1), TO_INVENTORY, TO_ORDER)
    assert saga.order.orders[saga.order_at(0)].reservation_status == "reserved"
    assert saga.order.orders[saga.order_at(1)].reservation_status == "pending"
    saga.take([Retry("inventory", 1), TO_ORDER])
    assert saga.order.orders[saga.order_at(1)].reservation_status == "reserved"


def test_what_comes_behind_a_parked_message_waits_and_is_handled_in_order() -> None:
    saga = a_saga(ONE_MUG, Stumble("inventory"), Cancel(), TO_INVENTORY)
    assert saga.inventory.reservations == {}, "the cancel waits behind its order"
    saga.take([Retry("inventory")])
    assert mugs(saga) == (6, 1, 0)
    saga.come_to_rest()
    check_at_rest(saga)
    assert end_of(saga) == ("cancelled", "customer_request", "released")
