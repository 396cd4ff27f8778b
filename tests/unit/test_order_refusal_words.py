"""What a refusal says to whoever reads it: what was sent, and what does not fit by name."""

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from services.chassis.commands import Submitted
from services.chassis.events import Cause, new_id
from services.chassis.http.models import Query, QueryMoment
from services.order.api.models.analytics import AnalyticsQuery
from services.order.api.models.details import OrderUpdate
from services.order.api.models.orders import ShortageRow
from services.order.api.views import named_shortages
from services.order.domain.analytics import Wanted, span_of
from services.order.domain.orders import CancelOrder
from services.order.domain.refusals import Refusal
from services.order.domain.statuses import CancelReason
from tests.support.saga_builders import ADMIN, NOW
from tests.support.saga_memory import ORDER_SETTINGS, OrderService


class Since(Query):
    since: QueryMoment


def short(sku: str) -> ShortageRow:
    return ShortageRow(sku=sku, product_name="Mug", variant_name=None, requested=3, available=2, expected_at=None)


@pytest.mark.parametrize(
    ("model", "name", "sent", "detail"),
    [
        (AnalyticsQuery, "from", "1767225600", "'1767225600' is no date such as 2026-01-31"),
        (AnalyticsQuery, "from", "yesterday", "'yesterday' is no date such as 2026-01-31"),
        (Since, "since", "1767225600", "'1767225600' is no time such as 2026-01-31T12:00:00Z (RFC 3339)"),
    ],
)
def test_a_day_or_a_time_that_is_none_is_quoted(model: Any, name: str, sent: str, detail: str) -> None:
    with pytest.raises(ValidationError) as refused:
        model.model_validate({name: sent})
    assert [fault["msg"] for fault in refused.value.errors()] == [f"Value error, {detail}"]


@pytest.mark.parametrize("name", ["shipping_address", "billing_address", "shipping_method"])
def test_what_cannot_be_null_is_told_what_it_has_to_be_and_never_that_null_would_do(name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        OrderUpdate.model_validate({name: 5})
    (fault,) = refused.value.errors()
    assert "null" not in fault["msg"]


def test_days_that_end_before_they_begin_are_told_so() -> None:
    today = date(2026, 1, 15)
    days = span_of(Wanted(first=date(2026, 2, 1), last=date(2026, 1, 1)), today)
    assert isinstance(days, Refusal)
    assert days.detail == "from 2026-02-01 is after to 2026-01-01"
    open_ended = span_of(Wanted(first=date(2026, 2, 1)), today)
    assert isinstance(open_ended, Refusal)
    assert open_ended.detail == "from 2026-02-01 is after to 2026-01-15, which is today"


def test_an_order_that_is_not_there_is_quoted() -> None:
    service = OrderService(ORDER_SETTINGS[False], {})
    command = CancelOrder(order_id="hello", reason=CancelReason.OTHER, actor=ADMIN)
    refused = service.run(Submitted(command, Cause("hello", new_id()), "hello"), NOW).answer
    assert refused.detail == "there is no order 'hello' for you"


def test_what_does_not_fit_is_named_as_far_as_a_line_holds_it() -> None:
    assert named_shortages([short("A"), short("B")]) == "A (3 wanted, 2 available), B (3 wanted, 2 available)"
    many = named_shortages([short(f"S{n}") for n in range(9)])
    assert many.startswith("S0 (3 wanted, 2 available), ")
    assert many.endswith("S4 (3 wanted, 2 available) and 4 more")
