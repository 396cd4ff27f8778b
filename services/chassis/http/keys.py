"""Where the keys come from that verify tokens: one shared secret, or an identity provider's key set (RFC 7517).

Invariant: a key says by its own kind which algorithm it verifies; nothing in a token does. Of a token's header only
`kid` is looked at, and only as the name of a key that the provider has published.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from services.chassis import logs
from services.chassis.errors import TransientError

_FETCH_SECONDS = 2.0
_RSA_BITS_MIN = 2048
# What the libraries raise for a key that is none: one of them must not keep the others out.
_UNREADABLE = (
    jwt.PyJWTError,
    UnsupportedAlgorithm,
    ArithmeticError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)
log = logs.logger(__name__)


class UnknownKey(Exception):
    """No key of the key source can have signed the token; the message says why."""


class UnusableKey(Exception):
    """A published key verifies no tokens here; the message says why, without the key: some publish what is secret."""


class KeysUnavailable(TransientError):
    """The identity provider's keys could not be fetched, and those that were known have expired."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key, and the one algorithm that it verifies."""

    key: Any
    algorithm: str


class KeySource(Protocol):
    """Finds the key that must have signed a token."""

    def key_of(self, token: str) -> VerificationKey:
        """Return the key for a token.

        Raises:
            UnknownKey: there is none.
            KeysUnavailable: it cannot be told now.

        """


@dataclass(frozen=True, slots=True)
class SharedSecret:
    """One secret for all tokens (HS256).

    Args:
        secret: at least 32 characters.

    """

    secret: str

    def key_of(self, token: str) -> VerificationKey:  # noqa: ARG002  # the port's signature
        """Return the secret."""
        return VerificationKey(self.secret, "HS256")


@dataclass(frozen=True, slots=True)
class _Known:
    keys: Mapping[str, VerificationKey]
    fetched_at: float


class PublishedKeys:
    """The keys under a JWKS URL (RS256, ES256), fetched when they are needed and kept for a while.

    A key id that is not known makes us fetch again, so a key may be used as soon as it is published; but not more
    often than once in `floor_seconds`, whoever sends how many tokens with invented ids. While the provider is away the
    known keys go on opening the door until they expire.

    Args:
        url: of the key set.
        fresh_seconds: age from which on known keys are fetched anew.
        expiry_seconds: age from which on they are no longer believed.
        floor_seconds: least time between two fetches, failed ones included.
        clock: seconds, monotonic.

    """

    def __init__(
        self,
        url: str,
        *,
        fresh_seconds: float,
        expiry_seconds: float,
        floor_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = jwt.PyJWKClient(url, cache_jwk_set=False, timeout=_FETCH_SECONDS)
        self._fresh_seconds = fresh_seconds
        self._expiry_seconds = expiry_seconds
        self._floor_seconds = floor_seconds
        self._clock = clock
        self._known: _Known | None = None
        self._tried_at: float | None = None
        self._fetching = threading.Lock()

    def key_of(self, token: str) -> VerificationKey:
        """Return the published key whose id the token's header names; raises as `KeySource.key_of`."""
        key_id = _key_id(token)
        known = self._known
        if known is None or key_id not in known.keys or self._age(known) > self._fresh_seconds:
            known = self._refreshed(known, key_id)
        if known is None or self._age(known) > self._expiry_seconds:
            raise KeysUnavailable("the identity provider's keys cannot be fetched")
        try:
            return known.keys[key_id]
        except KeyError:
            raise UnknownKey("its key id is not one that the identity provider has published") from None

    def _age(self, known: _Known) -> float:
        return self._clock() - known.fetched_at

    def _refreshed(self, seen: _Known | None, key_id: str) -> _Known | None:
        """Fetch the keys, unless somebody just did; whoever needs them waits, whoever has a key does not."""
        if not self._fetching.acquire(blocking=seen is None or key_id not in seen.keys):
            return seen
        try:
            if self._known is seen and self._may_fetch():
                self._fetch()
        finally:
            self._fetching.release()
        return self._known

    def _may_fetch(self) -> bool:
        return self._tried_at is None or self._clock() - self._tried_at >= self._floor_seconds

    def _fetch(self) -> None:
        self._tried_at = self._clock()
        try:
            usable, left_out = _sorted_out(self._client.fetch_data().get("keys"))
        except (jwt.PyJWTError, ValueError, OSError) as error:
            log.warning("jwks_unavailable", error=type(error).__name__, detail=str(error)[:300])
            return
        self._known = _Known(usable, self._tried_at)
        log.info("jwks_fetched", published=len(usable) + len(left_out), usable=len(usable), left_out=left_out)


def _key_id(token: str) -> str:
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError as error:
        raise UnknownKey(str(error)) from error
    if not isinstance(key_id, str):
        raise UnknownKey("its header names no key id (kid)")
    return key_id


def _sorted_out(published: object) -> tuple[dict[str, VerificationKey], list[Mapping[str, object]]]:
    """Return the published keys that verify tokens, by their ids, and the others' ids with the reason.

    Raises:
        PyJWKSetError: it is no list, or not one of its keys can be read.

    """
    if not isinstance(published, list):
        raise jwt.PyJWKSetError("what is published has no list of keys")
    usable: dict[str, VerificationKey] = {}
    left_out: list[Mapping[str, object]] = []
    read = 0
    for jwk in published:
        try:
            key = _read(jwk)
            read += 1
            usable[_published_id(key)] = _usable(key)
        except UnusableKey as error:
            left_out.append({"kid": jwk.get("kid") if isinstance(jwk, dict) else None, "reason": str(error)})
    if not read:
        raise jwt.PyJWKSetError(f"of {len(published)} published keys none can be read: {left_out}")
    return usable, left_out


def _read(jwk: Any) -> jwt.PyJWK:
    if not isinstance(jwk, dict):
        raise UnusableKey("no JSON object")
    try:
        return jwt.PyJWK(jwk)
    except _UNREADABLE as error:
        raise UnusableKey(f"cannot be read ({type(error).__name__})") from error


def _published_id(published: jwt.PyJWK) -> str:
    if not isinstance(published.key_id, str) or not published.key_id:
        raise UnusableKey("its key id is no text")
    return published.key_id


def _usable(published: jwt.PyJWK) -> VerificationKey:
    """Return a key that may verify tokens; refuse one that is for something else, too weak, or secret."""
    if (use := published.public_key_use or "sig") != "sig":
        raise UnusableKey(f"its use is {use!r}, not 'sig'")
    key = published.key
    if isinstance(key, RSAPublicKey):
        algorithm = "RS256"
        if key.key_size < _RSA_BITS_MIN:
            raise UnusableKey(f"an RSA key of {key.key_size} bits, fewer than {_RSA_BITS_MIN}")
    elif isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        algorithm = "ES256"
    else:
        raise UnusableKey("neither a public RSA key nor one of the curve P-256")
    if published.algorithm_name != algorithm:
        raise UnusableKey(f"its algorithm is {published.algorithm_name!r}, not {algorithm!r}")
    return VerificationKey(key, algorithm)
