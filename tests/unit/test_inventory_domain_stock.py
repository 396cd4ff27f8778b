"""Quantities of stock, their movements, and the alerts about them."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import contracts
from services.inventory.domain.commands import (
    AdjustStock,
    PutVariant,
    ReceiveStock,
    Refusal,
    RefusalCode,
    adjust,
    put,
    receive,
)
from services.inventory.domain.stock import MovementKind, Stock, StockLevel, added_up
from services.inventory.domain.variants import Variant
from tests.support.saga_builders import BECAUSE, NOW, OTHER_SKU, SKU, levels, moves, stock_of, unhurried

PLACE = (SKU, "main")
K = MovementKind
DELTAS = st.integers(-20, 20)


# --- levels


@pytest.mark.parametrize(
    ("level", "available"),
    [
        pytest.param({"on_hand": 10}, 10, id="all of it"),
        pytest.param({"on_hand": 10, "reserved": 3}, 7, id="less what is reserved"),
        pytest.param({"on_hand": 10, "allocated": 3}, 7, id="less what is allocated"),
        pytest.param({"on_hand": 10, "safety_stock": 3}, 7, id="less the safety stock"),
        pytest.param({"on_hand": 10, "reserved": 1, "allocated": 2, "safety_stock": 3}, 4, id="less all of them"),
        pytest.param({"on_hand": 5, "reserved": 3, "safety_stock": 4}, -2, id="safety stock may exceed what is free"),
    ],
)
def test_what_is_available_is_what_can_still_be_promised(level: dict[str, int], available: int) -> None:
    assert StockLevel(sku=SKU, location="main", **level).available == available


@pytest.mark.parametrize(
    "delta",
    [
        pytest.param({"on_hand": -11}, id="fewer than none on hand"),
        pytest.param({"reserved": -3}, id="fewer than none reserved"),
        pytest.param({"allocated": -3}, id="fewer than none allocated"),
        pytest.param({"reserved": 7}, id="more held than there is"),
        pytest.param({"on_hand": -7}, id="less there than is held"),
    ],
)
def test_a_movement_that_would_break_the_books_is_refused_and_changes_nothing(delta: dict[str, int]) -> None:
    stock = stock_of(10, reserved=2, allocated=2)
    with pytest.raises(ValueError, match="would leave"):
        stock.move(PLACE, K.ADJUSTED, BECAUSE, **delta)
    assert (levels(stock), stock.movements) == ((10, 2, 2), [])


def test_a_movement_records_what_changed_and_what_is_there_afterwards() -> None:
    stock = stock_of(10, reserved=3)
    stock.move(PLACE, K.ALLOCATED, BECAUSE, reserved=-3, allocated=3)
    [movement] = stock.movements
    assert (movement.on_hand, movement.reserved, movement.allocated) == (0, -3, 3)
    assert (movement.on_hand_after, movement.reserved_after, movement.allocated_after) == (10, 0, 3)
    assert (movement.sku, movement.location, movement.because) == (SKU, "main", BECAUSE)


def test_each_movement_counts_a_version_of_its_level() -> None:
    stock = stock_of(10)
    stock.move(PLACE, K.RECEIVED, BECAUSE, on_hand=1)
    stock.move(PLACE, K.RECEIVED, BECAUSE, on_hand=1)
    assert stock.level(SKU).version == 2


def test_the_first_units_of_a_sku_make_its_level() -> None:
    stock = Stock()
    stock.move(PLACE, K.RECEIVED, BECAUSE, on_hand=5)
    assert levels(stock) == (5, 0, 0)


def test_looking_at_a_sku_without_stock_does_not_make_a_level() -> None:
    stock = Stock()
    assert stock.level(SKU).available == 0
    assert stock.levels == {}


@unhurried
@given(st.lists(st.tuples(st.sampled_from([PLACE, (OTHER_SKU, "main")]), DELTAS, DELTAS, DELTAS), max_size=30))
def test_whatever_is_tried_a_level_is_the_sum_of_its_movements_and_never_oversold(
    tries: list[tuple[tuple[str, str], int, int, int]],
) -> None:
    stock = Stock()
    for place, on_hand, reserved, allocated in tries:
        before = levels(stock, place[0])
        after = (before[0] + on_hand, before[1] + reserved, before[2] + allocated)
        if min(after) >= 0 and after[0] >= after[1] + after[2]:
            stock.move(place, K.ADJUSTED, BECAUSE, on_hand=on_hand, reserved=reserved, allocated=allocated)
            assert levels(stock, place[0]) == after
        else:
            with pytest.raises(ValueError, match="would leave"):
                stock.move(place, K.ADJUSTED, BECAUSE, on_hand=on_hand, reserved=reserved, allocated=allocated)
    for level in stock.levels.values():
        ledger = [m for m in stock.movements if m.sku == level.sku]
        sums = (sum(m.on_hand for m in ledger), sum(m.reserved for m in ledger), sum(m.allocated for m in ledger))
        assert levels(stock, level.sku) == sums
        assert level.version == len(ledger)


def test_what_is_available_is_added_up_over_all_locations() -> None:
    stock = stock_of(10, reserved=4)
    stock.levels[SKU, "north"] = StockLevel(sku=SKU, location="north", on_hand=5)
    assert stock.available() == {SKU: 11}


def test_every_level_that_moved_is_named_once_and_sorted() -> None:
    stock = stock_of(10)
    for place in [("Z", "main"), PLACE, ("A", "main"), PLACE]:
        stock.move(place, K.RECEIVED, BECAUSE, on_hand=1)
    assert [level.sku for level in stock.moved()] == ["A", SKU, "Z"]


def test_quantities_of_one_sku_are_added_up_in_order_of_first_mention() -> None:
    assert list(added_up([("B", 1), ("A", 2), ("B", 3)]).items()) == [("B", 4), ("A", 2)]


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_quantity_that_is_none_is_not_added_up(quantity: int) -> None:
    with pytest.raises(ValueError, match="has quantity"):
        added_up([("A", 2), ("A", quantity)])


# --- receipts and adjustments


def correct(stock: Stock, **values: Any) -> StockLevel | Refusal:
    return adjust(AdjustStock(sku=SKU, location="main", because=BECAUSE, **values), stock)


def test_a_receipt_adds_to_what_is_on_hand() -> None:
    stock = stock_of(10, reserved=2)
    receive(ReceiveStock(sku=SKU, location="main", quantity=5, because=BECAUSE), stock)
    assert (levels(stock), moves(stock)) == ((15, 2, 0), [(K.RECEIVED, 5, 0, 0)])


@pytest.mark.parametrize(("quantity", "on_hand"), [(3, 13), (-4, 6), (-6, 4)])
def test_a_difference_is_added(quantity: int, on_hand: int) -> None:
    stock = stock_of(10, reserved=2, allocated=2)
    correct(stock, quantity=quantity)
    assert (levels(stock), moves(stock)) == ((on_hand, 2, 2), [(K.ADJUSTED, quantity, 0, 0)])


def test_a_counted_value_replaces_the_expected_one() -> None:
    stock = stock_of(10)
    correct(stock, on_hand=7, expected_on_hand=10)
    assert (levels(stock), moves(stock)) == ((7, 0, 0), [(K.ADJUSTED, -3, 0, 0)])


def test_a_counted_value_is_refused_when_stock_moved_meanwhile() -> None:
    stock = stock_of(9)
    refusal = correct(stock, on_hand=7, expected_on_hand=10)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, stock.movements) == (RefusalCode.STOCK_CHANGED, [])


@pytest.mark.parametrize("values", [{"quantity": -7}, {"on_hand": 3, "expected_on_hand": 10}, {"quantity": -11}])
def test_what_is_held_for_orders_is_not_adjusted_away(values: dict[str, int]) -> None:
    stock = stock_of(10, reserved=2, allocated=2)
    refusal = correct(stock, **values)
    assert isinstance(refusal, Refusal)
    assert (refusal.code, levels(stock), stock.movements) == (RefusalCode.STOCK_HELD, (10, 2, 2), [])


@pytest.mark.parametrize("values", [{"quantity": 0}, {"on_hand": 10, "expected_on_hand": 10}])
def test_an_adjustment_that_changes_nothing_writes_no_movement(values: dict[str, int]) -> None:
    stock = stock_of(10)
    assert isinstance(correct(stock, **values), StockLevel)
    assert stock.movements == []


def test_safety_stock_does_not_stand_in_the_way_of_an_adjustment() -> None:
    stock = stock_of(10, reserved=2, safety_stock=8)
    correct(stock, quantity=-8)
    assert levels(stock) == (2, 2, 0)


# --- alerts: one notification an episode


def a_mug(**values: Any) -> Variant:
    usual: dict[str, Any] = {
        "product_name": "Mug",
        "variant_name": "blue",
        "vendor_id": "v-1",
        "price_minor": 1000,
        "currency": "EUR",
        "low_stock_threshold": None,
    }
    return Variant(sku=SKU, **{**usual, **values})


def told(variant: Variant, *course: int) -> list[list[str]]:
    return [[type(alert).__name__ for alert in variant.alerts(available, 5, NOW)] for available in course]


LOW, OUT, BACK = "LowStockReached", "OutOfStock", "BackInStock"


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        pytest.param([6], [[]], id="above the threshold all is well"),
        pytest.param([5], [[LOW]], id="at the threshold it opens"),
        pytest.param([5, 4, 3, 5, 1], [[LOW], [], [], [], []], id="told once, however it moves below"),
        pytest.param([5, 6], [[LOW], []], id="above the threshold it closes, in silence"),
        pytest.param([5, 6, 5], [[LOW], [], [LOW]], id="the next episode is told again"),
        pytest.param([4, 0, 0], [[LOW], [OUT], []], id="the last unit is told once"),
        pytest.param([7, 0], [[], [LOW, OUT]], id="low and out at once"),
        pytest.param([0, 3], [[LOW, OUT], [BACK]], id="back, and still low"),
        pytest.param([0, 9, 0], [[LOW, OUT], [BACK], [LOW, OUT]], id="out, back and out again"),
        pytest.param([0, -2, 0, 1], [[LOW, OUT], [], [], [BACK]], id="safety stock beyond what is free is out too"),
    ],
)
def test_an_alert_is_an_episode(course: list[int], expected: list[list[str]]) -> None:
    assert told(a_mug(), *course) == expected


@pytest.mark.parametrize(("own", "available", "opens"), [(10, 10, True), (10, 11, False), (0, 1, False), (0, 0, True)])
def test_a_variant_s_own_threshold_wins(own: int, available: int, opens: bool) -> None:
    variant = a_mug(low_stock_threshold=own)
    variant.alerts(available, 5, NOW)
    assert variant.low_stock_open is opens


def test_a_threshold_that_is_raised_opens_an_episode_and_one_that_is_lowered_closes_it() -> None:
    variant = a_mug()
    assert told(variant, 7) == [[]]
    variant.low_stock_threshold = 8
    assert told(variant, 7) == [[LOW]]
    variant.low_stock_threshold = 5
    assert told(variant, 7) == [[]]
    assert not variant.low_stock_open


def test_an_alert_says_what_is_low_and_how_low() -> None:
    low, out = a_mug().alerts(0, 5, NOW)
    assert isinstance(low, contracts.LowStockReached)
    assert isinstance(out, contracts.OutOfStock)
    assert (low.sku, low.product_name, low.variant_name, low.vendor_id) == (SKU, "Mug", "blue", "v-1")
    assert (low.available, low.threshold, low.reached_at, out.out_since) == (0, 5, NOW, NOW)


def test_news_of_a_sku_that_is_back_says_how_many_there_are() -> None:
    variant = a_mug(vendor_id=None)
    variant.alerts(0, 5, NOW)
    [back] = variant.alerts(3, 5, NOW + 1)
    assert isinstance(back, contracts.BackInStock)
    assert (back.vendor_id, back.available, back.back_at) == (None, 3, NOW + 1)


# --- the catalog


PUT = PutVariant(
    sku=SKU,
    product_name="Mug",
    variant_name="blue",
    vendor_id="v-1",
    price_minor=1000,
    currency="EUR",
    low_stock_threshold=3,
    active=True,
)


def test_a_new_variant_is_published_as_it_was_put() -> None:
    variant = put(PUT, None)
    assert isinstance(variant, Variant)
    published = variant.publish(NOW)
    assert (published.sku, published.price_minor, published.currency, published.active) == (SKU, 1000, "EUR", True)
    assert (published.product_name, published.variant_name, published.vendor_id) == ("Mug", "blue", "v-1")
    assert (published.low_stock_threshold, published.version, published.published_at) == (3, 1, NOW)


def test_a_change_of_a_variant_counts_a_version_and_keeps_its_open_alerts() -> None:
    variant = put(PUT, None)
    assert isinstance(variant, Variant)
    variant.publish(NOW)
    variant.alerts(0, 5, NOW)
    changed = put(replace(PUT, price_minor=900), variant)
    assert isinstance(changed, Variant)
    published = changed.publish(NOW)
    assert (published.price_minor, published.version) == (900, 2)
    assert (changed.low_stock_open, changed.out_of_stock_open) == (True, True)


@pytest.mark.parametrize(("version", "expected"), [(0, {1}), (2, {1}), (2, {3, 4})])
def test_a_variant_that_was_changed_meanwhile_is_not_overwritten(version: int, expected: set[int]) -> None:
    known = a_mug(version=version) if version else None
    refusal = put(replace(PUT, price_minor=1, expected_versions=frozenset(expected)), known)
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.VERSION_CHANGED
    assert known is None or known.price_minor == 1000


def test_a_variant_at_the_expected_version_is_changed() -> None:
    assert isinstance(put(replace(PUT, expected_versions=frozenset({2, 3})), a_mug(version=2)), Variant)


def test_a_vendor_does_not_change_another_s_variant() -> None:
    refusal = put(replace(PUT, only_of_vendor="v-2"), a_mug(version=1))
    assert isinstance(refusal, Refusal)
    assert refusal.code is RefusalCode.FOREIGN_VARIANT
    assert refusal.detail == f"variant {PUT.sku} belongs to another vendor than 'v-2'"


def test_a_retired_variant_is_not_for_sale_and_counts_a_version() -> None:
    variant = a_mug(version=1)
    retired = variant.retire(NOW)
    assert (retired.sku, retired.version, retired.retired_at) == (SKU, 2, NOW)
    assert (variant.active, variant.retired) == (False, True)


def test_a_retired_variant_that_is_put_again_is_for_sale() -> None:
    variant = a_mug()
    variant.retire(NOW)
    back = put(PUT, variant)
    assert isinstance(back, Variant)
    assert (back.active, back.retired) == (True, False)


def test_the_catalog_s_events_of_a_sku_are_counted_in_sequence() -> None:
    variant = a_mug()
    variant.publish(NOW)
    variant.retire(NOW)
    variant.publish(NOW)
    assert (variant.version, variant.catalog_events) == (3, 3)
