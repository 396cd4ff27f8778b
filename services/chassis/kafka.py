"""Kafka clients with the settings that the guarantees rest on."""

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from services.chassis import logs
from services.chassis.settings import ServiceSettings

log = logs.logger(__name__)


def make_consumer(settings: ServiceSettings, group: str, statistics: Callable[[str], None]) -> Consumer:
    """Return a consumer that commits nothing by itself.

    Args:
        settings: the service's settings.
        group: the consumer group.
        statistics: takes librdkafka's statistics as JSON text.

    """
    conf: dict[str, object] = settings.kafka_client() | {
        "group.id": group,
        "group.protocol": settings.kafka_group_protocol,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",
        "check.crcs": True,
        # How long the broker keeps a question open where it has nothing: each one wakes both sides. A record ends it.
        "fetch.wait.max.ms": 1_000,
        "enable.partition.eof": True,
        "statistics.interval.ms": 15_000,
        "stats_cb": statistics,
        "on_commit": _committed,
    }
    if settings.kafka_group_protocol == "classic":
        # The new protocol refuses to have this set; the broker assigns there.
        conf["partition.assignment.strategy"] = "cooperative-sticky"
    return Consumer(conf)


def make_producer(settings: ServiceSettings) -> Producer:
    """Return a producer that keeps the order of a key, whatever the broker does.

    `message.timeout.ms=0`: with librdkafka's own time-out a broker's pause left a hole in the middle of a key, and
    the resend then reordered it. The relay has its own deadline instead.

    Args:
        settings: the service's settings.

    """
    return Producer(
        settings.kafka_client()
        | {
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "message.timeout.ms": 0,
            "partitioner": "murmur2_random",
            # Longer than it takes to hand over a batch; `flush`, which follows, does not wait for it.
            "linger.ms": 50,
            # The relay counts by `flush`: a report of each success would be a call of Python for each.
            "delivery.report.only.error": True,
            "topic.metadata.propagation.max.ms": 2_000,
            "error_cb": _complain,
        }
    )


def make_admin(settings: ServiceSettings) -> AdminClient:
    """Return a client for questions to the cluster."""
    return AdminClient(settings.kafka_client())


def _complain(error: KafkaError) -> None:
    log.warning("kafka_producer_error", code=error.name(), detail=error.str())


def _committed(error: KafkaError | None, partitions: list[TopicPartition]) -> None:
    # Refused for a stale epoch, for example: another member reads on from the database's position, so that
    # costs repeats at most.
    if error is not None:
        log.info("offset_commit_refused", code=error.name(), partitions=len(partitions))
