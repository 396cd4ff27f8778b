"""The inventory service, described for the chassis."""

from pathlib import Path

from schemas import contracts
from services.chassis import auditor
from services.chassis.deadlines import Chore, Deadline
from services.chassis.incoming import Subscription
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from services.inventory import audit
from services.inventory.api.inventory import inventory
from services.inventory.api.problems import PROBLEMS
from services.inventory.handlers import COMMANDS, HANDLERS, expire_reservations
from services.inventory.repository import audit as books
from services.inventory.repository import gauges, reservations
from services.inventory.settings import InventorySettings
from services.inventory.unit_of_work import InventoryUnitOfWork

_CONSUMER = "inventory"


def _deadlines(_settings: InventorySettings) -> list[Deadline[InventoryUnitOfWork]]:
    return [
        Deadline(
            name="reservation",
            topics=(contracts.OrderConfirmed.TOPIC,),
            passed=reservations.COUNT_OVERDUE,
            fire=expire_reservations,
        )
    ]


def _auditor(runtime: Runtime[InventorySettings, InventoryUnitOfWork]) -> auditor.Auditor:
    return auditor.Auditor(runtime.engine, runtime.health, runtime.settings.audit_seconds, books.run)


SERVICE = Service(
    name="inventory",
    settings=InventorySettings,
    events=contracts.EVENTS,
    schemas=Path(contracts.__file__).parent,
    migrations=Path(__file__).parent / "migrations",
    unit_of_work=InventoryUnitOfWork,
    subscriptions=lambda _settings: [Subscription(_CONSUMER, HANDLERS, foreign={})],
    commands=COMMANDS,
    blueprints=[inventory],
    problems=PROBLEMS,
    deadlines=_deadlines,
    reports={"audit": audit.report},
    loops={auditor.NAME: _auditor},
    gauges=(*gauges.GAUGES, *auditor.GAUGES),
    chores=lambda _settings: [Chore("reservations", 600, reservations.prune)],
)
