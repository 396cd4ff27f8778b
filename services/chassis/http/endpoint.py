"""Endpoints: functions of a typed call, path, query and body, which document themselves in OpenAPI.

`Api` is what a service's `api` module is made of. A request reaches the function only when its caller has a role
for it and everything it carries is valid; whatever else it ends with becomes a problem (`problems`).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Required, TypedDict, TypeVar, Unpack, cast

from flask import Response, current_app, request
from flask_openapi.blueprint import APIBlueprint
from flask_openapi.models.tag import Tag
from pydantic import BaseModel

from services.chassis.http import context, headers
from services.chassis.http.answers import to_response
from services.chassis.http.application import EXTENSION, Application
from services.chassis.http.auth import NOBODY, Caller, require_role
from services.chassis.http.call import Call
from services.chassis.http.inputs import BODY_MAX_BYTES, Inputs, read_body
from services.chassis.http.openapi import Documented, document
from services.chassis.http.problems import CODES, Catalogue, named
from services.chassis.http.roles import Role, RouteClass
from services.chassis.http.signature import inputs_of
from services.chassis.idempotency import Answer

F = TypeVar("F", bound=Callable[..., Answer | Response])
_SAFE = frozenset({"GET", "HEAD"})


class Terms(TypedDict, total=False):
    """What an endpoint promises, beside its function.

    Args:
        allow: roles, of which a caller needs one; None for whoever knows the path, which then holds a secret.
        answers: status → model of the body, or its media type where it is not JSON (None: no body).
        refuses: codes of the service's own refusals.
        waits: whether it honours `Prefer: wait=N`.
        if_match: "required": 428 without If-Match; "honoured": checked where given; absent: no such thing.
        versioned: a GET that answers with an ETag and honours If-None-Match.
        key_required_of: roles that must send an Idempotency-Key.
        bulk: whether it counts as one of many at once, for rate limits.
        asks_only: a POST that changes nothing: it takes a body, and no Idempotency-Key.
        body_max_bytes: of its body, where it may be larger than others.

    """

    allow: Required[Collection[Role] | None]
    answers: Required[Mapping[int, type[BaseModel] | str | None]]
    refuses: Sequence[str]
    waits: bool
    if_match: Literal["honoured", "required"]
    versioned: bool
    key_required_of: Collection[Role]
    bulk: bool
    asks_only: bool
    body_max_bytes: int


class Api:
    """A service's endpoints under one prefix.

    Args:
        name: unique in the service.
        prefix: path in front of every rule.
        about: what the endpoints are about, for the reader of `/docs`.
        problems: the codes that only this service knows.

    """

    def __init__(self, name: str, *, prefix: str, about: str, problems: Catalogue | None = None) -> None:
        tag = Tag(name=name, description=about)
        self.blueprint = APIBlueprint(
            name,
            __name__,
            url_prefix=prefix,
            abp_tags=[tag],
        )
        self._catalogue: Catalogue = {**CODES, **(problems or {})}

    def get(self, rule: str, **terms: Unpack[Terms]) -> Callable[[F], F]:
        """Answer GET at `rule` with the decorated function."""
        return self._register("GET", rule, terms)

    def post(self, rule: str, **terms: Unpack[Terms]) -> Callable[[F], F]:
        """Answer POST at `rule` with the decorated function."""
        return self._register("POST", rule, terms)

    def put(self, rule: str, **terms: Unpack[Terms]) -> Callable[[F], F]:
        """Answer PUT at `rule` with the decorated function."""
        return self._register("PUT", rule, terms)

    def patch(self, rule: str, **terms: Unpack[Terms]) -> Callable[[F], F]:
        """Answer PATCH at `rule` with the decorated function."""
        return self._register("PATCH", rule, terms)

    def delete(self, rule: str, **terms: Unpack[Terms]) -> Callable[[F], F]:
        """Answer DELETE at `rule` with the decorated function."""
        return self._register("DELETE", rule, terms)

    def _register(self, method: str, rule: str, terms: Terms) -> Callable[[F], F]:
        def decorator(function: F) -> F:
            self._add(method, rule, terms, function)
            return function

        return decorator

    def _add(self, method: str, rule: str, terms: Terms, function: Callable[..., Answer | Response]) -> None:
        inputs = inputs_of(function, rule)
        endpoint = Endpoint(
            function=function,
            inputs=inputs,
            allow=None if terms["allow"] is None else frozenset(terms["allow"]),
            has_body=method not in _SAFE,
            changes=method not in _SAFE and not terms.get("asks_only", False),
            waits=terms.get("waits", False),
            if_match=terms.get("if_match"),
            key_required_of=frozenset(terms.get("key_required_of", ())),
            route_class=_route_class(method, terms),
            body_max_bytes=terms.get("body_max_bytes", BODY_MAX_BYTES),
        )
        documented = Documented(
            method=method,
            rule=rule,
            changes=endpoint.changes,
            function=function,
            inputs=inputs,
            answers=terms["answers"],
            refuses=tuple(terms.get("refuses", ())),
            allow=endpoint.allow,
            waits=endpoint.waits,
            if_match=endpoint.if_match,
            versioned=terms.get("versioned", False),
        )
        document(self.blueprint, documented, self._catalogue, endpoint.handle)


def _route_class(method: str, terms: Terms) -> RouteClass:
    if terms.get("bulk"):
        return RouteClass.BULK
    return RouteClass.READ if method in _SAFE else RouteClass.WRITE


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Runs a function for a request; see `Terms` for the fields."""

    function: Callable[..., Answer | Response]
    inputs: Inputs
    allow: frozenset[Role] | None
    has_body: bool
    changes: bool
    waits: bool
    if_match: str | None
    key_required_of: frozenset[Role]
    route_class: RouteClass
    body_max_bytes: int = BODY_MAX_BYTES

    def handle(self, path_values: dict[str, object]) -> Response:
        """Answer the running request.

        Args:
            path_values: what the route matched.

        Raises:
            Problem: the request is refused.

        """
        environ = request.environ
        application = cast("Application[Any]", current_app.extensions[EXTENSION])
        if self.allow is None:
            caller = NOBODY
        else:
            caller = application.tokens.caller_of(environ.get("HTTP_AUTHORIZATION"))
            require_role(caller, self.allow)
        limits = application.rate_limits
        room = None if limits is None else limits.count(caller, self.route_class, limits.address_of(environ))
        raw = read_body(request, self.body_max_bytes) if self.has_body else b""
        arguments = self.inputs.read(request, path_values, raw)
        call = self._call(application, caller, environ, raw)
        result = self.function(call, **arguments)
        response = to_response(result) if isinstance(result, Answer) else result
        if self.waits and call.wait_seconds is not None:
            response.headers["Preference-Applied"] = f"wait={call.wait_seconds}"
        if room is not None:
            response.headers.update(room.headers)
        return response

    def _call(self, application: Application[Any], caller: Caller, environ: Mapping[str, Any], raw: bytes) -> Call[Any]:
        about = context.current()
        header, key = environ.get("HTTP_IDEMPOTENCY_KEY"), None
        if header is not None and self.changes:
            target = f"{environ['PATH_INFO']}?{environ.get('QUERY_STRING', '')}"
            key = headers.idempotency_key(header, environ["REQUEST_METHOD"], target, raw)
        if key is None and not caller.roles.isdisjoint(self.key_required_of):
            raise named("idempotency_key_required", "send an Idempotency-Key: 1 to 255 characters, new for each")
        if_match = environ.get("HTTP_IF_MATCH") if self.if_match else None
        if if_match is None and self.if_match == "required":
            raise named("precondition_required", "send If-Match with the ETag that you read")
        return Call(
            caller=caller,
            request_id=about.request_id,
            cause=about.cause,
            wait_seconds=headers.wait_seconds(environ.get("HTTP_PREFER")) if self.waits else None,
            idempotency=key,
            expected_versions=headers.expected_versions(if_match),
            if_none_match=environ.get("HTTP_IF_NONE_MATCH"),
            application=application,
        )
