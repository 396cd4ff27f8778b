"""One transaction of inventory: reservations first, then SKUs, each locked once and sorted; everything saved once."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from schemas.contracts import (
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    OrderRevised,
    OrderRevisionRejected,
    OrderRevisionRequested,
    OrderShipped,
    ReturnReceived,
)
from services.chassis.audit import Audit
from services.chassis.commands import Submitted
from services.chassis.events import Cause, Event, Received, to_micros
from services.chassis.unit_of_work import Due, Transaction
from services.inventory.domain.ledger import LedgerRow
from services.inventory.domain.reservations import Reservation
from services.inventory.domain.stock import Stock, StockLevel
from services.inventory.domain.variants import Variant
from services.inventory.repository import audit, listing, reservations, stock, variants
from services.inventory.settings import InventorySettings

ORDER_EVENTS = (
    OrderPlaced,
    OrderConfirmed,
    OrderCancelled,
    OrderShipped,
    OrderRevisionRequested,
    OrderRevised,
    OrderRevisionRejected,
    ReturnReceived,
)
# Those that are about units of SKUs which nothing may be held of.
_WANTING = (OrderPlaced, OrderRevisionRequested, OrderShipped, ReturnReceived)


class InventoryUnitOfWork:
    """What a handler of inventory works on.

    Attributes:
        stock: the levels of every SKU that is touched.
        settings: the service's settings.

    """

    def __init__(self, tx: Transaction, settings: InventorySettings) -> None:
        self.tx = tx
        self.settings = settings
        self.stock = Stock()
        self.variants: dict[str, Variant] = {}
        self._existing_levels: frozenset[tuple[str, str]] = frozenset()
        self._existing_variants: frozenset[str] = frozenset()
        self._reservations: dict[str, Reservation] = {}
        self._existing_reservations: frozenset[str] = frozenset()
        self._touched: set[str] = set()
        self._causes: dict[str, Cause] = {}
        self._changed_variants: set[str] = set()

    @cached_property
    def now(self) -> int:
        """Microseconds since the epoch, PostgreSQL's clock."""
        return to_micros(self.tx.now)

    def lock(self, messages: Sequence[Any]) -> None:
        """Lock and load what events and commands touch."""
        events = [message.event for message in messages if isinstance(message, Received)]
        placed = [event for event in events if isinstance(event, ORDER_EVENTS)]
        self._load_reservations(reservations.lock(self.tx.connection, [event.order_id for event in placed]))
        # What ships unexpectedly may be held by no reservation.
        wanted = {line.sku for event in placed if isinstance(event, _WANTING) for line in event.lines}
        wanted |= {line.sku for reservation in self._reservations.values() for line in reservation.lines}
        wanted |= {m.subject for m in messages if isinstance(m, Submitted) and m.subject is not None}
        self._lock_skus(wanted)

    def lock_overdue(self, due: Due) -> list[Reservation]:
        """Lock reservations whose deadline has passed, and their SKUs."""
        self._load_reservations(reservations.lock_overdue(self.tx.connection, due.until, due.longest, due.limit))
        self._lock_skus({line.sku for reservation in self._reservations.values() for line in reservation.lines})
        return list(self._reservations.values())

    def audit(self) -> Audit:
        """Audit the books; the first and last thing that is asked of a unit of work."""
        return audit.run(self.tx.connection)

    def find_variants(self, wanted: dict[str, Any]) -> list[Variant]:
        """Return a page of variants; see `listing.find_variants`."""
        return listing.find_variants(self.tx.connection, wanted)

    def find_variant(self, sku: str) -> Variant | None:
        """Return a variant, None where there is none."""
        return listing.find_variant(self.tx.connection, sku)

    def find_levels(self, sku: str) -> list[StockLevel]:
        """Return the levels of a SKU, by location."""
        return listing.find_levels(self.tx.connection, sku)

    def find_reservations(self, wanted: dict[str, Any]) -> list[Reservation]:
        """Return a page of reservations; see `listing.find_reservations`."""
        return listing.find_reservations(self.tx.connection, wanted)

    def find_movements(self, wanted: dict[str, Any]) -> Sequence[LedgerRow]:
        """Return a page of the ledger; see `listing.find_movements`."""
        return listing.find_movements(self.tx.connection, wanted)

    def reservation(self, order_id: str) -> Reservation | None:
        """Return the reservation of an order, None where there is none."""
        return self._reservations.get(order_id)

    def tell(self, reservation: Reservation | None, events: Sequence[Event], cause: Cause) -> None:
        """Keep a reservation as it is now, and emit what happened to it."""
        if reservation is None:
            return
        self._reservations[reservation.order_id] = reservation
        self._touched.add(reservation.order_id)
        for event in events:
            reservation.events += 1
            self.tx.emit(event, sequence=reservation.events, cause=cause)

    def publish(self, variant: Variant, event: Event, cause: Cause) -> None:
        """Keep a variant as it is now, and emit what the catalog's readers are told."""
        self.variants[variant.sku] = variant
        self._changed_variants.add(variant.sku)
        self.tx.emit(event, sequence=variant.catalog_events, cause=cause)

    def caused(self, skus: Iterable[str], cause: Cause) -> None:
        """Remember why SKUs were moved: an alert that follows from it names the cause."""
        for sku in skus:
            self._causes[sku] = cause

    def save(self) -> None:
        """Write everything, and open or close alerts for what moved."""
        connection = self.tx.connection
        self._settle_alerts()
        touched = [self._reservations[order_id] for order_id in sorted(self._touched)]
        new = [r for r in touched if r.order_id not in self._existing_reservations]
        reservations.insert(connection, new)
        reservations.update(connection, [r for r in touched if r.order_id in self._existing_reservations])
        stock.save(connection, self.stock, self._existing_levels)
        changed = [self.variants[sku] for sku in sorted(self._changed_variants)]
        variants.insert(connection, [v for v in changed if v.sku not in self._existing_variants])
        variants.update(connection, [v for v in changed if v.sku in self._existing_variants])

    def _load_reservations(self, loaded: dict[str, Reservation]) -> None:
        self._reservations = loaded
        self._existing_reservations = frozenset(loaded)

    def _lock_skus(self, skus: Iterable[str]) -> None:
        self.variants = variants.lock(self.tx.connection, skus)
        self._existing_variants = frozenset(self.variants)
        self.stock = stock.read_levels(self.tx.connection, sorted(self.variants))
        self._existing_levels = frozenset(self.stock.levels)

    def _settle_alerts(self) -> None:
        available = self.stock.available()
        moved = {movement.sku for movement in self.stock.movements}
        rethought = {sku for sku in self._changed_variants if sku in available}
        for sku in sorted(moved | rethought):
            variant = self.variants[sku]
            was_open = variant.low_stock_open, variant.out_of_stock_open
            for alert in variant.alerts(available[sku], self.settings.low_stock_threshold, self.now):
                variant.stock_events += 1
                self.tx.emit(alert, sequence=variant.stock_events, cause=self._causes[sku])
            # An episode that closes may have nothing to tell; unless it is kept as closed, the next one never opens.
            if was_open != (variant.low_stock_open, variant.out_of_stock_open):
                self._changed_variants.add(sku)
