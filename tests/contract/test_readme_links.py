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


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_to_a_heading_leads_to_one(document: str) -> None:
    path = ROOT / document
    links = re.findall(r"\]\((?!https?://|mailto:)([^)#]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    lost = [
        f"{target}#{anchor}"
        for target, anchor in links
        if (there := path.parent / target if target else path).suffix == ".md" and anchor not in anchors_of(there)
    ]

    assert lost == []


def anchors_of(document: Path) -> set[str]:
    """Return the anchors of a document's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_no_placeholder_is_left_in_the_readme() -> None:
    assert "<!--" not in (ROOT / "README.md").read_text(encoding="utf-8")
