"""A topic as a whole: what stands in it, writing to it, its settings, and where Java would put a key."""

import struct
from collections.abc import Iterable

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource

from services.chassis.events import Record
from tests.support.log import Entry, Log, first_occurrences

_WRITE_SECONDS = 20.0


def read_topic(bootstrap_servers: str, topic: str) -> list[Entry]:
    """Return everything in a topic, each partition in its order."""
    log = Log(bootstrap_servers, [topic])
    try:
        log.settle()
        return sorted(log.entries, key=lambda entry: (entry.partition, entry.offset))
    finally:
        log.close()


def sequences(entries: Iterable[Entry]) -> dict[str, list[int]]:
    """Return the sequence numbers of each key's first occurrences, in the order of the log."""
    numbers: dict[str, list[int]] = {}
    for entry in first_occurrences(entries):
        numbers.setdefault(entry.headers["ce_subject"], []).append(int(entry.headers["ce_sequence"]))
    return numbers


def write_records(bootstrap_servers: str, records: Iterable[Record]) -> None:
    """Produce records as they are, each to its own partition, and wait until they stand."""
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 5, "enable.idempotence": True})
    failed = []
    for record in records:
        producer.produce(
            record.topic,
            value=record.value,
            key=record.key,
            partition=record.partition,
            headers=list(record.headers),
            on_delivery=lambda error, _message: failed.append(error) if error else None,
        )
        producer.poll(0)
    assert producer.flush(_WRITE_SECONDS) == 0
    assert failed == []


def configure_topic(bootstrap_servers: str, topic: str, setting: str, value: str) -> None:
    """Change a setting of a topic."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    entry = ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[entry])
    for change in admin.incremental_alter_configs([resource]).values():
        change.result()


def murmur2_partition(key: bytes, partitions: int) -> int:
    """Return the partition that Java's default partitioner gives a key (org.apache.kafka.common.utils.Utils)."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def murmur2(data: bytes) -> int:
    """Return Kafka's murmur2 hash of bytes, as an unsigned 32-bit number."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = (0x9747B28C ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for (word,) in struct.iter_unpack("<I", data[:whole]):
        mixed = word * m & mask
        h = (h * m & mask) ^ ((mixed ^ mixed >> 24) * m & mask)
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
