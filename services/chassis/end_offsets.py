"""Tells when the end of a partition has been reached that was looked up some seconds ago (DESIGN 2.6).

The end is asked of the broker, never taken from the client's cache: while a broker is away or frozen the cache
goes on saying what was true before. "Caught up as of t" therefore means: at t the end was looked up, and everything
before it has been handled or parked since.
"""

import time
from concurrent.futures import Future
from typing import Any

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

_EVERY_SECONDS = 1.0
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
        Never blocks: the question to the broker is sent in one call and its answer taken in a later one.
        """
        now = time.monotonic()
        if self._asked:
            self._take_answers()
        elif now - self._asked_at >= _EVERY_SECONDS:
            self._ask(now)
        looks = {place: asked_at for place, (end, asked_at) in self._targets.items() if self._positions[place] >= end}
        for place in looks:
            del self._targets[place]
        return looks

    def _ask(self, now: float) -> None:
        wanted = [place for place in self._positions if place not in self._targets]
        self._asked_at = now
        if not wanted:
            return
        latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client does not annotate it
        places = {TopicPartition(*place): latest for place in wanted}
        answers = self._admin.list_offsets(places, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=5)
        self._asked = {(place.topic, place.partition): answer for place, answer in answers.items()}

    def _take_answers(self) -> None:
        if not all(answer.done() for answer in self._asked.values()):
            return
        self.broker_answers = True
        for place, answer in self._asked.items():
            try:
                end = answer.result().offset
            except KafkaException:
                # The broker is away: nothing is known about the end, so nothing is claimed about it.
                self.broker_answers = False
                continue
            if place in self._positions:
                self._targets[place] = (end, self._asked_at)
        self._asked = {}
