"""The consumer: takes batches from Kafka, has them handled, and only then commits their offsets.

An offset is the *next* one to read of a partition: last handled + 1. It is written in the batch's database
transaction first and committed to Kafka afterwards, so a crash between the two repeats records, which the inbox
drops, and never skips one. At assignment reading starts at the lower of the two: a database restored from
yesterday loses nothing.

While a batch waits for a database that is away, `poll` goes on over paused partitions, so that the group keeps us;
whatever it still returns is kept for the next batch: discarded, it would be skipped for ever.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from operator import methodcaller
from typing import Any, Generic, Protocol, TypeVar

from confluent_kafka import OFFSET_STORED, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka import Consumer as KafkaConsumer

from services.chassis import inbox, logs
from services.chassis.breaker import SuspectedBadDeploy
from services.chassis.connection import Engine
from services.chassis.database import transaction
from services.chassis.end_offsets import EndOffsets, Place
from services.chassis.errors import FatalError, TransientError
from services.chassis.events import Record
from services.chassis.health import Health, Reason, reason_of
from services.chassis.lag import Lag
from services.chassis.processor import Processor
from services.chassis.unit_of_work import UnitOfWork
from services.chassis.window import Window

U = TypeVar("U", bound=UnitOfWork)
_IDLE_POLL_SECONDS = 1.0
# For what already lies there.
_SWEEP_SECONDS = 0.0005
# A little less than an idle poll, so that each one is followed by a look.
_LOOK_SECONDS = 0.9
# How long parked keys may be tried before fresh records have their turn again.
_RETRY_SECONDS = 0.1
_BACKOFF_SECONDS = 0.2
_BACKOFF_MAX_SECONDS = 2.0
# Asked inside a rebalance: well below the ten seconds after which supervisors kill.
_COMMITTED_SECONDS = 3.0
_LEAVE_SECONDS = 3.0
# Each commit is a record in a topic of Kafka's own, dearer than a small batch itself. What a crash leaves uncommitted
# is read again and dropped by the inbox.
_COMMIT_SECONDS = 0.5
log = logs.logger(__name__)


class Gate(Protocol):
    """Tells a consumer when it may begin, for example when the catalog has been read to its end."""

    def __call__(self) -> bool:
        """Return whether to begin."""


class Consumer(Generic[U]):
    """One thread over one Kafka consumer.

    Args:
        engine: the service's database.
        processor: handles the batches.
        kafka: makes the Kafka client; a new one at each call.
        lag: keeps the lag metrics.
        ends: looks up the ends of partitions.
        health: told what goes wrong, and that the thread is alive.
        may_begin: asked until it returns True, before the first record is taken.
        batch_max: records a batch at most.
        window: how long a batch may fill once its first record is there.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        processor: Processor[U],
        kafka: Callable[[], KafkaConsumer],
        lag: Lag,
        ends: EndOffsets,
        health: Health,
        may_begin: Gate,
        batch_max: int,
        window: Window,
    ) -> None:
        self._engine = engine
        self._processor = processor
        self._name = processor.subscription.consumer
        self._part = f"consumer:{self._name}"
        self._make_kafka = kafka
        self._kafka: KafkaConsumer | None = None
        self._ends = ends
        self._lag = lag
        self._health = health
        self._may_begin = may_begin
        self._batch_max = batch_max
        self._window = window
        self._pending: list[Record] = []
        self._uncommitted: dict[Place, int] = {}
        self._next_commit = 0.0
        self._paused = False
        self._full = False
        self._caught_up: dict[Place, float] = {}
        self._next_look = 0.0
        self._more_parked = False

    def run(self, stop: threading.Event) -> None:
        """Consume until `stop` is set; then finish the batch, commit, and leave the group.

        Raises:
            FatalError: Kafka refuses us for good.

        """
        self._until_done(stop, self._processor.prepare)
        self._wait_to_begin(stop)
        kafka = self._kafka = self._make_kafka()
        try:
            kafka.subscribe(
                self._processor.subscription.topics,
                on_assign=self._assigned,
                on_revoke=self._revoked,
                on_lost=self._revoked,
            )
            while not stop.is_set():
                self._health.beat(self._part)
                self._step(kafka, stop)
        finally:
            if self._uncommitted:
                self._commit(kafka)
            self._leave(kafka)
            log.info("consumer_stopped", consumer=self._name)

    def _leave(self, kafka: KafkaConsumer) -> None:
        """Leave the group, so that others get our partitions at once.

        The client waits for answers to its last commits, a minute where the broker is frozen. Nothing depends on
        them, so we do not: the group notices by itself, and whoever comes next reads on from the database's position.
        """
        leaving = threading.Thread(target=kafka.close, name=f"leave:{self._name}", daemon=True)
        leaving.start()
        leaving.join(_LEAVE_SECONDS)
        if leaving.is_alive():
            log.warning("group_not_left", consumer=self._name)

    def _step(self, kafka: KafkaConsumer, stop: threading.Event) -> None:
        self._take(kafka)
        if self._pending:
            if not self._until_done(stop, lambda: self._processor.handle(self._pending)):
                return
            # Partitions lost while the batch waited were dropped from it; what is left is handled.
            handled, self._pending = self._pending, []
            self._note_handled(handled)
            self._lag.handled(handled)
        if self._uncommitted and time.monotonic() >= self._next_commit:
            self._commit(kafka)
        self._between_batches()

    def _take(self, kafka: KafkaConsumer) -> None:
        """Fill the pending batch: at once for a lone record, for the window when records keep coming."""
        # Not `poll`, in which the client wakes five times a second to look for signals.
        self._keep(kafka.consume(1, 0 if self._full or self._more_parked else _IDLE_POLL_SECONDS))
        if not self._pending:
            self._full = False
            return
        wanted = self._batch_max - len(self._pending)
        self._keep(kafka.consume(max(wanted, 0), max(self._window.left(), _SWEEP_SECONDS)))
        self._window.taken(len(self._pending))
        self._full = len(self._pending) > 1

    def _keep(self, messages: Sequence[Message]) -> None:
        for message in messages:
            error = message.error()
            if error is None:
                self._pending.append(_record(message))
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # librdkafka's own codes have no public names
                self._ends.moved({_place(message): message.offset() or 0})
            else:
                _complain(error)

    def _until_done(self, stop: threading.Event, work: Callable[[], None]) -> bool:
        """Do the work, again and again while the cause is passing; return False if we were told to stop first."""
        pause, put_off = _BACKOFF_SECONDS, False
        while True:
            try:
                work()
            except TransientError as error:
                put_off = True
                self._health.report(self._part, _reason(error))
                log.warning("batch_put_off", consumer=self._name, error=type(error).__name__, detail=str(error)[:300])
            else:
                if put_off:
                    self._health.report(self._part, None)
                    self._resume()
                return True
            self._poll_paused(stop, pause * random.uniform(0.5, 1.0))  # noqa: S311  # jitter, no secret
            pause = min(pause * 2, _BACKOFF_MAX_SECONDS)
            if stop.is_set():
                return False

    def _poll_paused(self, stop: threading.Event, seconds: float) -> None:
        """Stay in the group, without taking more, for some seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and not stop.is_set():
            self._health.beat(self._part)
            kafka = self._kafka
            if kafka is None:
                stop.wait(0.1)
                continue
            if not self._paused:
                kafka.pause(kafka.assignment())
                self._paused = True
            message = kafka.poll(0.1)
            self._keep([message] if message is not None else [])

    def _resume(self) -> None:
        if self._paused and self._kafka is not None:
            self._kafka.resume(self._kafka.assignment())
            self._paused = False

    def _note_handled(self, records: Sequence[Record]) -> None:
        offsets = {(record.topic, record.partition): record.offset + 1 for record in records}
        self._ends.moved(offsets)
        self._uncommitted |= offsets

    def _commit(self, kafka: KafkaConsumer) -> None:
        """Commit to Kafka what the database already holds; asynchronously, since nothing depends on it."""
        places = [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._uncommitted.items()]
        kafka.commit(offsets=places, asynchronous=True)
        self._uncommitted = {}
        self._next_commit = time.monotonic() + _COMMIT_SECONDS

    def _between_batches(self) -> None:
        self._caught_up |= self._ends.caught_up()
        if not self._ends.broker_answers:
            self._more_parked = False
            self._health.report(self._part, Reason.BROKER_UNREACHABLE)
        elif time.monotonic() >= self._next_look:
            self._more_parked = self._look()
            self._next_look = time.monotonic() + (0 if self._more_parked else _LOOK_SECONDS)

    def _look(self) -> bool:
        """Write down what was caught up; try the parked keys that are due, and return whether more may be due.

        Keys are tried for a bounded time. Those that fail again must not keep the others waiting, so only what is
        transient ends the look early. An idle consumer learns here that its breaker is open.
        """
        until, more = time.monotonic() + _RETRY_SECONDS, True
        try:
            while more and time.monotonic() < until:
                now = time.monotonic()
                ages = {place: now - look for place, look in self._caught_up.items()}
                more = self._processor.retries.retry_due(ages)
                self._caught_up = {}
        except TransientError as error:
            self._health.report(self._part, _reason(error))
            log.warning("retry_put_off", consumer=self._name, error=type(error).__name__)
            return False
        self._health.report(self._part, None)
        return more

    def _wait_to_begin(self, stop: threading.Event) -> None:
        while not stop.is_set():
            self._health.beat(self._part)
            try:
                if self._may_begin():
                    self._health.report(self._part, None)
                    return
                self._health.report(self._part, Reason.CATALOG_LOADING)
            except TransientError as error:
                self._health.report(self._part, _reason(error))
            stop.wait(0.2)

    # --- called by librdkafka from within poll

    def _assigned(self, kafka: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        ours, theirs = self._our_positions(), _committed_positions(kafka, partitions)
        positions: dict[Place, int] = {}
        for place in partitions:
            at = (place.topic, place.partition)
            known = [offsets[at] for offsets in (ours, theirs) if at in offsets]
            # Without any position the group's own is asked for again, and `auto.offset.reset` decides without one.
            place.offset = min(known, default=OFFSET_STORED)
            positions[at] = min(known, default=0)
        kafka.incremental_assign(partitions)
        if self._paused:
            kafka.pause(partitions)
        self._ends.assigned(positions)
        log.info("partitions_assigned", consumer=self._name, count=len(partitions))

    def _our_positions(self) -> dict[Place, int]:
        try:
            with transaction(self._engine) as connection:
                return inbox.read_progress(connection, self._name)
        except TransientError as error:
            # The group's own offsets are never ahead of a database that is away, only of one that was restored.
            log.warning("positions_unread", consumer=self._name, error=type(error).__name__)
            return {}

    def _revoked(self, kafka: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        gone = [(place.topic, place.partition) for place in partitions]
        if self._paused:
            # The client remembers that a partition is paused after it is gone. If it came back once the others have
            # been resumed, nobody would resume it, and it would be silent until this process ends.
            kafka.resume(partitions)
        if self._uncommitted:
            self._commit(kafka)
        self._pending = [record for record in self._pending if (record.topic, record.partition) not in gone]
        self._ends.revoked(gone)
        self._caught_up = {place: look for place, look in self._caught_up.items() if place not in gone}
        log.info("partitions_revoked", consumer=self._name, count=len(partitions))


def _committed_positions(kafka: KafkaConsumer, partitions: list[TopicPartition]) -> dict[Place, int]:
    try:
        committed = kafka.committed(partitions, timeout=_COMMITTED_SECONDS)
    except KafkaException as error:
        log.warning("offsets_unread", detail=str(error))
        return {}
    return {(place.topic, place.partition): place.offset for place in committed if place.offset >= 0}


def _record(message: Message) -> Record:
    # The client's annotations allow for messages that were never delivered; a consumed one has everything.
    taken: Any = message
    return Record(
        taken.topic(),
        taken.partition(),
        taken.offset(),
        taken.key(),
        taken.value(),
        _headers(taken),
        taken.timestamp()[1],
    )


# The client leaves that error set and returns all the same, which a direct call does not notice until some later call
# fails with it, elsewhere; a call through methodcaller is checked at once.
_given_headers = methodcaller("headers")


def _headers(message: Any) -> tuple[tuple[str, bytes | None], ...]:
    try:
        return tuple(_given_headers(message) or ())
    except SystemError:
        # A name that is no UTF-8, which the broker takes and this client cannot give: none of them is readable then.
        log.warning("headers_unreadable", topic=message.topic(), partition=message.partition(), offset=message.offset())
        return ()


def _place(message: Message) -> Place:
    place: Any = message
    return place.topic(), place.partition()


def _reason(error: TransientError) -> Reason:
    if isinstance(error, SuspectedBadDeploy):
        return Reason.SUSPECTED_BAD_DEPLOY
    return reason_of(error)


def _complain(error: KafkaError) -> None:
    if error.fatal():
        raise FatalError(f"Kafka refuses this consumer for good: {error.str()}")
    log.warning("kafka_consumer_error", code=error.name(), detail=error.str())
