"""The parts of one process of a service, built from its description and its settings.

The only place where the chassis' classes are put together; production and tests come through the same door.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from confluent_kafka.admin import AdminClient

from services.chassis import idempotency, inbox, kafka, migrate, operations, parking
from services.chassis.avro import Codec, SchemaSource
from services.chassis.breaker import Breaker
from services.chassis.catalog_gate import ReadToEnd
from services.chassis.commands import Commands, at_once
from services.chassis.connection import LOCK_SECONDS, Engine
from services.chassis.consumer import Consumer
from services.chassis.database import transaction
from services.chassis.deadlines import Chore, Deadlines
from services.chassis.end_offsets import EndOffsets
from services.chassis.errors import SchemaMismatch
from services.chassis.handling import Handling
from services.chassis.health import Health
from services.chassis.incoming import Reader, Subscription
from services.chassis.lag import Lag
from services.chassis.operations import OperationsUnitOfWork
from services.chassis.outbox import Outbox
from services.chassis.processor import Processor
from services.chassis.registry import schemas_of
from services.chassis.relay import Relay
from services.chassis.retries import Retries
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings
from services.chassis.tally import Tally
from services.chassis.unit_of_work import Transaction, UnitOfWork
from services.chassis.window import Window

S = TypeVar("S", bound=ServiceSettings)
U = TypeVar("U", bound=UnitOfWork)


@dataclass(frozen=True)
class Runtime(Generic[S, U]):
    """What the processes of a service are made of.

    Args:
        service: its description.
        settings: its settings.
        health: what this process says about itself.
        lock_seconds: that its statements wait for a row which another transaction holds.

    """

    service: Service[S, U]
    settings: S
    health: Health
    lock_seconds: float = LOCK_SECONDS

    @cached_property
    def engine(self) -> Engine:
        """The service's database."""
        settings = self.settings
        return Engine(
            settings.database_url,
            settings.database_pool_size,
            f"oms-{self.service.name}",
            statement_seconds=settings.statement_timeout_seconds,
            lock_seconds=self.lock_seconds,
        )

    @cached_property
    def schemas(self) -> SchemaSource:
        """Where schema ids come from."""
        return schemas_of(self.service.schemas, self.settings.schema_registry_client())

    @cached_property
    def codec(self) -> Codec:
        """Encodes and decodes the service's events."""
        return Codec(self.service.events, self.schemas)

    @cached_property
    def admin(self) -> AdminClient:
        """Asks the cluster; one for the whole process."""
        return kafka.make_admin(self.settings)

    @cached_property
    def subscriptions(self) -> Sequence[Subscription[U]]:
        """What the service reads."""
        return self.service.subscriptions(self.settings)

    def outbox(self) -> Outbox:
        """Return an empty outbox for a transaction."""
        return Outbox(self.codec, self.service.name, self.settings.max_event_bytes)

    def unit_of_work(self, tx: Transaction) -> U:
        """Return the service's unit of work over a transaction."""
        return self.service.unit_of_work(tx, self.settings)

    @contextmanager
    def queries(self) -> Iterator[U]:
        """Lend a unit of work for reading."""
        with transaction(self.engine) as connection:
            yield self.unit_of_work(Transaction(connection, self.outbox()))

    def _checked_unit_of_work(self, tx: Transaction) -> U:
        """Return the same once the database's mode is known: when an API started, its database may have been away."""
        self._mode.require(tx.connection)
        return self.unit_of_work(tx)

    def commands(self, gather: Callable[[], None] = at_once) -> Commands[U]:
        """Return what runs the service's commands in groups; `gather` lets a group fill."""
        return Commands(
            engine=self.engine,
            handlers=self.service.commands,
            outbox=self.outbox,
            unit_of_work=self._checked_unit_of_work,
            outbox_max_rows=self.settings.outbox_max_rows,
            gather=gather,
        )

    def _operators(self, tx: Transaction) -> OperationsUnitOfWork:
        consumers = [subscription.consumer for subscription in self.subscriptions]
        return OperationsUnitOfWork(tx, consumers, self.codec, self.schemas)

    @contextmanager
    def operator_queries(self) -> Iterator[OperationsUnitOfWork]:
        """Lend a unit of work for reading parked keys."""
        with transaction(self.engine) as connection:
            yield self._operators(Transaction(connection, self.outbox()))

    def operations(self) -> Commands[OperationsUnitOfWork]:
        """Return what runs the operators' commands in groups of their own."""
        return Commands(
            engine=self.engine,
            handlers=operations.HANDLERS,
            outbox=self.outbox,
            unit_of_work=self._operators,
            # They publish nothing, and are needed most when much waits.
            outbox_max_rows=sys.maxsize,
        )

    @cached_property
    def _mode(self) -> migrate.ModeGuard:
        return migrate.ModeGuard(self.schemas.mode)

    def require_mode(self) -> None:
        """Refuse a database that was begun in another schema mode, whatever else it may lack yet.

        Raises:
            SchemaMismatch: naming both modes.

        """
        with transaction(self.engine) as connection:
            self._mode.require(connection)

    def require_schema(self) -> None:
        """Refuse to start on a database or a registry that does not fit this build.

        Raises:
            SchemaMismatch: saying what is behind, of another mode, or missing.
            TransientError: it cannot be told now.

        """
        behind = migrate.pending(self.engine, self.service.migrations)
        if behind:
            raise SchemaMismatch("migrations are pending: " + "; ".join(behind))
        self.require_mode()
        self.schemas.prepare()

    def processor(self, subscription: Subscription[U]) -> Processor[U]:
        """Return what handles the batches of a subscription, and tries again what it parked."""
        settings = self.settings
        breaker = Breaker(
            subscription.consumer, settings.build_id, settings.park_breaker_keys, settings.park_breaker_seconds
        )
        policy = parking.ParkingPolicy(
            settings.max_attempts, settings.park_backoff_seconds, settings.park_backoff_max_seconds
        )
        reader = Reader(self.codec, subscription.handlers)
        handling = Handling(subscription=subscription, unit_of_work=self.unit_of_work, policy=policy, breaker=breaker)
        tally = Tally(follows_sequences=not subscription.projection)
        retries = Retries(
            engine=self.engine,
            consumer=subscription.consumer,
            reader=reader,
            handling=handling,
            outbox=self.outbox,
            breaker=breaker,
            tally=tally,
        )
        return Processor(
            engine=self.engine,
            subscription=subscription,
            reader=reader,
            handling=handling,
            outbox=self.outbox,
            breaker=breaker,
            tally=tally,
            retries=retries,
        )

    def consumer(self, subscription: Subscription[U]) -> Consumer[U]:
        """Return the consumer of a subscription."""
        lag = Lag()
        before = [other for other in self.subscriptions if other.consumer == subscription.after]
        return Consumer(
            engine=self.engine,
            processor=self.processor(subscription),
            kafka=lambda: kafka.make_consumer(self.settings, subscription.consumer, lag.statistics),
            lag=lag,
            ends=EndOffsets(self.admin),
            health=self.health,
            may_begin=ReadToEnd(self.admin, self.engine, {other.consumer: other.topics for other in before}),
            batch_max=self.settings.consumer_batch_max,
            window=Window(self.settings.batch_window_seconds),
        )

    def relay(self) -> Relay:
        """Return the outbox's relay."""
        return Relay(
            engine=self.engine,
            producer=lambda: kafka.make_producer(self.settings),
            source=f"/oms/{self.service.name}",
            health=self.health,
            window=Window(self.settings.batch_window_seconds, self.service.gathers_seconds),
            batch_max=self.settings.relay_batch_max,
            flush_seconds=self.settings.relay_flush_seconds,
        )

    def deadlines(self) -> Deadlines[U]:
        """Return the worker that fires deadlines and keeps house."""
        settings = self.settings
        return Deadlines(
            engine=self.engine,
            deadlines=self.service.deadlines(settings),
            chores=[*self._chores(), *self.service.chores(settings)],
            reads=[(each.consumer, topic) for each in self.subscriptions for topic in each.topics],
            outbox=self.outbox,
            unit_of_work=self.unit_of_work,
            health=self.health,
            poll_seconds=settings.deadline_poll_seconds,
            away_seconds=settings.deadline_away_seconds,
            grace_max_seconds=settings.deadline_grace_max_seconds,
        )

    def _chores(self) -> list[Chore]:
        settings = self.settings
        return [
            Chore("inbox", 10, lambda connection: inbox.prune(connection, settings.inbox_retention_days)),
            Chore(
                "idempotency_keys",
                10,
                lambda connection: idempotency.prune(connection, settings.idempotency_retention_hours),
            ),
            Chore("dead_events", 600, lambda connection: parking.prune_dead(connection, settings.dead_retention_days)),
        ]
