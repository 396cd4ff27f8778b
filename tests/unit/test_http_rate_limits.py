"""Rate limits: who is held to which, what a refusal says, and that counters are forgotten."""

import threading
import time
from dataclasses import replace
from typing import Any, NoReturn

import pytest
from limits import parse

from services.chassis.errors import Problem, SettingsError
from services.chassis.health import Health
from services.chassis.http.application import EXTENSION
from services.chassis.http.assembly import assemble
from services.chassis.http.auth import Caller
from services.chassis.http.rate_limits import RateLimits
from services.chassis.http.roles import Role, RouteClass
from services.chassis.runtime import Runtime
from services.chassis.settings import load_settings
from services.order.bootstrap import SERVICE
from tests.support.toy_service import AUDIENCE, BOX, ISSUER, SECRET, make_app, make_application, token

BOXES = "/api/v1/boxes/"
CUSTOMER, VENDOR, ADMIN = Role.CUSTOMER, Role.VENDOR, Role.ADMIN
# Made now: what they say of their end is compared with the real clock.
ADA, BEN = ({"Authorization": f"Bearer {token('customer', sub=name)}"} for name in ("ada", "ben"))
# A window of any length up to a day has begun just before.
MIDNIGHT = 1_800_057_600.0 + 0.5


class Clock:
    """The library's clock, which stands still."""

    now = MIDNIGHT

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time", made)
    return made


def limits(**rates: str) -> RateLimits:
    return RateLimits({(Role(role), None): parse(rate) for role, rate in rates.items()})


def caller(*roles: Role, subject: str = "ada") -> Caller:
    return Caller(subject, frozenset(roles))


def taken(counted: RateLimits, who: Caller, tries: int) -> int:
    """Return how many of so many requests are taken."""
    return sum(refusal(counted, who) is None for _ in range(tries))


def refusal(counted: RateLimits, who: Caller) -> Problem | None:
    try:
        counted.count(who, RouteClass.READ)
    except Problem as problem:
        return problem
    return None


def test_a_caller_is_refused_from_the_limit_on_with_the_limit_and_the_time_to_wait(clock: Clock) -> None:
    counted = limits(customer="3/minute")
    clock.now += 20
    assert taken(counted, caller(CUSTOMER), 3) == 3

    refused = refusal(counted, caller(CUSTOMER))

    assert refused is not None
    room = {"RateLimit-Limit": "3", "RateLimit-Remaining": "0", "RateLimit-Reset": "40"}
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert refused.headers == {"Retry-After": "40", **room}
    assert "role customer is 3 per 1 minute" in refused.detail


@pytest.mark.parametrize("rate", ["3/minute", "7/minute", "1/second", "2/5second", "100/hour"])
@pytest.mark.parametrize("since", [0.0, 0.25, 32.8])
def test_whoever_waits_as_long_as_they_are_told_is_taken(clock: Clock, rate: str, since: float) -> None:
    counted = limits(customer=rate)
    clock.now += since
    # Over more than two windows, so that the one before has its weight too.
    for _ in range(300):
        refused = refusal(counted, caller(CUSTOMER))
        if refused is not None:
            wait = int(refused.headers["Retry-After"])
            assert wait >= 1
            clock.now += wait
            assert refusal(counted, caller(CUSTOMER)) is None


def test_no_two_windows_one_after_the_other_add_up_to_twice_the_limit(clock: Clock) -> None:
    counted = limits(customer="10/minute")
    clock.now += 59
    assert taken(counted, caller(CUSTOMER), 20) == 10
    clock.now += 2
    assert taken(counted, caller(CUSTOMER), 20) == 1


def test_callers_are_counted_one_by_one() -> None:
    counted = limits(customer="2/minute")
    assert taken(counted, caller(CUSTOMER), 5) == 2
    assert taken(counted, caller(CUSTOMER, subject="ben"), 5) == 2


@pytest.mark.parametrize(
    ("roles", "room"),
    [
        ([CUSTOMER], 2),
        ([VENDOR], 5),
        ([CUSTOMER, VENDOR], 5),
        # More an hour, but fewer a minute.
        ([CUSTOMER, Role.WAREHOUSE], 2),
        ([ADMIN], 9),
        ([CUSTOMER, ADMIN], 9),
    ],
)
def test_the_most_generous_role_decides_and_one_without_a_limit_frees_from_all(roles: list[Role], room: int) -> None:
    counted = limits(customer="2/minute", vendor="5/minute", warehouse="60/hour")
    assert taken(counted, caller(*roles), 9) == room


def test_callers_that_are_gone_are_forgotten(clock: Clock) -> None:
    counted = limits(customer="2/minute")
    counters: Any = counted._counters.storage
    for n in range(1000):
        counted.count(caller(CUSTOMER, subject=f"c-{n}"), RouteClass.READ)
    assert len(counters.storage) == 1000
    clock.now += 121
    counted.count(caller(CUSTOMER, subject="late"), RouteClass.READ)
    kept = (counters.storage, counters.expirations, counters.locks, counters.events)
    assert [len(each) for each in kept] == [1, 1, 0, 0]


def test_counting_starts_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = limits(customer="2/minute")
    # The library starts one at its beginning.
    counters: Any = counted._counters.storage
    counters.timer.join()

    def none(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a thread for a request")

    monkeypatch.setattr(threading, "Thread", none)
    monkeypatch.setattr(threading, "Timer", none)
    assert taken(counted, caller(CUSTOMER), 5) == 2


def test_a_request_above_the_limit_is_refused_before_anything_is_done() -> None:
    application = replace(make_application(), rate_limits=limits(customer="2/minute"))
    client = make_app(application).test_client()
    assert [client.post(BOXES, json=BOX, headers=ADA).status_code for _ in range(2)] == [201, 201]

    refused = client.post(BOXES, json=BOX, headers=ADA)

    assert (refused.status_code, refused.content_type) == (429, "application/problem+json")
    assert (refused.get_json()["code"], refused.headers["Retry-After"]) == ("rate_limited", "60")
    # Neither a body that is wrong nor another endpoint is looked at any more; other callers are.
    assert client.post(BOXES, json={}, headers=ADA).status_code == 429
    assert client.get(f"{BOXES}b1/", headers=ADA).status_code == 429
    assert len(client.get(BOXES, headers=BEN).get_json()["data"]) == 2


def test_a_request_that_its_role_forbids_does_not_count() -> None:
    application = replace(make_application(), rate_limits=limits(customer="1/minute"))
    client = make_app(application).test_client()
    assert [client.delete(f"{BOXES}b1/", headers=ADA).status_code for _ in range(3)] == [403, 403, 403]
    assert client.get(BOXES, headers=ADA).status_code == 200


def test_reading_writing_and_bulk_are_counted_apart_where_they_have_limits_of_their_own() -> None:
    rates = {(CUSTOMER, None): "5/minute", (CUSTOMER, RouteClass.WRITE): "2/minute"}
    counted = RateLimits({key: parse(rate) for key, rate in rates.items()})
    ada = caller(CUSTOMER)
    for _ in range(2):
        counted.count(ada, RouteClass.WRITE)
    with pytest.raises(Problem, match="role customer for write is 2 per 1 minute"):
        counted.count(ada, RouteClass.WRITE)
    # What has no limit of its own shares that of the role.
    left = [counted.count(ada, RouteClass.BULK if n % 2 else RouteClass.READ) for n in range(5)]
    assert [room and room.remaining for room in left] == [4, 3, 2, 1, 0]
    with pytest.raises(Problem, match="role customer is 5 per 1 minute"):
        counted.count(ada, RouteClass.READ)


def test_every_answer_says_what_is_left() -> None:
    application = replace(make_application(), rate_limits=limits(customer="2/minute"))
    client = make_app(application).test_client()
    told = [client.get(BOXES, headers=ADA).headers for _ in range(3)]
    assert [headers["RateLimit-Remaining"] for headers in told] == ["1", "0", "0"]
    assert {headers["RateLimit-Limit"] for headers in told} == {"2"}
    assert "RateLimit-Limit" not in client.get("/livez").headers


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("customer.delete=2/minute", "the classes read, write, bulk"),
        ("king=2/minute", "the roles are customer"),
        ("customer.write=often", "is no rate"),
    ],
)
def test_a_limit_of_something_that_there_is_not_is_refused_with_the_valid_values(value: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        order_app(rate_limits=value)


def order_app(**settings: str) -> Any:
    values = {
        "database_url": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "jwt_secret": SECRET,
        "jwt_issuer": ISSUER,
        "jwt_audience": AUDIENCE,
        "_env_file": None,
    }
    return assemble(Runtime(SERVICE, load_settings(SERVICE.settings, {**values, **settings}), Health()))


def test_the_setting_limits_the_endpoints_of_a_service() -> None:
    client = order_app(rate_limits="customer=2/minute").test_client()
    # Refused before the database is asked.
    answers = [client.get("/api/v1/orders/?foo=1", headers=ADA) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 400, 429]


def test_calls_are_of_the_class_that_they_are_meant_for() -> None:
    rates = "service.read=3/minute,service.write=2/minute,service.bulk=1/minute,admin.bulk=1/minute"
    client = order_app(rate_limits=rates).test_client()
    # Refused for what they are, before the database is asked.
    for role, method, path, most in (
        ("service", "POST", "/api/v1/orders/bulk/", 1),
        ("admin", "POST", "/api/v1/orders/bulk-update/", 1),
        ("service", "POST", "/api/v1/orders/", 2),
        ("service", "GET", "/api/v1/orders/?foo=1", 3),
    ):
        headers = {"Authorization": f"Bearer {token(role)}"}
        answers = [client.open(path, method=method, headers=headers).status_code for _ in range(most + 1)]
        assert answers == [*[400] * most, 429], path


def test_with_none_as_the_setting_nothing_is_counted() -> None:
    assert order_app(rate_limits="none").extensions[EXTENSION].rate_limits is None


def statuses(client: Any, *addresses: str, forwarded: str | None = None) -> list[int]:
    """Open a stream by a ticket once from each address; 503, since there is no database here, or 429."""
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    path = "/api/v1/orders/stream/anything/"
    return [
        client.get(path, headers=headers, environ_overrides={"REMOTE_ADDR": address}).status_code
        for address in addresses
    ]


def test_who_calls_without_a_token_is_counted_by_address() -> None:
    client = order_app(rate_limits="anonymous=2/minute").test_client()
    assert statuses(client, *["192.0.2.1"] * 3, "192.0.2.2") == [503, 503, 429, 503]
    # What a caller says of itself moves nothing.
    assert statuses(client, "192.0.2.1", forwarded="192.0.2.9") == [429]


def test_behind_proxies_the_address_is_what_the_outermost_of_ours_saw() -> None:
    client = order_app(rate_limits="anonymous=1/minute", trusted_proxies="2").test_client()
    assert statuses(client, "10.0.0.1", forwarded="192.0.2.1, 10.0.0.2") == [503]
    assert statuses(client, "10.0.0.1", forwarded="203.0.113.7, 192.0.2.1, 10.0.0.2") == [429]
    assert statuses(client, "10.0.0.1", forwarded="192.0.2.2, 10.0.0.2") == [503]
    # Who did not come through both is counted by where they came from.
    assert statuses(client, "10.0.0.9", "10.0.0.9", forwarded="192.0.2.1") == [503, 429]
