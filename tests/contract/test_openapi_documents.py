"""The committed OpenAPI documents are what the code says."""

from typing import Any

import pytest

from deploy.openapi import FOLDER, SERVICES, document
from services.chassis.service import Service


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_the_committed_document_is_the_one_that_the_code_makes(service: Service[Any, Any]) -> None:
    committed = (FOLDER / f"{service.name}.json").read_text(encoding="utf-8")

    assert committed == document(service), "stale: run make openapi"
