"""The order service, described for the chassis."""

from functools import partial
from pathlib import Path

from schemas import contracts
from services.chassis import auditor
from services.chassis.database import ANALYTICS_LOCK
from services.chassis.deadlines import Deadline
from services.chassis.incoming import Subscription
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from services.chassis.upkeep import Upkeep
from services.order import audit, erase, stuck
from services.order.api.blueprints import BLUEPRINTS
from services.order.api.problems import PROBLEMS
from services.order.handlers import CATALOG_HANDLERS, COMMANDS, FOREIGN, HANDLERS
from services.order.handlers.shipments import tell_overdue
from services.order.handlers.stock import end_overdue
from services.order.repository import analytics_facts, gauges
from services.order.repository import audit as books
from services.order.repository import orders as orders_table
from services.order.settings import OrderSettings
from services.order.unit_of_work import OrderUnitOfWork

_CATALOG, _ORDER = "order-catalog", "order"
_ANALYTICS = "analytics"


def _deadlines(_settings: OrderSettings) -> list[Deadline[OrderUnitOfWork]]:
    return [
        Deadline(
            name="saga",
            topics=(contracts.StockReserved.TOPIC,),
            passed=orders_table.COUNT_OVERDUE,
            fire=end_overdue,
        ),
        # A matter of the calendar: nothing that could still come changes it.
        Deadline(name="ship_by", topics=(), passed=orders_table.COUNT_LATE, fire=tell_overdue),
    ]


def _auditor(runtime: Runtime[OrderSettings, OrderUnitOfWork]) -> auditor.Auditor:
    return auditor.Auditor(runtime.engine, runtime.health, runtime.settings.audit_seconds, books.run)


def _analyst(runtime: Runtime[OrderSettings, OrderUnitOfWork]) -> Upkeep:
    settings = runtime.settings
    return Upkeep(
        engine=runtime.engine,
        health=runtime.health,
        name=_ANALYTICS,
        lock=ANALYTICS_LOCK,
        seconds=settings.analytics_refresh_seconds,
        step=partial(analytics_facts.refresh, zones=settings.analytics_time_zones),
    )


SERVICE = Service(
    name="order",
    settings=OrderSettings,
    events=contracts.EVENTS,
    schemas=Path(contracts.__file__).parent,
    migrations=Path(__file__).parent / "migrations",
    unit_of_work=OrderUnitOfWork,
    subscriptions=lambda _settings: [
        Subscription(_CATALOG, CATALOG_HANDLERS, foreign={}, projection=True),
        Subscription(_ORDER, HANDLERS, foreign=FOREIGN, after=_CATALOG),
    ],
    commands=COMMANDS,
    blueprints=BLUEPRINTS,
    problems=PROBLEMS,
    seen=OrderUnitOfWork.seen,
    deadlines=_deadlines,
    reports={"stuck": stuck.report, "audit": audit.report},
    loops={auditor.NAME: _auditor, _ANALYTICS: _analyst},
    jobs={"erase": erase.erase},
    gauges=(*gauges.GAUGES, *auditor.GAUGES),
)
