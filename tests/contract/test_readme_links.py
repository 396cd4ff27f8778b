"""The documents' links lead somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (ROOT, ROOT / "docs", ROOT / "docs/events", ROOT / "schemas", *sorted((ROOT / "services").iterdir()))
    if folder.is_dir()
    for path in folder.glob("*.md")
)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_into_the_repository_leads_to_a_file(document: str) -> None:
    path = ROOT / document
    targets = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", path.read_text(encoding="utf-8"))

    assert [target for target in targets if not (path.parent / target).exists()] == []


def test_no_placeholder_is_left_in_the_readme() -> None:
    assert "<!--" not in (ROOT / "README.md").read_text(encoding="utf-8")
