"""What the benchmark asks of the broker while the saga runs."""

from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from services.chassis.catalog_gate import end_offsets, partitions_of


class Broker:
    """Answers without touching the databases.

    Args:
        bootstrap_servers: its address.

    """

    def __init__(self, bootstrap_servers: str) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})

    def records(self, topic: str) -> int:
        """Return how many records a topic holds; nothing is deleted in the time of a run."""
        return sum(end_offsets(self._admin, [topic]).values())

    def have_partitions(self, groups: Mapping[str, Sequence[str]]) -> bool:
        """Tell whether the members of each consumer group have all partitions of the topics that it reads."""
        futures = self._admin.describe_consumer_groups(list(groups))
        try:
            described = {name: future.result() for name, future in futures.items()}
        except KafkaException:
            return False  # a group that nobody has joined yet
        assigned = {
            name: sum(len(member.assignment.topic_partitions) for member in group.members)
            for name, group in described.items()
        }
        return assigned == {name: len(partitions_of(self._admin, topics)) for name, topics in groups.items()}
