"""Refusals: one document for all of them, one catalogue of codes, and nothing of our insides."""

import ast
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

import services.chassis
from services.chassis.http.problems import CODES
from tests.support.toy_service import make_app, token

CHASSIS = Path(services.chassis.__file__).parent
CALLER = {"Authorization": f"Bearer {token('customer')}"}


@pytest.fixture
def client() -> FlaskClient:
    return make_app().test_client()


def failing(client: FlaskClient, name: str) -> tuple[int, dict[str, Any], dict[str, str]]:
    response = client.get(f"/api/v1/boxes/errors/{name}/", headers=CALLER)
    assert response.content_type == "application/problem+json"
    return response.status_code, json.loads(response.data), dict(response.headers)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("database", "database_unavailable"),
        ("conflict", "database_busy"),
        ("timeout", "database_busy"),
        ("outcome", "outcome_unknown"),
        ("broker", "temporarily_unavailable"),
    ],
)
def test_what_may_succeed_later_says_when_to_try_again(client: FlaskClient, error: str, code: str) -> None:
    status, document, headers = failing(client, error)
    assert (status, document["code"]) == (503, code)
    assert headers["Retry-After"] == "1"
    assert "secret" not in json.dumps(document)


def test_an_unknown_outcome_is_told_how_to_become_known(client: FlaskClient) -> None:
    assert "same Idempotency-Key" in failing(client, "outcome")[1]["detail"]


def test_a_bug_is_answered_without_our_insides_and_logged_with_them(
    client: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    status, document, _ = failing(client, "bug")
    assert (status, document["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(document)
    logged = caplog.text
    assert "ZeroDivisionError" in logged
    assert "secret-internals" in logged
    assert document["trace_id"] in logged


@pytest.mark.parametrize("error", ["unlisted", "misfiled"])
def test_a_code_that_is_not_in_the_catalogue_as_it_is_raised_is_a_bug(client: FlaskClient, error: str) -> None:
    status, document, _ = failing(client, error)
    assert (status, document["code"]) == (500, "internal_error")
    assert "secret" not in json.dumps(document)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "//livez", 404, "not_found"),
        ("GET", "/api/v1/boxes/b1/nowhere/", 404, "not_found"),
        ("DELETE", "/livez", 405, "method_not_allowed"),
        ("PATCH", "/api/v1/boxes/", 405, "method_not_allowed"),
    ],
)
def test_what_the_router_refuses_is_a_problem_too(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    response = client.open(path, method=method, headers=CALLER)
    assert response.content_type == "application/problem+json"
    document = json.loads(response.data)
    assert (response.status_code, document["status"], document["code"]) == (status, status, code)


def test_a_method_that_is_not_allowed_is_told_which_are(client: FlaskClient) -> None:
    response = client.delete("/livez")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert "GET" in json.loads(response.data)["detail"]


def test_a_problem_is_complete(client: FlaskClient) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    response = client.get("/nowhere", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
    assert json.loads(response.data) == {
        "type": "urn:oms:problem:not_found",
        "title": "Nothing is here, or it is not the caller's",
        "status": 404,
        "code": "not_found",
        "detail": "no such path; /openapi.json lists all of them",
        "errors": [],
        "trace_id": trace,
    }


def test_further_members_of_a_problem_are_told(client: FlaskClient) -> None:
    response = client.put("/api/v1/boxes/b1/", json={"note": "x"}, headers=CALLER)
    assert json.loads(response.data)["allowed_roles"] == ["admin"]


@pytest.mark.parametrize("code", CODES)
def test_a_code_of_the_catalogue_has_a_known_status_and_a_meaning(code: str) -> None:
    assert HTTPStatus(CODES[code].status) >= 400
    assert CODES[code].meaning
    assert code == code.lower()


def test_every_code_that_the_chassis_raises_is_in_the_catalogue_with_its_status() -> None:
    raised = {found for path in CHASSIS.rglob("*.py") for found in codes_raised(ast.parse(path.read_text()))}
    assert {code for code, _ in raised} >= {"idempotency_key_reused", "forbidden_role"}
    assert {(code, status) for code, status in raised if code not in CODES or CODES[code].status != status} == set()


def codes_raised(tree: ast.AST) -> set[tuple[str, int]]:
    """Return the (code, status) pairs of `Problem(status, code, …)` with both written out."""
    return {
        (call.args[1].value, call.args[0].value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Problem"
        and len(call.args) > 1
        and isinstance(call.args[0], ast.Constant)
        and isinstance(call.args[1], ast.Constant)
        and isinstance(call.args[0].value, int)
        and isinstance(call.args[1].value, str)
    }
