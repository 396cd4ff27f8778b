"""A service on a real PostgreSQL, assembled as in production: its database is cloned for each test.

`world_of` lends a `World`; what stands for a second process of the same service is `World.process()`.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from deploy.local.databases import Database, Databases
from services.chassis import inbox, migrate
from services.chassis.connection import LOCK_SECONDS, Engine
from services.chassis.database import transaction
from services.chassis.events import Event, Record, new_id
from services.chassis.health import Health
from services.chassis.incoming import Subscription
from services.chassis.processor import Processor
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from tests.support.servers import database_like

# What the chassis keeps, in every service's database.
CHASSIS_TABLES = ("inbox", "outbox", "parked_keys", "parked_events", "dead_events", "idempotency_keys")
NOWHERE = "127.0.0.1:1"
_offsets = itertools.count()


@cache
def _migrated(databases: Databases, name: str, migrations: Path) -> Database:
    """Migrate a database that all tests of the session clone."""
    database = databases.ensure_database(f"{name}_template", owner=f"{name}_test")
    engine = Engine(database.url, 1, "test")
    migrate.upgrade(engine, migrations, "folder")
    engine.dispose()
    return database


@dataclasses.dataclass
class World:
    """One service, its database, and as many of its processes as a test needs.

    Args:
        service: its description.
        databases: the superuser's way to the server.
        database: the service's own.
        changes: settings that differ from the defaults.

    """

    service: Service[Any, Any]
    databases: Databases
    database: Database
    changes: Mapping[str, object]
    _engines: list[Engine | sa.Engine] = dataclasses.field(default_factory=list)

    def process(
        self, service: Service[Any, Any] | None = None, *, lock_seconds: float = LOCK_SECONDS, **changes: object
    ) -> Runtime[Any, Any]:
        """Return what another process of the service would be made of, with connections of its own."""
        service = service or self.service
        values: dict[str, Any] = {
            "_env_file": None,
            "database_url": self.database.url,
            "kafka_bootstrap_servers": NOWHERE,
            "jwt_secret": "a secret for tests that is long enough",
            "jwt_issuer": "https://issuer.test",
            "jwt_audience": "oms",
            "http_port": 1,
            "metrics_port": 1,
        }
        runtime = Runtime(service, service.settings(**{**values, **self.changes, **changes}), Health(), lock_seconds)
        self._engines.append(runtime.engine)
        return runtime

    @cached_property
    def runtime(self) -> Runtime[Any, Any]:
        """The first process."""
        return self.process()

    @cached_property
    def _observer(self) -> sa.Engine:
        """The test's own connections, which survive what it does to those of the service."""
        engine = sa.create_engine(self.database.url, pool_pre_ping=True)
        self._engines.append(engine)
        return engine

    @property
    def subscription(self) -> Subscription[Any]:
        """What the service's last consumer reads: the one that is no projection."""
        return self.runtime.subscriptions[-1]

    @cached_property
    def processor(self) -> Processor[Any]:
        """What handles the batches of that consumer."""
        return self.runtime.processor(self.subscription)

    def record(self, event: Event, **differences: Any) -> Record:
        """Return an event as the relay publishes it, at the next offset of partition 0.

        `differences` are fields of the record; `headers` replace or (None) take away single ones, `event_id` is
        the header `ce_id`.
        """
        headers = {"ce_id": differences.pop("event_id", None) or new_id(), "ce_type": event.FULLNAME}
        headers |= {"ce_correlationid": event.key, **differences.pop("headers", {})}
        whole = Record(
            topic=event.TOPIC,
            partition=0,
            offset=next(_offsets),
            key=event.key.encode(),
            value=self.runtime.codec.encode(event),
            headers=tuple((name, value.encode()) for name, value in headers.items() if value is not None),
            timestamp_ms=0,
        )
        return whole._replace(**differences)

    def records(self, events: Iterable[Event]) -> list[Record]:
        """Return events as the relay publishes them, one after the other."""
        return [self.record(event) for event in events]

    def deliver(self, *events: Event) -> list[Record]:
        """Have events handled in one batch; return their records, to be delivered again."""
        records = self.records(events)
        self.processor.handle(records)
        return records

    def rows(self, query: str, **parameters: object) -> list[Any]:
        """Run a statement of the test's own; a row of one column is returned as its value."""
        with self._observer.begin() as connection:
            result = connection.execute(sa.text(query), parameters)
            found = [tuple(row) for row in result] if result.returns_rows else []
        return [row[0] if len(row) == 1 else row for row in found]

    def one(self, query: str, **parameters: object) -> Any:
        """Return the only row (or value) of a query."""
        (row,) = self.rows(query, **parameters)
        return row

    def snapshot(self, *tables: str) -> dict[str, list[str]]:
        """Return everything in these tables and in the chassis', to be compared as a whole.

        Of the positions only how far they are: when the end of a partition was seen is no state.
        """
        kept = {table: self.rows(f"SELECT t::text FROM {table} t ORDER BY 1") for table in (*tables, *CHASSIS_TABLES)}
        kept["position"] = self.rows("SELECT topic, partition, next_offset FROM consumer_progress ORDER BY 1, 2")
        return kept

    def emitted(self) -> list[tuple[str, int, Event]]:
        """Return (key, sequence, event) of the outbox, in its order."""
        found = self.rows("SELECT aggregateid, sequence, type, payload FROM outbox ORDER BY seq")
        decode = self.runtime.codec.decode
        return [(key, sequence, decode(bytes(payload), kind)) for key, sequence, kind, payload in found]

    def position(self) -> dict[tuple[str, int], int]:
        """Return how far the consumer has read."""
        engine = Engine(self.database.url, 1, "observer")
        try:
            with transaction(engine) as connection:
                return inbox.read_progress(connection, self.subscription.consumer)
        finally:
            engine.dispose()

    def outbox_is_empty(self) -> None:
        """Assert that nothing waits to be published."""
        assert self.rows("SELECT topic, count(*) FROM outbox GROUP BY topic") == []

    def not_ready_for(self, *reasons: str) -> None:
        """Assert that `/readyz` of the first process gives these reasons, none for ready."""
        found: Any = self.runtime.health.readyz().body["reasons"]
        assert [row["reason"] for row in found] == list(reasons)

    def deadlocks(self) -> int:
        """Close the service's connections, so that they report, and return how many deadlocks PostgreSQL found."""
        self.close()
        with contextlib.closing(self.databases.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = %s", (self.database.name,))
            return int(cursor.fetchone()[0])

    def terminate(self, pid: int) -> None:
        """End a connection's backend, as a crash of the server would, and wait until it is gone."""
        with contextlib.closing(self.databases.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    @contextlib.contextmanager
    def database_away(self) -> Iterator[None]:
        """Let nobody into the service's database for the length of the block, and end who is in there."""
        with contextlib.closing(self.databases.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(f"ALTER DATABASE {self.database.name} WITH ALLOW_CONNECTIONS false")
            try:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                    (self.database.name,),
                )
                yield
            finally:
                cursor.execute(f"ALTER DATABASE {self.database.name} WITH ALLOW_CONNECTIONS true")

    def close(self) -> None:
        """Close every connection."""
        for engine in self._engines:
            engine.dispose()


@contextlib.contextmanager
def world_of(service: Service[Any, Any], databases: Databases, **changes: object) -> Iterator[World]:
    """Lend a service on a fresh database; `changes` are settings."""
    template = _migrated(databases, service.name, service.migrations)
    with database_like(databases, template) as database:
        world = World(service, databases, database, changes)
        try:
            yield world
        finally:
            world.close()
