"""Cross-origin requests: refused, until `CORS_ORIGINS` names an origin exactly. No cookies, so no credentials."""

from collections.abc import Collection

from flask import Flask, Response, request

_METHODS = "GET, POST, PUT, PATCH, DELETE"
_HEADERS = "Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-Request-Id, traceparent"
_EXPOSED = "ETag, Location, Idempotent-Replayed, Preference-Applied, Retry-After, X-Request-Id"


def install(app: Flask, origins: Collection[str]) -> None:
    """Let pages of `origins` call the API; none at all where it is empty."""
    if origins:
        guard = _Cors(frozenset(origins))
        app.before_request(guard.preflight)
        app.after_request(guard.permit)


class _Cors:
    """Answers preflights and marks answers for the allowed origins."""

    def __init__(self, origins: frozenset[str]) -> None:
        self._origins = origins

    def preflight(self) -> Response | None:
        """Answer a preflight of an allowed origin; everything else goes on to its route."""
        is_preflight = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
        if not is_preflight or request.origin not in self._origins:
            return None
        permits = {
            "Access-Control-Allow-Methods": _METHODS,
            "Access-Control-Allow-Headers": _HEADERS,
            "Access-Control-Max-Age": "600",
        }
        return Response(status=204, headers=permits)

    def permit(self, response: Response) -> Response:
        """Tell the browser that the page may read the answer."""
        response.vary.add("Origin")
        origin = request.origin
        if origin in self._origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        return response
