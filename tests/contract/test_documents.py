"""The generated documents are what the code says."""

import json
import re
from typing import Any

import pytest

from deploy.documents import DOCS, SERVICES, application, documents, openapi
from services.chassis.service import Service

DOCUMENTS = documents()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_committed_document_is_the_one_that_the_code_makes(name: str) -> None:
    committed = (DOCS / name).read_text(encoding="utf-8")

    assert committed == DOCUMENTS[name], "stale: run make documents"


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_call_of_a_service_is_in_its_document(service: Service[Any, Any]) -> None:
    served = {
        (re.sub(r"<(?:[^<>:]+:)?([^<>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in application(service).url_map.iter_rules()
        for method in rule.methods or ()
        if rule.rule.startswith("/api/") and method not in ("HEAD", "OPTIONS")
    }

    told = {(path, method) for path, item in json.loads(openapi(service))["paths"].items() for method in item}

    assert told == served
