"""What every request has: an id, a trace, a line in the log, its duration in the metrics, and headers for caches.

`X-Request-Id` and `traceparent` are taken from the caller where they are well-formed, else made. The trace is handed on
in the headers of whatever the request causes; the id is for answers and logs, since callers repeat theirs and write in
it what they like: an id of our own is handed on instead. This is WSGI middleware, around Flask, because the same as
Flask hooks costs more than the rest of a small request; it also sees the answers that no hook sees.
"""

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog
from flask import Flask, request

from services.chassis import metrics
from services.chassis.events import TRACEPARENT, Cause, new_id, new_traceparent
from services.chassis.line_log import LineLog

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

_KEY = "oms.request"
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(slots=True)
class RequestContext:
    """What is known of a request before it is looked at.

    Args:
        request_id: the caller's `X-Request-Id`, or one that we made.
        cause_id: names the request in what it makes us emit; ours, and never given twice.
        trace_id: 32 hex digits.
        traceparent: W3C trace context, to be handed on.
        route: the rule that matched it: a label from a closed set, unlike its path.

    """

    request_id: str
    cause_id: str
    trace_id: str
    traceparent: str
    route: str = "unmatched"

    @property
    def cause(self) -> Cause:
        """The cause of what this request makes us emit."""
        return Cause(self.cause_id, self.cause_id, self.traceparent, self.request_id)


def current() -> RequestContext:
    """Return the running request's context."""
    found: RequestContext = request.environ[_KEY]
    return found


def install(app: Flask, access_log: LineLog) -> None:
    """Give every request of `app` its context, log line, metric and headers."""
    app.before_request(_note_route)
    app.wsgi_app = _Observed(app.wsgi_app, access_log)  # type: ignore[method-assign]  # Flask's own way to wrap it


def _note_route() -> None:
    rule = request.url_rule
    if rule is not None:
        request.environ[_KEY].route = rule.rule


class _Observed:
    """The application, observed from outside."""

    def __init__(self, application: "WSGIApplication", access_log: LineLog) -> None:
        self._application = application
        self._access_log = access_log

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        about = environ[_KEY] = _context_of(environ)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
            self._note(environ["REQUEST_METHOD"], about, int(status[:3]), time.perf_counter() - started)
            _complete(headers, about.request_id)
            return start_response(status, headers, exc_info)

        tokens = structlog.contextvars.bind_contextvars(request_id=about.request_id, trace_id=about.trace_id)
        try:
            return self._application(environ, start)
        finally:
            structlog.contextvars.reset_contextvars(**tokens)

    def _note(self, method: str, about: RequestContext, status: int, seconds: float) -> None:
        method = method if method in _METHODS else "other"
        metrics.HTTP_DURATION.labels(method, about.route, status).observe(seconds)
        line: dict[str, str | float | None] = {
            "method": method,
            "route": about.route,
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
            "request_id": about.request_id,
            "trace_id": about.trace_id,
        }
        self._access_log.write([line])


def _context_of(environ: "WSGIEnvironment") -> RequestContext:
    request_id, cause_id = environ.get("HTTP_X_REQUEST_ID", ""), new_id()
    if _REQUEST_ID.fullmatch(request_id) is None:
        request_id = cause_id
    traceparent = environ.get("HTTP_TRACEPARENT", "")
    if TRACEPARENT.fullmatch(traceparent) is None:
        traceparent = new_traceparent()
    return RequestContext(request_id, cause_id, traceparent.split("-")[1], traceparent)


def _complete(headers: list[tuple[str, str]], request_id: str) -> None:
    """Add what every answer has: let no shared cache keep it, and no cache mix up two callers."""
    names = {name.lower() for name, _ in headers}
    if "cache-control" not in names:
        headers.append(("Cache-Control", "private"))
    headers.append(("Vary", "Authorization"))
    headers.append(("X-Request-Id", request_id))
