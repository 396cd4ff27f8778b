"""Consumers of others read our live topics with nothing of ours but the address of the registry in `stack.json`."""

from typing import Any

from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from deploy.local.state import StackState
from tests.support.registry import client_of, plain
from tests.support.running_shop import Shop
from tests.support.sale import events_of_a_sale


def test_confluents_deserializer_reads_live_topics(shop: Shop) -> None:
    entries = events_of_a_sale(shop)
    state = StackState.load(shop.stack.directory)
    consumer = Consumer({"bootstrap.servers": state.bootstrap_servers, "group.id": "confluent"})
    found: list[Any] = []
    with client_of(state.schema_registry_url) as registry:
        deserialize = AvroDeserializer(registry)
        for entry in entries:
            consumer.assign([TopicPartition(entry.topic, entry.partition, entry.offset)])
            message = consumer.poll(20)
            assert message is not None
            context = SerializationContext(message.topic(), MessageField.VALUE)
            found.append(plain(deserialize(message.value(), context)))
    consumer.close()
    assert found == [entry.event for entry in entries]
