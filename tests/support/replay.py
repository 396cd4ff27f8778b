"""Reads every topic again from offset 0, by the services' own consumers, as after a loss of the groups' offsets.

A consumer begins at the lower of Kafka's committed offset and its own position in the database; so Kafka's are set
back while the workers are down.
"""

from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local.state import SERVICES
from tests.support.eventually import eventually
from tests.support.running_shop import Shop

_SECONDS = 60.0
# Group -> the topics that it reads.
GROUPS = {
    "order": ("inventory.events.v1", "inventory.stock.v1", "notification.events.v1", "order.requests.v1"),
    "order-catalog": ("catalog.variants.v1",),
    "inventory": ("order.events.v1",),
    "notification": ("order.events.v1", "inventory.stock.v1"),
}


class Groups:
    """The committed offsets of the services' consumer groups."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._admin = AdminClient({"bootstrap.servers": shop.stack.kafka.bootstrap_servers})

    def committed(self, group: str) -> dict[tuple[str, int], int]:
        """Return the next offset to be read of each partition that the group has committed."""
        asked: Any = self._admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])
        places = asked[group].result(timeout=10).topic_partitions
        return {(place.topic, place.partition): place.offset for place in places if place.offset >= 0}

    def rewind(self, group: str) -> int:
        """Set a group back to the beginning of its topics; return how many partitions that were."""
        ends = self._shop.log.ends()
        places = [TopicPartition(topic, partition, 0) for topic, partition in ends if topic in GROUPS[group]]
        asked: Any = self._admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, places)])
        for place in asked[group].result(timeout=10).topic_partitions:
            assert place.error is None, place.error
        return len(places)

    def await_read(self) -> None:
        """Wait until every group has read all that is in its topics by now."""
        ends = self._shop.log.ends()

        def read() -> None:
            for group, topics in GROUPS.items():
                done = self.committed(group)
                left = {at: end for at, end in ends.items() if at[0] in topics and done.get(at, 0) < end}
                assert not left, f"{group} has not read {left}"

        eventually(read, within=_SECONDS)


def replay_everything(shop: Shop) -> None:
    """Stop the workers, set every group back to offset 0, start them, and wait until all is read again."""
    groups = Groups(shop)
    workers = [f"{service}-worker" for service in SERVICES]
    for worker in workers:
        shop.processes.stop(worker)
    for group in GROUPS:
        eventually(lambda group=group: _rewound(groups, group), within=20)
    for worker in workers:
        shop.processes.start_again(worker)
    shop.stack.await_ready(*workers)
    groups.await_read()


def _rewound(groups: Groups, group: str) -> None:
    """Set a group back; it cannot be before the broker has noticed that its last member left."""
    try:
        groups.rewind(group)
    except KafkaException as error:
        raise AssertionError(f"{group}: {error}") from error
