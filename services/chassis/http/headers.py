"""Request headers with a meaning: Idempotency-Key, Prefer (RFC 7240), If-Match and If-None-Match (RFC 9110)."""

import hashlib
import json
import re

from pydantic_core import from_json

from services.chassis.errors import Problem
from services.chassis.http.problems import CODES, refused
from services.chassis.idempotency import IdempotencyKey

WAIT_MAX_SECONDS = 20
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")
_WAIT = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=[,;]|$)", re.IGNORECASE)
_TAG = r"(W/)?\"([\x21\x23-\x7e\x80-\xff]*)\""
_ENTITY_TAG = re.compile(_TAG)
# A list may have empty members (RFC 9110, 5.6.1), and a tag may have a comma inside.
_ENTITY_TAGS = re.compile(rf"[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_VERSION_TAG = re.compile(r"v(\d{1,18})")
# Made once: `json.dumps` with options makes an encoder for each text.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def etag(version: int) -> str:
    """Return the entity tag of a version of a resource."""
    return f'"v{version}"'


def wait_seconds(prefer: str | None) -> int | None:
    """Return the seconds of `Prefer: wait=N`, at most 20, or None; what is not understood is ignored (RFC 7240)."""
    found = _WAIT.search(prefer) if prefer else None
    return None if found is None else min(int(found[1]), WAIT_MAX_SECONDS)


def idempotency_key(header: str, method: str, target: str, body: bytes) -> IdempotencyKey:
    """Return the request's Idempotency-Key, with a hash of what is asked for.

    Args:
        header: the header's value.
        method: the HTTP method.
        target: path and query string; with and without the trailing slash it is the same request.
        body: a valid JSON document, or nothing; only its meaning counts, not how it is written.

    Raises:
        Problem: 400 `invalid_header`.

    """
    if _IDEMPOTENCY_KEY.fullmatch(header) is None:
        raise invalid_header("Idempotency-Key", "must be 1 to 255 printable ASCII characters")
    canonical = _CANONICAL.encode(from_json(body)) if body.strip() else ""
    path, _, query = target.partition("?")
    asked = "\n".join((method, path.rstrip("/"), query, canonical))
    return IdempotencyKey(header, hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest())


def expected_versions(if_match: str | None) -> frozenset[int] | None:
    """Return the versions that `If-Match` names; None where it names none in particular (absent, or `*`).

    A tag that is weak or not ours matches nothing, so the set may be empty.

    Raises:
        Problem: 400 `invalid_header`.

    """
    if if_match is None or if_match.strip() == "*":
        return None
    tags = [tag for weak, tag in _entity_tags("If-Match", if_match) if not weak]
    return frozenset(int(found[1]) for tag in tags if (found := _VERSION_TAG.fullmatch(tag)))


def is_unchanged(if_none_match: str | None, version: int) -> bool:
    """Return whether the caller of a GET already has this version (the weak comparison)."""
    if if_none_match is None:
        return False
    if if_none_match.strip() == "*":
        return True
    return any(f'"{tag}"' == etag(version) for _, tag in _entity_tags("If-None-Match", if_none_match))


def check_version(expected: frozenset[int] | None, version: int) -> None:
    """Refuse a change of something that the caller has not seen as it is now.

    Args:
        expected: see `expected_versions`.
        version: the version that is there, read under its lock.

    Raises:
        Problem: 412 `precondition_failed`, with the current ETag.

    """
    if expected is not None and version not in expected:
        detail = f"If-Match names another version than the current one, {etag(version)}; read it again"
        raise Problem(
            CODES["precondition_failed"].status,
            "precondition_failed",
            detail,
            errors=[{"parameter": "If-Match", "code": "precondition_failed", "detail": detail}],
            headers={"ETag": etag(version)},
        )


def invalid_header(name: str, fault: str) -> Problem:
    """Return the refusal of a header that cannot be understood."""
    detail = f"{name} {fault}"
    return refused("invalid_header", detail, [{"parameter": name, "code": "invalid_header", "detail": detail}])


def _entity_tags(name: str, value: str) -> list[tuple[bool, str]]:
    """Return (is weak, opaque tag) pairs of a list of entity tags."""
    if _ENTITY_TAGS.fullmatch(value) is None:
        raise invalid_header(name, 'must be * or a list of entity tags, for example "v12"')
    return [(bool(weak), tag) for weak, tag in _ENTITY_TAG.findall(value)]
