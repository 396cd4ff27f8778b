"""Tokens for the local stack, signed with its development secret."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from deploy.local.errors import StackError
from deploy.local.state import TokenSettings

ROLES = ("customer", "vendor", "warehouse", "admin", "service")


def mint(
    settings: TokenSettings,
    *,
    role: str,
    subject: str | None = None,
    vendor: str | None = None,
    email: str | None = None,
    locations: Sequence[str] = (),
    lifetime: timedelta = timedelta(hours=12),
) -> str:
    """Return a bearer token for one role; `subject` defaults to a name made from the role.

    Raises:
        StackError: tokens come from an identity provider.

    """
    if not settings.secret:
        raise StackError("no token can be made here: the identity provider at JWT_JWKS_URL makes them")
    if role not in ROLES:
        raise ValueError(f"no role {role!r}; there are: {', '.join(ROLES)}")
    now = datetime.now(UTC)
    claims: dict[str, Any] = {
        "sub": subject or f"local-{role}",
        "roles": [role],
        "iss": settings.issuer,
        "aud": settings.audience,
        "iat": now,
        "exp": now + lifetime,
    }
    claims |= {name: value for name, value in {"vendor_id": vendor, "email": email}.items() if value}
    claims |= {"locations": list(locations)} if locations else {}
    return jwt.encode(claims, settings.secret, algorithm=settings.algorithm)
