"""Holds a consumer back until another one has read its topics to the end they had when we started.

So an order is never refused for a SKU whose publication already lies in the log.
"""

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec

from services.chassis import inbox
from services.chassis.connection import Engine
from services.chassis.database import transaction
from services.chassis.end_offsets import Place, end_of
from services.chassis.errors import BrokerUnavailable


class ReadToEnd:
    """A gate that opens once.

    Args:
        admin: asks the broker for the ends.
        engine: the database in which the other consumer records its positions, whichever instance runs it.
        topics: name of the other consumer → its topics; empty: open at once.

    """

    def __init__(self, admin: AdminClient, engine: Engine, topics: Mapping[str, Sequence[str]]) -> None:
        self._admin = admin
        self._engine = engine
        self._topics = topics
        self._ends: dict[str, dict[Place, int]] | None = None

    def __call__(self) -> bool:
        """Return whether every partition has been read up to the end that it had at the first call.

        Raises:
            TransientError: it cannot be told yet.

        """
        if not self._topics:
            return True
        if self._ends is None:
            self._ends = {consumer: end_offsets(self._admin, topics) for consumer, topics in self._topics.items()}
        with transaction(self._engine) as connection:
            for consumer, ends in self._ends.items():
                read = inbox.read_progress(connection, consumer)
                if any(read.get(place, 0) < end for place, end in ends.items()):
                    return False
        return True


def partitions_of(admin: AdminClient, topics: Sequence[str]) -> list[Place]:
    """Return every partition of the topics.

    Raises:
        BrokerUnavailable: the broker does not answer, or does not know a topic (yet).

    """
    try:
        known = admin.list_topics(timeout=5).topics
    except KafkaException as error:
        raise BrokerUnavailable(str(error)) from error
    missing = [topic for topic in topics if topic not in known]
    if missing:
        raise BrokerUnavailable(f"the cluster does not know the topics {missing}; are they created?")
    return [(topic, partition) for topic in topics for partition in known[topic].partitions]


def end_offsets(admin: AdminClient, topics: Sequence[str]) -> dict[Place, int]:
    """Return the next offset to be written of every partition of the topics.

    Raises:
        BrokerUnavailable: the broker does not answer.

    """
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # the client does not annotate it
    places = {TopicPartition(*place): latest for place in partitions_of(admin, topics)}
    answers = admin.list_offsets(places, request_timeout=5)
    return {(place.topic, place.partition): end_of(answer) for place, answer in answers.items()}
