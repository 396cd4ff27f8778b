"""Who calls: tokens, roles, and what is told to whom they do not fit."""

import time

import jwt
import pytest

from services.chassis.errors import Problem
from services.chassis.http.auth import Caller, TokenVerifier, require_role
from services.chassis.http.keys import SharedSecret, VerificationKey
from services.chassis.http.roles import Role
from tests.support.toy_service import AUDIENCE, ISSUER, SECRET, token


class Clock:
    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def verifier(clock: Clock) -> TokenVerifier:
    return TokenVerifier(SharedSecret(SECRET), issuer=ISSUER, audience=AUDIENCE, clock=clock)


def refusal(verifier: TokenVerifier, authorization: str | None) -> Problem:
    with pytest.raises(Problem) as caught:
        verifier.caller_of(authorization)
    assert caught.value.status == 401
    return caught.value


def test_a_token_speaks_for_its_caller(verifier: TokenVerifier) -> None:
    given = token("vendor", "warehouse", vendor_id="v-1", locations=["main", "north"], email="a@b.example", sub="s-1")
    assert verifier.caller_of(f"Bearer {given}") == Caller(
        "s-1", frozenset({Role.VENDOR, Role.WAREHOUSE}), "v-1", frozenset({"main", "north"}), "a@b.example"
    )


def test_the_scheme_is_read_in_any_case(verifier: TokenVerifier) -> None:
    assert verifier.caller_of(f"bearer {token('admin')}").roles == {Role.ADMIN}


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer   ", "Basic dXNlcjpwdw=="])
def test_a_request_without_a_bearer_token_is_told_to_send_one(verifier: TokenVerifier, header: str | None) -> None:
    problem = refusal(verifier, header)
    assert problem.code == "missing_token"
    assert problem.headers["WWW-Authenticate"] == 'Bearer realm="oms"'


BROKEN = {
    "forged": token("admin", secret="another secret, also long enough for HS256"),
    "truncated": token("admin")[:-3],
    "no token at all": "abc",
    "other issuer": token("admin", iss="https://elsewhere.test"),
    "other audience": token("admin", aud="elsewhere"),
    "no issuer": token("admin", iss=None),
    "no audience": token("admin", aud=None),
    "no expiry": token("admin", exp=None),
    "no subject": token("admin", sub=None),
    "empty subject": token("admin", sub=""),
    "endless subject": token("admin", sub="x" * 129),
    "subject with NUL": token("admin", sub="a\x00b"),
    "not valid yet": token("admin", nbf=time.time() + 86_400),
    "roles are no list": token(roles="admin"),
    "roles are no strings": token(roles=[1]),
    "unsigned": jwt.encode(
        {"sub": "c-1", "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60, "roles": ["admin"]},
        "",
        algorithm="none",
    ),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_token_that_is_not_ours_is_refused(verifier: TokenVerifier, broken: str) -> None:
    problem = refusal(verifier, f"Bearer {BROKEN[broken]}")
    assert problem.code == "invalid_token"
    assert problem.headers["WWW-Authenticate"] == 'Bearer realm="oms", error="invalid_token"'


def test_even_the_right_secret_does_not_open_another_algorithm() -> None:
    claims = {"sub": "c-1", "iss": ISSUER, "aud": AUDIENCE, "exp": time.time() + 60}
    given = jwt.encode(claims, SECRET + SECRET, algorithm="HS512")
    both = TokenVerifier(SharedSecret(SECRET + SECRET), issuer=ISSUER, audience=AUDIENCE)
    assert refusal(both, f"Bearer {given}").code == "invalid_token"


def test_an_expired_token_has_a_code_of_its_own(verifier: TokenVerifier) -> None:
    assert refusal(verifier, f"Bearer {token('admin', exp=time.time() - 1)}").code == "expired_token"


def test_a_remembered_token_is_not_accepted_past_its_expiry(verifier: TokenVerifier, clock: Clock) -> None:
    given = token("admin", exp=clock.now + 30)
    verifier.verify(given)
    clock.now += 29
    verifier.verify(given)
    clock.now += 2
    assert refusal(verifier, f"Bearer {given}").code == "expired_token"


def test_a_withdrawn_key_opens_for_a_minute_at_most(clock: Clock) -> None:
    class Keys:
        key = SECRET

        def key_of(self, token: str) -> VerificationKey:  # noqa: ARG002
            return VerificationKey(self.key, "HS256")

    keys = Keys()
    verifier = TokenVerifier(keys, issuer=ISSUER, audience=AUDIENCE, clock=clock)
    given = token("admin", exp=clock.now + 3600)
    verifier.verify(given)
    keys.key = "another secret, also long enough for HS256"
    clock.now += 59
    verifier.verify(given)
    clock.now += 2
    assert refusal(verifier, f"Bearer {given}").code == "invalid_token"


def test_memory_for_tokens_is_bounded(verifier: TokenVerifier, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.chassis.http.auth._REMEMBERED_MAX", 10)
    for number in range(25):
        verifier.verify(token("customer", sub=f"c-{number}"))
    assert len(verifier._remembered) <= 10


def test_an_issuer_whose_clock_is_ahead_is_still_understood(verifier: TokenVerifier) -> None:
    assert verifier.verify(token("customer", iat=time.time() + 5)).subject == "c-1"


def test_a_vendor_without_a_vendor_id_is_no_vendor(verifier: TokenVerifier) -> None:
    assert verifier.verify(token("vendor", "customer")).roles == {Role.CUSTOMER}


def test_roles_of_other_applications_are_ignored(verifier: TokenVerifier) -> None:
    assert verifier.verify(token("customer", "accountant")).roles == {Role.CUSTOMER}


def test_a_caller_without_an_allowed_role_is_told_which_are() -> None:
    with pytest.raises(Problem) as caught:
        require_role(Caller("c-1", frozenset({Role.CUSTOMER})), {Role.ADMIN, Role.SERVICE})
    assert (caught.value.status, caught.value.code) == (403, "forbidden_role")
    assert caught.value.detail == "allowed roles: admin, service; roles of this token: customer"
    assert caught.value.extra == {"allowed_roles": ["admin", "service"]}


def test_one_allowed_role_is_enough() -> None:
    caller = Caller("c-1", frozenset({Role.CUSTOMER, Role.ADMIN}))
    require_role(caller, {Role.ADMIN})
    assert caller.has(Role.ADMIN, Role.SERVICE)
    assert not caller.has(Role.VENDOR)
