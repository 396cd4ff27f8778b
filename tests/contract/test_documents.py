"""The generated documents are what the code says."""

import pytest

from deploy.documents import DOCS, documents

DOCUMENTS = documents()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_committed_document_is_the_one_that_the_code_makes(name: str) -> None:
    committed = (DOCS / name).read_text(encoding="utf-8")

    assert committed == DOCUMENTS[name], "stale: run make documents"
