"""The stage of the order's model: both services in memory, what each has still to hear of the other, the reference
beside them, and what is compared and looked for after every step. What can happen is in `unit/test_order_model.py`.
"""

from collections import Counter
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from schemas import contracts
from services.chassis.commands import Submitted
from services.chassis.events import Cause, new_id
from services.inventory.domain.stock import StockLevel
from services.inventory.domain.variants import Variant
from services.inventory.handlers import HANDLERS as HEARD_BY_INVENTORY
from services.order.domain.drafts import Discount
from services.order.domain.placing import PlaceOrder
from services.order.domain.refusals import Refusal
from services.order.settings import OrderSettings
from tests.support.order_parts import PRICES, Line
from tests.support.order_reference import Reference
from tests.support.saga_builders import ADMIN, NOW, SECOND, a_draft, a_variant
from tests.support.saga_memory import NEEDED, InventoryService, Message, OrderService

DISCOUNT, RICH = 100, 30
SETTINGS = OrderSettings(
    _env_file=None,
    shipping_methods={"standard": {"prices": {"EUR": "4.90"}, "free_from": {"EUR": "50.00"}, "carrier": "Post"}},
    tax_rates={"DE": {"rate": "0.07", "inclusive": False}},
    **NEEDED,  # type: ignore[arg-type]
)
# What the order service takes of inventory; what else it reads is for the timeline.
ANSWERS = (
    contracts.StockReserved,
    contracts.StockRejected,
    contracts.StockReservationExpired,
    contracts.StockAllocated,
    contracts.StockShortfall,
    contracts.StockReleased,
    contracts.StockRestocked,
)
# What happened over all courses.
SEEN: Counter[str] = Counter()


class Stage(RuleBasedStateMachine):
    """The order, the two services, and what each has still to hear of the other."""

    # --- how it begins

    @initialize(
        cart=st.sampled_from([(("MUG", 2),), (("TEE", 3), ("MUG", 1)), (("MUG", 5), ("TEE", 1))]),
        discounted=st.booleans(),
        prepaid=st.sampled_from([True, True, False]),
        stock=st.sampled_from([3, 6, RICH, RICH]),
    )
    def place(self, cart: Any, discounted: bool, prepaid: bool, stock: int) -> None:
        self.now = NOW
        self.orders = OrderService(SETTINGS, {sku: a_variant(sku, price) for sku, price in PRICES.items()})
        variants = {sku: Variant(sku, sku, "", None, price, "EUR", None) for sku, price in PRICES.items()}
        self.inventory = InventoryService(variants)
        for sku in PRICES:
            self.inventory.levels[sku, "main"] = StockLevel(sku=sku, location="main", on_hand=stock)
        self.to_inventory: list[Message] = []
        self.to_order: list[Message] = []
        self.heard: list[Message] = []
        self.told: list[Any] = []
        self.payments: list[str] = []
        discounts = (Discount("TEN", DISCOUNT),) if discounted else ()
        draft = a_draft(*cart, payment_method="card" if prepaid else "invoice", discounts=discounts)
        answer = self.run(PlaceOrder(draft=draft, actor=ADMIN), None)
        self.id = answer.order.id
        lines = {line.item_id: Line(line.sku, line.quantity) for line in self.content.lines}
        self.expected = Reference(lines, sum(discount.amount for discount in discounts), prepaid)

    # --- the machinery

    @property
    def order(self) -> Any:
        return self.orders.orders[self.id]

    @property
    def content(self) -> Any:
        return self.orders.contents[self.id]

    def run(self, command: Any, subject: str | None) -> Any:
        self.now += SECOND
        result = self.orders.run(Submitted(command, Cause(subject or "", new_id()), subject), self.now)
        self.publish(result)
        return result.answer

    def ask(self, command: type[Any], expected: str | None, **fields: Any) -> Any:
        """Ask for something, which must be refused as is expected, and return the answer."""
        answer = self.run(command(order_id=self.id, actor=ADMIN, **fields), self.id)
        assert (answer.code.value if isinstance(answer, Refusal) else None) == expected
        self.take_requested()
        return answer

    def publish(self, result: Any) -> None:
        assert result.deferred == [], "nothing comes too early"
        for message in result.emitted:
            self.told.append(message.event)
            if message.event.TOPIC == contracts.StockReserved.TOPIC:
                self.to_order.append(message)
            elif type(message.event) in HEARD_BY_INVENTORY:
                self.to_inventory.append(message)

    def take_requested(self) -> None:
        """Let the reference know by which names the refunds go that it wants."""
        new = [refund for refund in self.orders.refunds.values() if refund.id not in self.expected.backs]
        if len(new) > 1:
            SEEN["refund by several payments"] += 1
        self.expected.requested([(refund.id, refund.amount_minor, refund.reference) for refund in new])

    def hear(self, message: Message) -> None:
        self.heard.append(message)
        event = message.event
        if isinstance(event, ANSWERS):
            self.publish(self.orders.handle(message, self.now))
            before = self.expected.status
            self.expected.hear(type(event).__name__, getattr(event, "revision", None))
            if before != self.expected.status == "cancelled":
                SEEN["shortfall" if isinstance(event, contracts.StockShortfall) else "expired"] += 1
            self.take_requested()

    def item(self, which: int) -> str:
        items = list(self.expected.lines)
        return items[which % len(items)]

    def everything_is_heard(self) -> None:
        while self.to_inventory or self.to_order:
            while self.to_inventory:
                self.publish(self.inventory.handle(self.to_inventory.pop(0), self.now))
            while self.to_order:
                self.hear(self.to_order.pop(0))

    # --- after every step

    @invariant()
    def the_service_and_the_reference_agree(self) -> None:
        order, expected = self.order, self.expected
        assert (order.status, order.reservation_status, order.pending_operation, order.stuck_reason) == (
            expected.status,
            expected.stock,
            expected.awaits,
            expected.stuck,
        )
        assert {
            "total": order.total_minor,
            "captured": order.recorded_minor,
            "pending": order.refunding_minor,
            "paid back": order.refunded_minor,
            "due": order.amount_due_minor,
            "refund due": order.refund_due_minor,
        } == {
            "total": expected.total,
            "captured": expected.captured,
            "pending": expected.back("pending"),
            "paid back": expected.back("succeeded"),
            "due": expected.amount_due,
            "refund due": expected.refund_due,
        }
        lines = {
            line.item_id: Line(line.sku, line.quantity, line.shipped_quantity, line.returned_quantity, line.total_minor)
            for line in self.content.lines
        }
        assert lines == expected.lines
        self._parts_agree()
        SEEN[expected.status] += 1

    def _parts_agree(self) -> None:
        expected = self.expected
        refunds = {one.id: (one.status, one.amount_minor) for one in self.orders.refunds.values()}
        assert refunds == {refund_id: (back.status, back.amount) for refund_id, back in expected.backs.items()}
        returns = {
            one.id: (one.status, {line.item_id: (line.quantity, line.received) for line in one.lines})
            for one in self.orders.returns.values()
        }
        assert returns == {
            return_id: (one.status, {item: (n, one.came[item]) for item, n in one.wanted.items()})
            for return_id, one in expected.returns.items()
        }
        shipments = self.orders.shipments.get(self.id, [])
        assert {n for n, one in enumerate(shipments) if one.delivered_at is not None} == expected.arrived
        ends = [one.reason or one.status for one in self.orders.revisions.values() if one.status != "pending"]
        assert ends == expected.ends

    @invariant()
    def no_more_is_paid_back_than_was_paid(self) -> None:
        paid = Counter({p.reference: p.amount_minor for p in self.orders.payments.get(self.id, [])})
        back: Counter[str] = Counter()
        for refund in self.orders.refunds.values():
            back[refund.reference] += refund.amount_minor if refund.status != "failed" else 0
        assert all(amount <= paid[reference] for reference, amount in back.items()), (back, paid)
        assert back.total() <= paid.total()

    @invariant()
    def no_more_leaves_or_is_cancelled_than_was_ordered(self) -> None:
        shipped, cancelled, ordered = Counter[str](), Counter[str](), Counter[str]()
        for event in self.told:
            if isinstance(event, contracts.OrderShipped):
                shipped.update({line.sku: line.quantity for line in event.lines})
            if isinstance(event, contracts.StockReleased):
                cancelled.update({line.sku: line.quantity for line in event.lines})
        for line in self.content.lines:
            ordered[line.sku] += line.quantity
        # What an edit asked for that ended with the order was held already, beside what the order had.
        for revision in self.orders.revisions.values():
            asked = Counter[str]()
            for line in revision.lines if revision.reason == "cancelled" else ():
                asked[line.sku] += line.quantity
            ordered |= asked
        assert all(line.shipped_quantity <= line.quantity for line in self.content.lines)
        assert all(shipped[sku] + cancelled[sku] <= ordered[sku] for sku in PRICES), (shipped, cancelled, ordered)

    @invariant()
    def no_more_comes_back_than_was_delivered(self) -> None:
        arrived: Counter[str] = Counter()
        for shipment in self.orders.shipments.get(self.id, []):
            # What had left before a cancel comes back from wherever it was.
            if shipment.delivered_at is not None or self.order.status == "cancelled":
                arrived.update({item: n for item, _, n in shipment.lines})
        assert all(line.returned_quantity <= arrived[line.item_id] for line in self.content.lines)

    @invariant()
    def nobody_holds_more_than_there_is(self) -> None:
        for level in self.inventory.levels.values():
            assert min(level.reserved, level.allocated, level.on_hand - level.reserved - level.allocated) >= 0

    def teardown(self) -> None:
        """At rest inventory holds what the order is still to send, and nothing else."""
        if not hasattr(self, "expected"):
            return
        for _ in range(2):
            self.everything_is_heard()
            if self.order.pending_operation == "revising":
                self.time_passes(301)
        SEEN.update(f"edit {end}" for end in self.expected.ends)
        self.the_service_and_the_reference_agree()
        wanted: Counter[str] = Counter()
        for line in (
            self.expected.lines.values() if self.expected.status in ("pending", "confirmed", "processing") else ()
        ):
            wanted[line.sku] += line.quantity - line.shipped
        for (sku, _), level in self.inventory.levels.items():
            assert level.reserved + level.allocated == wanted[sku], sku
