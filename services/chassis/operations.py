"""What operators ask for over REST about parked keys: commands of the chassis, in groups of their own.

They lock parked keys and nothing else, and a service's commands lock none, so the two never meet. The command line
does the same by itself (`operators`); here a key that is to be tried again is made due, and the worker tries it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.chassis import breaker, operators, parking
from services.chassis.avro import Codec, SchemaSource
from services.chassis.commands import Submitted
from services.chassis.connection import Connection
from services.chassis.operators import Filter, ParkedKey
from services.chassis.unit_of_work import Transaction


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parked key is."""

    consumer: str
    topic: str
    key: str


@dataclass(frozen=True, slots=True)
class RetryParked:
    """Try a key's events again at once."""

    place: Place


@dataclass(frozen=True, slots=True)
class DiscardParked:
    """Give up the first event of a key."""

    place: Place
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class ResumeConsumers:
    """Close the breakers of the service's consumers."""

    reason: str
    actor: str


class OperationsUnitOfWork:
    """Parked keys, locked.

    Args:
        tx: the transaction.
        consumers: the service's.
        codec: reads parked events.
        schemas: say which of their fields are personal.

    """

    def __init__(self, tx: Transaction, consumers: Sequence[str], codec: Codec, schemas: SchemaSource) -> None:
        self.tx = tx
        self._consumers = consumers
        self._codec = codec
        self._schemas = schemas

    def lock(self, messages: Sequence[Any]) -> None:
        """Lock the keys that commands name, sorted."""
        places = {m.command.place for m in messages if isinstance(m.command, RetryParked | DiscardParked)}
        for place in sorted(places, key=lambda place: (place.consumer, place.topic, place.key)):
            parking.lock_key(self.tx.connection, place.consumer, (place.topic, place.key))

    def save(self) -> None:
        """Write nothing: each command writes its own."""

    def page(self, which: Filter, after: Sequence[object] | None, most: int) -> list[ParkedKey]:
        """Return a page of parked keys, oldest first; see `operators.find`."""
        return operators.find(self.tx.connection, which, after, most)

    def find(self, place: Place) -> ParkedKey | None:
        """Return one parked key, None where it is not parked (any more)."""
        which = Filter(consumer=place.consumer, topic=place.topic, key=place.key)
        return next(iter(operators.find(self.tx.connection, which)), None)

    def events_of(self, parked: ParkedKey) -> list[Mapping[str, object]]:
        """Return the events that wait under a key; see `operators.events_of`."""
        return operators.events_of(self.tx.connection, parked, self._codec, self._schemas)

    def retry(self, parked: ParkedKey) -> None:
        """Make a key due."""
        parking.make_due(self.tx.connection, parked.consumer, (parked.topic, parked.key))

    def discard(self, parked: ParkedKey, reason: str, actor: str) -> str | None:
        """Give up a key's first event and return its id."""
        head = operators.discard(self.tx.connection, parked, reason=reason, actor=actor)
        if head is None:
            return None
        self.tx.on_commit(lambda: operators.log_discarded(head, parked, self._codec, reason=reason, actor=actor))
        return head.event_id

    def resume(self, reason: str, actor: str) -> list[str]:
        """Close the breakers that are open and return the names of their consumers."""
        connection: Connection = self.tx.connection
        return [name for name in self._consumers if breaker.resume(connection, name, reason=reason, actor=actor)]


def retry_parked(submitted: Submitted[RetryParked], uow: OperationsUnitOfWork) -> ParkedKey | None:
    """Make a parked key due and return it, None where it is not parked."""
    parked = uow.find(submitted.command.place)
    if parked is not None:
        uow.retry(parked)
        parked = uow.find(submitted.command.place)
    return parked


def discard_parked(submitted: Submitted[DiscardParked], uow: OperationsUnitOfWork) -> str | None:
    """Give up the first event of a parked key and return its id, None where it is not parked."""
    command = submitted.command
    parked = uow.find(command.place)
    return None if parked is None else uow.discard(parked, command.reason, command.actor)


def resume_consumers(submitted: Submitted[ResumeConsumers], uow: OperationsUnitOfWork) -> list[str]:
    """Close the open breakers and return the names of their consumers."""
    return uow.resume(submitted.command.reason, submitted.command.actor)


HANDLERS: Mapping[type[Any], Any] = {
    RetryParked: retry_parked,
    DiscardParked: discard_parked,
    ResumeConsumers: resume_consumers,
}
