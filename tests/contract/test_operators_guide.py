"""docs/operations.md names every command, metric and reason code that there is, and none that there is not."""

import re

import pytest

from tests.support import guides
from tests.support.alerts import metrics_of
from tests.support.operated import ROOT, SERVICES, commands, labels_by_metric, options, reasons

GUIDE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
REASONS = reasons()
_CELL = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def section(heading: str) -> str:
    """Return the text below a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", GUIDE, re.DOTALL | re.MULTILINE)
    assert found is not None, f"no section {heading!r}"
    return found[1]


def rows(heading: str) -> list[str]:
    """Return the first cells of a section's tables, each of which names something."""
    return _CELL.findall(section(heading))


@pytest.mark.parametrize("heading", REASONS)
def test_each_reason_code_has_one_row_and_no_row_is_about_another(heading: str) -> None:
    assert sorted(rows(heading)) == sorted(REASONS[heading])


def test_each_command_has_one_row_and_no_row_is_about_another() -> None:
    names = [service.name for service in SERVICES]
    told = [row.replace("<name>", name) for row in rows("Commands") for name in names]
    assert sorted({*told}) == sorted(commands())
    assert len(rows("Commands")) == len({*rows("Commands")})


def test_each_option_of_a_command_is_told() -> None:
    told = set(re.findall(r"--[a-z-]+", GUIDE))
    assert options() - told == set()


def test_each_metric_has_one_row_with_its_labels_and_no_row_is_about_another() -> None:
    told = {}
    for row in rows("Metrics"):
        name, _, labels = row.rstrip("}").partition("{")
        assert name not in told, f"{name} has two rows"
        told[name] = set(labels.split(",")) if labels else set()
    assert told == labels_by_metric()


@pytest.mark.parametrize("guide", ["docs/operations.md", "docs/troubleshooting.md", "docs/runbooks.md"])
def test_each_metric_that_a_guide_names_or_asks_prometheus_for_is_there(guide: str) -> None:
    asked = {name for block in guides.blocks(guide) if block.language == "promql" for name in metrics_of(block.text)}
    named = set(re.findall(r"`((?:oms|http_server)_[a-z_]*[a-z])\b", (ROOT / guide).read_text(encoding="utf-8")))
    families = {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked | named}
    assert families - set(labels_by_metric()) == set()
