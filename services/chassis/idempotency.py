"""Stored answers: the same request with the same key gets the same answer, once carried out.

Invariant: the claim of a key, the effect of its request and the answer commit together; a refused request leaves
nothing behind, so that it may be sent again once the facts have changed.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from services.chassis.errors import Problem
from services.chassis.sending import deferred, often

Place = tuple[str, str]

# Sorted, so that two groups that hold the same keys wait for each other instead of deadlocking. A key that a
# running transaction holds is waited for: it is answered from there, or free again.
CLAIM_KEYS = often("""
INSERT INTO idempotency_keys (caller, key) SELECT * FROM unnest(:callers ::text[], :keys ::text[])
ON CONFLICT DO NOTHING RETURNING caller, key, now()
""")
READ_ANSWERS = sa.text("""
SELECT caller, key, request_hash, status, headers, body FROM idempotency_keys
JOIN unnest(:callers ::text[], :keys ::text[]) d(caller, key) USING (caller, key)
""")
STORE_ANSWERS = deferred("""
UPDATE idempotency_keys i SET request_hash = d.hash, status = d.status, headers = d.headers, body = d.body
FROM unnest(:callers ::text[], :keys ::text[], :hashes ::text[], :statuses ::int[], :headers ::jsonb[],
            :bodies ::bytea[]) d(caller, key, hash, status, headers, body)
WHERE i.caller = d.caller AND i.key = d.key
""")
FREE_KEYS = sa.text("""
DELETE FROM idempotency_keys i USING unnest(:callers ::text[], :keys ::text[]) d(caller, key)
WHERE i.caller = d.caller AND i.key = d.key
""")
PRUNE = sa.text("""
DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM idempotency_keys WHERE created_at < now() - make_interval(secs => :hours * 3600) LIMIT :step))
""")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A request's `Idempotency-Key` and a hash of what it asks for."""

    key: str
    request_hash: str


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, as it is sent and as it is stored.

    Args:
        status: the HTTP status code.
        body: the encoded body.
        headers: response headers beside the usual ones.
        replayed: whether it was stored by an earlier request.
        parts: answers to parts of the request that have keys of their own, by those; stored, and never sent.

    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    replayed: bool = False
    parts: Mapping[str, "Answer"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """What an earlier request with a key got."""

    request_hash: str
    answer: Answer


def claim(connection: sa.Connection, places: Collection[Place]) -> tuple[dict[Place, StoredAnswer], datetime | None]:
    """Claim (caller, key) pairs.

    Returns:
        The stored answers of those that were taken before, and the transaction's time if some were not.

    """
    if not places:
        return {}, None
    claimed = connection.execute(CLAIM_KEYS, _columns(sorted(places))).all()
    now = claimed[0].now if claimed else None
    taken = sorted(set(places) - {(row.caller, row.key) for row in claimed})
    return _stored(connection, taken) if taken else {}, now


def _stored(connection: sa.Connection, taken: Collection[Place]) -> dict[Place, StoredAnswer]:
    rows = connection.execute(READ_ANSWERS, _columns(taken))
    return {
        (row.caller, row.key): StoredAnswer(
            row.request_hash, Answer(row.status, bytes(row.body), row.headers, replayed=True)
        )
        for row in rows
    }


def settle(connection: sa.Connection, answers: Mapping[Place, tuple[str, Answer | None]]) -> None:
    """Store the answers of claimed keys, and free the keys of those that have none: they were refused."""
    stored = [(place, found, answer) for place, (found, answer) in sorted(answers.items()) if answer is not None]
    refused = sorted(place for place, (_, answer) in answers.items() if answer is None)
    if stored:
        columns = _columns([place for place, _, _ in stored]) | {
            "hashes": [request_hash for _, request_hash, _ in stored],
            "statuses": [answer.status for _, _, answer in stored],
            "headers": [json.dumps(dict(answer.headers)) for _, _, answer in stored],
            "bodies": [answer.body for _, _, answer in stored],
        }
        connection.execute(STORE_ANSWERS, columns)
    if refused:
        connection.execute(FREE_KEYS, _columns(refused))


def reused(key: str) -> Problem:
    """Return the refusal of a key that came before with another request."""
    detail = f"Idempotency-Key {key!r} was used before for another request; send a new key, or the same request"
    return Problem(
        422,
        "idempotency_key_reused",
        detail,
        errors=[{"parameter": "Idempotency-Key", "code": "idempotency_key_reused", "detail": detail}],
    )


def prune(connection: sa.Connection, hours: float, step: int = 5000) -> bool:
    """Delete at most `step` answers older than `hours` and return whether there may be more."""
    return connection.execute(PRUNE, {"hours": hours, "step": step}).rowcount == step


def _columns(places: Collection[Place]) -> dict[str, object]:
    return {"callers": [caller for caller, _ in places], "keys": [key for _, key in places]}
