"""The shop that the scenes play in: who is there, and what they do over REST and Kafka, step by step."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from rich.console import RenderableType
from rich.text import Text

from deploy.local.demo import board
from deploy.local.demo.client import INVENTORY, ORDERS, SUCCESS, Answer, Caller
from deploy.local.demo.frames import SchemaFolder
from deploy.local.demo.mails import mailbox_of
from deploy.local.demo.promises import StoryBroken
from deploy.local.demo.storefront import Storefront
from deploy.local.demo.topics import Event, TopicLog
from deploy.local.state import StackState
from schemas import contracts
from schemas.contracts import (
    OrderPlaced,
    OrderRequested,
    OrderRequestedAddress,
    OrderRequestedItem,
    OrderRequestRejected,
)

T = TypeVar("T")
TOPICS = sorted({event.TOPIC for event in contracts.EVENTS.values()})
Order = dict[str, Any]
WAIT_SECONDS = 15
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who buys: with a token of their own, and a mailbox."""

    name: str
    email: str
    caller: Caller

    def address(self) -> dict[str, str]:
        """Return where their parcels go."""
        return {
            "first_name": self.name,
            "last_name": "Petersen",
            "address1": "Am Hafen 7",
            "city": "Flensburg",
            "postal_code": "24937",
            "country_code": "DE",
        }


class Shop:
    """What the scenes share: callers by role, the storefront's producer, and what the story has done so far.

    `received` counts units by SKU that the warehouse booked in, `placed` holds the ids of the orders that the story
    expects to exist, `log` is every topic. `tick` is called while something is waited for.
    """

    def __init__(self, state: StackState, tick: Callable[[], None]) -> None:
        self.state = state
        self._callers: list[Caller] = []
        self.admin = self._caller("admin")
        self.warehouse = self._caller("warehouse", subject="dock-1")
        self.backend = self._caller("service", subject="harbour-roast-web")
        self.schemas = SchemaFolder()
        self.storefront = Storefront(state.bootstrap_servers, self.schemas)
        self.mailbox = mailbox_of(state.mail)
        self.received: dict[str, int] = {}
        self.placed: set[str] = set()
        self.log = TopicLog(state.bootstrap_servers, TOPICS, self.schemas)
        self._tick = tick

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.log.close()
        for caller in self._callers:
            caller.close()

    def customer(self, name: str) -> Customer:
        """Return a customer with a token."""
        email = f"{name.lower()}@customers.example"
        return Customer(name, email, self._caller("customer", subject=f"customer-{name.lower()}", email=email))

    def vendor(self, name: str) -> Caller:
        """Return somebody of a vendor."""
        return self._caller("vendor", subject=f"{name}-packer", vendor=name)

    def place(
        self,
        customer: Customer,
        basket: Mapping[str, int],
        *,
        key: str | None = None,
        expect: Sequence[int] = (201,),
        **fields: object,
    ) -> Answer:
        """Place an order by REST and wait until inventory answered; remember it as one that has to exist."""
        body = {**basket_of(customer, basket), **fields}
        answer = customer.caller.change("POST", "order", ORDERS, body, key=key, wait=WAIT_SECONDS, expect=expect)
        order_id = answer.body.get("id") or answer.body.get("order_id")
        if order_id is not None:
            self.placed.add(order_id)
        return answer

    def request(self, name: str, request_id: str, basket: Mapping[str, int], **fields: Any) -> OrderRequested:
        """Return what the storefront asks for by Kafka on a customer's behalf."""
        customer = self.customer(name)
        return OrderRequested(
            request_id=request_id,
            customer_id=f"customer-{name.lower()}",
            customer_email=customer.email,
            items=tuple(OrderRequestedItem(sku=sku, quantity=quantity) for sku, quantity in basket.items()),
            shipping_address=OrderRequestedAddress(**customer.address()),
            **fields,
        )

    def answer_to(self, request_id: str, event: type[OrderPlaced | OrderRequestRejected]) -> Event:
        """Wait for an answer of this kind to a request, as a storefront does: by reading order.events.v1."""
        found = self.until(f"{event.__name__} for {request_id}", lambda: self._answers_to(request_id, event.FULLNAME))
        if event is OrderPlaced:
            self.placed.add(found[0].key)
        return found[0]

    def pay(self, order: Order, expect: Sequence[int] = SUCCESS) -> Answer:
        """Tell the order service that all that is due was paid, and wait until the order is confirmed."""
        body = {
            "provider": "demo-pay",
            "reference": f"pay-{order['order_number']}",
            "amount": order["total_amount"],
            "currency": order["currency"],
        }
        return self.backend.change(
            "POST", "order", f"{ORDERS}{order['id']}/confirm/", body, wait=WAIT_SECONDS, expect=expect
        )

    def order(self, order_id: str) -> Order:
        """Return an order as it stands."""
        found: Order = self.admin.get("order", f"{ORDERS}{order_id}/")
        return found

    def orders(self) -> list[Order]:
        """Return all orders, oldest first."""
        return self.admin.rows("order", f"{ORDERS}admin/", sort="created_at")

    def order_when(self, order_id: str, what: str, arrived: Callable[[Order], bool], within: float = 20) -> Order:
        """Wait until an order is as it should become."""
        return self.until(f"order {order_id} {what}", lambda: _only_if(arrived, self.order(order_id)), within=within)

    def available(self, sku: str) -> int:
        """Return how many units can still be promised."""
        return int(self.admin.get("inventory", f"{INVENTORY}stock/{sku}/")["available"])

    def until(self, what: str, look: Callable[[], T | None], *, within: float = 20) -> T:
        """Return what `look` finds; raise StoryBroken when it finds nothing (None, or empty) in time."""
        deadline = time.monotonic() + within
        while True:
            found = look()
            if found:
                return found
            if time.monotonic() > deadline:
                raise StoryBroken(f"waited {within:.0f} s in vain for {what}")
            self._tick()
            time.sleep(_POLL_SECONDS)

    def table(self) -> RenderableType:
        """Return the table of orders as they stand."""
        try:
            return board.table_of(self.orders(), self.mailbox.mails())
        except StoryBroken as broken:
            return Text(f"the table of orders cannot be read: {broken}")

    def _caller(
        self, role: str, *, subject: str | None = None, email: str | None = None, vendor: str | None = None
    ) -> Caller:
        caller = Caller(self.state, role, subject=subject, email=email, vendor=vendor)
        self._callers.append(caller)
        return caller

    def _answers_to(self, request_id: str, fullname: str) -> list[Event]:
        self.log.read(seconds=0.05)
        return [
            event for event in self.log.events if event.type == fullname and event.fields["request_id"] == request_id
        ]


def basket_of(customer: Customer, basket: Mapping[str, int]) -> dict[str, Any]:
    """Return the body that asks for a quote of these units by SKU, or for an order."""
    return {
        "items": [{"sku": sku, "quantity": quantity} for sku, quantity in basket.items()],
        "shipping_address": customer.address(),
    }


def _only_if(arrived: Callable[[Order], bool], order: Order) -> Order | None:
    return order if arrived(order) else None
