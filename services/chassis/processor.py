"""What happens to a batch of records: one transaction in six steps, or none of it.

1 drop repeats · 2 claim the inbox · 3 append to parked keys what belongs to one · 4 lock and load, once ·
5 handle in waves · 6 write state, outbox, positions; commit.
Invariant: every record of a batch ends handled, ignored, known already, or parked in its place; the position moves
past it in the same transaction. No Kafka in here: the consumer brings records and commits offsets afterwards.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from services.chassis import breaker, inbox, log_fields, logs, metrics, parking
from services.chassis.breaker import Breaker, SuspectedBadDeploy
from services.chassis.connection import Connection, Engine
from services.chassis.database import require_reachable, transaction
from services.chassis.errors import RowExists, StatementTimeout, TransientError
from services.chassis.events import Record
from services.chassis.handling import Handling
from services.chassis.incoming import Item, Reader, Subscription
from services.chassis.outbox import Outbox
from services.chassis.retries import Retries
from services.chassis.statements import often
from services.chassis.tally import Tally
from services.chassis.unit_of_work import Deferral, Transaction, UnitOfWork, begin

# One round trip, of which a lone event has few others.
GATE = often(f"""
WITH parked AS ({parking.LOCK_KEYS}), open AS ({breaker.OPEN})
SELECT topic, key, NULL AS fingerprint FROM parked UNION ALL SELECT topic, NULL, fingerprint FROM open
""")  # noqa: S608  # of constants
U = TypeVar("U", bound=UnitOfWork)
# A statement that took too long, or a row that another transaction inserted meanwhile: the same batch may succeed.
_TRIES = 3
log = logs.logger(__name__)


class Processor(Generic[U]):
    """Handles the batches of one subscription.

    Args:
        engine: the service's database.
        subscription: what is read and who handles it.
        reader: decodes the records.
        handling: runs the handlers.
        outbox: makes an empty outbox for a transaction.
        breaker: guards this consumer.
        tally: counts what became of records.
        retries: tries what was parked.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        subscription: Subscription[U],
        reader: Reader,
        handling: Handling[U],
        outbox: Callable[[], Outbox],
        breaker: Breaker,
        tally: Tally,
        retries: Retries[U],
    ) -> None:
        self.subscription = subscription
        self.retries = retries
        self._engine = engine
        self._reader = reader
        self._handling = handling
        self._outbox = outbox
        self._breaker = breaker
        self._tally = tally
        self._consumer = subscription.consumer

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
        self._handle(records, [self._reader.read(record) for record in records])
        metrics.CONSUMER_BATCH_SIZE.observe(len(records))

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
        """Halve the batch until the failing event is alone, and park that one.

        Where the breaker opened midway, until what was parked before that stands.
        """
        require_reachable(self._engine, error)
        if len(records) == 1:
            self._park(records[0], items[0], error)
            return
        middle = len(records) // 2
        self._handle(records[:middle], items[:middle])
        self._handle(records[middle:], items[middle:])

    def _transact(self, records: Sequence[Record], items: Sequence[Item]) -> None:
        with begin(self._engine, self._outbox()) as tx:
            connection = tx.connection
            if self._breaker.was_open:
                # While it is open the same batch comes again and again: claims that are rolled back leave dead rows.
                self._breaker.check(connection)
            fresh = self._claim(tx, items)
            parked = self._pass_gate(connection, {item.key for item in fresh})
            waiting = [item for item in fresh if item.key in parked]
            waiting += self._handling.run(tx, [item for item in fresh if item.key not in parked])
            parking.append(connection, self._consumer, _in_log_order(waiting))
            inbox.advance(connection, self._consumer, _positions(records))
        self._tally.batch(records, items, fresh, waiting)

    def _claim(self, tx: Transaction, items: Sequence[Item]) -> list[Item]:
        """Return the first of each event that nobody has claimed yet, in order."""
        first = {item.received.event_id: item for item in reversed(items)}
        if self.subscription.projection:
            return [item for item in items if first[item.received.event_id] is item]
        new, now = inbox.claim(tx.connection, self._consumer, first)
        tx.tell_time(now)
        return [item for item in items if item.received.event_id in new and first[item.received.event_id] is item]

    def _pass_gate(self, connection: Connection, keys: set[parking.Key]) -> set[parking.Key]:
        """Lock those of the keys that are parked, and return them.

        After the claim: whoever claimed the same events, and was waited for there, may have parked their keys.

        Raises:
            SuspectedBadDeploy: the breaker is open.

        """
        wanted = sorted(keys)
        columns = {"topics": [topic for topic, _ in wanted], "keys": [key for _, key in wanted]}
        rows = connection.execute(GATE, {**self._breaker.identity, **columns}).all()
        for row in rows:
            if row.fingerprint is not None:
                self._breaker.was_open = True
                raise SuspectedBadDeploy(row.topic, row.fingerprint)
        return {(row.topic, row.key) for row in rows}

    def _park(self, record: Record, item: Item | None, error: Exception) -> None:
        """Park the one event whose handling failed."""
        if item is None:
            raise error
        log.warning("event_parked", **log_fields.of_item(item, attempt=1), exc_info=error)
        with begin(self._engine, self._outbox()) as tx:
            connection = tx.connection
            claimed = self._claim(tx, [item])
            if claimed:
                fault = Deferral(parking.fingerprint_of(error), None)
                described = f"{type(error).__name__}: {error}"
                self._handling.park_key(connection, item.key, fault, attempts=0, error=described)
                parking.append(connection, self._consumer, [(item.received.event_id, record)])
            inbox.advance(connection, self._consumer, _positions([record]))
        self._tally.one(item, "parked" if claimed else "duplicate")


def _in_log_order(items: Sequence[Item]) -> list[tuple[str, Record]]:
    ordered = sorted(items, key=lambda item: (item.key[0], item.received.record.partition, item.received.record.offset))
    return [(item.received.event_id, item.received.record) for item in ordered]


def _positions(records: Sequence[Record]) -> list[inbox.Position]:
    last = {(record.topic, record.partition): record.offset for record in records}
    return [inbox.Position(topic, partition, offset + 1) for (topic, partition), offset in last.items()]
