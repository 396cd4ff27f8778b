"""The broker of the local stack may be away, frozen or killed, and comes back on its port with its data."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from deploy.kafka.topics import Topic, create_missing
from deploy.local.stack import Stack, launch

TOPIC = Topic(name="kept", partitions=1, replication=1, config={})


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with launch(tmp_path) as launched:
        launched.kafka.start()
        admin = AdminClient({"bootstrap.servers": launched.kafka.bootstrap_servers})
        create_missing(admin, [TOPIC])
        yield launched


def produce(stack: Stack, value: str) -> None:
    producer = Producer({"bootstrap.servers": stack.kafka.bootstrap_servers, "acks": "all", "log_level": 0})
    producer.produce(TOPIC.name, value)
    assert producer.flush(30) == 0


def consume(stack: Stack, count: int) -> list[str]:
    group = {"group.id": "reader", "auto.offset.reset": "earliest", "group.protocol": "consumer"}
    consumer = Consumer({"bootstrap.servers": stack.kafka.bootstrap_servers, "log_level": 0, **group})
    consumer.subscribe([TOPIC.name])
    values = [message.value().decode() for message in consumer.consume(count, timeout=30)]
    consumer.close()
    return values


def test_a_broker_that_was_stopped_killed_and_frozen_keeps_its_data(stack: Stack) -> None:
    produce(stack, "before")
    assert stack.processes.stop("kafka") == 143
    stack.start_again("kafka")

    produce(stack, "after the stop")
    stack.processes.kill("kafka")
    stack.start_again("kafka")

    produce(stack, "after the crash")
    stack.processes.pause("kafka")
    assert stack.kafka.missing() is not None
    stack.processes.resume("kafka")
    stack.await_ready("kafka")

    assert consume(stack, 3) == ["before", "after the stop", "after the crash"]
