"""Metrics that are read from the database when they are asked for; each costs one indexed query a scrape."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from prometheus_client import REGISTRY
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from services.chassis import logs
from services.chassis.connection import Connection, Engine
from services.chassis.database import transaction
from services.chassis.errors import OmsError
from services.chassis.outbox import OLDEST_AGE
from services.chassis.runtime import Runtime
from services.chassis.service import DatabaseGauge
from services.chassis.settings import ServiceSettings
from services.chassis.statements import sql
from services.chassis.unit_of_work import UnitOfWork

S = TypeVar("S", bound=ServiceSettings)
U = TypeVar("U", bound=UnitOfWork)
log = logs.logger(__name__)

# Counted up to a bound: beyond it the exact number says nothing more, and counting would cost too much.
GAUGES = (
    DatabaseGauge(
        "oms_outbox_pending",
        "Events that wait to be published, counted up to 100000",
        (),
        sql("SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) pending"),
    ),
    DatabaseGauge(
        "oms_outbox_oldest_age_seconds",
        "Age of the event that has waited longest to be published, 0 where none waits",
        (),
        OLDEST_AGE,
    ),
    DatabaseGauge(
        "oms_parked_keys",
        "Keys whose head waits for a later try, or (dead) for an operator",
        ("topic", "state"),
        sql("SELECT topic, state, count(*) FROM parked_keys GROUP BY topic, state"),
    ),
)
# Of this build only: another one lifts the breaker at its start, and is not stopped by it.
BREAKER_OPEN = sql("""
SELECT consumer, topic, count(*) FROM breakers WHERE build_id = :build_id AND resumed_at IS NULL
GROUP BY consumer, topic
""")


class DatabaseCollector(Collector):
    """Asks the database for gauges.

    Args:
        engine: the service's database.
        gauges: what to ask for.
        service: its name, a label of `oms_build_info`.
        settings: its version and build, the others.

    """

    def __init__(
        self, engine: Engine, gauges: Sequence[DatabaseGauge], service: str, settings: ServiceSettings
    ) -> None:
        self._engine = engine
        self._gauges = gauges
        self._build = {"service": service, "version": settings.version, "build_id": settings.build_id}

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges; while the database is away only those that do not need it."""
        info = GaugeMetricFamily("oms_build_info", "What is running", labels=list(self._build))
        info.add_metric(list(self._build.values()), 1)
        yield info
        yield self._pool()
        try:
            with transaction(self._engine) as connection:
                families = [_family(connection, gauge) for gauge in self._gauges]
        except OmsError as error:
            log.warning("gauges_unread", error=type(error).__name__)
            return
        yield from families

    def _pool(self) -> GaugeMetricFamily:
        pool = self._engine.pool
        family = GaugeMetricFamily("oms_db_pool_connections", "Database connections of this process", labels=["state"])
        family.add_metric(["in_use"], pool.checkedout())
        family.add_metric(["idle"], pool.checkedin())
        return family


def register(runtime: Runtime[S, U]) -> None:
    """Add the service's database metrics to the process' registry."""
    REGISTRY.register(collector_of(runtime))


def collector_of(runtime: Runtime[S, U]) -> DatabaseCollector:
    """Return what a worker tells of its service's database."""
    gauges = [*GAUGES, breaker_open(runtime.settings.build_id), *runtime.service.gauges]
    return DatabaseCollector(runtime.engine, gauges, runtime.service.name, runtime.settings)


def breaker_open(build_id: str) -> DatabaseGauge:
    """Return the gauge of what the breaker stops in a build."""
    return DatabaseGauge(
        "oms_breaker_open",
        "1 for a consumer that takes nothing, since many keys of a topic were parked with one fingerprint",
        ("consumer", "topic"),
        BREAKER_OPEN,
        {"build_id": build_id},
    )


def _family(connection: Connection, gauge: DatabaseGauge) -> GaugeMetricFamily:
    family = GaugeMetricFamily(gauge.name, gauge.help, labels=list(gauge.labels))
    for row in connection.execute(gauge.query, gauge.parameters):
        family.add_metric([str(label) for label in row[:-1]], float(row[-1]))
    return family
