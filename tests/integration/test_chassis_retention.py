"""The inbox outlives the log, by the broker's own settings: else a replay could handle an event twice."""

from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from services.chassis.errors import SchemaMismatch
from services.chassis.retention import require_inbox_outlives_log
from tests.support.kafka_log import configure_topic
from tests.support.servers import fresh_topics

DAY_MS = 86_400_000


@pytest.fixture
def topic(kafka_server: str) -> Iterator[str]:
    with fresh_topics(kafka_server, "kept") as (name,):
        configure_topic(kafka_server, name, "retention.ms", str(14 * DAY_MS))
        configure_topic(kafka_server, name, "segment.ms", str(DAY_MS))
        yield name


@pytest.fixture
def admin(kafka_server: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka_server})


def test_an_inbox_that_remembers_longer_than_the_log_is_accepted(admin: AdminClient, topic: str) -> None:
    require_inbox_outlives_log(admin, [topic], 16, refuse=True)


def test_an_inbox_that_forgets_before_the_log_is_refused_with_both_numbers(admin: AdminClient, topic: str) -> None:
    with pytest.raises(SchemaMismatch, match=r"up to 16 days, INBOX_RETENTION_DAYS is 15\.9"):
        require_inbox_outlives_log(admin, [topic], 15.9, refuse=True)


def test_a_topic_that_keeps_events_for_ever_is_refused(admin: AdminClient, topic: str, kafka_server: str) -> None:
    configure_topic(kafka_server, topic, "retention.ms", "-1")
    with pytest.raises(SchemaMismatch, match="up to inf days"):
        require_inbox_outlives_log(admin, [topic], 10_000, refuse=True)


def test_where_the_setting_says_so_it_is_only_said_loudly(
    admin: AdminClient, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    require_inbox_outlives_log(admin, [topic], 1, refuse=False)
    assert "inbox_forgets_before_the_log" in caplog.text
