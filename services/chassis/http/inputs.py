"""Reads and validates what a request carries: path, query and body, every fault of all three at once.

Replaces flask-openapi's own validation, which stops at the first failing part, takes the first of a repeated
parameter, accepts unknown ones, and computes a JSON schema at each request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qsl

from flask import Request
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json, to_json
from werkzeug.http import parse_options_header

from services.chassis.errors import Problem
from services.chassis.http.faults import (
    Fault,
    body_faults,
    invalid_request,
    nul_faults,
    parameter_fault,
    parameter_faults,
)
from services.chassis.http.models import Body, Query
from services.chassis.http.problems import named

if TYPE_CHECKING:
    from _typeshed.wsgi import InputStream, WSGIEnvironment

BODY_MAX_BYTES = 256 * 1024
AnyBody = TypeVar("AnyBody", bound=Body)
_PARAMETERS_MAX = 100
_NUL = "must not contain the NUL character (U+0000)"


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an endpoint takes.

    Args:
        path: model of the path parameters; None where all of them are plain strings.
        query: model of the query parameters; None takes none.
        body: model of the body; None takes none.
        body_required: whether the body may be left out.

    """

    path: type[BaseModel] | None
    query: type[Query] | None
    body: type[Body] | None
    body_required: bool = True

    def read(self, request: Request, path_values: Mapping[str, object], raw: bytes) -> dict[str, object]:
        """Return the keyword arguments of the endpoint's function.

        Args:
            request: the running request.
            path_values: what the route matched.
            raw: the body, see `read_body`.

        Raises:
            Problem: 400 with every fault found.

        """
        faults: list[Fault] = []
        arguments = self._path(path_values, faults)
        self._query(request.environ, arguments, faults)
        self._body(raw, arguments, faults)
        if faults:
            raise invalid_request(faults)
        return arguments

    def _path(self, values: Mapping[str, object], faults: list[Fault]) -> dict[str, object]:
        # Flask's converters may have made numbers of some.
        with_nul = [name for name, value in values.items() if isinstance(value, str) and "\x00" in value]
        faults += [parameter_fault(name, "invalid_value", _NUL) for name in with_nul]
        if self.path is None:
            return dict(values)
        try:
            return dict(self.path.model_validate(values))
        except ValidationError as error:
            _add_new(faults, parameter_faults(error, list(values)))
            return {}

    def _query(self, environ: "WSGIEnvironment", arguments: dict[str, object], faults: list[Fault]) -> None:
        raw = environ.get("QUERY_STRING")
        given = _parameters(raw, faults) if raw else {}
        known = [] if self.query is None else _names(self.query)
        if self.query is None:
            faults += [_unknown_parameter(name, known) for name in given]
            return
        try:
            arguments["query"] = self.query.model_validate(given)
        except ValidationError as error:
            _add_new(faults, parameter_faults(error, known))

    def _body(self, raw: bytes, arguments: dict[str, object], faults: list[Fault]) -> None:
        if self.body is None:
            if raw.strip() not in (b"", b"{}"):
                faults.append({"pointer": "", "code": "unknown_field", "detail": "this call takes no body"})
            return
        if not raw and not self.body_required:
            arguments["body"] = None
            return
        try:
            arguments["body"] = self.body.model_validate_json(raw, strict=True)
        except ValidationError as error:
            faults += self._faults_of(error, raw)
        if b"\\u0000" in raw and not faults:
            faults += nul_faults(from_json(raw))

    def _faults_of(self, error: ValidationError, raw: bytes) -> list[Fault]:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise named("malformed_json", first["msg"] if raw.strip() else "the body is empty, a JSON object is needed")
        assert self.body is not None  # noqa: S101  # only a body has these errors
        return body_faults(error, from_json(raw), self.body)


def read_member(model: type[AnyBody], sent: object, at: str) -> AnyBody:
    """Return a member of a body, validated on its own.

    Args:
        model: what it should be.
        sent: the member, parsed.
        at: JSON Pointer of its place in the body.

    Raises:
        Problem: 400 with every fault of the member.

    """
    try:
        return model.model_validate_json(to_json(sent), strict=True)
    except ValidationError as error:
        faults = body_faults(error, sent, model)
        raise invalid_request([{**fault, "pointer": at + fault["pointer"]} for fault in faults]) from error


def read_body(request: Request, max_bytes: int = BODY_MAX_BYTES) -> bytes:
    """Return the body of a request, known to be UTF-8 and declared as JSON, or nothing.

    Raises:
        Problem: 400 `invalid_utf8`, 413 `body_too_large`, 415 `unsupported_media_type`.

    """
    raw = _bytes_of(request, max_bytes)
    if not raw:
        return raw
    declared = request.environ.get("CONTENT_TYPE", "")
    if declared != "application/json" and not _is_json(declared):
        raise named("unsupported_media_type", "send `Content-Type: application/json`, in UTF-8")
    if not raw.isascii():
        _require_utf8(raw)
    return raw


def _bytes_of(request: Request, max_bytes: int) -> bytes:
    """Read the body. Werkzeug's own way costs ten times as much, and cuts off a chunked body at the limit unsaid."""
    environ = request.environ
    declared = environ.get("CONTENT_LENGTH", "")
    if declared.isdecimal():
        if int(declared) > max_bytes:
            raise _too_large(max_bytes)
        raw = _read(environ["wsgi.input"], int(declared))
        if len(raw) < int(declared):
            raise named("bad_request", "the body ended before its Content-Length")
        return raw
    if not environ.get("wsgi.input_terminated"):
        return b""
    raw = _read(environ["wsgi.input"], max_bytes + 1)
    if len(raw) > max_bytes:
        raise _too_large(max_bytes)
    return raw


def _read(stream: "InputStream", size: int) -> bytes:
    """Return `size` bytes, or fewer where the stream ends."""
    read = b""
    try:
        while len(read) < size:
            part = stream.read(size - len(read))
            if not part:
                break
            read = read + part if read else part
    except OSError as error:
        raise named("bad_request", "the connection was lost while the body was read") from error
    return read


def _too_large(max_bytes: int) -> Problem:
    return named("body_too_large", f"a body may have {max_bytes} bytes at most")


def _is_json(declared: str) -> bool:
    media_type, options = parse_options_header(declared)
    return media_type.lower() == "application/json" and options.get("charset", "utf-8").lower() in ("utf-8", "utf8")


def _require_utf8(raw: bytes) -> None:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        raise named("invalid_utf8", f"the body is not UTF-8 at byte {error.start}") from error


def _parameters(raw: str, faults: list[Fault]) -> dict[str, str]:
    """Return the query parameters by name; WSGI hands the query string over as Latin-1 (PEP 3333)."""
    try:
        pairs = parse_qsl(
            raw.encode("latin-1").decode(), keep_blank_values=True, errors="strict", max_num_fields=_PARAMETERS_MAX
        )
    except UnicodeError as error:
        raise named("invalid_utf8", "the query string is not UTF-8, percent-encoded") from error
    except ValueError as error:
        raise named("bad_request", f"a query string may have {_PARAMETERS_MAX} parameters at most") from error
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            faults.append(parameter_fault(name, "repeated_parameter", "may be given once only"))
        if "\x00" in value:
            faults.append(parameter_fault(name, "invalid_value", _NUL))
        given[name] = value
    return given


def _add_new(faults: list[Fault], found: list[Fault]) -> None:
    """Add what was found of parameters of which nothing is said yet."""
    told = {fault.get("parameter") for fault in faults}
    faults += [fault for fault in found if fault["parameter"] not in told]


def _unknown_parameter(name: str, known: list[str]) -> Fault:
    return parameter_fault(
        name, "unknown_parameter", f"unknown name {name[:100]!r}; known here: {', '.join(known) or 'none'}"
    )


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]
