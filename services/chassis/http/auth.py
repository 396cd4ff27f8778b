"""Who calls: JWT bearer tokens (RFC 6750, RFC 7519), verified once and remembered for a short time.

Invariants: the algorithm is the key's (`keys`), never the token's; `iss`, `aud`, `exp` and `sub` are required; a
remembered token is not accepted past its `exp`. Tokens come in the Authorization header only, so there is nothing for
CSRF.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated

import jwt
from pydantic import BaseModel, ConfigDict, ValidationError

from services.chassis.errors import Problem
from services.chassis.http.keys import KeySource, PublishedKeys, SharedSecret, UnknownKey
from services.chassis.http.problems import CODES
from services.chassis.http.roles import Role
from services.chassis.http.shapes import text
from services.chassis.settings import ServiceSettings

_REMEMBERED_MAX = 2000
# So long may a key that was withdrawn still open the door.
_REMEMBERED_SECONDS = 60.0
_Id = Annotated[str, text(least=1, most=128)]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a verified token speaks for.

    Args:
        subject: the token's `sub`: the customer's id, for a customer.
        roles: the roles that we know; *vendor* counts only with a `vendor_id`, so that no vendor is without a scope.
        vendor_id: whose lines a vendor may see.
        locations: where a warehouse may act.
        email: of a person, where the token says it.

    """

    subject: str
    roles: frozenset[Role]
    vendor_id: str | None = None
    locations: frozenset[str] = frozenset()
    email: str | None = None

    def has(self, *roles: Role) -> bool:
        """Return whether the caller has one of `roles`."""
        return not self.roles.isdisjoint(roles)


# Who calls an endpoint that needs no token.
NOBODY = Caller("nobody", frozenset())


class _Claims(BaseModel):
    """The claims that we read; others are ignored."""

    model_config = ConfigDict(strict=True)

    sub: _Id
    exp: float
    roles: list[str] = []
    vendor_id: _Id | None = None
    locations: list[_Id] = []
    email: Annotated[str, text(most=254)] | None = None


class TokenVerifier:
    """Turns a token into its caller.

    Args:
        keys: where keys come from.
        issuer: the only `iss` accepted.
        audience: must be (in) `aud`.
        clock: seconds since the epoch.

    """

    def __init__(self, keys: KeySource, *, issuer: str, audience: str, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._clock = clock
        self._remembered: dict[str, tuple[Caller, float]] = {}

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> "TokenVerifier":
        """Return the verifier that the settings describe."""
        return cls(_keys(settings), issuer=settings.jwt_issuer, audience=settings.jwt_audience)

    def caller_of(self, authorization: str | None) -> Caller:
        """Return the caller of an Authorization header.

        Raises:
            Problem: 401 `missing_token`, `invalid_token` or `expired_token`.
            KeysUnavailable: the identity provider's keys cannot be had now.

        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise _unauthorized("missing_token", "send `Authorization: Bearer <token>`", error=None)
        return self.verify(token.strip())

    def verify(self, token: str) -> Caller:
        """Return the caller that a token speaks for; raises like `caller_of`."""
        now = self._clock()
        remembered = self._remembered.get(token)
        if remembered is not None and now < remembered[1]:
            return remembered[0]
        claims = self._decode(token)
        if claims.exp <= now:
            raise _expired()
        caller = _caller(claims)
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[token] = caller, min(claims.exp, now + _REMEMBERED_SECONDS)
        return caller

    def _decode(self, token: str) -> _Claims:
        try:
            trusted = self._keys.key_of(token)
            return _Claims.model_validate(
                jwt.decode(
                    token,
                    trusted.key,
                    algorithms=[trusted.algorithm],
                    issuer=self._issuer,
                    audience=self._audience,
                    # `iat` decides nothing here, and the issuer's clock may be a second ahead of ours.
                    options={"require": ["iss", "aud", "exp", "sub"], "verify_iat": False},
                )
            )
        except jwt.ExpiredSignatureError as error:
            raise _expired() from error
        except ValidationError as error:
            wrong = ", ".join(sorted({str(row["loc"][0]) for row in error.errors()}))
            raise _unauthorized("invalid_token", f"these claims are not what they should be: {wrong}") from error
        except (jwt.PyJWTError, UnknownKey) as error:
            raise _unauthorized("invalid_token", f"the token is refused: {error}") from error


def _keys(settings: ServiceSettings) -> KeySource:
    if settings.jwt_jwks_url is not None:
        return PublishedKeys(
            settings.jwt_jwks_url,
            fresh_seconds=settings.jwt_jwks_fresh_seconds,
            expiry_seconds=settings.jwt_jwks_expiry_seconds,
            floor_seconds=settings.jwt_jwks_floor_seconds,
        )
    assert settings.jwt_secret is not None  # noqa: S101  # the settings have one of the two
    return SharedSecret(settings.jwt_secret.get_secret_value())


def require_role(caller: Caller, allowed: Collection[Role]) -> None:
    """Refuse a caller that has none of the allowed roles.

    Raises:
        Problem: 403 `forbidden_role`, naming both.

    """
    if caller.roles.isdisjoint(allowed):
        wanted, has = ", ".join(sorted(allowed)), ", ".join(sorted(caller.roles)) or "none"
        detail = f"allowed roles: {wanted}; roles of this token: {has}"
        raise Problem(403, "forbidden_role", detail, extra={"allowed_roles": sorted(allowed)})


def _caller(claims: _Claims) -> Caller:
    roles = frozenset(role for role in Role if role.value in claims.roles)
    if claims.vendor_id is None:
        roles -= {Role.VENDOR}
    return Caller(claims.sub, roles, claims.vendor_id, frozenset(claims.locations), claims.email)


def _expired() -> Problem:
    return _unauthorized("expired_token", "the token has expired; get a new one")


def _unauthorized(code: str, detail: str, error: str | None = "invalid_token") -> Problem:
    challenge = 'Bearer realm="oms"' + (f', error="{error}"' if error else "")
    return Problem(CODES[code].status, code, detail, headers={"WWW-Authenticate": challenge})
