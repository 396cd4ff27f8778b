"""Tries parked events again, in order: by the consumer when they are due, by an operator at any time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, TypeVar

from services.chassis import breaker, inbox, log_fields, logs, parking
from services.chassis.breaker import Breaker, SuspectedBadDeploy
from services.chassis.connection import Engine
from services.chassis.database import require_reachable, statements, transaction
from services.chassis.end_offsets import Place
from services.chassis.errors import TransientError
from services.chassis.handling import Handling
from services.chassis.incoming import Reader
from services.chassis.outbox import Outbox
from services.chassis.statements import often
from services.chassis.tally import Tally
from services.chassis.unit_of_work import Deferral, UnitOfWork, begin

# One statement, since an idle system does little else.
LOOK = often(f"""
WITH caught_up AS ({inbox.CAUGHT_UP}), open AS ({breaker.OPEN}), due AS ({parking.FIRST_DUE})
SELECT open.topic AS open_topic, open.fingerprint, due.topic, due.key
FROM (VALUES (1)) look LEFT JOIN open ON true LEFT JOIN due ON true
""")  # noqa: S608  # of constants
U = TypeVar("U", bound=UnitOfWork)
log = logs.logger(__name__)


@dataclass(slots=True)
class _Try:
    """One try of a parked key's head; `about` is what a log line says of it, as far as it is known."""

    key: parking.Key
    about: log_fields.Fields = field(default_factory=dict)


class Retries(Generic[U]):
    """Tries the parked keys of one consumer.

    Args:
        engine: the service's database.
        consumer: its name.
        reader: decodes the parked records.
        handling: runs the handlers.
        outbox: makes an empty outbox for a transaction.
        breaker: guards this consumer.
        tally: counts what was handled.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        consumer: str,
        reader: Reader,
        handling: Handling[U],
        outbox: Callable[[], Outbox],
        breaker: Breaker,
        tally: Tally,
    ) -> None:
        self._engine = engine
        self._consumer = consumer
        self._reader = reader
        self._handling = handling
        self._outbox = outbox
        self._breaker = breaker
        self._tally = tally

    def retry_due(self, caught_up: Mapping[Place, float] = MappingProxyType({})) -> bool:
        """Try the parked key that is due first, and return whether there was one.

        Whatever became of it, it is not first any more: its pause has begun, or its next event queues up behind
        the others that are due. So a caller goes on until nothing is due.

        Args:
            caught_up: partition → how many seconds ago the end was looked up that is now reached; written down with
                the look for what is due, whatever comes of that.

        Raises:
            TransientError: nothing was tried.

        """
        due = self._look(caught_up)
        if due is not None:
            self._attempt(due, only_due=True)
        return due is not None

    def _look(self, caught_up: Mapping[Place, float]) -> parking.Key | None:
        with statements(self._engine) as connection:
            row = connection.execute(LOOK, {**self._breaker.identity, **inbox.caught_up(caught_up)}).one()
        if row.open_topic is not None:
            raise SuspectedBadDeploy(row.open_topic, row.fingerprint)
        return None if row.topic is None else (row.topic, row.key)

    def retry(self, key: parking.Key) -> bool:
        """Try the head of a parked key now, whoever asks, and return whether it was handled.

        Raises:
            TransientError: nothing was tried.

        """
        return self._attempt(key, only_due=False)

    def _attempt(self, key: parking.Key, *, only_due: bool) -> bool:
        attempt = _Try(key, {"topic": key[0]})
        try:
            return self._retry(attempt, only_due=only_due)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a handler raises is this event's fault
            require_reachable(self._engine, error)
            self._record_failure(attempt, error)
            return False

    def _retry(self, attempt: _Try, *, only_due: bool) -> bool:
        key = attempt.key
        with begin(self._engine, self._outbox()) as tx:
            attempts = parking.lock_key(tx.connection, self._consumer, key, only_due=only_due)
            parked = parking.head(tx.connection, self._consumer, key)
            if attempts is None or parked is None:
                return False
            attempt.about = log_fields.of_event(None, parked.record, parked.event_id, attempt=attempts + 1)
            item = self._reader.read(parked.record, parked)
            if item is not None:
                attempt.about = log_fields.of_item(item, attempt=attempts + 1)
                if self._handling.run(tx, [item], attempts):
                    return False
            parking.release_head(tx.connection, self._consumer, key, parked)
        log.info("parked_event_handled", **attempt.about)
        if item is not None:
            self._tally.one(item, "retried")
        return True

    def _record_failure(self, attempt: _Try, error: Exception) -> None:
        log.warning("parked_event_failed", **attempt.about, exc_info=error)
        with transaction(self._engine) as connection:
            attempts = parking.lock_key(connection, self._consumer, attempt.key)
            if attempts is not None:
                fault = Deferral(parking.fingerprint_of(error), None)
                described = f"{type(error).__name__}: {error}"
                self._handling.park_key(connection, attempt.key, fault, attempts=attempts, error=described)
