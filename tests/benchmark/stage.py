"""What both sides start from: real servers, a catalog with stock, and a backlog of orders that nobody has looked at.

Everything is made by the product's own code: variants and stock by inventory's command handlers, the order service's
view of the catalog by its own consumer, the orders by its own placing. None of it is measured.
"""

import contextlib
import itertools
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.stack import Stack, launch
from deploy.local.state import SERVICES
from services.chassis.commands import Submitted
from services.chassis.connection import Engine
from services.chassis.database import statements, transaction
from services.chassis.events import Cause, new_id
from services.chassis.health import Health
from services.chassis.runtime import Runtime
from services.chassis.service import Service
from services.chassis.settings import load_settings
from services.chassis.statements import sql
from services.chassis.unit_of_work import begin
from services.inventory.bootstrap import SERVICE as INVENTORY
from services.inventory.domain.commands import PutVariant, ReceiveStock
from services.inventory.domain.stock import DEFAULT_LOCATION, Because
from services.order.bootstrap import SERVICE as ORDER
from services.order.domain.drafts import OrderDraft, WantedItem
from services.order.domain.history import Actor
from services.order.domain.placing import PlaceOrder
from tests.benchmark.workload import STOCK, Workload
from tests.support.eventually import eventually

# Beside what every stack sets: an order confirms as soon as its stock is reserved: nobody pays.
OVERRIDES: Mapping[str, Mapping[str, str]] = {"order": {"AUTO_CONFIRM_ORDERS": "true"}}
# As where database and services share a machine and nobody profiles: clients over its socket, no statement statistics.
_POSTGRES: Mapping[str, str] = {"shared_preload_libraries": ""}
_SOCKETS = "unix_socket_directories"
_GROUP = 100
_CATALOG_SECONDS = 60.0
_SHOP = Actor(type="service", id="benchmark")
_ADDRESS = {
    "first_name": "Ada",
    "last_name": "Buyer",
    "company": None,
    "address1": "1 High Street",
    "address2": None,
    "city": "Springfield",
    "state_province": None,
    "postal_code": "12345",
    "country_code": "DE",
    "phone": None,
}


@dataclass(frozen=True, slots=True)
class Stage:
    """A stack with its servers running, its databases migrated, and no service started."""

    stack: Stack
    workload: Workload

    def runtime(self, service: Service[Any, Any]) -> Runtime[Any, Any]:
        """Return a service's parts, for use in this process."""
        environment = {name.lower(): value for name, value in self.stack.environment(service.name).items()}
        return Runtime(service, load_settings(service.settings, environment), Health())

    def set(self) -> None:
        """Load the catalog."""
        inventory, order = self.runtime(INVENTORY), self.runtime(ORDER)
        self._load_catalog(inventory, order)
        inventory.engine.dispose()
        order.engine.dispose()
        self.settle()

    def place(self, start: int, stop: int) -> None:
        """Place the workload's orders from the one numbered `start` to the one before `stop`."""
        order = self.runtime(ORDER)
        wishes = itertools.islice(enumerate(self.workload.wishes()), start, stop)
        _run(order, [_placing(number, wish) for number, wish in wishes])
        order.engine.dispose()
        self.settle()

    def _load_catalog(self, inventory: Runtime[Any, Any], order: Runtime[Any, Any]) -> None:
        skus = self.workload.catalog()
        _run(inventory, [_publication(sku) for sku in skus])
        _run(inventory, [_receipt(sku) for sku in skus])
        names = [
            self.stack.start_process("inventory", "worker", "--only", "relay", name="catalog-relay"),
            self.stack.start_process("order", "worker", "--only", "consumer:order-catalog", name="catalog-reader"),
        ]
        self.stack.await_ready(*names)
        eventually(lambda: _require_catalog(order, len(skus)), within=_CATALOG_SECONDS)
        for name in names:
            self.stack.processes.stop(name)

    def settle(self) -> None:
        """Vacuum, analyse and checkpoint: the debts of what was before are not those of what is measured."""
        for service in SERVICES:
            engine = Engine(self.stack.environment(service)["DATABASE_URL"], 1, "benchmark", statement_seconds=0)
            with statements(engine) as connection:
                connection.execute(sql("VACUUM (ANALYZE)"))
            engine.dispose()
        with contextlib.closing(self.stack.postgres.databases.connect()) as admin, admin.cursor() as cursor:
            cursor.execute("CHECKPOINT")


@contextlib.contextmanager
def staged(directory: Path, workload: Workload, settings: Mapping[str, str] | None = None) -> Iterator[Stage]:
    """Lend a fresh stage in a directory, with servers of its own; nothing of it stays.

    Args:
        directory: for the stack.
        workload: to be placed.
        settings: of PostgreSQL, beside the usual ones.

    """
    # A path of its own: a socket's may have some hundred characters only (unix(7)), a checkout's may have more.
    with (
        tempfile.TemporaryDirectory(prefix="oms-") as sockets,
        launch(
            directory, overrides=OVERRIDES, postgres_settings={**_POSTGRES, **(settings or {}), _SOCKETS: sockets}
        ) as stack,
    ):
        stack.start_servers()
        stack.migrate()
        yield Stage(stack, workload)


def _run(runtime: Runtime[Any, Any], commands: Sequence[Submitted[Any]]) -> None:
    """Run commands as the service's API does, a hundred a transaction."""
    for start in range(0, len(commands), _GROUP):
        group = commands[start : start + _GROUP]
        with begin(runtime.engine, runtime.outbox()) as tx:
            uow = runtime.unit_of_work(tx)
            uow.lock(group)
            results = [runtime.service.commands[type(one.command)](one, uow) for one in group]
            uow.save()
            tx.finish()
        refused = [result for result in results if getattr(result, "code", None) is not None]
        if refused:
            raise RuntimeError(f"the stage cannot be set: {refused[0]}")


def _publication(sku: str) -> Submitted[PutVariant]:
    command = PutVariant(
        sku=sku,
        product_name=f"Product {sku}",
        variant_name="standard",
        vendor_id=None,
        price_minor=1999,
        currency="EUR",
        low_stock_threshold=None,
        active=True,
    )
    return Submitted(command, Cause(new_id()), sku)


def _receipt(sku: str) -> Submitted[ReceiveStock]:
    because = Because(event_id=str(uuid.uuid4()), actor=_SHOP.id)
    command = ReceiveStock(sku=sku, location=DEFAULT_LOCATION, quantity=STOCK, because=because)
    return Submitted(command, Cause(new_id()), sku)


def _placing(number: int, wish: Sequence[tuple[str, int]]) -> Submitted[PlaceOrder]:
    draft = OrderDraft(
        customer_id=f"customer-{number}",
        customer_email=f"customer-{number}@shop.example",
        items=tuple(WantedItem(sku, quantity) for sku, quantity in wish),
        shipping_address=_ADDRESS,
    )
    return Submitted(PlaceOrder(draft=draft, actor=_SHOP), Cause(new_id()), None)


def _require_catalog(order: Runtime[Any, Any], skus: int) -> None:
    with transaction(order.engine) as connection:
        known = connection.execute(sql("SELECT count(*) FROM catalog_variants")).scalar_one()
    assert known == skus, f"the order service knows {known} of {skus} SKUs"
