"""Stored answers: the same request with the same key gets the same answer, once carried out.

Invariant: the effect of a request and its answer commit together, while its key is held; a refused request leaves
nothing behind, so that it may be sent again once the facts have changed.
"""

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.chassis.connection import Connection
from services.chassis.database import KEYS_SPACE
from services.chassis.errors import Problem
from services.chassis.statements import deferred, often, sql

Place = tuple[str, str]

# Who comes with a key that a running transaction holds waits here. A number is held and not a row: so a key is written
# once, with its answer, instead of claimed, updated, or taken away again. Sorted, so that two groups that hold the same
# keys wait for each other instead of deadlocking. A key that has its answer needs nobody to wait.
HOLD_KEYS = deferred("""
SELECT pg_advisory_xact_lock(:space ::int, number) FROM (
    SELECT number FROM unnest(:numbers ::int[], :callers ::text[], :keys ::text[]) d(number, caller, key)
    WHERE NOT EXISTS (SELECT FROM idempotency_keys i WHERE i.caller = d.caller AND i.key = d.key)
    ORDER BY number) unanswered
""")
# A statement of its own: only one that begins once the keys are held sees what their last holder stored. It has a row
# in any case, since it tells the time, too.
READ_ANSWERS = often("""
SELECT now(), i.* FROM (SELECT) once LEFT JOIN (
    SELECT caller, key, request_hash, status, headers, body FROM idempotency_keys
    JOIN unnest(:callers ::text[], :keys ::text[]) d(caller, key) USING (caller, key)) i ON true
""")
# Somebody who did not hold the key may have stored it meanwhile: a build that knows nothing of the numbers, or one of
# two that saw an answer which was pruned before they could read it. That is `RowExists`, and a second try.
# Bodies go as text: the driver sends bytes in hex, and they were three quarters of all that placing orders sends.
STORE_ANSWERS = deferred("""
INSERT INTO idempotency_keys (caller, key, request_hash, status, headers, body)
SELECT unnest(:callers ::text[]), unnest(:keys ::text[]), unnest(:hashes ::text[]), unnest(:statuses ::int[]),
       unnest(:headers ::jsonb[]), convert_to(unnest(:bodies ::text[]), 'UTF8')
""")
PRUNE = sql("""
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


def number_of(place: Place) -> int:
    """Return the advisory lock of a (caller, key) pair; pairs that share one only wait for each other.

    A contract between builds that run side by side: those that number in another way do not wait for each other.
    """
    digest = hashlib.blake2b("\0".join(place).encode(), digest_size=4).digest()
    return int.from_bytes(digest, signed=True)


def claim(connection: Connection, places: Collection[Place]) -> tuple[dict[Place, StoredAnswer], datetime | None]:
    """Hold (caller, key) pairs until the transaction ends, except those that have an answer.

    Returns:
        The stored answers of those that were carried out before, and the transaction's time if there is any pair.

    """
    if not places:
        return {}, None
    columns = _columns(places)
    connection.execute(HOLD_KEYS, {**columns, "space": KEYS_SPACE, "numbers": list(map(number_of, places))})
    rows = connection.execute(READ_ANSWERS, columns).all()
    stored = {
        (row.caller, row.key): StoredAnswer(
            row.request_hash, Answer(row.status, bytes(row.body), row.headers, replayed=True)
        )
        for row in rows
        if row.key is not None
    }
    return stored, rows[0].now


def store(connection: Connection, answers: Mapping[Place, tuple[str, Answer]]) -> None:
    """Store answers, each with the hash of its request.

    Args:
        connection: the transaction, which holds their keys.
        answers: (caller, key) → hash and answer, whose body is text in UTF-8.

    """
    if answers:
        columns = _columns(answers) | {
            "hashes": [request_hash for request_hash, _ in answers.values()],
            "statuses": [answer.status for _, answer in answers.values()],
            "headers": [json.dumps(dict(answer.headers)) for _, answer in answers.values()],
            "bodies": [answer.body.decode() for _, answer in answers.values()],
        }
        connection.execute(STORE_ANSWERS, columns)


def reused(key: str) -> Problem:
    """Return the refusal of a key that came before with another request."""
    detail = f"Idempotency-Key {key!r} was used before for another request; send a new key, or the same request"
    return Problem(
        422,
        "idempotency_key_reused",
        detail,
        errors=[{"parameter": "Idempotency-Key", "code": "idempotency_key_reused", "detail": detail}],
    )


def prune(connection: Connection, hours: float, step: int = 5000) -> bool:
    """Delete at most `step` answers older than `hours` and return whether there may be more."""
    return connection.execute(PRUNE, {"hours": hours, "step": step}).rowcount == step


def _columns(places: Collection[Place]) -> dict[str, object]:
    return {"callers": [caller for caller, _ in places], "keys": [key for _, key in places]}
