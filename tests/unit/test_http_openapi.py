"""The document that an API writes about itself is true and complete."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import ConfigDict

from services.chassis.http import docs
from services.chassis.http.app import create_app
from services.chassis.http.call import Call
from services.chassis.http.endpoint import Api
from services.chassis.http.models import Body, Query
from services.chassis.http.problems import CODES
from services.chassis.http.roles import ANY_ROLE
from services.chassis.idempotency import Answer
from tests.support.references import references, resolve
from tests.support.toy_service import PROBLEMS, BoxOut, make_app, make_application

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    made: Json = make_app().test_client().get("/openapi.json").get_json()
    return made


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def operation(document: Json, path: str, method: str) -> Json:
    found: Json = document["paths"][path][method]
    return found


def test_the_document_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Json] = []
    monkeypatch.setattr(docs, "with_links", lambda document: written.append(document) or document)
    client = make_app().test_client()
    assert client.get("/openapi.json").data == client.get("/openapi.json").data
    assert len(written) == 1


def test_the_document_is_openapi_3_1(document: Json) -> None:
    assert document["openapi"] == "3.1.1"
    assert document["info"] == {"title": "Toys API", "version": "1.0"}
    assert document["tags"] == [{"name": "boxes", "description": "Pack boxes"}]


def test_every_endpoint_is_in_it_once(document: Json) -> None:
    assert sorted((path, method) for path, method, _ in operations(document)) == [
        ("/api/v1/boxes/", "get"),
        ("/api/v1/boxes/", "post"),
        ("/api/v1/boxes/errors/{name}/", "get"),
        ("/api/v1/boxes/{box_id}/", "delete"),
        ("/api/v1/boxes/{box_id}/", "get"),
        ("/api/v1/boxes/{box_id}/", "put"),
        ("/api/v1/boxes/{box_id}/seal/", "post"),
        ("/api/v1/boxes/{number}/nap/", "get"),
    ]
    ids = [found["operationId"] for _, _, found in operations(document)]
    assert len(set(ids)) == len(ids)


def test_every_reference_leads_somewhere(document: Json) -> None:
    found = set(references(document))
    assert "#/components/schemas/Problem" in found
    assert all(resolve(document, reference) for reference in found)


def test_every_endpoint_needs_a_bearer_token(document: Json) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for _, _, found in operations(document):
        assert found["security"] == [{"bearer": []}]


def test_every_refusal_is_a_problem_and_never_anything_else(document: Json) -> None:
    for _, _, found in operations(document):
        refusals = {status: answer for status, answer in found["responses"].items() if status >= "400"}
        assert set(refusals) >= {"400", "401", "403", "429", "500", "503"}
        for answer in refusals.values():
            assert answer["content"] == {
                "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
            }


def told(document: Json, path: str, method: str) -> dict[str, set[str]]:
    """Return status → the codes that the document names for it."""
    return {
        status: {code for code in {**CODES, **PROBLEMS} if f"`{code}`" in answer["description"]}
        for status, answer in operation(document, path, method)["responses"].items()
        if status >= "400"
    }


def test_an_endpoint_tells_each_code_under_its_status(document: Json) -> None:
    assert told(document, "/api/v1/boxes/", "post") == {
        "400": {"invalid_request", "malformed_json", "invalid_utf8", "invalid_header"},
        "401": {"missing_token", "invalid_token", "expired_token"},
        "403": {"forbidden_role"},
        "413": {"body_too_large"},
        "414": {"uri_too_long"},
        "415": {"unsupported_media_type"},
        "422": {"idempotency_key_reused", "unknown_sku"},
        "429": {"rate_limited"},
        "431": {"headers_too_large"},
        "500": {"internal_error"},
        "503": {"database_unavailable", "database_busy", "outcome_unknown"},
    }
    change = told(document, "/api/v1/boxes/{box_id}/", "put")
    assert change["404"] == {"not_found"}
    assert change["409"] == {"box_sealed"}
    assert change["412"] == {"precondition_failed"}
    assert change["428"] == {"precondition_required"}
    read = told(document, "/api/v1/boxes/{box_id}/", "get")
    assert not {"412", "413", "415", "422", "428"} & set(read)


def test_an_endpoint_for_callers_without_a_token_tells_of_their_limit_and_of_no_token() -> None:
    api = Api("open", prefix="/open", about="x")

    def endpoint(call: Call[Any]) -> Answer: ...

    api.get("/", allow=None, answers={200: BoxOut})(endpoint)
    app = create_app(make_application(), service="toys", version="1.0", apis=[api])
    answers = told(app.test_client().get("/openapi.json").get_json(), "/open/", "get")
    assert answers["429"] == {"rate_limited"}
    assert not {"401", "403"} & set(answers)


def test_success_is_told_with_its_model(document: Json) -> None:
    made = operation(document, "/api/v1/boxes/", "post")["responses"]["201"]
    assert made["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/BoxOut"}
    assert "content" not in operation(document, "/api/v1/boxes/{box_id}/", "delete")["responses"]["204"]
    assert "304" in operation(document, "/api/v1/boxes/{box_id}/", "get")["responses"]


def parameters(document: Json, path: str, method: str) -> dict[tuple[str, str], bool]:
    found = operation(document, path, method).get("parameters", [])
    return {(row["in"], row["name"]): row["required"] for row in found}


def test_parameters_and_headers_are_told(document: Json) -> None:
    assert parameters(document, "/api/v1/boxes/", "get") == {
        ("query", "limit"): False,
        ("query", "cursor"): False,
        ("query", "note"): False,
        ("query", "created_at[gte]"): False,
        ("query", "sort"): False,
    }
    assert parameters(document, "/api/v1/boxes/", "post") == {
        ("header", "Idempotency-Key"): False,
        ("header", "Prefer"): False,
    }
    assert parameters(document, "/api/v1/boxes/{box_id}/", "put") == {
        ("path", "box_id"): True,
        ("header", "Idempotency-Key"): False,
        ("header", "If-Match"): True,
    }
    assert parameters(document, "/api/v1/boxes/{box_id}/", "get") == {
        ("path", "box_id"): True,
        ("header", "If-None-Match"): False,
    }


def test_a_body_is_told_closed_and_whether_it_is_needed(document: Json) -> None:
    assert operation(document, "/api/v1/boxes/", "post")["requestBody"]["required"] is True
    assert operation(document, "/api/v1/boxes/{box_id}/seal/", "post")["requestBody"]["required"] is False
    assert "requestBody" not in operation(document, "/api/v1/boxes/{box_id}/", "delete")
    for name in ("BoxCreate", "Line", "Address"):
        assert document["components"]["schemas"][name]["additionalProperties"] is False


def test_what_an_endpoint_does_and_for_whom_is_told(document: Json) -> None:
    made = operation(document, "/api/v1/boxes/", "post")
    assert made["summary"] == "Pack a box."
    assert made["description"] == "All lines fit, or the box is refused.\n\nRoles: customer, service."


def test_the_document_is_the_same_every_time() -> None:
    first = make_app().test_client().get("/openapi.json").data
    assert json.loads(first) == json.loads(make_app().test_client().get("/openapi.json").data)


def test_two_apis_may_share_a_path() -> None:
    first, second = Api("first", prefix="/shared", about="x"), Api("second", prefix="/shared", about="y")

    def read(call: Call[Any]) -> Answer: ...

    def write(call: Call[Any]) -> Answer: ...

    first.post("/", allow=ANY_ROLE, answers={201: BoxOut})(write)
    second.get("/", allow=ANY_ROLE, answers={200: BoxOut})(read)
    app = create_app(make_application(), service="toys", version="1.0", apis=[first, second])
    told = app.test_client().get("/openapi.json").get_json()["paths"]["/shared/"]
    assert {method: found["operationId"] for method, found in told.items()} == {"get": "read", "post": "write"}


class Open(Query):
    """A query."""


class Loose(Body):
    """A body that lets everything pass."""

    model_config = ConfigDict(extra="allow")

    name: str


class Holder(Body):
    """A body with one inside that does."""

    inner: Loose


def test_a_code_that_is_not_in_the_catalogue_cannot_be_promised() -> None:
    api = Api("x", prefix="/x", about="x")

    def endpoint(call: Call[Any]) -> Answer: ...

    with pytest.raises(KeyError, match="no_such_code"):
        api.get("/", allow=ANY_ROLE, answers={200: BoxOut}, refuses=["no_such_code"])(endpoint)


def test_a_function_and_its_rule_must_name_the_same_parameters() -> None:
    api = Api("x", prefix="/x", about="x")

    def endpoint(call: Call[Any], box_id: str) -> Answer: ...

    with pytest.raises(TypeError, match="box_id"):
        api.get("/<id>/", allow=ANY_ROLE, answers={200: BoxOut})(endpoint)


@pytest.mark.parametrize("model", [Loose, Holder])
def test_a_body_that_lets_unknown_fields_pass_is_refused_at_import(model: type[Body]) -> None:
    api = Api("x", prefix="/x", about="x")

    def endpoint(call: Call[Any], body: Body) -> Answer: ...

    endpoint.__annotations__["body"] = model
    with pytest.raises(TypeError, match="Loose lets unknown fields pass"):
        api.post("/", allow=ANY_ROLE, answers={200: BoxOut})(endpoint)


def test_a_body_must_be_a_body_and_a_query_a_query() -> None:
    api = Api("x", prefix="/x", about="x")

    def endpoint(call: Call[Any], query: BoxOut) -> Answer: ...

    def other(call: Call[Any], body: Open) -> Answer: ...

    with pytest.raises(TypeError, match="must be a Query"):
        api.get("/", allow=ANY_ROLE, answers={200: BoxOut})(endpoint)
    with pytest.raises(TypeError, match="must be a Body"):
        api.post("/", allow=ANY_ROLE, answers={200: BoxOut})(other)
