"""Has items handled inside a transaction: lock once, waves, save once; and parks the keys that cannot go on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

from services.chassis import log_fields, logs, parking
from services.chassis.breaker import Breaker, OpenedMidway
from services.chassis.connection import Connection
from services.chassis.events import Received
from services.chassis.incoming import Handler, Item, Subscription, Undecodable, waves
from services.chassis.unit_of_work import Deferral, Transaction, UnitOfWork

U = TypeVar("U", bound=UnitOfWork)
log = logs.logger(__name__)


@dataclass(slots=True)
class _Stopped:
    """The keys that cannot go on in this batch, and what has to be parked of them, in the order met."""

    keys: set[parking.Key] = field(default_factory=set)
    waiting: list[Item] = field(default_factory=list)
    by_breaker: bool = False


class Handling(Generic[U]):
    """Runs a subscription's handlers.

    Args:
        subscription: what is read and who handles it.
        unit_of_work: makes the service's unit of work over a transaction.
        policy: when parked events are tried again.
        breaker: guards this consumer.

    """

    def __init__(
        self,
        *,
        subscription: Subscription[U],
        unit_of_work: Callable[[Transaction], U],
        policy: parking.ParkingPolicy,
        breaker: Breaker,
    ) -> None:
        self._subscription = subscription
        self._consumer = subscription.consumer
        self._unit_of_work = unit_of_work
        self._policy = policy
        self._breaker = breaker

    def run(self, tx: Transaction, items: Sequence[Item], attempts: int = 0) -> list[Item]:
        """Handle items and write what they changed.

        Args:
            tx: the transaction.
            items: in the order of the log; their keys are not parked, or locked by whoever retries them.
            attempts: failed tries so far, where a parked event is retried.

        Returns:
            Those that have to wait: the deferred, and what followed them under their keys. The keys are marked as
            parked; the events are the caller's to append.

        Raises:
            OpenedMidway: so many keys of these have to be parked that the breaker opens before the last one.
            SuspectedBadDeploy: the breaker is open.

        """
        self._defer_unreadable(tx, items)
        uow = self._unit_of_work(tx)
        uow.lock([item.received for item in items if item.received.event_id not in tx.deferrals])
        stopped = _Stopped()
        for wave in waves(items):
            for handler, events in self._by_handler(tx, wave, stopped):
                handler(events, uow)
            self._stop_deferred(tx, wave, stopped, attempts)
        uow.save()
        tx.finish()
        for received, error in tx.dead:
            record, event_id = received.record, received.event_id
            parking.bury(tx.connection, self._consumer, event_id, record, error=error, actor=self._consumer)
        return stopped.waiting

    def park_key(self, connection: Connection, key: parking.Key, fault: Deferral, *, attempts: int, error: str) -> bool:
        """Mark a key as parked, or as failed once more, and count it for the breaker.

        Args:
            connection: the transaction.
            key: topic and key.
            fault: what is wrong, and whether the wait is expected.
            attempts: failed tries before this one.
            error: for operators.

        Returns:
            Whether this key has opened the breaker.

        Raises:
            SuspectedBadDeploy: the breaker is open; nothing more is parked.

        """
        counts = fault.retry_in is None and key[0] not in self._subscription.foreign
        if counts:
            self._breaker.check(connection)
        if fault.retry_in is not None:
            state, due_in, tries = "waiting", fault.retry_in, attempts
        else:
            tries = attempts + 1
            state, due_in = self._policy.after(tries)
        parking.park_key(
            connection,
            self._consumer,
            key,
            state=state,
            attempts=tries,
            due_in=due_in,
            fingerprint=fault.reason,
            error=error,
        )
        return counts and self._breaker.count(connection, key[0], fault.reason)

    def _defer_unreadable(self, tx: Transaction, items: Sequence[Item]) -> None:
        """Defer what cannot be decoded, except on foreign topics, whose service answers it."""
        for item in items:
            if item.kind is Undecodable and item.received.record.topic not in self._subscription.foreign:
                tx.defer(item.received, "undecodable")

    def _by_handler(
        self, tx: Transaction, wave: Sequence[Item], stopped: _Stopped
    ) -> list[tuple[Handler[U], list[Received[Any]]]]:
        """Group a wave by its handlers, in the order of the table; what follows a stopped key is set aside."""
        groups: dict[type[Any] | str, list[Received[Any]]] = {}
        for item in wave:
            if item.key in stopped.keys:
                stopped.waiting.append(item)
            elif item.received.event_id not in tx.deferrals:
                kind = item.received.record.topic if item.kind is Undecodable else item.kind
                groups.setdefault(kind, []).append(item.received)
        known, foreign = self._subscription.handlers, self._subscription.foreign
        ordered = [(handler, groups[kind]) for kind, handler in known.items() if kind in groups]
        return ordered + [(handler, groups[topic]) for topic, handler in foreign.items() if topic in groups]

    def _stop_deferred(self, tx: Transaction, wave: Sequence[Item], stopped: _Stopped, attempts: int) -> None:
        for item in wave:
            deferral = tx.deferrals.get(item.received.event_id)
            if deferral is None or item.key in stopped.keys:
                continue
            if stopped.by_breaker:
                raise OpenedMidway(deferral.reason)
            stopped.keys.add(item.key)
            stopped.waiting.append(item)
            error = _described(item, deferral)
            stopped.by_breaker = self.park_key(tx.connection, item.key, deferral, attempts=attempts, error=error)
            if deferral.retry_in is None:
                tx.on_commit(partial(_note_failure, item, deferral, attempts))


def _described(item: Item, deferral: Deferral) -> str:
    event = item.received.event
    return f"{deferral.reason}: {event.error}" if isinstance(event, Undecodable) else deferral.reason


def _note_failure(item: Item, deferral: Deferral, attempts: int) -> None:
    """Write down that an event failed without an error of ours; one that waits for what is expected did not fail."""
    name = "parked_event_failed" if attempts else "event_parked"
    log.warning(name, **log_fields.of_item(item, attempt=attempts + 1), reason=deferral.reason)
