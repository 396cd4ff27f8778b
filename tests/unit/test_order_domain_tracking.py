"""Links by which orders are followed: each opens one order, and none can be made without the key."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.order.domain.tracking import order_of, token_of
from tests.support.saga_builders import ORDER_ID, unhurried

KEY, OTHER = b"k" * 32, b"o" * 32


def test_a_link_opens_the_order_that_it_was_made_for() -> None:
    token = token_of(ORDER_ID, KEY)
    assert order_of(token, KEY) == ORDER_ID
    assert len(token) == 43
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_link_of_another_key_opens_nothing() -> None:
    assert order_of(token_of(ORDER_ID, OTHER), KEY) is None


@pytest.mark.parametrize(
    "change", [lambda t: t[:-2], lambda t: t + "A", lambda t: "B" + t[1:], lambda t: t[:30] + "x" + t[31:]]
)
def test_a_link_that_was_changed_opens_nothing(change: object) -> None:
    token = token_of(ORDER_ID, KEY)
    assert order_of(change(token), KEY) is None  # type: ignore[operator]


@unhurried
@given(text=st.text())
def test_whatever_is_sent_for_a_link_opens_nothing(text: str) -> None:
    assert order_of(text, KEY) is None
