"""Writes an endpoint into the OpenAPI document: parameters, headers, body, answers, and the codes of its refusals.

flask-openapi reads a view's annotations; we give it a view whose annotations are our models, and whose validation
is ours (`__delay_validate_request__`).
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from flask import Response
from flask_openapi.blueprint import APIBlueprint
from pydantic import BaseModel, Field, create_model

from services.chassis.http.inputs import Inputs
from services.chassis.http.problems import MEDIA_TYPE, Catalogue
from services.chassis.http.signature import path_hints, path_model

_WITH_TOKEN = ("missing_token", "invalid_token", "expired_token", "forbidden_role")
_ALWAYS = (
    "invalid_request",
    "internal_error",
    "database_unavailable",
    "database_busy",
    "uri_too_long",
    "headers_too_large",
    # Who has no token is counted by address.
    "rate_limited",
)
_WITH_BODY = ("malformed_json", "body_too_large", "unsupported_media_type")
_ON_CHANGE = ("invalid_header", "idempotency_key_reused", "outcome_unknown")
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_TAG = r'(W/)?"[!#-~]*"'
_TAGS = rf"^(\*|{_TAG}( *, *{_TAG})*)$"
_KEY = r"^[!-~]([ -~]{0,253}[!-~])?$"
_ABOUT_HEADERS = {
    "Idempotency-Key": ("the same key and request get the same answer, done once; 1 to 255 characters", _KEY),
    "Prefer": ("`wait=N`: wait up to N seconds (20 at most) for what the other services answer", None),
    "If-Match": ("the ETag that was read; 412 if the resource has changed since", _TAGS),
    "If-None-Match": ("the ETag that is already there; 304 if the resource is still the same", _TAGS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Documented:
    """An endpoint, as its document tells it; see `endpoint.Terms` for the fields."""

    method: str
    rule: str
    changes: bool
    function: Callable[..., object]
    inputs: Inputs
    answers: Mapping[int, type[BaseModel] | str | None]
    refuses: Sequence[str]
    allow: frozenset[str] | None
    waits: bool
    if_match: str | None
    versioned: bool


def document(
    blueprint: APIBlueprint, endpoint: Documented, catalogue: Catalogue, handle: Callable[[dict[str, object]], Response]
) -> None:
    """Add an endpoint to a blueprint and to its document.

    Args:
        blueprint: takes the route.
        endpoint: what to tell.
        catalogue: the meaning of the codes.
        handle: answers the running request, given what the route matched.

    Raises:
        KeyError: a code of `refuses` is not in the catalogue.

    """
    operation: dict[str, Any] = {
        "responses": _responses(endpoint, catalogue),
        "operation_id": endpoint.function.__name__,
        "description": _description(endpoint),
    }
    if endpoint.inputs.body is not None and not endpoint.inputs.body_required:
        operation["request_body"] = _optional_body(endpoint.inputs.body)
    if endpoint.allow is not None:
        operation["security"] = [{"bearer": []}]
    register = getattr(blueprint, endpoint.method.lower())
    register(endpoint.rule, **operation)(_view(endpoint, handle))


def _view(endpoint: Documented, handle: Callable[[dict[str, object]], Response]) -> Callable[..., Response]:
    def view(**path_values: object) -> Response:
        return handle(path_values)

    view.__name__ = view.__qualname__ = endpoint.function.__name__
    view.__doc__ = (endpoint.function.__doc__ or "").strip().partition("\n")[0]
    view.__annotations__ = _annotations(endpoint)
    view.__delay_validate_request__ = True  # type: ignore[attr-defined]  # flask-openapi looks for it
    return view


def _annotations(endpoint: Documented) -> dict[str, Any]:
    hints = path_hints(endpoint.function)
    annotations = {
        "path": path_model(endpoint.function.__name__, hints) if hints else None,
        "query": endpoint.inputs.query,
        "body": endpoint.inputs.body,
        "header": _header_model(endpoint),
    }
    return {name: model for name, model in annotations.items() if model is not None}


def _header_model(endpoint: Documented) -> type[BaseModel] | None:
    names = {
        "Idempotency-Key": endpoint.changes,
        "Prefer": endpoint.waits,
        "If-Match": endpoint.if_match is not None,
        "If-None-Match": endpoint.versioned,
    }
    fields: dict[str, Any] = {}
    for name, present in names.items():
        if present:
            required = name == "If-Match" and endpoint.if_match == "required"
            about, pattern = _ABOUT_HEADERS[name]
            field = Field(... if required else None, alias=name, description=about, pattern=pattern)
            fields[name.lower().replace("-", "_")] = (str, field)
    return create_model(f"{endpoint.function.__name__}_headers", **fields) if fields else None


def _optional_body(model: type[BaseModel]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"required": False, "content": {"application/json": {"schema": schema}}}


def _description(endpoint: Documented) -> str:
    rest = (endpoint.function.__doc__ or "").strip().partition("\n")[2]
    told = "\n".join(line.strip() for line in rest.splitlines()).strip()
    roles = "No token is needed." if endpoint.allow is None else f"Roles: {', '.join(sorted(endpoint.allow))}."
    return f"{told}\n\n{roles}".strip()


def _responses(endpoint: Documented, catalogue: Catalogue) -> dict[str, Any]:
    """Return status → answer; the refusals of a status share one entry that lists their codes."""
    responses: dict[str, Any] = {str(status): _body(status, model) for status, model in endpoint.answers.items()}
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in dict.fromkeys((*_codes(endpoint), *endpoint.refuses)):
        by_status[catalogue[code].status].append(code)
    for status, codes in sorted(by_status.items()):
        told = "; ".join(f"`{code}`: {catalogue[code].meaning}" for code in codes)
        responses[str(status)] = {"description": f"{HTTPStatus(status).phrase}. {told}.", "content": _PROBLEM}
    if endpoint.versioned:
        responses["304"] = {"description": "The caller has this version already."}
    return responses


def _body(status: int, model: type[BaseModel] | str | None) -> Any:
    """Return what an answer holds; bytes of a media type as they are."""
    if not isinstance(model, str):
        return model
    schema = {"type": "string", "contentMediaType": model}
    return {"description": HTTPStatus(status).phrase, "content": {model: {"schema": schema}}}


def _codes(endpoint: Documented) -> list[str]:
    codes = [*_ALWAYS, *(() if endpoint.allow is None else _WITH_TOKEN)]
    if endpoint.inputs.body is not None:
        codes += _WITH_BODY
    if endpoint.inputs.body is not None or endpoint.inputs.query is not None:
        codes.append("invalid_utf8")
    if endpoint.changes:
        codes += _ON_CHANGE
    if "<" in endpoint.rule:
        codes.append("not_found")
    if endpoint.if_match is not None:
        codes.append("precondition_failed")
    if endpoint.if_match == "required":
        codes.append("precondition_required")
    return codes
