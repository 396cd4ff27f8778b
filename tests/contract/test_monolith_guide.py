"""Each row of the guide for those who come from a monolith is shown by what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    row for row in (ROOT / "docs" / "monolith.md").read_text(encoding="utf-8").splitlines() if row.startswith("| ")
][1:]


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_shown_by_a_test_that_is_there_or_by_a_page(row: str) -> None:
    shown = row.rstrip("| ").rpartition(" | ")[2]
    tests = re.findall(r"`(tests/[^`]+)`", shown)
    assert tests or re.search(r"\]\([^)]+\)", shown), row
    assert [path for path in tests if not (ROOT / path).is_file()] == []
