"""Edits come to rest rightly from every interleaving: the real handlers and domains of both services, in memory.

Each topic keeps its order per key; deliveries, repeats under other ids, commands, time-outs and expiries are mixed
freely. After every step the levels hold what the reservations say; at rest what is held is what the orders are.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import contracts
from services.chassis.commands import Submitted
from services.chassis.events import Cause, new_id
from services.inventory.domain.reservations import ReservationStatus
from services.inventory.domain.stock import StockLevel
from services.inventory.domain.variants import Variant
from services.order import handlers as order_handlers
from services.order.domain.drafts import CatalogVariant
from services.order.domain.edits import AddItem, ChangeItem, Edit, RemoveItem, ReviseOrder
from services.order.domain.orders import CancelOrder
from services.order.domain.payments import ConfirmOrder
from services.order.domain.placing import PlaceOrder
from services.order.domain.refusals import Refusal
from services.order.domain.revisions import RevisionStatus
from services.order.domain.shipments import AdvanceOrder
from services.order.domain.statuses import CancelReason, OrderStatus
from tests.support.saga_builders import ADMIN, NOW, SECOND, a_draft, a_payment, a_variant
from tests.support.saga_memory import ORDER_SETTINGS, InventoryService, Message, OrderService, Result

SKUS = {"MUG": 1000, "TEE": 300}
HELD = (ReservationStatus.RESERVED, ReservationStatus.ALLOCATED)
LIVE = (OrderStatus.PENDING, OrderStatus.CONFIRMED, OrderStatus.PROCESSING)


@dataclass
class Shop:
    """Both services, what each has read of the other's topic, and the time."""

    stock: int
    now: int = NOW
    ids: list[str] = field(default_factory=list)
    log: dict[str, dict[str, list[Message]]] = field(default_factory=lambda: {"order": {}, "inventory": {}})
    read: Counter[tuple[str, str]] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        catalog: dict[str, CatalogVariant] = {sku: a_variant(sku, price) for sku, price in SKUS.items()}
        self.orders = OrderService(ORDER_SETTINGS[False], catalog)
        variants = {sku: Variant(sku, "Mug", "blue", None, price, "EUR", None) for sku, price in SKUS.items()}
        self.inventory = InventoryService(variants)
        for sku in SKUS:
            self.inventory.levels[sku, "main"] = StockLevel(sku=sku, location="main", on_hand=self.stock)

    def publish(self, by: str, result: Result) -> None:
        assert result.deferred == [], "in order, nothing comes too early"
        topic = {"order": contracts.OrderPlaced.TOPIC, "inventory": contracts.StockReserved.TOPIC}[by]
        for message in result.emitted:
            if topic == message.event.TOPIC:
                self.log[by].setdefault(message.event.key, []).append(message)

    def command(self, command: Any, subject: str | None) -> Any:
        result = self.orders.run(Submitted(command, Cause(subject or "", new_id()), subject), self.now)
        self.publish("order", result)
        return result.answer

    def report(self, key: str, amount_minor: int) -> None:
        """Report that the storefront captured something for an order."""
        captured = contracts.PaymentReported(
            order_id=key,
            provider="stripe",
            reference=new_id(),
            amount_minor=amount_minor,
            currency="EUR",
            outcome=contracts.PaymentReportedOutcome.CAPTURED,
            reported_at=self.now,
        )
        self.publish("order", self.orders.handle(Message(captured, new_id(), 0), self.now))

    def deliver(self, by: str, key: str) -> bool:
        """Let the other service read the next event of a key."""
        place = self.read[by, key]
        if place >= len(self.log[by].get(key, [])):
            return False
        self.read[by, key] += 1
        self.take(by, self.log[by][key][place])
        return True

    def take(self, by: str, message: Message) -> None:
        if by == "inventory" and type(message.event) in order_handlers.HANDLERS:
            self.publish("order", self.orders.handle(message, self.now))
        if by == "order" and type(message.event) in HEARD:
            self.publish("inventory", self.inventory.handle(message, self.now))

    def repeat(self, by: str, key: str, which: int) -> None:
        """Let the other service have some event once more that it has read, under another id."""
        seen = self.log[by].get(key, [])[: self.read[by, key]]
        if seen:
            again = seen[which % len(seen)]
            self.take(by, Message(again.event, new_id(), again.sequence))

    def settle(self) -> None:
        """Deliver everything there is, and fire what is overdue, until nothing happens any more."""
        for _ in range(100):
            moved = [self.deliver(by, key) for by in ("order", "inventory") for key in self.ids]
            if not any(moved):
                break
        assert not any(moved)

    def check(self) -> None:
        """Compare the levels with the reservations."""
        held: Counter[str] = Counter()
        for reservation in self.inventory.reservations.values():
            for line in reservation.lines if reservation.status in HELD else ():
                held[line.sku] += line.quantity
        for sku in SKUS:
            level = self.inventory.levels[sku, "main"]
            assert level.reserved + level.allocated == held[sku]


HEARD = (
    contracts.OrderPlaced,
    contracts.OrderConfirmed,
    contracts.OrderCancelled,
    contracts.OrderShipped,
    contracts.OrderRevisionRequested,
    contracts.OrderRevised,
    contracts.OrderRevisionRejected,
)


def edit_of(shop: Shop, order_id: str, kind: int, sku: str, quantity: int) -> Edit:
    lines = shop.orders.contents[order_id].lines
    line = lines[quantity % len(lines)]
    made: list[Edit] = [AddItem(sku, quantity), ChangeItem(line.item_id, quantity), RemoveItem(line.item_id)]
    return made[kind]


def act(shop: Shop, step: tuple[str, int, int, str, int]) -> None:
    """Take one step about one of the orders."""
    kind, which, choice, sku, quantity = step
    shop.now += SECOND
    key = shop.ids[which % len(shop.ids)]
    order = shop.orders.orders[key]
    if kind == "edit":
        shop.command(ReviseOrder(order_id=key, actor=ADMIN, edit=edit_of(shop, key, choice, sku, quantity)), key)
    elif kind == "pay":
        payment = a_payment(new_id(), order.amount_due_minor)
        answer = shop.command(ConfirmOrder(order_id=key, payment=payment, actor=ADMIN), key)
        assert not isinstance(answer, Refusal) or order.pending_operation or not order.amount_due_minor
    elif kind == "report":
        recorded = order.recorded_minor
        shop.report(key, 300 * quantity)
        assert order.recorded_minor == recorded + 300 * quantity
    elif kind == "cancel":
        shop.command(CancelOrder(order_id=key, reason=CancelReason.OTHER, actor=ADMIN), key)
    elif kind == "advance":
        status = OrderStatus.PROCESSING if choice else OrderStatus.SHIPPED
        shop.command(AdvanceOrder(order_id=key, status=status, actor=ADMIN), key)
    elif kind == "deliver":
        shop.deliver("order" if choice else "inventory", key)
    elif kind == "repeat":
        shop.repeat("order" if choice else "inventory", key, quantity)
    elif kind == "settle":
        shop.settle()
    elif kind == "time out":
        shop.now += 301 * SECOND
        shop.publish("order", shop.orders.end_overdue(key, shop.now))
    else:
        shop.now += 901 * SECOND
        shop.publish("inventory", shop.inventory.expire(key, shop.now))


STEPS = st.tuples(
    st.sampled_from(
        [
            *["edit", "deliver"] * 4,
            *["settle"] * 3,
            *["pay", "report", "advance", "cancel", "repeat", "time out", "expire"],
        ]
    ),
    st.integers(0, 1),
    st.integers(0, 2),
    st.sampled_from(list(SKUS)),
    st.integers(1, 5),
)
# Every way in which an edit can end; the courses have to reach them all.
ENDS: Counter[str] = Counter()


def check_at_rest(shop: Shop) -> None:
    """See that both services say the same, and that no edit is open."""
    shop.check()
    for revision in shop.orders.revisions.values():
        assert revision.status is not RevisionStatus.PENDING
        ENDS[revision.reason or revision.status] += 1
    for order_id, order in shop.orders.orders.items():
        content, reservation = shop.orders.contents[order_id], shop.inventory.reservations[order_id]
        assert reservation.revising is None
        assert order.pending_operation is None
        assert content.subtotal_minor == sum(line.unit_price_minor * line.quantity for line in content.lines)
        assert order.total_minor == sum(line.total_minor for line in content.lines) + content.shipping_minor
        assert order.unrequested_refund_minor == 0
        assert not (order.status is OrderStatus.PENDING and order.is_paid), "what is paid and held is confirmed"
        held: Counter[str] = Counter()
        for line in reservation.lines if reservation.status in HELD else ():
            held[line.sku] += line.quantity
        wanted: Counter[str] = Counter()
        for item in content.lines if order.status in LIVE else ():
            wanted[item.sku] += item.quantity
        assert held == wanted


@settings(deadline=None, database=None, derandomize=True, max_examples=600)
@given(st.integers(4, 9), st.lists(STEPS, min_size=5, max_size=40))
def every_course(stock: int, steps: list[tuple[str, int, int, str, int]]) -> None:
    shop = Shop(stock)
    for cart in ((("MUG", 2), ("TEE", 1)), (("MUG", 2),)):
        answer = shop.command(PlaceOrder(draft=a_draft(*cart, payment_method="card"), actor=ADMIN), None)
        shop.ids.append(answer.order.id)
    for step in steps:
        act(shop, step)
        shop.check()
    for _ in range(3):
        shop.settle()
        for key in shop.ids:
            shop.now += 301 * SECOND
            shop.publish("order", shop.orders.end_overdue(key, shop.now))
    shop.settle()
    check_at_rest(shop)


def test_from_every_course_what_is_held_is_what_the_orders_are_and_no_edit_stays_open() -> None:
    ENDS.clear()
    every_course()
    assert set(ENDS) == {"applied", "insufficient_stock", "timeout", "cancelled"}, ENDS
