"""What an audit prints for an operator."""

import pytest

from services.chassis.audit import Audit, report


@pytest.mark.parametrize(
    ("rows", "orders", "code", "told"),
    [
        ([], 2, 0, "0 differences in 2 orders, 1 history row"),
        ([{"sku": "A"}], 1, 1, "1 difference in 1 order, 1 history row"),
        ([{"sku": "A"}, {"sku": "B"}], 1, 1, "2 differences in 1 order, 1 history row"),
    ],
)
def test_an_audit_ends_with_what_it_found_and_looked_at(
    rows: list[dict[str, str | int | None]], orders: int, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report(Audit({"orders": orders, "history_rows": 1}, {"levels": rows})) == code
    assert capsys.readouterr().out.splitlines()[-1] == told
