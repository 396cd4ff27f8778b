"""That the end of a partition was reached: asked of a real Kafka, a look after the other."""

import time
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from services.chassis import end_offsets
from services.chassis.end_offsets import EndOffsets, Place
from services.chassis.events import Record
from tests.support.kafka_log import write_records
from tests.support.servers import fresh_topics

PARTITIONS = 2
# Longer than the broker needs for an answer.
LOOK_SECONDS = 0.5


@pytest.fixture
def places(kafka_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Place]]:
    monkeypatch.setattr(end_offsets, "_EVERY_SECONDS", 0.9 * LOOK_SECONDS)
    with fresh_topics(kafka_server, "ends", partitions=PARTITIONS) as (topic,):
        yield [(topic, partition) for partition in range(PARTITIONS)]


@pytest.fixture
def ends(kafka_server: str, places: list[Place]) -> EndOffsets:
    ends = EndOffsets(AdminClient({"bootstrap.servers": kafka_server}))
    ends.assigned(dict.fromkeys(places, 0))
    return ends


def look(ends: EndOffsets) -> dict[Place, float]:
    time.sleep(LOOK_SECONDS)
    return ends.caught_up()


def test_who_is_idle_at_the_end_hears_so_at_every_look_but_the_first(ends: EndOffsets, places: list[Place]) -> None:
    assert look(ends) == {}
    heard = [look(ends) for _ in range(4)]
    assert [sorted(moments) for moments in heard] == [places] * 4
    moments = [min(each.values()) for each in heard]
    assert moments == sorted(set(moments)), "each one tells of a later moment"
    assert time.monotonic() - moments[-1] < 2 * LOOK_SECONDS + 0.2


def test_who_is_behind_hears_nothing_until_the_end_that_was_asked_for_is_reached(
    ends: EndOffsets, places: list[Place], kafka_server: str
) -> None:
    behind, idle = places
    write_records(kafka_server, [Record(*behind, 0, b"key", b"value", (), 0) for _ in range(3)])
    look(ends)
    assert sorted(look(ends)) == [idle]
    ends.moved({behind: 2})
    assert sorted(look(ends)) == [idle]
    ends.moved({behind: 3})
    assert sorted(look(ends)) == sorted(places)
    ends.revoked([behind])
    assert sorted(look(ends)) == [idle]
