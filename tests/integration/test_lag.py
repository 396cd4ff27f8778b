"""What a process says of how far it is behind: about the partitions that are its own, whatever it had before."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from confluent_kafka import Consumer
from prometheus_client import REGISTRY

from services.chassis import kafka
from services.chassis.events import Record, new_id
from services.chassis.lag import Lag
from services.chassis.settings import ServiceSettings
from tests.support.eventually import eventually
from tests.support.groups import commit, members
from tests.support.kafka_log import write_records
from tests.support.servers import fresh_topics
from tests.support.threads import running

SHARED, OWN = 4, 2
WAITING = 10


class HastyConsumer(Consumer):
    """A real consumer that tells its statistics more often than every fifteen seconds."""

    def __init__(self, conf: dict[str, Any]) -> None:
        super().__init__({**conf, "statistics.interval.ms": 100})


@pytest.fixture
def topics(kafka_server: str) -> Iterator[tuple[str, str]]:
    """A topic that members who join take from the first one, and one that only the first one reads."""
    with (
        fresh_topics(kafka_server, "shared", partitions=SHARED) as (shared,),
        fresh_topics(kafka_server, "own", partitions=OWN) as (own,),
    ):
        yield shared, own


def settings_of(bootstrap_servers: str, protocol: str) -> ServiceSettings:
    values: dict[str, Any] = {
        "_env_file": None,
        "database_url": "postgresql+psycopg2://nobody@127.0.0.1:1/none",
        "kafka_bootstrap_servers": bootstrap_servers,
        "kafka_group_protocol": protocol,
        "jwt_secret": "a secret for tests that is long enough",
        "jwt_issuer": "https://issuer.test",
        "jwt_audience": "oms",
        "http_port": 1,
        "metrics_port": 1,
    }
    return ServiceSettings(**values)


def member(
    settings: ServiceSettings, group: str, topics: list[str], statistics: Callable[[str], None] = lambda _: None
) -> Callable[[threading.Event], None]:
    """Return the loop of a consumer that takes records and handles none."""

    def run(stop: threading.Event) -> None:
        consumer = kafka.make_consumer(settings, group, statistics)
        consumer.subscribe(topics)
        while not stop.is_set():
            consumer.poll(0.05)
        consumer.close()

    return run


def shown(metric: str, topic: str) -> float | None:
    return REGISTRY.get_sample_value(f"oms_consumer_lag_{metric}", {"topic": topic})


def behind(messages: dict[str, float | None]) -> None:
    assert {topic: shown("messages", topic) for topic in messages} == messages
    assert all((shown("seconds", topic) is None) == (count is None) for topic, count in messages.items())


def evenly_shared(bootstrap_servers: str, group: str) -> None:
    assert set(members(bootstrap_servers, group).values()) == {OWN, SHARED // 2}


@pytest.mark.parametrize("protocol", ["consumer", "classic"])
def test_partitions_that_went_to_another_process_are_no_lag_of_ours(
    kafka_server: str, topics: tuple[str, str], protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members who read one topic only join one by one, and take it from the first, who keeps the other topic."""
    monkeypatch.setattr(kafka, "Consumer", HastyConsumer)
    (shared, own), group, settings = topics, f"lag-{new_id()}", settings_of(kafka_server, protocol)
    places = [(shared, n) for n in range(SHARED)] + [(own, n) for n in range(OWN)]
    commit(kafka_server, group, dict.fromkeys(places, 0))
    write_records(kafka_server, [Record(*place, 0, None, b"", (), 0) for place in places for _ in range(WAITING)])

    with running(member(settings, group, list(topics), Lag().statistics)):
        eventually(lambda: behind({shared: SHARED * WAITING, own: OWN * WAITING}), within=20)
        with ExitStack() as others:
            others.enter_context(running(member(settings, group, [shared])))
            eventually(lambda: behind({shared: WAITING, own: OWN * WAITING}), within=20)
            others.enter_context(running(member(settings, group, [shared])))
            eventually(lambda: behind({shared: None, own: OWN * WAITING}), within=20)
            # Who leaves in the middle of a rebalance is missed only after its session.
            eventually(lambda: evenly_shared(kafka_server, group), within=20)
        eventually(lambda: behind({shared: SHARED * WAITING, own: OWN * WAITING}), within=20)
