"""What must happen, written once more and simply: the saga's reference model.

Plain names and dictionaries, the hand-made tables of `saga_tables`, nothing from the services. Each method takes what
happens and returns the names of the events that must be told; the model's own state is what must be found afterwards.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.saga_tables import ANSWER_CELLS, COLUMN_OF_STATUS, RESERVATION_CELLS, STATUS_TABLE

Told = list[str]
Refused = str | None


@dataclass
class ExpectedOrder:
    """An order, as the order service must see it."""

    total: int
    prepaid: bool
    status: str = "pending"
    stock: str = "pending"
    awaits: str | None = "reserving"
    recorded: int = 0
    kept: bool = False
    confirm_later: bool = False
    stuck: str | None = None
    asked_back: int = 0

    @property
    def paid(self) -> bool:
        return self.recorded >= self.total > 0

    @property
    def refund_due(self) -> int:
        owed = 0 if self.status == "cancelled" and not self.kept else self.total
        return max(0, self.recorded - owed)


@dataclass
class ExpectedStock:
    """An order's stock, as inventory must see it. `wanted` is what was held last."""

    state: str
    wanted: Counter[str] = field(default_factory=Counter)


@dataclass
class Expected:
    """Both services.

    Args:
        auto_confirm: confirm as soon as stock is reserved.
        levels: SKU → [on hand, reserved, allocated].

    Attributes:
        reached: how often each cell of the tables was reached.

    """

    auto_confirm: bool
    levels: dict[str, list[int]]
    orders: dict[str, ExpectedOrder] = field(default_factory=dict)
    stocks: dict[str, ExpectedStock] = field(default_factory=dict)
    holders: dict[str, str] = field(default_factory=dict)
    reached: Counter[tuple[str, str]] = field(default_factory=Counter)

    # --- commands

    def place(self, order_id: str, total: int, prepaid: bool) -> Told:
        self.orders[order_id] = ExpectedOrder(total, prepaid)
        return ["OrderPlaced"]

    def confirm(self, order_id: str, payment: tuple[str, int, str] | None) -> tuple[Refused, Told]:
        order = self.orders[order_id]
        refused = self._pay(order_id, order, *payment) if payment else None
        if refused:
            return refused, []
        if order.status == "cancelled":
            return "order_cancelled", []
        if order.status != "pending":
            moves_back = payment is None and order.status != "confirmed"
            return ("invalid_status_transition" if moves_back else None), []
        if order.prepaid and order.total and not order.paid:
            return "payment_required", []
        if order.awaits == "reserving":
            order.confirm_later = True
            return None, []
        return None, self._confirm(order)

    def _pay(self, order_id: str, order: ExpectedOrder, reference: str, amount: int, currency: str) -> Refused:
        holder = self.holders.get(reference)
        if holder is not None:
            return None if holder == order_id else "payment_reference_used"
        unwanted = order.paid or order.status == "cancelled"
        if currency != "EUR" or (amount != order.total and not unwanted):
            return "payment_mismatch"
        already = order.paid and order.status != "cancelled"
        self.holders[reference] = order_id
        order.recorded += amount
        return "already_paid" if already else None

    def _confirm(self, order: ExpectedOrder) -> Told:
        order.status, order.awaits = "confirmed", "allocating"
        return ["OrderConfirmed"]

    def cancel(self, order_id: str, *, refund: bool, own: bool) -> tuple[Refused, Told]:
        order = self.orders[order_id]
        if order.status == "cancelled":
            return None, []
        if "cancelled" not in STATUS_TABLE[order.status] or (own and order.status not in ("pending", "confirmed")):
            return "invalid_status_transition", []
        # What has left is expected back.
        expected = ["ReturnRequested", "ReturnApproved"] if order.status == "shipped" else []
        return None, self._cancel(order, kept=order.paid and not refund) + expected

    def _cancel(self, order: ExpectedOrder, *, kept: bool = False) -> Told:
        order.status, order.awaits, order.stuck, order.kept = "cancelled", None, None, kept
        return ["OrderCancelled"]

    def advance(self, order_id: str, to: str) -> tuple[Refused, Told]:
        order = self.orders[order_id]
        if order.status == to:
            return None, []
        if to not in STATUS_TABLE[order.status]:
            return "invalid_status_transition", []
        if to == "processing" and order.stock != "allocated":
            return "stock_not_allocated", []
        order.status = to
        if to == "shipped":
            order.stuck = None
        return None, [{"processing": "OrderProcessingStarted", "shipped": "OrderShipped"}.get(to, "OrderDelivered")]

    def receive(self, sku: str, units: int) -> None:
        self.levels[sku][0] += units

    def adjust(self, sku: str, units: int) -> Refused:
        on_hand, reserved, allocated = self.levels[sku]
        if on_hand + units < reserved + allocated:
            return "stock_held"
        self.levels[sku][0] += units
        return None

    # --- deadlines

    def time_out(self, order_id: str) -> Told:
        order = self.orders[order_id]
        if order.awaits == "reserving":
            return self._cancel(order)
        if order.awaits == "allocating":
            order.stuck = order.stuck or "allocation_timeout"
        return []

    def expire(self, order_id: str) -> Told:
        stock = self.stocks.get(order_id)
        if stock is None or stock.state != "reserved":
            return []
        self._move(stock.wanted, reserved=-1)
        stock.state = "expired"
        return ["StockReservationExpired"]

    def ask_for_refunds(self) -> Told:
        """Return what must be told of money that has become due since: it is asked for once, by itself."""
        due = [order for order in self.orders.values() if order.refund_due > order.asked_back]
        for order in due:
            order.asked_back = order.refund_due
        return ["RefundRequested"] * len(due)

    # --- the order service hears an answer

    def answer(self, answer: str, order_id: str) -> Told:
        order = self.orders[order_id]
        cell = ANSWER_CELLS[answer, COLUMN_OF_STATUS[order.status]]
        self.reached[answer, COLUMN_OF_STATUS[order.status]] += 1
        if cell.startswith("cancelled"):
            order.stock = "rejected" if answer == "StockRejected" else "expired"
            return self._cancel(order)
        if cell == "reserved" and order.awaits == "reserving":
            order.stock, order.awaits = "reserved", None
            return self._confirm(order) if self.auto_confirm or order.confirm_later or order.paid else []
        if cell == "allocated" and order.awaits == "allocating":
            order.stock, order.awaits, order.stuck = "allocated", None, None
        if cell == "stuck":
            order.stuck = "stock_shortfall"
        if cell == "released":
            order.stock = "released"
        return []

    # --- inventory hears of an order

    def order_event(
        self, event: str, order_id: str, wanted: Sequence[tuple[str, int]] = (), *, restock: bool = True
    ) -> Told | None:
        """Return what must be told, or None where the event must be parked."""
        stock = self.stocks.get(order_id)
        state = stock.state if stock else "none"
        self.reached[event, state] += 1
        cell = RESERVATION_CELLS[event, state]
        if cell == "park":
            return None
        if cell == "reserve":
            return self._reserve(order_id, wanted)
        if cell == "remember":
            self.stocks[order_id] = ExpectedStock("cancelled_first")
        if stock is None or cell == "-":
            return []
        return getattr(self, "_" + cell.replace(" ", "_"))(stock, restock)  # type: ignore[no-any-return]

    def _reserve(self, order_id: str, wanted: Sequence[tuple[str, int]]) -> Told:
        units: Counter[str] = Counter()
        for sku, quantity in wanted:
            units[sku] += quantity
        if not self._fits(units):
            self.stocks[order_id] = ExpectedStock("rejected")
            return ["StockRejected"]
        self._move(units, reserved=1)
        self.stocks[order_id] = ExpectedStock("reserved", units)
        return ["StockReserved"]

    def _allocate(self, stock: ExpectedStock, _restock: bool) -> Told:
        self._move(stock.wanted, reserved=-1, allocated=1)
        stock.state = "allocated"
        return ["StockAllocated"]

    def _reserve_and_allocate(self, stock: ExpectedStock, _restock: bool) -> Told:
        if not self._fits(stock.wanted):
            return ["StockShortfall"]
        self._move(stock.wanted, allocated=1)
        stock.state = "allocated"
        return ["StockAllocated"]

    def _release(self, stock: ExpectedStock, restock: bool) -> Told:
        was_allocated = stock.state == "allocated"
        if was_allocated:
            self._move(stock.wanted, on_hand=0 if restock else -1, allocated=-1)
        else:
            self._move(stock.wanted, reserved=-1)
        stock.state = "released"
        return ["StockReleased"]

    def _ship(self, stock: ExpectedStock, _restock: bool) -> Told:
        self._move(stock.wanted, on_hand=-1, allocated=-1)
        stock.state = "shipped"
        return ["StockShipped"]

    def _fits(self, units: Mapping[str, int]) -> bool:
        return all(sum(self.levels[sku][:1]) - sum(self.levels[sku][1:]) >= n for sku, n in units.items())

    def _move(self, units: Mapping[str, int], *, on_hand: int = 0, reserved: int = 0, allocated: int = 0) -> None:
        for sku, n in units.items():
            for bucket, sign in enumerate((on_hand, reserved, allocated)):
                self.levels[sku][bucket] += sign * n
