"""The generated documents are what the code says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.documents import DOCS, SERVICES, application, documents, left_over, openapi, settings_of
from services.chassis.http.shapes import words_for
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


def test_who_places_is_told_that_a_customer_may_have_too_many_unpaid_orders() -> None:
    (order,) = (service for service in SERVICES if service.name == "order")
    told = {
        path
        for path, item in json.loads(openapi(order))["paths"].items()
        if "`too_many_open_orders`" in json.dumps(item.get("post", {}).get("responses", {}).get("409", {}))
    }
    assert told == {"/api/v1/orders/", "/api/v1/orders/bulk/"}


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_pattern_of_a_field_has_words_for_who_sends_another_form(service: Service[Any, Any]) -> None:
    schemas = json.loads(openapi(service))["components"]["schemas"]
    found = set(patterns(schemas))
    assert found
    assert [pattern for pattern in found if words_for(pattern) is None] == []


def patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, dict):
        for name, part in schema.items():
            yield from [part] if name == "pattern" and isinstance(part, str) else patterns(part)
    elif isinstance(schema, list):
        for part in schema:
            yield from patterns(part)


def test_no_document_of_something_that_is_gone_is_left() -> None:
    assert left_over(DOCS, DOCUMENTS) == []


def test_a_page_that_nothing_makes_any_more_is_found(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    for name in ("by_hand.md", "events/kept.md", "events/gone.md"):
        (tmp_path / name).touch()

    assert left_over(tmp_path, {"events/kept.md": "", "problems.md": ""}) == ["events/gone.md"]


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: service.name)
def test_every_handler_says_which_event_it_reacts_to(service: Service[Any, Any]) -> None:
    for subscription in service.subscriptions(settings_of(service)):
        for event, handler in subscription.handlers.items():
            said = f"Reacts to: {event.FULLNAME.removeprefix('oms.')}.  "
            assert (handler.__doc__ or "").startswith(said), handler
