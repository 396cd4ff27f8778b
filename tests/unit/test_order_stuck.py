"""`stuck` in the narrowest terminal: what has to be copied is whole."""

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from services.order.domain.stuck import StuckOrder
from services.order.stuck import report
from services.order.unit_of_work import OrderUnitOfWork
from tests.support.saga_builders import ORDER_ID

LONG = "ORD" + "1" * 17


class FakeUnitOfWork:
    def __init__(self, *orders: StuckOrder) -> None:
        self._orders = list(orders)

    def stuck(self) -> list[StuckOrder]:
        return self._orders


def an_order_that_waits(**values: Any) -> StuckOrder:
    usual: dict[str, Any] = {
        "order_id": ORDER_ID,
        "order_number": LONG,
        "status": "confirmed",
        "waits_for": "allocating",
        "since": datetime(2026, 11, 25, tzinfo=UTC),
        "deadline_at": None,
        "parked": None,
        "unpublished": False,
        "behind_seconds": 0.5,
    }
    return StuckOrder(**{**usual, **values})


def said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *orders: StuckOrder) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    assert report(cast("OrderUnitOfWork", FakeUnitOfWork(*orders))) == 0
    return capsys.readouterr().out.splitlines()


def test_ids_and_numbers_are_whole_in_the_line_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *_ = said(monkeypatch, capsys, an_order_that_waits())
    assert first.startswith(f"{ORDER_ID} {LONG} confirmed, waits for allocating since 2026-11-25T00:00:00+00:00")
    assert first.endswith("inventory has not answered; look at its worker's /readyz and `parked list`")


def test_a_command_that_is_to_be_run_stands_in_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parked = "inventory.events.v1 is parked: StatementTimeout@[red]a_rather_long_name_of_a_file.py:1234"
    lines = said(monkeypatch, capsys, an_order_that_waits(parked=parked), an_order_that_waits())
    assert parked in lines[0]
    assert lines[1] == f"    parked retry --key {ORDER_ID}"
    assert lines[-1] == "2 stuck"


def test_no_order_is_stuck(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(monkeypatch, capsys) == ["no order is stuck"]


@pytest.mark.parametrize(("seconds", "told"), [(40.2, "40 s ago"), (float("inf"), "never yet")])
def test_an_order_that_waits_because_we_are_behind_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seconds: float, told: str
) -> None:
    first, *_ = said(monkeypatch, capsys, an_order_that_waits(behind_seconds=seconds))
    assert f"our own consumer is behind (caught up {told})" in first
