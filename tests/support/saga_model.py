"""The saga in memory: two services, their topics, and consumers with inbox and parked keys, beside the reference model.

Whatever happens (`saga_steps`) is done by the product and by the reference; both must tell the same, and after each
step they are compared. `come_to_rest` delivers everything; what is promised then is in `saga_promises`.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from schemas import contracts
from services.chassis.commands import Submitted
from services.chassis.events import Cause, new_id
from services.inventory.domain.commands import AdjustStock, ReceiveStock
from services.inventory.domain.variants import Variant
from services.order.domain.drafts import CatalogVariant
from tests.support.saga_builders import NOW, SECOND, a_variant
from tests.support.saga_memory import ORDER_SETTINGS, InventoryService, Message, OrderService, Result, kinds
from tests.support.saga_reference import Expected
from tests.support.saga_tables import ANSWER_TABLE, RESERVATION_TABLE

Side = Literal["order", "inventory"]
SIDES: tuple[Side, Side] = ("order", "inventory")
# SKU -> (price in minor units, units at the start): few enough that orders compete for them.
SHOP = {"MUG": (1000, 6), "TEE": (300, 5), "FREE": (0, 5)}
ALERTS = (contracts.LowStockReached, contracts.OutOfStock, contracts.BackInStock)


class Step(Protocol):
    """Something that happens.

    It is legal whenever it comes: what it cannot do it leaves, as a consumer with nothing to read does. So every list
    of steps is a course that the product has to stand.
    """

    def take(self, saga: "Saga") -> None:
        """Let it happen to the product and to the reference."""


@dataclass(slots=True)
class Consumer:
    """A consumer's view of one topic: what it has read of each key, its inbox, its parked keys."""

    log: dict[str, list[Message]]
    read: Counter[str] = field(default_factory=Counter)
    inbox: set[str] = field(default_factory=set)
    parked: dict[str, list[Message]] = field(default_factory=dict)

    def unread(self, key: str) -> Sequence[Message]:
        return self.log[key][self.read[key] :]


class Saga:
    """The system under test beside its reference.

    Args:
        auto_confirm: the shop's setting.

    """

    def __init__(self, *, auto_confirm: bool) -> None:
        self.now = NOW
        self.order = OrderService(ORDER_SETTINGS[auto_confirm], _catalog())
        self.inventory = InventoryService(_variants())
        self.topics: dict[str, dict[str, list[Message]]] = defaultdict(lambda: defaultdict(list))
        self.consumers: dict[Side, Consumer] = {
            "order": Consumer(self.topics[contracts.StockReserved.TOPIC]),
            "inventory": Consumer(self.topics[contracts.OrderPlaced.TOPIC]),
        }
        self.expected = Expected(auto_confirm, {sku: [0, 0, 0] for sku in SHOP})
        self.ids: list[str] = []

    def take(self, steps: Iterable[Step]) -> None:
        """Take steps, one second apart, and compare with the reference after each."""
        for step in steps:
            self.now += SECOND
            step.take(self)
            self.compare()

    def order_at(self, back: int) -> str:
        """Return the order that was placed `back` orders before the last one, counting round."""
        return self.ids[-1 - back % len(self.ids)]

    # --- what happens is done by the product and by the reference, and both must tell the same

    def publish(self, result: Result, told: Sequence[str]) -> None:
        of_the_saga = [message for message in result.emitted if not isinstance(message.event, ALERTS)]
        assert kinds(of_the_saga) == [*told, *self.expected.ask_for_refunds()]
        for message in result.emitted:
            self.topics[message.event.TOPIC][message.event.key].append(message)

    def command(self, command: Any, subject: str | None) -> Result:
        service = self.inventory if isinstance(command, AdjustStock | ReceiveStock) else self.order
        request_id = new_id()
        return service.run(Submitted(command, Cause(subject or request_id, request_id), subject), self.now)

    def deliver(self, side: Side, message: Message) -> None:
        """Let a consumer have a message, whether for the first time or not."""
        consumer, key = self.consumers[side], message.event.key
        if message.event_id in consumer.inbox:
            return
        consumer.inbox.add(message.event_id)
        if key in consumer.parked:
            consumer.parked[key].append(message)
        elif not self._handle(side, message):
            consumer.parked[key] = [message]

    def deliver_next(self, side: Side, key: str) -> None:
        consumer = self.consumers[side]
        if consumer.unread(key):
            consumer.read[key] += 1
            self.deliver(side, consumer.log[key][consumer.read[key] - 1])

    def stumble(self, side: Side, key: str) -> None:
        """Let the handler of the next message fail: the message's key is parked."""
        consumer = self.consumers[side]
        for message in consumer.unread(key)[:1]:
            consumer.read[key] += 1
            if message.event_id not in consumer.inbox:
                consumer.inbox.add(message.event_id)
                consumer.parked.setdefault(key, []).append(message)

    def retry(self, side: Side, key: str) -> bool:
        """Try a parked key's head again; return whether it was handled."""
        waiting = self.consumers[side].parked.get(key)
        if not waiting or not self._handle(side, waiting[0]):
            return False
        self._release_head(side, key)
        return True

    def discard(self, side: Side, key: str) -> bool:
        """Discard a parked head that nobody should have sent, as an operator does; return whether there was one."""
        waiting = self.consumers[side].parked.get(key)
        if not waiting or not waiting[0].stray:
            return False
        self._release_head(side, key)
        return True

    def _release_head(self, side: Side, key: str) -> None:
        parked = self.consumers[side].parked
        del parked[key][0]
        if not parked[key]:
            del parked[key]

    def _handle(self, side: Side, message: Message) -> bool:
        event, name = message.event, type(message.event).__name__
        if side == "order":
            if name not in ANSWER_TABLE:
                return True  # a type that this consumer does not handle
            result = self.order.handle(message, self.now)
            told: list[str] | None = self.expected.answer(name, event.order_id)
        else:
            if name not in RESERVATION_TABLE:
                return True
            result = self.inventory.handle(message, self.now)
            wanted = [(line.sku, line.quantity) for line in getattr(event, "lines", ())]
            told = self.expected.order_event(name, event.order_id, wanted, restock=getattr(event, "restock", True))
        assert bool(result.deferred) is (told is None), f"{name} was {result.deferred or 'handled'}"
        self.publish(result, told or [])
        return told is not None

    # --- comparing with the reference

    def compare(self) -> None:
        assert self._orders() == {
            order_id: (o.status, o.stock, o.awaits, o.recorded, o.refund_due, o.stuck)
            for order_id, o in self.expected.orders.items()
        }
        assert self._stocks() == {
            order_id: (s.state, +s.wanted if s.state in ("reserved", "allocated") else None)
            for order_id, s in self.expected.stocks.items()
        }
        assert self._levels() == self.expected.levels

    def _orders(self) -> dict[str, tuple[object, ...]]:
        return {
            o.id: (
                o.status,
                o.reservation_status,
                o.pending_operation,
                o.recorded_minor,
                o.refund_due_minor,
                o.stuck_reason,
            )
            for o in self.order.orders.values()
        }

    def _stocks(self) -> dict[str, tuple[object, ...]]:
        return {
            r.order_id: (r.status, self.held(r.order_id) if r.status in ("reserved", "allocated") else None)
            for r in self.inventory.reservations.values()
        }

    def _levels(self) -> dict[str, list[int]]:
        empty = {sku: [0, 0, 0] for sku in SHOP}
        levels = self.inventory.levels.values()
        return empty | {level.sku: [level.on_hand, level.reserved, level.allocated] for level in levels}

    def held(self, order_id: str) -> Counter[str]:
        """Return the units that inventory holds for an order, by SKU."""
        reservation = self.inventory.reservations.get(order_id)
        held: Counter[str] = Counter()
        if reservation is not None and reservation.status in ("reserved", "allocated"):
            for line in reservation.lines:
                held[line.sku] += line.quantity
        return held

    def come_to_rest(self) -> None:
        """Deliver everything, and retry what is parked until nothing is."""
        while any(self._settle(side, key) for side in SIDES for key in self.ids):
            self.compare()
        stuck = {(side, key) for side in SIDES for key in self.consumers[side].parked}
        assert not stuck, f"parked for ever: {stuck}"

    def _settle(self, side: Side, key: str) -> bool:
        if self.consumers[side].unread(key):
            self.deliver_next(side, key)
            return True
        return self.retry(side, key) or self.discard(side, key)


def _catalog() -> dict[str, CatalogVariant]:
    return {sku: a_variant(sku, price) for sku, (price, _) in SHOP.items()}


def _variants() -> dict[str, Variant]:
    return {
        sku: Variant(
            sku=sku,
            product_name=sku,
            variant_name="",
            vendor_id=None,
            price_minor=price,
            currency="EUR",
            low_stock_threshold=2,
        )
        for sku, (price, _) in SHOP.items()
    }
