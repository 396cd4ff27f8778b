"""A storefront that orders by Kafka: a plain producer, and the schema folder for the bytes. None of our code else."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from deploy.local.demo.frames import SchemaFolder
from deploy.local.demo.promises import StoryBroken
from schemas.contracts import OrderRequested

TOPIC = OrderRequested.TOPIC
_ACKNOWLEDGED_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """A record to be sent; `partition` None leaves the choice to the key."""

    key: str
    value: bytes
    partition: int | None = None
    event_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record lies in its topic."""

    partition: int
    offset: int


class Storefront:
    """Sends order requests and waits until the broker has them."""

    def __init__(self, bootstrap_servers: str, schemas: SchemaFolder) -> None:
        self._schemas = schemas
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
                "linger.ms": 0,
                "log_level": 0,
            }
        )

    def record(self, request: OrderRequested, *, partition: int | None = None, event_id: str | None = None) -> Outgoing:
        """Return the record of a request, under a new event id unless one is named."""
        value = self._schemas.encode(request.FULLNAME, request.to_avro())
        return Outgoing(key=request.key, value=value, partition=partition, event_id=event_id or str(uuid.uuid4()))

    def send(self, records: Sequence[Outgoing]) -> list[Place]:
        """Send records in this order; return where they lie once the broker acknowledged all of them.

        Raises StoryBroken when it did not.
        """
        reports = _Reports()
        for record in records:
            chosen: dict[str, Any] = {} if record.partition is None else {"partition": record.partition}
            headers: dict[str, str | bytes | None] = {
                "ce_id": record.event_id,
                "ce_type": OrderRequested.FULLNAME,
                "ce_source": "/harbour-roast/web",
            }
            self._producer.produce(
                TOPIC, value=record.value, key=record.key, headers=headers, on_delivery=reports.take, **chosen
            )
        self._producer.flush(_ACKNOWLEDGED_SECONDS)
        if reports.failures or len(reports.places) != len(records):
            lost = ", ".join(reports.failures) or "no answer"
            raise StoryBroken(f"Kafka acknowledged {len(reports.places)} of {len(records)} records ({lost})")
        return reports.places


class _Reports:
    """Collects the broker's acknowledgements."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.failures: list[str] = []

    def take(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            self.places.append(Place(message.partition() or 0, message.offset() or 0))
        else:
            self.failures.append(error.str())
