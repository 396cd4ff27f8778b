"""Tells when the end of a partition has been reached that was looked up some seconds ago.

The end is asked of the broker, never taken from the client's cache: while a broker is away or frozen the cache
goes on saying what was true before. "Caught up as of t" therefore means: at t the end was looked up, and everything
before it has been handled or parked since.

Two faults of the client are met here. A question that the broker did not answer in time comes back without an error,
with an offset below zero: taken for an end, it would count as reached. And the client asks with the leader's epoch
that it knows, which a broker that was away or frozen refuses, for a quarter of an hour until the client looks it up
by itself: so after a failure it is made to.
"""

import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from services.chassis.errors import BrokerUnavailable

# A little less than an idle consumer's poll, after which it asks.
_EVERY_SECONDS = 0.9
_REFRESH_SECONDS = 1.0
Place = tuple[str, int]


class EndOffsets:
    """Watches the partitions that one consumer has.

    Args:
        admin: the client that asks the broker.

    Attributes:
        broker_answers: whether the broker answered when it was asked last.

    """

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin
        self._positions: dict[Place, int] = {}
        self._targets: dict[Place, tuple[int, float]] = {}
        self._asked: dict[Place, Future[Any]] = {}
        self._asked_at = 0.0
        self.broker_answers = True

    def assigned(self, positions: dict[Place, int]) -> None:
        """Begin to watch partitions; the position is the next offset to read, 0 where it is not known."""
        self._positions.update(positions)

    def revoked(self, places: list[Place]) -> None:
        """Watch these partitions no more."""
        for place in places:
            self._positions.pop(place, None)
            self._targets.pop(place, None)

    def moved(self, positions: dict[Place, int]) -> None:
        """Everything before these offsets has been handled or parked, or holds no records."""
        for place, offset in positions.items():
            if place in self._positions:
                self._positions[place] = max(self._positions[place], offset)

    def caught_up(self) -> dict[Place, float]:
        """Return, for each partition that has reached a looked-up end, when that look was (`time.monotonic`).

        A moment and not an age, since the caller may have to wait for a database before it can write it down.
        The question to the broker is sent in one call and its answer taken in a later one, which asks the next; only
        after a failure the broker is waited for, a second at most.
        """
        now = time.monotonic()
        if self._asked:
            self._take_answers()
        looks = {place: asked_at for place, (end, asked_at) in self._targets.items() if self._positions[place] >= end}
        for place in looks:
            del self._targets[place]
        if not self._asked and now - self._asked_at >= _EVERY_SECONDS:
            self._ask(now)
        return looks

    def _ask(self, now: float) -> None:
        wanted = [place for place in self._positions if place not in self._targets]
        self._asked_at = now
        if not wanted or not (self.broker_answers or self._refresh()):
            return
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client does not annotate it
        places = {TopicPartition(*place): latest for place in wanted}
        answers = self._admin.list_offsets(places, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=5)
        self._asked = {(place.topic, place.partition): answer for place, answer in answers.items()}

    def _refresh(self) -> bool:
        """Make the client look up who leads the partitions, and return whether the broker told it."""
        try:
            self._admin.list_topics(timeout=_REFRESH_SECONDS)
        except KafkaException:
            return False
        return True

    def _take_answers(self) -> None:
        if not all(answer.done() for answer in self._asked.values()):
            return
        self.broker_answers = True
        for place, answer in self._asked.items():
            try:
                end = end_of(answer)
            except BrokerUnavailable:
                # Nothing is known about the end, so nothing is claimed about it.
                self.broker_answers = False
                continue
            if place in self._positions:
                self._targets[place] = (end, self._asked_at)
        self._asked = {}


def end_of(answer: "Future[Any]") -> int:
    """Return the end of a partition from an answer to `list_offsets`, waiting for it.

    Raises:
        BrokerUnavailable: the broker did not answer, or does not lead the partition.

    """
    try:
        offset = int(answer.result().offset)
    except KafkaException as error:
        raise BrokerUnavailable(str(error)) from error
    if offset < 0:
        raise BrokerUnavailable("no answer in time")
    return offset
