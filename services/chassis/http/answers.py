"""What endpoints return: an `Answer`, the same thing that a command's transaction stores for replays."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from flask import Response
from pydantic import BaseModel
from pydantic_core import to_json
from werkzeug.datastructures import Headers

from services.chassis.http.headers import etag
from services.chassis.idempotency import Answer

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# What a path may hold as it is (RFC 3986), and the sign of what was quoted before.
_RESERVED = "/%:@!$&'()*+,;=?~"


def answer(
    model: BaseModel,
    status: int = 200,
    *,
    version: int | None = None,
    location: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return an answer with a JSON body.

    Args:
        model: the body.
        status: the HTTP status code.
        version: the resource's version, for the ETag.
        location: path of what was made.
        headers: further headers.

    """
    all_headers = dict(headers or {})
    if version is not None:
        all_headers["ETag"] = etag(version)
    if location is not None:
        all_headers["Location"] = quote(location, safe=_RESERVED)
    return Answer(status, to_json(model, by_alias=True), all_headers)


def no_content() -> Answer:
    """Return 204."""
    return Answer(204, b"", {})


def not_modified(version: int) -> Answer:
    """Return 304: the caller has this version already."""
    return Answer(304, b"", {"ETag": etag(version)})


def to_response(given: Answer) -> Response:
    """Return the Flask response of an answer."""
    headers = dict(given.headers)
    if given.replayed:
        headers["Idempotent-Replayed"] = "true"
    if not given.body:
        response = Response(status=given.status, headers=headers)
        del response.headers["Content-Type"]
        return response
    headers.setdefault("Content-Type", "application/json")
    return _Complete(given.body, given.status, headers, content_type=headers["Content-Type"])


class _Complete(Response):
    """A response whose headers are final: it spares the work of completing them, a tenth of a small request."""

    def get_wsgi_headers(self, environ: "WSGIEnvironment") -> Headers:  # noqa: ARG002  # Werkzeug's signature
        """Return the headers as they are."""
        return self.headers
