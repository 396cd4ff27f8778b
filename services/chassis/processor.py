"""What happens to a batch of records: one transaction in six steps, or none of it (DESIGN 5.1, 5.4).

1 drop repeats · 2 claim the inbox · 3 append to parked keys what belongs to one · 4 lock and load, once ·
5 handle in waves · 6 write state, outbox, positions; commit.
Invariant: every record of a batch ends handled, ignored, known already, or parked in its place; the position moves
past it in the same transaction. No Kafka in here: the consumer brings records and commits offsets afterwards.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from services.chassis import inbox, logs, metrics, parking
from services.chassis.avro import Codec
from services.chassis.breaker import Breaker
from services.chassis.database import is_reachable, transaction
from services.chassis.errors import (
    DatabaseUnavailable,
    RowExists,
    StatementTimeout,
    TransientError,
    UndecodableEvent,
)
from services.chassis.events import Cause, Event, Received, Record, event_id_of
from services.chassis.outbox import Outbox
from services.chassis.unit_of_work import Deferral, Transaction, UnitOfWork, begin

U = TypeVar("U", bound=UnitOfWork)
Handler = Callable[[Sequence[Received[Any]], U], None]
# A statement that took too long, or a row that another transaction inserted meanwhile: the same batch may succeed.
_TRIES = 3
_SEQUENCES_REMEMBERED = 50_000
_SEQUENCE_DIGITS = 19
log = logs.logger(__name__)


@dataclass(frozen=True, slots=True)
class Undecodable:
    """Stands for an event whose bytes could not be read.

    On a foreign topic the service answers it; elsewhere its key is parked.
    """

    error: str


@dataclass(frozen=True, slots=True)
class Subscription(Generic[U]):
    """What a consumer reads and who handles it.

    Args:
        consumer: name of the consumer, of its Kafka group, and of its rows in the database.
        handlers: event class → handler; the order is that inside a wave (what frees stock stands first).
        foreign: topic → the handler that answers what cannot be decoded there. The events of such a topic come
            from outside, so their faults never count for the breaker.
        projection: the handlers keep the newest version of each key of compacted topics; no inbox is needed.
        after: name of a consumer whose topics must have been read to their end before this one starts.

    """

    consumer: str
    handlers: Mapping[type[Any], Handler[U]]
    foreign: Mapping[str, Handler[U]]
    projection: bool = False
    after: str | None = None

    @property
    def topics(self) -> list[str]:
        """The topics to subscribe to."""
        return sorted({event.TOPIC for event in self.handlers})


@dataclass(frozen=True, slots=True)
class Item:
    """A record on its way through a batch."""

    received: Received[Any]
    kind: type[Any]

    @property
    def key(self) -> parking.Key:
        """The key under which it would be parked."""
        return self.received.record.topic, self.received.key


class Processor(Generic[U]):
    """Handles batches for one subscription.

    Args:
        engine: the service's database.
        subscription: what is read and who handles it.
        codec: decodes the records.
        outbox: makes an empty outbox for a transaction.
        unit_of_work: makes the service's unit of work over a transaction.
        policy: when parked events are tried again.
        breaker: guards this consumer.

    """

    def __init__(
        self,
        *,
        engine: sa.Engine,
        subscription: Subscription[U],
        codec: Codec,
        outbox: Callable[[], Outbox],
        unit_of_work: Callable[[Transaction], U],
        policy: parking.ParkingPolicy,
        breaker: Breaker,
    ) -> None:
        self.subscription = subscription
        self._engine = engine
        self._codec = codec
        self._outbox = outbox
        self._unit_of_work = unit_of_work
        self._policy = policy
        self._breaker = breaker
        self._consumer = subscription.consumer
        self._kinds = {event.FULLNAME: event for event in subscription.handlers}
        self._sequences: OrderedDict[parking.Key, int] = OrderedDict()

    def prepare(self) -> None:
        """Lift a breaker that another build opened."""
        with transaction(self._engine) as connection:
            self._breaker.lift_for_new_build(connection)

    def handle(self, records: Sequence[Record]) -> None:
        """Handle a batch, in order; afterwards every record is handled, known, ignored or parked.

        Raises:
            TransientError: nothing, or only a first part of the batch, stands; call again with the same records.

        """
        if not records:
            return
        items = [self._decode(record) for record in records]
        self._handle(records, items)
        metrics.CONSUMER_BATCH_SIZE.observe(len(records))

    def retry_due(self) -> bool:
        """Try the parked key that is due first, and return whether its head was handled.

        Raises:
            TransientError: nothing was tried.

        """
        with transaction(self._engine) as connection:
            self._breaker.check(connection)
            due = parking.lock_due(connection, self._consumer)
        return due is not None and self._attempt(due, only_due=True)

    def retry(self, key: parking.Key) -> bool:
        """Try the head of a parked key now, whoever asks, and return whether it was handled.

        Raises:
            TransientError: nothing was tried.

        """
        return self._attempt(key, only_due=False)

    def _attempt(self, key: parking.Key, *, only_due: bool) -> bool:
        try:
            return self._retry(key, only_due=only_due)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is this event's fault
            self._reraise_if_away(error)
            self._record_failure(key, error)
            return False

    # --- one batch

    def _handle(self, records: Sequence[Record], items: Sequence[Item | None]) -> None:
        for attempt in range(1, _TRIES + 1):
            try:
                self._transact(records, [item for item in items if item is not None])
            except TransientError:
                raise
            except (StatementTimeout, RowExists) as error:
                if attempt == _TRIES:
                    self._isolate(records, items, error)
            except Exception as error:  # noqa: BLE001  # whatever a handler raises is its events' fault
                self._isolate(records, items, error)
                return
            else:
                return

    def _isolate(self, records: Sequence[Record], items: Sequence[Item | None], error: Exception) -> None:
        """Halve the batch until the failing event is alone, and park that one."""
        self._reraise_if_away(error)
        if len(records) == 1:
            self._park(records[0], items[0], error)
            return
        middle = len(records) // 2
        self._handle(records[:middle], items[:middle])
        self._handle(records[middle:], items[middle:])

    def _transact(self, records: Sequence[Record], items: Sequence[Item]) -> None:
        results: Counter[tuple[str, str, str]] = Counter()
        with begin(self._engine, self._outbox()) as tx:
            connection = tx.connection
            self._breaker.check(connection)
            fresh = self._claim(connection, items)
            parked = parking.lock_keys(connection, self._consumer, {item.key for item in fresh})
            waiting = [item for item in fresh if item.key in parked]
            waiting += self._run(tx, [item for item in fresh if item.key not in parked])
            parking.append(connection, self._consumer, _in_log_order(waiting))
            inbox.advance(connection, self._consumer, _positions(records))
        self._count(results, records, items, fresh, waiting)

    def _claim(self, connection: sa.Connection, items: Sequence[Item]) -> list[Item]:
        """Return the first of each event that nobody has claimed yet, in order."""
        first = {item.received.event_id: item for item in reversed(items)}
        if self.subscription.projection:
            return [item for item in items if first[item.received.event_id] is item]
        new = inbox.claim(connection, self._consumer, first)
        return [item for item in items if item.received.event_id in new and first[item.received.event_id] is item]

    def _run(self, tx: Transaction, items: Sequence[Item]) -> list[Item]:
        """Handle the items and write what they changed; return those to be parked: deferred ones and followers."""
        self._defer_unreadable(tx, items)
        uow = self._unit_of_work(tx)
        uow.lock([item.received for item in items if item.received.event_id not in tx.deferrals])
        waiting: list[Item] = []
        stopped: set[parking.Key] = set()
        for wave in _waves(items):
            for handler, events in self._by_handler(tx, wave, stopped, waiting):
                handler(events, uow)
            self._stop_deferred(tx, wave, stopped, waiting)
        self._finish(tx, uow)
        return waiting

    def _by_handler(
        self, tx: Transaction, wave: Sequence[Item], stopped: set[parking.Key], waiting: list[Item]
    ) -> list[tuple[Handler[U], list[Received[Any]]]]:
        groups: dict[type[Any] | str, list[Received[Any]]] = {}
        for item in wave:
            if item.key in stopped:
                waiting.append(item)
            elif item.received.event_id not in tx.deferrals:
                kind = item.received.record.topic if item.kind is Undecodable else item.kind
                groups.setdefault(kind, []).append(item.received)
        ordered: list[tuple[Handler[U], list[Received[Any]]]] = [
            (handler, groups[kind]) for kind, handler in self.subscription.handlers.items() if kind in groups
        ]
        return ordered + [
            (handler, groups[topic]) for topic, handler in self.subscription.foreign.items() if topic in groups
        ]

    def _stop_deferred(
        self, tx: Transaction, wave: Sequence[Item], stopped: set[parking.Key], waiting: list[Item]
    ) -> None:
        for item in wave:
            deferral = tx.deferrals.get(item.received.event_id)
            if deferral is None or item.key in stopped:
                continue
            stopped.add(item.key)
            waiting.append(item)
            self._park_key(tx.connection, item.key, deferral, attempts=0, error=deferral.reason)

    def _defer_unreadable(self, tx: Transaction, items: Sequence[Item]) -> None:
        """Defer what cannot be decoded, except on foreign topics, whose service answers it."""
        for item in items:
            if item.kind is Undecodable and item.received.record.topic not in self.subscription.foreign:
                tx.defer(item.received, "undecodable")

    def _finish(self, tx: Transaction, uow: U) -> None:
        uow.save()
        tx.finish()
        for received, error in tx.dead:
            parking.bury(
                tx.connection, self._consumer, received.event_id, received.record, error=error, actor=self._consumer
            )

    # --- parking

    def _park(self, record: Record, item: Item | None, error: Exception) -> None:
        """Park the one event whose handling failed."""
        if item is None:
            raise error
        log.warning(
            "event_parked",
            event_id=item.received.event_id,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            event_type=item.kind.__name__,
            exc_info=error,
        )
        with transaction(self._engine) as connection:
            claimed = self._claim(connection, [item])
            if claimed:
                fault = Deferral(parking.fingerprint_of(error), None)
                self._park_key(connection, item.key, fault, attempts=0, error=f"{type(error).__name__}: {error}")
                parking.append(connection, self._consumer, [(item.received.event_id, record)])
            inbox.advance(connection, self._consumer, _positions([record]))
        self._count_one(item, "parked" if claimed else "duplicate")

    def _park_key(
        self, connection: sa.Connection, key: parking.Key, fault: Deferral, *, attempts: int, error: str
    ) -> None:
        counts = fault.retry_in is None and key[0] not in self.subscription.foreign
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
        if counts:
            self._breaker.count(connection, key[0], fault.reason)

    def _retry(self, key: parking.Key, *, only_due: bool) -> bool:
        with begin(self._engine, self._outbox()) as tx:
            connection = tx.connection
            attempts = parking.lock_key(connection, self._consumer, key, only_due=only_due)
            parked = parking.head(connection, self._consumer, key)
            if attempts is None or parked is None:
                return False
            item = self._decode(parked.record, parked)
            if item is not None and self._run_again(tx, item, attempts):
                return False
            parking.release_head(connection, self._consumer, key, parked)
        log.info("parked_event_handled", event_id=parked.event_id, topic=key[0])
        if item is not None:
            self._count_one(item, "retried")
        return True

    def _run_again(self, tx: Transaction, item: Item, attempts: int) -> bool:
        """Handle the head of a parked key; return whether it has to wait once more."""
        self._defer_unreadable(tx, [item])
        uow = self._unit_of_work(tx)
        uow.lock([item.received] if not tx.deferrals else [])
        for handler, events in self._by_handler(tx, [item], set(), []):
            handler(events, uow)
        deferral = tx.deferrals.get(item.received.event_id)
        if deferral is not None:
            self._park_key(tx.connection, item.key, deferral, attempts=attempts, error=deferral.reason)
        self._finish(tx, uow)
        return deferral is not None

    def _record_failure(self, key: parking.Key, error: Exception) -> None:
        log.warning("parked_event_failed", topic=key[0], exc_info=error)
        with transaction(self._engine) as connection:
            attempts = parking.lock_key(connection, self._consumer, key)
            if attempts is not None:
                fault = Deferral(parking.fingerprint_of(error), None)
                self._park_key(connection, key, fault, attempts=attempts, error=f"{type(error).__name__}: {error}")

    def _reraise_if_away(self, error: Exception) -> None:
        """Raise DatabaseUnavailable if the database does not answer: then the error says nothing about the event."""
        if not is_reachable(self._engine):
            raise DatabaseUnavailable("a statement failed and the database does not answer") from error

    # --- reading records

    def _decode(self, record: Record, parked: parking.ParkedEvent | None = None) -> Item | None:
        """Return the record as an item, or None where it is of a type that nobody here handles."""
        ce_type = record.header("ce_type")
        fullname = ce_type or self._codec.type_of(record.value)
        event_id = parked.event_id if parked else event_id_of(record)
        if fullname is not None and fullname not in self._kinds:
            return None
        try:
            event: Event | Undecodable = self._codec.decode(record.value, ce_type)
        except UndecodableEvent as error:
            event = Undecodable(str(error))
        cause = Cause(
            correlation_id=record.header("ce_correlationid") or event_id,
            causation_id=event_id,
            traceparent=record.header("traceparent"),
        )
        received = Received(
            event=event,
            event_id=event_id,
            key=record.key_text,
            cause=cause,
            sequence=_sequence(record.header("ce_sequence")),
            time_ms=record.timestamp_ms,
            waiting_since=parked.parked_at if parked else None,
            record=record,
        )
        return Item(received, type(event))

    # --- counting

    def _count(
        self,
        results: Counter[tuple[str, str, str]],
        records: Sequence[Record],
        items: Sequence[Item],
        fresh: Sequence[Item],
        waiting: Sequence[Item],
    ) -> None:
        handled = {item.received.event_id for item in fresh}
        parked = {item.received.event_id for item in waiting}
        for item in items:
            event_id = item.received.event_id
            known = "parked" if event_id in parked else "handled" if event_id in handled else "duplicate"
            handled.discard(event_id)
            parked.discard(event_id)
            results[item.received.record.topic, item.kind.__name__, known] += 1
            self._note_sequence(item)
        ignored = Counter(record.topic for record in records)
        ignored.subtract(item.received.record.topic for item in items)
        for topic, count in (+ignored).items():
            results[topic, "other", "ignored"] += count
        for (topic, event_type, result), count in results.items():
            metrics.EVENTS_CONSUMED.labels(topic, event_type, result).inc(count)

    def _count_one(self, item: Item, result: str) -> None:
        metrics.EVENTS_CONSUMED.labels(item.received.record.topic, item.kind.__name__, result).inc()

    def _note_sequence(self, item: Item) -> None:
        """Count numbers that a producer skipped; keys seen for the first time tell nothing."""
        number = item.received.sequence
        if number is None or self.subscription.projection:
            return
        last = self._sequences.pop(item.key, None)
        if last is not None and number > last + 1:
            metrics.SEQUENCE_GAPS.labels(item.received.record.topic).inc(number - last - 1)
        self._sequences[item.key] = number if last is None else max(number, last)
        if len(self._sequences) > _SEQUENCES_REMEMBERED:
            self._sequences.popitem(last=False)


def _sequence(text: str | None) -> int | None:
    # Python refuses to read a number of thousands of digits: a header of a stranger must not stop the consumer.
    return int(text) if text is not None and text.isdecimal() and len(text) <= _SEQUENCE_DIGITS else None


def _waves(items: Sequence[Item]) -> list[list[Item]]:
    """Return the first event of every key, then the second of every key, and so on."""
    waves: list[list[Item]] = []
    seen: Counter[parking.Key] = Counter()
    for item in items:
        depth = seen[item.key]
        seen[item.key] += 1
        if depth == len(waves):
            waves.append([])
        waves[depth].append(item)
    return waves


def _in_log_order(items: Sequence[Item]) -> list[tuple[str, Record]]:
    ordered = sorted(items, key=lambda item: (item.key[0], item.received.record.partition, item.received.record.offset))
    return [(item.received.event_id, item.received.record) for item in ordered]


def _positions(records: Sequence[Record]) -> list[inbox.Position]:
    last = {(record.topic, record.partition): record.offset for record in records}
    return [inbox.Position(topic, partition, offset + 1) for (topic, partition), offset in last.items()]
