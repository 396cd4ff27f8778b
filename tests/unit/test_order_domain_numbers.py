"""Order numbers: unique by construction, growing, and not guessable in sequence."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.order.domain.numbers import order_number
from tests.support.saga_builders import unhurried

KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def numbers(counts: range, length: int, key: bytes = KEY) -> list[str]:
    return [order_number(count, key, "", length) for count in counts]


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_every_number_of_a_length_is_given_exactly_once(length: int) -> None:
    assert sorted(numbers(range(10**length), length)) == [f"{n:0{length}d}" for n in range(10**length)]


def test_an_exhausted_length_grows_by_a_digit_and_gives_all_of_those_once_too() -> None:
    longer = numbers(range(100, 1100), 2)
    assert sorted(longer) == [f"{n:03d}" for n in range(1000)]
    assert len(order_number(1100, KEY, "", 2)) == 4


def test_numbers_before_and_after_growing_never_meet() -> None:
    given_out = numbers(range(11_110), 1)
    assert len(set(given_out)) == len(given_out)


@pytest.mark.parametrize("length", [3, 4])
def test_another_key_gives_another_order(length: int) -> None:
    assert numbers(range(10**length), length) != numbers(range(10**length), length, OTHER_KEY)


@pytest.mark.parametrize("length", [4, 8])
def test_the_next_number_does_not_follow_from_the_last_ones(length: int) -> None:
    given_out = [int(number) for number in numbers(range(500), length)]
    steps = {(after - before) % 10**length for before, after in pairwise(given_out)}
    assert len(steps) > 450, "counting up would be a single step"


@unhurried
@given(counts=st.lists(st.integers(0, 10**9), min_size=2, unique=True), key=st.binary(min_size=16, max_size=64))
def test_two_orders_never_have_one_number(counts: list[int], key: bytes) -> None:
    assert len({order_number(count, key, "ORD", 8) for count in counts}) == len(counts)


@unhurried
@given(count=st.integers(0, 10**8 - 1))
def test_a_number_is_its_prefix_and_exactly_so_many_digits(count: int) -> None:
    number = order_number(count, KEY, "ORD", 8)
    assert number.startswith("ORD")
    assert number[3:].isdecimal()
    assert len(number) == 11


def test_a_number_is_the_same_whenever_it_is_computed() -> None:
    assert numbers(range(50), 8) == numbers(range(50), 8)
