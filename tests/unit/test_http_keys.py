"""Tokens of an identity provider: which keys open the door, for how long, and how often we ask for them.

The key set is served by a real HTTP server on loopback.
"""

import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from services.chassis.errors import Problem
from services.chassis.http.auth import TokenVerifier
from services.chassis.http.keys import KeysUnavailable, PublishedKeys
from tests.support.identity_provider import IdentityProvider, published

ISSUER, AUDIENCE = "https://id.test", "shop"
FRESH, EXPIRY, FLOOR = 300.0, 3600.0, 10.0
RSA, OTHER_RSA = (rsa.generate_private_key(65537, 2048) for _ in range(2))
WEAK_RSA = rsa.generate_private_key(65537, 1024)  # noqa: S505  # to be refused
EC, OTHER_EC, P384 = (ec.generate_private_key(curve) for curve in (ec.SECP256R1(), ec.SECP256R1(), ec.SECP384R1()))
CLAIMS = {"sub": "c-1", "iss": ISSUER, "aud": AUDIENCE, "roles": ["customer"]}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def token(key: Any = RSA, key_id: str | None = "r1", algorithm: str = "RS256", **changes: Any) -> str:
    """Return a token that is right but for what is given; headers by `headers`, claims by name, None leaves one out."""
    headers = {
        name: value for name, value in {"kid": key_id, **changes.pop("headers", {})}.items() if value is not None
    }
    claims = {
        name: value for name, value in {**CLAIMS, "exp": time.time() + 60, **changes}.items() if value is not None
    }
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def segment(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def spliced(**header: Any) -> str:
    """Return a token with a header of our choice over a good one's claims and signature."""
    _, claims, signature = token().split(".")
    return ".".join((segment({"alg": "RS256", "kid": "r1", "typ": "JWT"} | header), claims, signature))


def pem(key: Any) -> bytes:
    """Return the public key as an attacker would use it as a secret."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def confused(secret: bytes) -> str:
    """Return a token signed by HMAC with something public as its secret; libraries refuse to make one."""
    signed = f"{segment({'alg': 'HS256', 'kid': 'r1', 'typ': 'JWT'})}.{segment({**CLAIMS, 'exp': time.time() + 60})}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        provider.keys = [published(RSA, "r1"), published(EC, "e1")]
        yield provider


@pytest.fixture
def verifier(provider: IdentityProvider, clock: Clock) -> TokenVerifier:
    keys = PublishedKeys(provider.url, fresh_seconds=FRESH, expiry_seconds=EXPIRY, floor_seconds=FLOOR, clock=clock)
    return TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)


def refused(verifier: TokenVerifier, given: str) -> str:
    with pytest.raises(Problem) as caught:
        verifier.verify(given)
    assert caught.value.status == 401
    return caught.value.code


@pytest.mark.parametrize(("key", "key_id", "algorithm"), [(RSA, "r1", "RS256"), (EC, "e1", "ES256")])
def test_a_published_key_opens_the_door(verifier: TokenVerifier, key: Any, key_id: str, algorithm: str) -> None:
    assert verifier.verify(token(key, key_id, algorithm)).subject == "c-1"


FORGED: dict[str, Callable[[], str]] = {
    "no token": lambda: "abc",
    "two parts": lambda: token().rpartition(".")[0],
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "truncated signature": lambda: token()[:-4],
    "another token's signature": lambda: ".".join((*token().split(".")[:2], token(sub="c-2").split(".")[2])),
    "changed claims": lambda: ".".join(
        (token().split(".")[0], segment({**CLAIMS, "roles": ["admin"]}), token().split(".")[2])
    ),
    "another key under our id": lambda: token(OTHER_RSA),
    "another curve key under our id": lambda: token(OTHER_EC, "e1", "ES256"),
    "unknown key id": lambda: token(key_id="r9"),
    "no key id": lambda: token(key_id=None),
    "key id of another kind of key": lambda: token(RSA, "e1"),
    "curve key under the id of an RSA key": lambda: token(EC, "r1", "ES256"),
    "key id is a number": lambda: spliced(kid=1),
    "key id is a list": lambda: spliced(kid=["r1"]),
    "key id is a path": lambda: token(OTHER_RSA, "../../dev/null"),
    "key id is a URL": lambda: token(OTHER_RSA, "https://evil.test/keys"),
    "key id is SQL": lambda: token(OTHER_RSA, "r1' OR '1'='1"),
    "a key of its own in the header": lambda: token(OTHER_RSA, headers={"jwk": published(OTHER_RSA, "r1")}),
    "a key set of its own in the header": lambda: token(OTHER_RSA, headers={"jku": "https://evil.test/keys"}),
    "a certificate of its own in the header": lambda: token(
        OTHER_RSA, headers={"x5c": ["MIIB"], "x5u": "https://e.test"}
    ),
    "unknown critical extension": lambda: token(headers={"crit": ["exp2"], "exp2": 1}),
    "unsigned": lambda: jwt.encode({**CLAIMS, "exp": time.time() + 60}, "", "none", headers={"kid": "r1"}),
    "none in capitals": lambda: spliced(alg="NONE"),
    "no algorithm": lambda: spliced(alg=None),
    "public key as the secret": lambda: confused(pem(RSA)),
    "published modulus as the secret": lambda: confused(published(RSA, "r1")["n"].encode()),
    "an empty secret": lambda: confused(b""),
    "RS512": lambda: token(algorithm="RS512"),
    "PS256": lambda: token(algorithm="PS256"),
    "other issuer": lambda: token(iss="https://evil.test"),
    "no issuer": lambda: token(iss=None),
    "other audience": lambda: token(aud="another"),
    "no audience": lambda: token(aud=None),
    "no subject": lambda: token(sub=None),
    "no expiry": lambda: token(exp=None),
    "expired": lambda: token(exp=time.time() - 1),
    "not valid yet": lambda: token(nbf=time.time() + 3600),
    "an expiry that is a text": lambda: token(exp="tomorrow"),
}


@pytest.mark.parametrize("forged", FORGED)
def test_a_forged_token_is_refused(verifier: TokenVerifier, forged: str) -> None:
    code = refused(verifier, FORGED[forged]())
    assert code == ("expired_token" if forged == "expired" else "invalid_token")


@pytest.mark.parametrize(
    "unfit",
    [
        published(WEAK_RSA, "x"),
        published(P384, "x"),
        published(OTHER_RSA, "x", use="enc"),
        published(OTHER_RSA, "x", alg="RS512"),
        {"kty": "oct", "kid": "x", "k": "c2VjcmV0" * 8},
        {"kty": "unheard-of", "kid": "x"},
    ],
    ids=["weak", "another curve", "for encryption", "of another algorithm", "secret", "unheard-of"],
)
def test_a_published_key_that_is_not_for_us_opens_nothing_and_keeps_none_out(
    provider: IdentityProvider, verifier: TokenVerifier, unfit: dict[str, Any]
) -> None:
    provider.keys.append(unfit)
    signers = {"weak": (WEAK_RSA, "RS256"), "curve": (P384, "ES384")}
    key, algorithm = signers["curve"] if unfit.get("crv") == "P-384" else (OTHER_RSA, "RS256")
    assert refused(verifier, token(key, "x", algorithm)) == "invalid_token"
    assert verifier.verify(token()).subject == "c-1"


LEFT_OUT: dict[str, tuple[Any, str]] = {
    "secret without its secret": ({"kty": "oct", "kid": "x"}, "cannot be read (KeyError)"),
    "of no algorithm": (published(OTHER_RSA, "x", alg="none"), "cannot be read (NotImplementedError)"),
    "of several algorithms": (published(OTHER_RSA, "x", alg=["RS256"]), "cannot be read (TypeError)"),
    "broken": (published(OTHER_RSA, "x", n="AA"), "cannot be read (InvalidKeyError)"),
    "of an unheard-of kind": ({"kty": "unheard-of", "kid": "x"}, "cannot be read (InvalidKeyError)"),
    "weak": (published(WEAK_RSA, "x"), "an RSA key of 1024 bits, fewer than 2048"),
    "of another curve": (published(P384, "x"), "neither a public RSA key nor one of the curve P-256"),
    "for encryption": (published(OTHER_RSA, "x", use="enc"), "its use is 'enc', not 'sig'"),
    "of another algorithm": (published(OTHER_RSA, "x", alg="RS512"), "its algorithm is 'RS512', not 'RS256'"),
    "with an id that is a list": (published(OTHER_RSA, ["x"]), "its key id is no text"),
    "without an id": (published(OTHER_RSA, None), "its key id is no text"),
    "no object": ("x", "no JSON object"),
}


@pytest.mark.parametrize("unfit", LEFT_OUT)
def test_a_published_key_that_is_left_out_is_named_with_its_reason_and_the_others_open_the_door(
    provider: IdentityProvider, verifier: TokenVerifier, caplog: pytest.LogCaptureFixture, unfit: str
) -> None:
    key, reason = LEFT_OUT[unfit]
    caplog.set_level("INFO")
    provider.keys.insert(0, key)
    assert verifier.verify(token()).subject == "c-1"
    assert verifier.verify(token(EC, "e1", "ES256")).subject == "c-1"
    key_id = key.get("kid") if isinstance(key, dict) else None
    assert "jwks_fetched" in caplog.text
    assert str({"kid": key_id, "reason": reason}) in caplog.text.replace('\\"', '"')


def test_what_is_secret_in_a_published_key_is_not_logged(
    provider: IdentityProvider, verifier: TokenVerifier, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    provider.keys += [{"kid": "x", "k": "hunter2"}, {"kty": "oct", "kid": "y", "alg": "A256KW", "k": "hunter2"}]
    verifier.verify(token())
    assert "'kid': 'y'" in caplog.text
    assert "hunter2" not in caplog.text


def test_keys_are_fetched_once_and_kept(provider: IdentityProvider, verifier: TokenVerifier) -> None:
    for subject in ("a", "b", "c"):
        verifier.verify(token(sub=subject))
    assert provider.asked == 1


def test_a_new_key_opens_the_door_as_soon_as_it_is_published(
    provider: IdentityProvider, verifier: TokenVerifier, clock: Clock
) -> None:
    verifier.verify(token())
    provider.keys.append(published(OTHER_RSA, "r2"))
    clock.now += FLOOR
    assert verifier.verify(token(OTHER_RSA, "r2")).subject == "c-1"
    assert provider.asked == 2


def test_invented_key_ids_make_us_ask_once_in_a_while_only(
    provider: IdentityProvider, verifier: TokenVerifier, clock: Clock
) -> None:
    for n in range(50):
        refused(verifier, token(key_id=f"invented {n}"))
        clock.now += FLOOR / 25
    assert provider.asked == 2


def test_keys_are_fetched_anew_when_they_are_old_and_a_withdrawn_one_opens_no_more(
    provider: IdentityProvider, verifier: TokenVerifier, clock: Clock
) -> None:
    verifier.verify(token())
    del provider.keys[0]
    clock.now += FRESH + 1
    assert refused(verifier, token(sub="c-2")) == "invalid_token"
    assert verifier.verify(token(EC, "e1", "ES256")).subject == "c-1"


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b'{"keys": 7}', b'{"keys": []}', b'{"keys": [{"kty": "oct"}]}']
)
def test_while_the_provider_talks_nonsense_known_keys_go_on_until_they_expire(
    provider: IdentityProvider, verifier: TokenVerifier, clock: Clock, body: bytes
) -> None:
    verifier.verify(token())
    provider.body = body or b"\x00"
    clock.now += FRESH + 1
    assert verifier.verify(token(sub="c-2")).subject == "c-2"
    clock.now += EXPIRY
    with pytest.raises(KeysUnavailable):
        verifier.verify(token(sub="c-3"))


def test_while_the_provider_is_away_known_keys_go_on_until_they_expire(
    provider: IdentityProvider, verifier: TokenVerifier, clock: Clock
) -> None:
    verifier.verify(token())
    provider.leave()
    clock.now += FRESH + 1
    assert verifier.verify(token(sub="c-2")).subject == "c-2"
    clock.now += EXPIRY
    with pytest.raises(KeysUnavailable):
        verifier.verify(token(sub="c-3"))


def test_a_provider_that_was_away_at_the_start_is_asked_again(clock: Clock) -> None:
    with IdentityProvider() as provider:
        provider.body = b"starting"
        keys = PublishedKeys(provider.url, fresh_seconds=FRESH, expiry_seconds=EXPIRY, floor_seconds=FLOOR, clock=clock)
        verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE)
        with pytest.raises(KeysUnavailable):
            verifier.verify(token())
        provider.body, provider.keys = None, [published(RSA, "r1")]
        clock.now += FLOOR
        assert verifier.verify(token()).subject == "c-1"


def test_many_at_once_fetch_once(provider: IdentityProvider, verifier: TokenVerifier) -> None:
    found: list[str] = []
    tokens = [token(sub=f"c-{n}") for n in range(20)]
    threads = [threading.Thread(target=lambda t=t: found.append(verifier.verify(t).subject)) for t in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(f"c-{n}" for n in range(20))
    assert provider.asked == 1
