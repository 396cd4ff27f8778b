"""Consumer groups as the cluster knows them, and a service's consumers as its worker starts them."""

from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from services.chassis import inbox
from services.chassis.catalog_gate import partitions_of
from services.chassis.consumer import Consumer
from services.chassis.database import transaction
from services.chassis.runtime import Runtime
from tests.support.eventually import eventually

Place = tuple[str, int]


def consumer_of(runtime: Runtime[Any, Any], name: str | None = None) -> Consumer[Any]:
    """Return a consumer, the last one of the service or that of a name, once its partitions are noted."""
    (*_, subscription) = [s for s in runtime.subscriptions if name in (None, s.consumer)]
    places = partitions_of(runtime.admin, subscription.topics)
    with transaction(runtime.engine) as connection:
        positions = [inbox.Position(topic, partition, 0) for topic, partition in places]
        inbox.note_partitions(connection, subscription.consumer, positions)
    return runtime.consumer(subscription)


def committed(bootstrap_servers: str, group: str) -> dict[Place, int]:
    """Return the offsets that a group has committed to Kafka."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    (answer,) = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)]).values()
    return {(place.topic, place.partition): place.offset for place in answer.result().topic_partitions}


def commit(bootstrap_servers: str, group: str, offsets: dict[Place, int]) -> None:
    """Set the committed offsets of a group that has no members, once a cold broker takes them."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in offsets.items()]
    eventually(lambda: _commit(admin, ConsumerGroupTopicPartitions(group, places)), within=20)


def _commit(admin: AdminClient, wanted: ConsumerGroupTopicPartitions) -> None:
    (answer,) = admin.alter_consumer_group_offsets([wanted]).values()
    refused = [place.error for place in answer.result().topic_partitions if place.error is not None]
    assert refused == []


def members(bootstrap_servers: str, group: str) -> dict[str, int]:
    """Return how many partitions each member of a group has; an AssertionError while a cold broker cannot tell."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    (answer,) = admin.describe_consumer_groups([group]).values()
    try:
        described = answer.result()
    except KafkaException as error:
        raise AssertionError(f"{group} cannot be described: {error}") from error
    return {member.member_id: len(member.assignment.topic_partitions) for member in described.members}
