"""A producer that is none of the services: a storefront, or whoever repeats, delays or forges events on a topic."""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import KafkaError, Message, Producer

from services.chassis.events import Event
from tests.support import wire
from tests.support.log import Entry

SOURCE = "/tests/outsider"


class Outsider:
    """Writes records and waits for the broker's acknowledgement of each."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = Producer({"bootstrap.servers": bootstrap_servers, "partitioner": "murmur2_random"})

    def tell(
        self, event: Event, *, event_id: str | None = None, headers: Mapping[str, str | None] | None = None
    ) -> str:
        """Write an event under its own key, with all that the contract asks for but a sequence, and return its id.

        `headers` replace or (None) take away single ones.
        """
        event_id = event_id or str(uuid.uuid4())
        usual: dict[str, str | None] = {
            "ce_specversion": "1.0",
            "ce_id": event_id,
            "ce_type": event.FULLNAME,
            "ce_source": SOURCE,
            "ce_subject": event.key,
            "ce_time": datetime.now(UTC).isoformat(),
            "content-type": "application/avro",
        }
        kept = {name: value for name, value in {**usual, **(headers or {})}.items() if value is not None}
        self.write(event.TOPIC, event.key.encode(), wire.encoded(event.FULLNAME, event.to_avro()), kept)
        return event_id

    def tell_all(self, events: Mapping[str, Event]) -> None:
        """Write events by their ids, at once, without waiting between them."""
        for event_id, event in events.items():
            headers: Any = [("ce_id", event_id.encode()), ("ce_type", event.FULLNAME.encode())]
            value = wire.encoded(event.FULLNAME, event.to_avro())
            self._producer.produce(event.TOPIC, value, event.key.encode(), headers=headers)
        assert self._producer.flush(20) == 0

    def repeat(self, entry: Entry, *, event_id: str | None = None) -> str:
        """Write a record of the log once more; with an `event_id` of its own it is another event of that content."""
        changed = {} if event_id is None else {"ce_id": event_id, "ce_source": SOURCE}
        self.write(entry.topic, entry.key, entry.value, {**entry.headers, **changed})
        return event_id or entry.event_id

    def write(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Write any bytes."""
        failed: list[KafkaError] = []

        def report(error: KafkaError | None, _message: Message) -> None:
            if error is not None:
                failed.append(error)

        pairs: Any = [(name, text.encode()) for name, text in (headers or {}).items()]
        self._producer.produce(topic, value, key, headers=pairs, on_delivery=report)
        assert self._producer.flush(20) == 0, "the broker does not acknowledge"
        assert not failed, failed
