"""A service whose callers come with tokens of an identity provider, from the settings to the answer."""

import time
from collections.abc import Iterator

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient

from deploy.local.databases import Databases
from services.chassis.http.assembly import assemble
from services.inventory.bootstrap import SERVICE
from tests.support.identity_provider import IdentityProvider, published
from tests.support.services import world_of

PATH = "/api/v1/inventory/variants/"
KEY, ANOTHER = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        provider.keys = [published(KEY, "e1")]
        yield provider


@pytest.fixture
def client(postgres_server: Databases, provider: IdentityProvider) -> Iterator[FlaskClient]:
    with world_of(SERVICE, postgres_server, jwt_secret=None, jwt_jwks_url=provider.url) as world:
        yield assemble(world.runtime).test_client()


def bearer(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    claims = {"sub": "a-1", "iss": "https://issuer.test", "aud": "oms", "exp": time.time() + 60, "roles": ["admin"]}
    return {"Authorization": f"Bearer {jwt.encode(claims, key, 'ES256', {'kid': 'e1'})}"}


def test_a_token_of_the_provider_is_accepted_and_a_forged_one_is_not(client: FlaskClient) -> None:
    assert client.get(PATH, headers=bearer(KEY)).status_code == 200
    refused = client.get(PATH, headers=bearer(ANOTHER))
    assert (refused.status_code, refused.json["code"]) == (401, "invalid_token")  # type: ignore[index]


def test_without_keys_callers_are_told_to_come_again(client: FlaskClient, provider: IdentityProvider) -> None:
    provider.leave()
    refused = client.get(PATH, headers=bearer(KEY))
    assert (refused.status_code, refused.json["code"]) == (503, "temporarily_unavailable")  # type: ignore[index]
    assert refused.headers["Retry-After"] == "1"
