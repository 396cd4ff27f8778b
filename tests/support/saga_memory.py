"""Both services in memory: their real handlers and units of work over dictionaries in place of PostgreSQL.

Only what would be SQL is replaced. What a handler decides, what it tells, and how events are counted is the product's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from services.chassis.events import Cause, Event, Received, Record, from_micros, new_id
from services.chassis.unit_of_work import Due
from services.inventory import handlers as inventory_handlers
from services.inventory.domain.reservations import Reservation
from services.inventory.domain.stock import Movement, Stock, StockLevel
from services.inventory.domain.variants import Variant
from services.inventory.settings import InventorySettings
from services.inventory.unit_of_work import InventoryUnitOfWork
from services.order import handlers as order_handlers
from services.order.domain.carriers import CarrierEvent
from services.order.domain.drafts import CatalogVariant
from services.order.domain.history import Change
from services.order.domain.orders import Order, OrderContent
from services.order.domain.parcels import Parcels
from services.order.domain.payments import Payment
from services.order.domain.refunds import Refund
from services.order.domain.returns import Identity, Return
from services.order.domain.revisions import Revision
from services.order.domain.shipments import Shipment
from services.order.handlers.stock import end_overdue
from services.order.repository.payments import Payments
from services.order.repository.refunds import Refunds
from services.order.repository.returns import Returns
from services.order.repository.revisions import Revisions
from services.order.repository.shipments import Shipments
from services.order.settings import OrderSettings
from services.order.unit_of_work import OrderUnitOfWork

NEEDED = {
    "database_url": "postgresql+psycopg2://nobody@nowhere/nothing",
    "kafka_bootstrap_servers": "nowhere:1",
    "jwt_secret": "a secret of no service, long enough for HS256",
    "jwt_issuer": "nobody",
    "jwt_audience": "nobody",
}
INVENTORY_SETTINGS = InventorySettings(_env_file=None, **NEEDED)


def order_settings(**values: Any) -> OrderSettings:
    """Return the order service's settings as they are by default; `values` replace."""
    return OrderSettings(_env_file=None, **NEEDED, **values)


ORDER_SETTINGS = {auto: order_settings(auto_confirm_orders=auto) for auto in (False, True)}
_RECORD = Record("", 0, 0, None, None, (), 0)


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its topic.

    Args:
        stray: that nobody should have sent.

    """

    event: Any
    event_id: str
    sequence: int
    stray: bool = False

    def as_received(self) -> Received[Any]:
        cause = Cause(correlation_id=self.event.key, causation_id=self.event_id)
        return Received(self.event, self.event_id, self.event.key, cause, self.sequence, 0, None, _RECORD)


class MemoryTransaction:
    """Takes what a handler emits and defers."""

    def __init__(self, now: int) -> None:
        self.now: datetime = from_micros(now)
        self.connection = None
        self.emitted: list[Message] = []
        self.deferred: list[str] = []

    def emit(self, event: Event, *, sequence: int, cause: Cause) -> str:  # noqa: ARG002
        self.emitted.append(Message(event, new_id(), sequence))
        return self.emitted[-1].event_id

    def defer(self, received: Received[Any], reason: str, retry_in: float | None = None) -> None:  # noqa: ARG002
        self.deferred.append(reason)


@dataclass(slots=True)
class Result:
    """What came of one transaction."""

    emitted: list[Message]
    deferred: list[str]
    answer: Any = None


@dataclass(slots=True)
class OrderService:
    """The order service."""

    settings: OrderSettings
    catalog: dict[str, CatalogVariant]
    orders: dict[str, Order] = field(default_factory=dict)
    contents: dict[str, OrderContent] = field(default_factory=dict)
    history: dict[str, list[Change]] = field(default_factory=dict)
    holders: dict[tuple[str, str], str] = field(default_factory=dict)
    payments: dict[str, list[Payment]] = field(default_factory=dict)
    refunds: dict[str, Refund] = field(default_factory=dict)
    revisions: dict[tuple[str, int], Revision] = field(default_factory=dict)
    returns: dict[str, Return] = field(default_factory=dict)
    shipments: dict[str, list[Shipment]] = field(default_factory=dict)
    parcels: dict[str, Parcels] = field(default_factory=dict)

    def handle(self, message: Message, now: int) -> Result:
        tx = MemoryTransaction(now)
        uow = MemoryOrders(tx, self)
        order_handlers.HANDLERS[type(message.event)]([message.as_received()], uow)
        uow.save()
        return Result(tx.emitted, tx.deferred)

    def run(self, submitted: Any, now: int) -> Result:
        tx = MemoryTransaction(now)
        uow = MemoryOrders(tx, self)
        answer = order_handlers.COMMANDS[type(submitted.command)](submitted, uow)
        uow.save()
        return Result(tx.emitted, tx.deferred, answer)

    def end_overdue(self, order_id: str, now: int) -> Result:
        tx = MemoryTransaction(now)
        uow = MemoryOrders(tx, self, only=order_id)
        end_overdue(uow, Due(tx.now, timedelta.max, 1))
        uow.save()
        return Result(tx.emitted, tx.deferred)


class MemoryPayments(Payments):
    """The payments, over dictionaries."""

    def __init__(self, service: OrderService) -> None:
        self._holders = service.holders
        self._of_orders = service.payments

    def of(self, order_id: str) -> list[Payment]:
        return self._of_orders.get(order_id, [])

    def add(self, order_id: str, payment: Payment, at: int) -> None:  # noqa: ARG002
        self._holders[payment.provider, payment.reference] = order_id
        self._of_orders.setdefault(order_id, []).append(payment)


class MemoryRefunds(Refunds):
    """The refunds, over a dictionary."""

    def __init__(self, service: OrderService) -> None:
        self._refunds = service.refunds

    def of(self, order_id: str) -> list[Refund]:
        return [refund for refund in self._refunds.values() if refund.order_id == order_id]

    def named(self, provider_reference: str) -> set[str]:
        return {refund.id for refund in self._refunds.values() if refund.provider_reference == provider_reference}

    def add(self, refund: Refund) -> None:
        self._refunds[refund.id] = refund

    def update(self, refund: Refund) -> None:
        self._refunds[refund.id] = refund


class MemoryRevisions(Revisions):
    """The edits, over a dictionary."""

    def __init__(self, service: OrderService) -> None:
        self._revisions = service.revisions

    def find(self, order_id: str, revision: int) -> Revision | None:
        return self._revisions.get((order_id, revision))

    def add(self, revision: Revision) -> None:
        self._revisions[revision.order_id, revision.revision] = revision

    def update(self, revision: Revision) -> None:
        self._revisions[revision.order_id, revision.revision] = revision


class MemoryReturns(Returns):
    """The returns, over a dictionary."""

    def __init__(self, service: OrderService) -> None:
        self._returns = service.returns

    def of(self, order_id: str) -> list[Return]:
        return [one for one in self._returns.values() if one.order_id == order_id]

    def new_identity(self) -> Identity:
        return Identity(return_id=new_id(), count=len(self._returns), number_key=b"r" * 32)

    def add(self, one: Return) -> None:
        self._returns[one.id] = one

    def update(self, one: Return) -> None:
        self._returns[one.id] = one


class MemoryShipments(Shipments):
    """The shipments, over a dictionary."""

    def __init__(self, service: OrderService) -> None:
        self._shipments = service.shipments
        self._parcels = service.parcels

    def of(self, order_id: str) -> list[Shipment]:
        return self._shipments.get(order_id, [])

    def add(self, shipment: Shipment) -> None:
        self._shipments.setdefault(shipment.order_id, []).append(shipment)

    def update(self, shipment: Shipment) -> None:
        of_order = self._shipments[shipment.order_id]
        of_order[[known.id for known in of_order].index(shipment.id)] = shipment

    def parcels_of(self, order_id: str) -> Parcels | None:
        return self._parcels.get(order_id)

    def keep_parcels(self, order_id: str, parcels: Parcels) -> None:
        self._parcels[order_id] = parcels

    def add_event(self, shipment: Shipment, event: CarrierEvent) -> None:  # noqa: ARG002
        self.update(shipment)


class MemoryOrders(OrderUnitOfWork):
    """The order service's unit of work, over dictionaries."""

    def __init__(self, tx: MemoryTransaction, service: OrderService, only: str | None = None) -> None:
        super().__init__(tx, service.settings)  # type: ignore[arg-type]
        self._service = service
        self._only = only
        self.catalog = service.catalog
        self._orders = service.orders
        self._contents = service.contents
        self.payments = MemoryPayments(service)
        self.refunds = MemoryRefunds(service)
        self.revisions = MemoryRevisions(service)
        self.returns = MemoryReturns(service)
        self.shipments = MemoryShipments(service)
        self._counts = [len(service.orders)]
        self._number_key = b"k" * 32

    def look_up(self, sku: str) -> None:
        """All of the catalog is known already."""

    def lock_overdue(self, due: Due) -> list[Order]:
        order = self._orders[self._only or ""]
        return [order] if order.deadline_at is not None and from_micros(order.deadline_at) <= due.until else []

    def save(self) -> None:
        for placed in self._placed:
            self._orders[placed.order.id] = placed.order
        for order in self._orders.values():
            self._service.history.setdefault(order.id, []).extend(order.history)
            order.history.clear()


@dataclass(slots=True)
class InventoryService:
    """The inventory service."""

    variants: dict[str, Variant]
    levels: dict[tuple[str, str], StockLevel] = field(default_factory=dict)
    movements: list[Movement] = field(default_factory=list)
    reservations: dict[str, Reservation] = field(default_factory=dict)

    def handle(self, message: Message, now: int) -> Result:
        tx = MemoryTransaction(now)
        uow = MemoryStock(tx, self)
        inventory_handlers.HANDLERS[type(message.event)]([message.as_received()], uow)
        uow.save()
        return Result(tx.emitted, tx.deferred)

    def run(self, submitted: Any, now: int) -> Result:
        tx = MemoryTransaction(now)
        uow = MemoryStock(tx, self)
        answer = inventory_handlers.COMMANDS[type(submitted.command)](submitted, uow)
        uow.save()
        return Result(tx.emitted, tx.deferred, answer)

    def expire(self, order_id: str, now: int) -> Result:
        tx = MemoryTransaction(now)
        uow = MemoryStock(tx, self, only=order_id)
        inventory_handlers.expire_reservations(uow, Due(tx.now, timedelta.max, 1))
        uow.save()
        return Result(tx.emitted, tx.deferred)


class MemoryStock(InventoryUnitOfWork):
    """Inventory's unit of work, over dictionaries."""

    def __init__(self, tx: MemoryTransaction, service: InventoryService, only: str | None = None) -> None:
        super().__init__(tx, INVENTORY_SETTINGS)  # type: ignore[arg-type]
        self._service = service
        self._only = only
        self._load_reservations(service.reservations)
        self.variants = service.variants
        self.stock = Stock(service.levels)

    def lock_overdue(self, due: Due) -> list[Reservation]:
        reservation = self._reservations.get(self._only or "")
        if reservation is None or reservation.expires_at is None or from_micros(reservation.expires_at) > due.until:
            return []
        return [reservation]

    def save(self) -> None:
        self._settle_alerts()
        self._service.movements.extend(self.stock.movements)


def kinds(messages: Sequence[Message]) -> list[str]:
    """Return the names of events."""
    return [type(message.event).__name__ for message in messages]
