"""Refusals as `application/problem+json` (RFC 9457), and the catalogue of their codes.

Invariants: every answer of 400 and above, whoever raised it, is a problem with a code of the catalogue; a code that
is not in it, or is raised with another status, is a bug and answered as one; no answer shows internals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import Flask, Response
from pydantic_core import to_json
from werkzeug.exceptions import HTTPException

from services.chassis import logs
from services.chassis.errors import (
    DatabaseUnavailable,
    LockTimeout,
    OmsError,
    OutboxFull,
    OutcomeUnknown,
    Problem,
    StatementTimeout,
    TransactionConflict,
    TransientError,
)
from services.chassis.http import context

MEDIA_TYPE = "application/problem+json"
_RETRY_AFTER = {"Retry-After": "1"}
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class ProblemCode:
    """What a code of the catalogue means.

    Args:
        status: the HTTP status that it always comes with.
        meaning: the problem's title: one line, the same at every occurrence.
        about: the place that it is about, where the code alone tells: a JSON Pointer, or a parameter or header.

    """

    status: int
    meaning: str
    about: Mapping[str, str] | None = None


Catalogue = Mapping[str, ProblemCode]


def _header(name: str) -> Mapping[str, str]:
    return {"parameter": name}


_BODY, _TOKEN = {"pointer": ""}, _header("Authorization")

CODES: Catalogue = {
    "bad_request": ProblemCode(400, "The request cannot be read"),
    "invalid_request": ProblemCode(400, "Parts of the request are missing, unknown, or of the wrong kind"),
    "malformed_json": ProblemCode(400, "The body is not JSON", _BODY),
    "invalid_utf8": ProblemCode(400, "The body or the query string is not UTF-8", _BODY),
    "invalid_header": ProblemCode(400, "A request header cannot be understood"),
    "invalid_cursor": ProblemCode(400, "The cursor is not one of this list with these filters"),
    "idempotency_key_required": ProblemCode(400, "This call needs an Idempotency-Key", _header("Idempotency-Key")),
    "missing_token": ProblemCode(401, "The request carries no bearer token", _TOKEN),
    "invalid_token": ProblemCode(401, "The bearer token is not one that this service accepts", _TOKEN),
    "expired_token": ProblemCode(401, "The bearer token has expired", _TOKEN),
    "forbidden_role": ProblemCode(403, "The caller's roles do not allow this call", _TOKEN),
    "not_found": ProblemCode(404, "Nothing is here, or it is not the caller's"),
    "method_not_allowed": ProblemCode(405, "The path does not know this method"),
    "precondition_failed": ProblemCode(412, "The resource has changed since the caller read it"),
    "body_too_large": ProblemCode(413, "The body exceeds the limit", _BODY),
    "uri_too_long": ProblemCode(414, "The request line exceeds the limit"),
    "unsupported_media_type": ProblemCode(415, "The body is not declared as JSON in UTF-8", _header("Content-Type")),
    "idempotency_key_reused": ProblemCode(422, "The Idempotency-Key came before with another request"),
    "precondition_required": ProblemCode(428, "This call needs an If-Match header", _header("If-Match")),
    "rate_limited": ProblemCode(429, "The caller sends more requests than its role may; nothing was done"),
    "headers_too_large": ProblemCode(431, "The request headers exceed the limit"),
    "internal_error": ProblemCode(500, "Something went wrong on our side; the trace id finds it in our logs"),
    "database_unavailable": ProblemCode(503, "The database cannot be reached; nothing was done"),
    "database_busy": ProblemCode(503, "The database did not get to it in time; nothing was done"),
    "outbox_full": ProblemCode(503, "Too many events wait to be published; nothing was done"),
    "too_many_streams": ProblemCode(503, "As many streams are open as there may be; nothing was done"),
    "outcome_unknown": ProblemCode(503, "The connection was lost while committing; the call may have been done"),
    "temporarily_unavailable": ProblemCode(503, "Something that this call needs is away; nothing was done"),
}
# What Werkzeug raises itself, for example while it looks for a route.
_OF_HTTP_STATUS = {404: "not_found", 405: "method_not_allowed"}


def problem_body(problem: Problem, known: ProblemCode, trace_id: str | None) -> bytes:
    """Return the JSON of a problem; `known` is its code's entry in the catalogue."""
    return to_json(problem_document(problem, known, trace_id))


def problem_document(problem: Problem, known: ProblemCode, trace_id: str | None) -> dict[str, object]:
    """Return the document of a problem; see `problem_body`."""
    errors: Sequence[Mapping[str, str]] = problem.errors
    if not errors and known.about is not None:
        errors = [{**known.about, "code": problem.code, "detail": problem.detail}]
    document: dict[str, object] = {
        "type": f"urn:oms:problem:{problem.code}",
        "title": known.meaning,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
        "errors": errors,
        "trace_id": trace_id,
    }
    return {**problem.extra, **document}


def named(code: str, detail: str, *, headers: Mapping[str, str] | None = None) -> Problem:
    """Return a problem of the chassis' own catalogue, with the status that belongs to the code."""
    return Problem(CODES[code].status, code, detail, headers=headers)


def refused(code: str, detail: str, errors: Sequence[Mapping[str, str]]) -> Problem:
    """Return a problem of the chassis' own catalogue that lists the faults found."""
    return Problem(CODES[code].status, code, detail, errors=errors)


class ProblemAnswers:
    """Turns whatever a request ended with into a problem.

    Args:
        catalogue: every code that may be answered.

    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def register(self, app: Flask) -> None:
        """Answer for every error of `app`."""
        app.register_error_handler(Problem, self.of_problem)
        app.register_error_handler(TransientError, self.of_transient)
        app.register_error_handler(StatementTimeout, self.of_transient)
        app.register_error_handler(HTTPException, self.of_http)
        app.register_error_handler(Exception, self.of_unexpected)

    def of_problem(self, problem: Problem) -> Response:
        """Answer a refusal."""
        known = self._catalogue.get(problem.code)
        if known is None or known.status != problem.status:
            log.error("problem_not_in_catalogue", code=problem.code, status=problem.status)
            return self._answer(named("internal_error", "the refusal has no entry in the catalogue of codes"))
        return self._answer(problem)

    def of_transient(self, error: OmsError) -> Response:
        """Answer that the same request may succeed later."""
        log.warning("dependency_unavailable", error=type(error).__name__)
        return self._answer(_transient(error))

    def of_http(self, error: HTTPException) -> Response | HTTPException:
        """Answer what Flask and Werkzeug refuse; a redirect passes."""
        status = error.code or 500
        if status < 400:
            return error
        headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
        fallback = "bad_request" if status < 500 else "internal_error"
        code = _OF_HTTP_STATUS.get(status, fallback)
        return self._answer(named(code, _detail(code, headers, error), headers=headers))

    def of_unexpected(self, error: Exception) -> Response:
        """Answer for a bug: logged with everything, answered with nothing."""
        log.error("request_failed", error=type(error).__name__, exc_info=error)
        return self._answer(named("internal_error", "an unexpected error; it has been logged under this trace id"))

    def _answer(self, problem: Problem) -> Response:
        body = problem_body(problem, self._catalogue[problem.code], context.current().trace_id)
        return Response(body, problem.status, headers=problem.headers, mimetype=MEDIA_TYPE)


def _transient(error: OmsError) -> Problem:
    if isinstance(error, DatabaseUnavailable):
        return named("database_unavailable", "try again after the Retry-After seconds", headers=_RETRY_AFTER)
    if isinstance(error, LockTimeout):
        # Whoever comes back at once keeps others waiting again: they share transactions.
        detail = "another transaction holds what this needs; try again after the Retry-After seconds"
        return named("database_busy", detail, headers={"Retry-After": "5"})
    if isinstance(error, TransactionConflict | StatementTimeout):
        return named("database_busy", "try again after the Retry-After seconds", headers=_RETRY_AFTER)
    if isinstance(error, OutboxFull):
        return named("outbox_full", "try again after the Retry-After seconds", headers={"Retry-After": "5"})
    if isinstance(error, OutcomeUnknown):
        detail = "send it again with the same Idempotency-Key: it is then done once, and you get its answer"
        return named("outcome_unknown", detail, headers=_RETRY_AFTER)
    return named("temporarily_unavailable", "try again after the Retry-After seconds", headers=_RETRY_AFTER)


def _detail(code: str, headers: Mapping[str, str], error: HTTPException) -> str:
    if code == "method_not_allowed":
        return f"allowed here: {headers.get('Allow', 'nothing')}"
    if code == "not_found":
        return "no such path; /openapi.json lists all of them"
    return error.description or error.name
