"""All that may happen to the saga: commands, deliveries in and out of turn, deadlines, faults, operators, stock."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from schemas import contracts
from services.chassis.events import new_id
from services.inventory.domain.commands import AdjustStock, ReceiveStock
from services.inventory.domain.commands import Refusal as StockRefusal
from services.inventory.domain.stock import Because
from services.order.domain.orders import CancelOrder
from services.order.domain.payments import ConfirmOrder
from services.order.domain.placing import PlaceOrder
from services.order.domain.refusals import Refusal as OrderRefusal
from services.order.domain.shipments import AdvanceOrder
from services.order.domain.statuses import CancelReason, OrderStatus
from tests.support.saga_builders import ADMIN, a_draft, a_payment
from tests.support.saga_events import order_event, stock_answer
from tests.support.saga_memory import Message, Result, kinds
from tests.support.saga_model import SHOP, Saga, Side, Step
from tests.support.saga_tables import ANSWER_TABLE, RESERVATION_CELLS, RESERVATION_TABLE

CARTS: tuple[tuple[tuple[str, int], ...], ...] = (
    (("MUG", 1),),
    (("MUG", 2), ("TEE", 1)),
    (("MUG", 2), ("MUG", 2)),
    (("TEE", 3),),
    (("MUG", 9),),
    (("FREE", 1), ("TEE", 1)),
    (("FREE", 2),),
)
METHODS = ("card", "invoice")
NEXT = {"confirmed": "processing", "processing": "shipped", "shipped": "delivered"}
PAYMENTS = ("none", "exact", "again", "another", "wrong amount", "wrong currency", "another order's")


@dataclass(frozen=True, slots=True)
class Place:
    """Place an order for one of CARTS, paid by one of METHODS."""

    cart: tuple[tuple[str, int], ...]
    method: str = "card"

    def take(self, saga: Saga) -> None:
        draft = a_draft(*self.cart, payment_method=self.method)
        result = saga.command(PlaceOrder(draft=draft, actor=ADMIN), None)
        saga.ids.append(result.answer.order.id)
        total = sum(SHOP[sku][0] * quantity for sku, quantity in self.cart)
        saga.publish(result, saga.expected.place(saga.ids[-1], total, prepaid=self.method == "card"))


@dataclass(frozen=True, slots=True)
class Confirm:
    """Confirm an order, with one of PAYMENTS."""

    back: int = 0
    payment: str = "exact"

    def take(self, saga: Saga) -> None:
        order_id = saga.order_at(self.back)
        paid = self._payment(saga, order_id)
        payment = None if paid is None else a_payment(*paid)
        result = saga.command(ConfirmOrder(order_id=order_id, payment=payment, actor=ADMIN), order_id)
        refused, told = saga.expected.confirm(order_id, paid)
        assert refusal_of(result) == refused
        saga.publish(result, told)

    def _payment(self, saga: Saga, order_id: str) -> tuple[str, int, str] | None:
        total = saga.order.orders[order_id].total_minor
        return {
            "none": None,
            "exact": (f"{order_id}-1", total, "EUR"),
            "again": (f"{order_id}-1", total, "EUR"),
            "another": (f"{order_id}-2", total, "EUR"),
            "wrong amount": (f"{order_id}-3", total + 1, "EUR"),
            "wrong currency": (f"{order_id}-4", total, "USD"),
            "another order's": (f"{saga.order_at(self.back + 1)}-1", total, "EUR"),
        }[self.payment]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel an order; `own` as its owner, who may only before it is processed."""

    back: int = 0
    own: bool = False
    restock: bool = True
    refund: bool = True

    def take(self, saga: Saga) -> None:
        order_id = saga.order_at(self.back)
        command = CancelOrder(
            order_id=order_id,
            reason=CancelReason.CUSTOMER_REQUEST,
            actor=ADMIN,
            restock=self.restock,
            refund=self.refund,
            only_from=(OrderStatus.PENDING, OrderStatus.CONFIRMED) if self.own else None,
        )
        result = saga.command(command, order_id)
        refused, told = saga.expected.cancel(order_id, refund=self.refund, own=self.own)
        assert refusal_of(result) == refused
        saga.publish(result, told)


@dataclass(frozen=True, slots=True)
class Advance:
    """Move an order on."""

    to: str
    back: int = 0

    def take(self, saga: Saga) -> None:
        order_id = saga.order_at(self.back)
        command = AdvanceOrder(order_id=order_id, status=OrderStatus(self.to), actor=ADMIN)
        result = saga.command(command, order_id)
        refused, told = saga.expected.advance(order_id, self.to)
        assert refusal_of(result) == refused
        saga.publish(result, told)


@dataclass(frozen=True, slots=True)
class Receive:
    """Let units come in."""

    sku: str
    units: int

    def take(self, saga: Saga) -> None:
        because = Because(event_id=new_id(), actor="ada")
        command = ReceiveStock(sku=self.sku, location="main", quantity=self.units, because=because)
        result = saga.command(command, self.sku)
        saga.expected.receive(self.sku, self.units)
        saga.publish(result, [])


@dataclass(frozen=True, slots=True)
class Lose:
    """Find that units are missing."""

    sku: str
    units: int

    def take(self, saga: Saga) -> None:
        because = Because(event_id=new_id(), actor="ada", reason="broken")
        command = AdjustStock(sku=self.sku, location="main", quantity=-self.units, because=because)
        result = saga.command(command, self.sku)
        assert refusal_of(result) == saga.expected.adjust(self.sku, -self.units)
        saga.publish(result, [])


@dataclass(frozen=True, slots=True)
class TimeOut:
    """Let the order service's deadline for an order pass and fire."""

    back: int = 0

    def take(self, saga: Saga) -> None:
        order_id = saga.order_at(self.back)
        deadline = saga.order.orders[order_id].deadline_at
        saga.now = max(saga.now, deadline or 0)
        due = deadline is not None
        saga.publish(
            saga.order.end_overdue(order_id, saga.now),
            saga.expected.time_out(order_id) if due else [],
        )


@dataclass(frozen=True, slots=True)
class Expire:
    """Let inventory's deadline for an order's reservation pass and fire."""

    back: int = 0

    def take(self, saga: Saga) -> None:
        order_id = saga.order_at(self.back)
        reservation = saga.inventory.reservations.get(order_id)
        saga.now = max(saga.now, (reservation.expires_at if reservation else None) or 0)
        saga.publish(saga.inventory.expire(order_id, saga.now), saga.expected.expire(order_id))


@dataclass(frozen=True, slots=True)
class Deliver:
    """Let a service have the next event of an order."""

    to: Side
    back: int = 0

    def take(self, saga: Saga) -> None:
        saga.deliver_next(self.to, saga.order_at(self.back))


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Let a service have every event there is, of all orders."""

    to: Side

    def take(self, saga: Saga) -> None:
        for key in saga.ids:
            while saga.consumers[self.to].unread(key):
                saga.deliver_next(self.to, key)


@dataclass(frozen=True, slots=True)
class GoOn:
    """Let an order have what it waits for: its next event, else what people usually do with it next."""

    back: int = 0

    def take(self, saga: Saga) -> None:
        key = saga.order_at(self.back)
        for side in ("inventory", "order"):
            if saga.consumers[side].unread(key):
                saga.deliver_next(side, key)
                return
        status = saga.order.orders[key].status.value
        if status == "pending":
            Confirm(self.back).take(saga)
        elif status in NEXT:
            Advance(NEXT[status], self.back).take(saga)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Let a service have an event of an order again that it had before (or had it before its turn: then the first)."""

    to: Side
    back: int = 0
    which: int = 0

    def take(self, saga: Saga) -> None:
        consumer, key = saga.consumers[self.to], saga.order_at(self.back)
        for message in consumer.log[key][: consumer.read[key]][self.which : self.which + 1]:
            saga.deliver(self.to, message)


@dataclass(frozen=True, slots=True)
class Replay:
    """Set a service back to the start of its topic."""

    to: Side

    def take(self, saga: Saga) -> None:
        saga.consumers[self.to].read.clear()


@dataclass(frozen=True, slots=True)
class Overtake:
    """Cancel an order of which inventory has read nothing, and let the cancel overtake its OrderPlaced there; of an
    order that inventory knows, let it have the next event.
    """

    back: int = 0

    def take(self, saga: Saga) -> None:
        key = saga.order_at(self.back)
        if kinds(saga.consumers["inventory"].unread(key)) == ["OrderPlaced"]:
            Cancel(self.back).take(saga)
        unread = saga.consumers["inventory"].unread(key)
        if kinds(unread[:2]) == ["OrderPlaced", "OrderCancelled"]:
            saga.deliver("inventory", unread[1])
        else:
            saga.deliver_next("inventory", key)


@dataclass(frozen=True, slots=True)
class Stumble:
    """Let the handler of an order's next event fail: its key is parked."""

    at: Side
    back: int = 0

    def take(self, saga: Saga) -> None:
        saga.stumble(self.at, saga.order_at(self.back))


@dataclass(frozen=True, slots=True)
class Retry:
    """Try the head of an order's parked events."""

    at: Side
    back: int = 0

    def take(self, saga: Saga) -> None:
        saga.retry(self.at, saga.order_at(self.back))


@dataclass(frozen=True, slots=True)
class Discard:
    """Let an operator discard the head of an order's parked events, if nobody should have sent it."""

    at: Side
    back: int = 0

    def take(self, saga: Saga) -> None:
        saga.discard(self.at, saga.order_at(self.back))


@dataclass(frozen=True, slots=True)
class Stray:
    """Let a service have an event under an id of its own: a copy of the next one, or one that comes too late, too
    early or was never sent.

    Only what a service would believe to its harm is left out: news that it waits for and nobody has, and orders that
    nobody gave. A parked key is retried instead.
    """

    to: Side
    back: int = 0
    which: int = 0

    def take(self, saga: Saga) -> None:
        key = saga.order_at(self.back)
        if key in saga.consumers[self.to].parked:
            saga.retry(self.to, key)
            return
        harmless = STRAYS[self.to](saga, key)
        saga.deliver(self.to, Message(harmless[self.which % len(harmless)], new_id(), 0, stray=True))


def _stray_answers(saga: Saga, key: str) -> list[Any]:
    awaited = {"reserving": "StockReserved", "allocating": "StockAllocated"}.get(
        saga.order.orders[key].pending_operation or ""
    )
    return [stock_answer(name, key) for name in ANSWER_TABLE if name != awaited]


def _stray_order_events(saga: Saga, key: str) -> list[Any]:
    reservation = saga.inventory.reservations.get(key)
    state = reservation.status.value if reservation else "none"
    placed = saga.topics[contracts.OrderPlaced.TOPIC][key][0].event
    wanted = [(line.sku, line.quantity) for line in placed.lines]
    inventory = saga.consumers["inventory"]
    fresh = kinds([message for message in inventory.unread(key) if message.event_id not in inventory.inbox])
    return [
        placed if name == "OrderPlaced" else order_event(name, *wanted, order_id=key)
        for name in RESERVATION_TABLE
        if name in ("OrderPlaced", *fresh[:1]) or RESERVATION_CELLS[name, state] in ("-", "park")
    ]


STRAYS: dict[Side, Callable[[Saga, str], list[Any]]] = {"order": _stray_answers, "inventory": _stray_order_events}


def refusal_of(result: Result) -> str | None:
    """Return the code with which a command was refused."""
    answer = result.answer
    return answer.code.value if isinstance(answer, OrderRefusal | StockRefusal) else None


def a_saga(*steps: Step, auto_confirm: bool = False) -> Saga:
    """Return a saga with the shop's stock received, after these steps."""
    saga = Saga(auto_confirm=auto_confirm)
    saga.take(Receive(sku, units) for sku, (_, units) in SHOP.items())
    saga.take(steps)
    return saga
