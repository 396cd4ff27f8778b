"""The relay: the one process that publishes a service's outbox.

Invariant: a row leaves the outbox only in a transaction that commits after the broker acknowledged it; rows go out
in the order of `seq`, and nothing overtakes a row that the broker refused for its topic. A crash can send a row
twice, never lose it: in the log the first occurrences of a key stay in sequence.

One relay an outbox, elected by an advisory lock on the very session that deletes: whoever loses the session loses
the lock and the uncommitted deletes with it. No transaction outlives `flush_seconds`, since an open one pins
vacuum's horizon; while the broker is away it is asked for a sign of life outside of any transaction.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.chassis import logs
from services.chassis.connection import Connection, Engine
from services.chassis.database import RELAY_LOCK, session, try_session_lock, wait_for_notify
from services.chassis.errors import BrokerUnavailable, OmsError, TransientError
from services.chassis.health import Health, Reason, reason_of
from services.chassis.statements import Statement, often, sql
from services.chassis.window import Window

TAKE = often("""
WITH gone AS (
    DELETE FROM outbox WHERE seq = ANY(ARRAY(
        SELECT seq FROM (
            SELECT seq, sum(octet_length(payload)) OVER (ORDER BY seq ROWS UNBOUNDED PRECEDING) - octet_length(payload)
                   AS before
            FROM (SELECT seq, payload FROM outbox WHERE topic <> ALL(:held ::text[]) ORDER BY seq LIMIT :n) AS first
        ) AS sized WHERE before < :size))
    RETURNING seq, id::text, aggregateid, type, payload, topic, headers, sequence)
SELECT * FROM gone ORDER BY seq
""")
TAKE_ONE = sql("""
DELETE FROM outbox WHERE seq = (SELECT seq FROM outbox WHERE topic = :topic ORDER BY seq LIMIT 1)
RETURNING seq, id::text, aggregateid, type, payload, topic, headers, sequence
""")
_LISTEN = sql("LISTEN outbox")
# Every transaction that adds rows wakes us; this is for a wake-up that got lost all the same.
_POLL_SECONDS = 2.0
_STANDBY_SECONDS = 1.0
_PROBE_SECONDS = 2.0
# A batch takes no more rows once it holds so much: one that cannot be flushed in time would never go out, and rows of
# hundreds of kilobytes are held several times over, by PostgreSQL's client, by Kafka's, and by us.
_BATCH_BYTES = 16 * 1024 * 1024
# Who is told to stop does not wait for a broker that is away: supervisors kill after ten seconds.
_FLUSH_SLICE_SECONDS = 2.0
_REFUSAL_PAUSE_SECONDS, _REFUSAL_PAUSE_MAX_SECONDS = 1.0, 300.0
# What no resend will change; everything else may pass.
PERMANENT = {
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_EXCEPTION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
    KafkaError.INVALID_RECORD,
    KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001  # librdkafka's own codes have no public names
    KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001  # the same
}
log = logs.logger(__name__)
# The client would cut a text at a NUL; PostgreSQL, where all of them come from, keeps none.
Header = tuple[str, str | bytes | None]


class Waiting(NamedTuple):
    """A row of the outbox, as it is taken: the columns of TAKE."""

    seq: int
    id: str
    aggregateid: str
    type: str
    payload: memoryview
    topic: str
    headers: Mapping[str, str]
    sequence: int


class RefusedByBroker(OmsError):
    """The broker refuses a record for good; `topic` is held until a later try succeeds."""

    def __init__(self, topic: str, error: KafkaError) -> None:
        super().__init__(f"{topic}: {error.str()}")
        self.topic = topic


class Refusals:
    """The records of a batch that the broker did not take; the client reports no others (`kafka.make_producer`)."""

    def __init__(self) -> None:
        self._refused: list[tuple[KafkaError, str]] = []

    def take(self, error: KafkaError | None, message: Message) -> None:
        """Keep the report of a refusal; librdkafka calls this from `poll` and `flush`."""
        if error is not None:
            self._refused.append((error, message.topic() or ""))

    def check(self, unanswered: int) -> None:
        """Raise RefusedByBroker or BrokerUnavailable unless every record was acknowledged.

        Args:
            unanswered: records that are still in flight, or whose reports have not come yet.

        """
        for error, topic in self._refused:
            if error.code() in PERMANENT:
                raise RefusedByBroker(topic, error)
        missing = len(self._refused) + unanswered
        if missing:
            detail = self._refused[0][0].str() if self._refused else "no acknowledgement in time"
            raise BrokerUnavailable(f"{missing} records not acknowledged: {detail}")


class Relay:
    """Publishes one service's outbox.

    Args:
        engine: the service's database.
        producer: makes a Kafka producer; a new one after every failure.
        source: `ce_source` of all events, for example /oms/order.
        health: told what goes wrong, and that the thread is alive.
        window: how long rows may gather after a batch.
        batch_max: rows a transaction at most; fewer where they are large.
        flush_seconds: how long the broker has to acknowledge a batch.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        producer: Callable[[], Producer],
        source: str,
        health: Health,
        window: Window,
        batch_max: int,
        flush_seconds: float,
    ) -> None:
        self._engine = engine
        self._make_producer = producer
        self._producer: Producer | None = None
        self._source = source
        self._headers_of_type: dict[tuple[str, int], tuple[Header, ...]] = {}
        self._health = health
        self._window = window
        self._batch_max = batch_max
        self._flush_seconds = flush_seconds
        self._refused: dict[str, tuple[float, float]] = {}
        self._stop = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Publish until `stop` is set; what was begun is finished, unless the broker is away."""
        self._stop = stop
        while not stop.is_set():
            self._health.beat("relay")
            try:
                with session(self._engine) as connection:
                    if try_session_lock(connection, RELAY_LOCK):
                        self._drain(connection)
                    else:
                        self._health.report("relay", None)
                        stop.wait(_STANDBY_SECONDS)
            except TransientError as error:
                self._put_off(error)
                stop.wait(0.5)
        self._drop_producer()

    def _drain(self, connection: Connection) -> None:
        connection.execute(_LISTEN)
        connection.commit()
        log.info("relay_leads")
        while not self._stop.is_set():
            self._health.beat("relay")
            if not self._await_broker():
                return
            sent = self._step(connection)
            self._window.taken(len(sent))
            if not self._is_full(sent) and not self._stop.wait(self._window.left()):
                wait_for_notify(connection, _POLL_SECONDS)

    def _is_full(self, batch: Sequence[Waiting]) -> bool:
        """Return whether more may have waited than this batch took."""
        return len(batch) == self._batch_max or sum(len(row.payload) for row in batch) >= _BATCH_BYTES

    def _step(self, connection: Connection) -> Sequence[Waiting]:
        """Publish one batch, or retry what was refused; return the rows that went out."""
        now = time.monotonic()
        due = next((topic for topic, (at, _) in self._refused.items() if at <= now), None)
        if due is not None:
            self._retry_refused(connection, due)
        parameters = {"held": list(self._refused), "n": self._batch_max, "size": _BATCH_BYTES}
        sent = self._publish(connection, TAKE, parameters)
        self._health.report("relay", Reason.OUTBOX_REJECTED if self._refused else None)
        return sent

    def _retry_refused(self, connection: Connection, topic: str) -> None:
        self._publish(connection, TAKE_ONE, {"topic": topic})
        if self._refused[topic][0] <= time.monotonic():
            # Not refused anew: it went out, or an operator took it away.
            del self._refused[topic]

    def _publish(self, connection: Connection, take: Statement, parameters: Mapping[str, object]) -> Sequence[Waiting]:
        """Delete rows, produce them, commit once all are acknowledged, and return them."""
        # Of another class: looking up each column of a row by its name takes as long as Kafka's client does.
        rows = [Waiting(*row) for row in connection.execute(take, parameters).all()]
        if not rows:
            connection.rollback()
            return []
        try:
            self._produce(rows)
        except RefusedByBroker as refused:
            connection.rollback()
            self._drop_producer()
            self._hold(refused)
            return []
        except BrokerUnavailable:
            connection.rollback()
            self._drop_producer()
            raise
        connection.commit()
        return rows

    def _produce(self, rows: Sequence[Waiting]) -> None:
        """Hand rows to the broker and wait until it has all of them.

        Raises:
            BrokerUnavailable: not all were acknowledged in time; some may have been.
            RefusedByBroker: a record will never be taken.

        """
        producer = self._producer = self._producer or self._make_producer()
        refusals = Refusals()
        until = time.monotonic() + self._flush_seconds
        for row in rows:
            _produce_one(producer, row, self._headers(row), refusals.take, until)
        left = self._flush_seconds
        while (unanswered := producer.flush(min(left, _FLUSH_SLICE_SECONDS))) and not self._stop.is_set():
            left = until - time.monotonic()
            if left <= 0:
                break
        refusals.check(unanswered)

    def _headers(self, row: Waiting) -> list[Header]:
        """Return the CloudEvents headers (binary mode, version 1.0) of a row."""
        # The id in the frame, not this build's newest: the row may have been written by another build.
        schema_id = int.from_bytes(row.payload[1:5])
        constant = self._headers_of_type.get((row.type, schema_id))
        if constant is None:
            constant = self._headers_of_type[row.type, schema_id] = self._constant_headers(row.type, schema_id)
        return [
            *constant,
            ("ce_id", row.id),
            ("ce_subject", row.aggregateid),
            ("ce_sequence", f"{row.sequence:010}"),
            *row.headers.items(),
        ]

    def _constant_headers(self, fullname: str, schema_id: int) -> tuple[Header, ...]:
        return (
            ("ce_specversion", "1.0"),
            ("ce_type", fullname),
            ("ce_source", self._source),
            ("ce_dataschema", f"urn:oms:schema:{schema_id}"),
            ("content-type", "application/avro"),
        )

    def _await_broker(self) -> bool:
        """After a failure, wait without a transaction until the broker shows a sign of life; False: told to stop."""
        while self._producer is None and not self._stop.is_set():
            self._health.beat("relay")
            producer = self._make_producer()
            try:
                producer.list_topics(timeout=_PROBE_SECONDS)
            except KafkaException as error:
                self._put_off(BrokerUnavailable(str(error)))
                self._stop.wait(0.5)
            else:
                self._producer = producer
        return self._producer is not None

    def _hold(self, refused: RefusedByBroker) -> None:
        _, pause = self._refused.get(refused.topic, (0.0, _REFUSAL_PAUSE_SECONDS / 2))
        pause = min(pause * 2, _REFUSAL_PAUSE_MAX_SECONDS)
        self._refused[refused.topic] = (time.monotonic() + pause, pause)
        self._health.report("relay", Reason.OUTBOX_REJECTED)
        log.error("outbox_rejected", topic=refused.topic, detail=str(refused), retry_in=pause)

    def _put_off(self, error: TransientError) -> None:
        self._health.report("relay", reason_of(error))
        log.warning("relay_put_off", error=type(error).__name__, detail=str(error)[:300])

    def _drop_producer(self) -> None:
        """Forget what the client still holds: whatever was not acknowledged is sent again from the outbox."""
        if self._producer is not None:
            self._producer.purge()
            self._producer = None


def _produce_one(
    producer: Producer,
    row: Waiting,
    headers: list[Header],
    report: Callable[..., None],
    until: float,
) -> None:
    while True:
        try:
            producer.produce(
                row.topic, value=bytes(row.payload), key=row.aggregateid.encode(), headers=headers, on_delivery=report
            )
        except BufferError:
            if time.monotonic() > until:
                raise BrokerUnavailable("the client's queue stays full") from None
            producer.poll(0.05)
        except KafkaException as error:
            raise _refusal(row.topic, error.args[0]) from error
        else:
            return


def _refusal(topic: str, error: KafkaError) -> OmsError:
    return RefusedByBroker(topic, error) if error.code() in PERMANENT else BrokerUnavailable(error.str())
