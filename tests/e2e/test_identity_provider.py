"""Tokens of an identity provider, at the API as it is run: gunicorn, gevent, two workers."""

import time
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from tests.support.identity_provider import IdentityProvider, published
from tests.support.running_shop import Shop
from tests.support.storefront import Client

RSA, EC, STRANGER = rsa.generate_private_key(65537, 2048), *(ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
# More than one request a worker, since each has its own connections to keep.
TIMES = 6


@pytest.fixture(scope="module")
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        provider.keys = [published(RSA, "r1")]
        yield provider


@pytest.fixture(scope="module")
def url(shop: Shop, provider: IdentityProvider) -> Iterator[str]:
    """Where an API of the order service answers that trusts this provider and nobody else."""
    trust = {"JWT_SECRET": "", "JWT_JWKS_URL": provider.url, "JWT_JWKS_FLOOR_SECONDS": "0"}
    name = shop.stack.start_process("order", "api", name="order-api-provider", environment=trust)
    shop.stack.await_ready(name)
    yield shop.stack.url(name)
    shop.stack.processes.stop(name)


def answers(shop: Shop, url: str, key: PrivateKeyTypes | str, algorithm: str, key_id: str) -> set[tuple[int, str]]:
    """Return status and code of some requests with a token signed so, each over a connection of its own."""
    state = shop.stack.state.jwt
    claims = {"sub": "a-1", "iss": state.issuer, "aud": state.audience, "exp": time.time() + 60, "roles": ["admin"]}
    token = jwt.encode(claims, key, algorithm, {"kid": key_id})  # type: ignore[arg-type]  # the kinds that are made here
    found = set()
    for _ in range(TIMES):
        answer = Client({"order": url}, token).get("admin/")
        found.add((answer.status_code, answer.json().get("code", "")))
    return found


def test_tokens_of_the_provider_are_accepted_also_after_it_has_changed_its_key(
    shop: Shop, provider: IdentityProvider, url: str
) -> None:
    assert answers(shop, url, RSA, "RS256", "r1") == {(200, "")}
    assert answers(shop, url, EC, "ES256", "e1") == {(401, "invalid_token")}

    provider.keys.append(published(EC, "e1"))

    assert answers(shop, url, EC, "ES256", "e1") == {(200, "")}
    assert answers(shop, url, RSA, "RS256", "r1") == {(200, "")}


def test_tokens_of_nobody_whom_the_provider_knows_are_refused(shop: Shop, url: str) -> None:
    assert answers(shop, url, STRANGER, "ES256", "r1") == {(401, "invalid_token")}
    assert answers(shop, url, shop.stack.state.jwt.secret, "HS256", "r1") == {(401, "invalid_token")}
