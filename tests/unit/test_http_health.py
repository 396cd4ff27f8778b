"""What a process says about itself."""

import pytest

from services.chassis.errors import (
    BrokerUnavailable,
    DatabaseUnavailable,
    OutcomeUnknown,
    RegistryAccessDenied,
    RegistryUnavailable,
    TransactionConflict,
)
from services.chassis.health import Health, Reason


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def reasons(health: Health) -> list[tuple[str, str]]:
    rows = health.readyz().body["reasons"]
    assert isinstance(rows, list)
    return [(row["component"], row["reason"]) for row in rows]


def test_a_process_that_reports_nothing_is_alive_and_ready(health: Health) -> None:
    assert health.livez().status == 200
    assert health.readyz().status == 200
    assert health.readyz().body == {"status": "ready", "reasons": []}


def test_a_thread_that_is_silent_for_too_long_is_named_as_stalled(health: Health, clock: Clock) -> None:
    health.expect("relay", max_silence=10)
    health.expect("consumer", max_silence=100)
    clock.now += 11
    assert health.livez().status == 503
    assert health.livez().body == {"status": "stalled", "threads": ["relay"]}


def test_a_beat_keeps_a_thread_alive(health: Health, clock: Clock) -> None:
    health.expect("relay", max_silence=10)
    clock.now += 9
    health.beat("relay")
    clock.now += 9
    assert health.livez().status == 200


def test_a_beat_of_a_thread_that_nobody_expects_is_no_error(health: Health, clock: Clock) -> None:
    health.beat("relay")
    clock.now += 1000
    assert health.livez().status == 200


def test_a_report_makes_the_process_not_ready_until_it_is_taken_back(health: Health) -> None:
    health.report("relay", Reason.OUTBOX_REJECTED)
    assert health.readyz().status == 503
    assert reasons(health) == [("relay", "outbox_rejected")]
    health.report("relay", None)
    assert health.readyz().status == 200


def test_every_reason_is_listed_with_its_component(health: Health) -> None:
    health.report("relay", Reason.BROKER_UNREACHABLE)
    health.report("consumer", Reason.SUSPECTED_BAD_DEPLOY)
    health.check("catalog", lambda: Reason.CATALOG_LOADING)
    assert reasons(health) == [
        ("consumer", "suspected_bad_deploy"),
        ("relay", "broker_unreachable"),
        ("catalog", "catalog_loading"),
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (DatabaseUnavailable("x"), "database_unreachable"),
        (OutcomeUnknown("x"), "database_unreachable"),
        (TransactionConflict("x"), "transaction_conflict"),
        (BrokerUnavailable("x"), "broker_unreachable"),
        (RegistryUnavailable("x"), "registry_unreachable"),
        (RegistryAccessDenied("x"), "registry_access_denied"),
    ],
)
def test_a_check_that_cannot_reach_its_server_is_a_reason(health: Health, error: Exception, reason: str) -> None:
    def check() -> None:
        raise error

    health.check("probe", check)
    assert reasons(health) == [("probe", reason)]


def test_checks_behind_an_unreachable_database_are_not_asked(health: Health) -> None:
    asked: list[str] = []
    health.check("database", lambda: Reason.DATABASE_UNREACHABLE)
    health.check("outbox", lambda: asked.append("outbox"))
    assert reasons(health) == [("database", "database_unreachable")]
    assert asked == []


def test_a_bug_in_a_check_is_not_taken_for_readiness(health: Health) -> None:
    health.check("broken", lambda: Reason("no such reason"))
    with pytest.raises(ValueError, match="no such reason"):
        health.readyz()


def test_a_process_that_goes_down_says_so_and_wakes_whoever_waits(health: Health) -> None:
    woken: list[bool] = []
    health.on_shutdown(lambda: woken.append(health.is_shutting_down))
    health.report("relay", Reason.BROKER_UNREACHABLE)
    assert not health.is_shutting_down
    health.shut_down()
    assert woken == [True]
    assert reasons(health) == [("process", "shutting_down")]
    assert health.livez().status == 200
