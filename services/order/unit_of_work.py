"""One transaction of the order service: requests, orders, addresses, customers who place, in this order.

Each is locked once and sorted, and everything is saved once.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from schemas.contracts import (
    OrderCancellationRequested,
    OrderRequested,
    PaymentReported,
    VariantPublished,
    VariantRetired,
)
from services.chassis.audit import Audit
from services.chassis.commands import Submitted
from services.chassis.events import Cause, Event, Received, new_id, to_micros
from services.chassis.incoming import Undecodable
from services.chassis.statements import often, sql
from services.chassis.unit_of_work import Due, Transaction
from services.chassis.waiting import Seen
from services.order.domain.addresses import ChangeAddress, DeleteAddress
from services.order.domain.bulk import PlaceOrders
from services.order.domain.details import OrderDetails
from services.order.domain.drafts import CatalogVariant, Identity, OrderDraft
from services.order.domain.edits import AddItem, ReviseOrder
from services.order.domain.history import Change
from services.order.domain.orders import Order, OrderContent
from services.order.domain.payments import ConfirmOrder, Payment
from services.order.domain.placing import Placed, PlaceOrder
from services.order.domain.requests import answer_id_of, buyer_of, id_of, order_id_of, payment_in, payment_of
from services.order.domain.scopes import OrderFilter, Scope
from services.order.domain.stuck import StuckOrder
from services.order.domain.timeline import NOTED
from services.order.observing import observe
from services.order.repository import audit, catalog, details, erasure, history, lines, listing, orders, requests, stuck
from services.order.repository.addresses import Addresses
from services.order.repository.analytics import Analytics
from services.order.repository.availability import StockTold
from services.order.repository.payments import Payments
from services.order.repository.refunds import Refunds
from services.order.repository.requests import KnownRequest
from services.order.repository.returns import Returns
from services.order.repository.revisions import Revisions
from services.order.repository.shipments import Shipments
from services.order.repository.tickets import Tickets
from services.order.repository.timeline import Timeline
from services.order.settings import OrderSettings

TRACKING_KEY = sql("SELECT value FROM facts WHERE name = 'tracking_key'")
DRAW_NUMBERS = often("""
SELECT nextval('order_numbers') AS number, (SELECT value FROM facts WHERE name = 'order_number_key') AS key
FROM generate_series(1, :n)
""")


REPORTS = (PaymentReported, OrderCancellationRequested)


class OrderUnitOfWork:
    """What a handler of the order service works on.

    Attributes:
        addresses: saved ones, that are locked or that drafts name.
        availability: what inventory's alerts say of variants.
        analytics: facts of all orders.
        catalog: what is known of the SKUs that are asked for.
        payments: of orders that are locked.
        refunds: of orders that are locked.
        revisions: of orders that are locked.
        returns: of orders that are locked.
        shipments: of orders that are locked.
        tickets: for streams.
        timeline: of any orders.
        settings: the service's settings.

    """

    def __init__(self, tx: Transaction, settings: OrderSettings) -> None:
        self.tx = tx
        self.settings = settings
        self.catalog: dict[str, CatalogVariant] = {}
        self.addresses = Addresses(tx.connection)
        self.availability = StockTold(tx.connection)
        self.analytics = Analytics(tx.connection)
        self.payments = Payments(tx.connection)
        self.refunds = Refunds(tx.connection)
        self.revisions = Revisions(tx.connection)
        self.returns = Returns(tx.connection)
        self.shipments = Shipments(tx.connection)
        self.tickets = Tickets(tx.connection)
        self.timeline = Timeline(tx.connection)
        self._requests: dict[str, KnownRequest] = {}
        self._known_requests: frozenset[str] = frozenset()
        self._orders: dict[str, Order] = {}
        self._contents: dict[str, OrderContent] = {}
        self._revised: set[str] = set()
        self._placed: list[Placed] = []
        self._counts: list[int] = []
        self._number_key = b""
        self._open: Counter[str] = Counter()
        self._causes: dict[str, Received[Any]] = {}
        self._request_ids: dict[str, str] = {}
        self._told: dict[tuple[str, int], list[tuple[str, str]]] = {}

    @cached_property
    def now(self) -> int:
        """Microseconds since the epoch, PostgreSQL's clock."""
        return to_micros(self.tx.now)

    @cached_property
    def tracking_key(self) -> bytes:
        """The key of the links by which orders are followed, made once for the database's life."""
        return bytes.fromhex(self.tx.connection.execute(TRACKING_KEY).scalar_one())

    def lock(self, messages: Sequence[Any]) -> None:
        """Lock and load what events and commands touch."""
        connection = self.tx.connection
        received = [message for message in messages if isinstance(message, Received)]
        self._causes = {message.event_id: message for message in received}
        causes = [message.cause for message in messages if isinstance(message, Submitted)]
        self._request_ids = {
            each.causation_id: each.request_id
            for each in causes
            if each.causation_id is not None and each.request_id is not None
        }
        asked = [message for message in received if isinstance(message.event, OrderRequested)]
        illegible = [message.key for message in received if isinstance(message.event, Undecodable)]
        asked_under = [id_of(message.event, message.key) for message in asked]
        asked_under += [answer_id_of(m.event, m.key) for m in received if isinstance(m.event, REPORTS)]
        self._requests = requests.lock(connection, [*asked_under, *illegible])
        self._known_requests = frozenset(self._requests)
        self._lock_orders(messages)
        commands = [message.command for message in messages if isinstance(message, Submitted)]
        self.addresses.lock(c.address_id for c in commands if isinstance(c, ChangeAddress | DeleteAddress))
        placing = [command.draft for command in commands if isinstance(command, PlaceOrder)]
        placing += [draft for command in commands if isinstance(command, PlaceOrders) for draft in command.drafts]
        also = {item.sku for message in asked for item in message.event.items}
        edits = [command.edit for command in commands if isinstance(command, ReviseOrder)]
        also |= {edit.sku for edit in edits if isinstance(edit, AddItem)}
        self.load_drafts(placing, also)
        if self.settings.max_open_orders is not None:
            unpaid = {draft.customer_id for draft in placing if draft.payment is None}
            unpaid |= {buyer_of(message.event) for message in asked}
            self._open = Counter(orders.count_open(connection, [buyer for buyer in unpaid if buyer is not None]))
        if asked or placing:
            self._draw_numbers(len(asked) + len(placing))

    def load_drafts(self, drafts: Sequence[OrderDraft], also: Iterable[str] = ()) -> None:
        """Read what it takes to price drafts: the variants of their SKUs, and of others; the addresses they name."""
        skus = {item.sku for draft in drafts for item in draft.items}
        self.catalog = catalog.read(self.tx.connection, skus.union(also))
        self.addresses.load(drafts)

    def _lock_orders(self, messages: Sequence[Any]) -> None:
        connection = self.tx.connection
        events = [m.event for m in messages if isinstance(m, Received) and not isinstance(m.event, NOTED)]
        # A stranger may call anything an order's id.
        named = {order_id_of(event.order_id) for event in events if hasattr(event, "order_id")}
        answered = {order_id for order_id in named if order_id is not None}
        commanded = {id_ for m in messages if isinstance(m, Submitted) for id_ in _orders_of(m.command)}
        self._orders = orders.lock(connection, answered | commanded)
        self._contents = lines.contents(connection, sorted(commanded & self._orders.keys()))
        confirming = [m.command for m in messages if isinstance(m, Submitted) and isinstance(m.command, ConfirmOrder)]
        reported = [payment_in(event) for event in events if isinstance(event, OrderRequested)]
        reported += [p for e in events if isinstance(e, PaymentReported) and isinstance(p := payment_of(e), Payment)]
        self.payments.load(p for p in [*reported, *(command.payment for command in confirming)] if p is not None)

    def _draw_numbers(self, n: int) -> None:
        drawn = self.tx.connection.execute(DRAW_NUMBERS, {"n": n}).all()
        self._counts = [row.number for row in drawn]
        self._number_key = bytes.fromhex(drawn[0].key)

    def lock_of_customer(self, customer_id: str) -> list[Order]:
        """Lock all orders of a customer."""
        self._orders = orders.lock_of_customer(self.tx.connection, customer_id)
        return list(self._orders.values())

    def blank_words(self, order_ids: Sequence[str]) -> None:
        """Blank what people wrote about orders that are locked: in their history, refunds, returns and shipments."""
        erasure.blank_words(self.tx.connection, order_ids)

    def lock_overdue(self, due: Due) -> list[Order]:
        """Lock orders whose deadline has passed."""
        self._orders = orders.lock_overdue(self.tx.connection, due.until, due.longest, due.limit)
        return list(self._orders.values())

    def lock_late(self, due: Due) -> list[Order]:
        """Lock orders that should have left."""
        self._orders = orders.lock_late(self.tx.connection, due.until, due.limit)
        return list(self._orders.values())

    def audit(self) -> Audit:
        """Audit the books; the first and last thing that is asked of a unit of work."""
        return audit.run(self.tx.connection)

    def stuck(self, among: Sequence[str] | None = None) -> list[StuckOrder]:
        """Return the orders that wait too long for something, oldest first: of all, or of some by their ids."""
        return stuck.find(self.tx.connection, among)

    def find_one(self, scope: Scope, id_or_number: str) -> Order | None:
        """Return an order within a scope."""
        return listing.find_one(self.tx.connection, scope, id_or_number)

    def ids_of(self, numbers: Sequence[str]) -> dict[str, str]:
        """Return order number → id of those of the numbers that an order has."""
        return listing.ids_of(self.tx.connection, numbers)

    def find_page(self, scope: Scope, wanted: OrderFilter, after: tuple[Any, ...] | None, limit: int) -> list[Order]:
        """Return a page of orders within a scope."""
        return listing.find_page(self.tx.connection, scope, wanted, after, limit)

    def seen(self, order_ids: list[str]) -> dict[str, Seen]:
        """Return what those see who wait for a change of orders."""
        return {key: Seen(*found) for key, found in listing.seen(self.tx.connection, order_ids).items()}

    def details(self, order_ids: Sequence[str]) -> dict[str, OrderDetails]:
        """Return what belongs to orders."""
        return details.details(self.tx.connection, order_ids)

    def look_up(self, sku: str) -> None:
        """Read what the catalog says of a SKU, for a query; commands have it read when they are locked."""
        self.catalog |= catalog.read(self.tx.connection, [sku])

    def history(self, order_id: str) -> list[Change]:
        """Return the history of an order, oldest row first; the n-th row made its version n."""
        return history.of_orders(self.tx.connection, [order_id]).get(order_id, [])

    def contents(self, order_ids: Sequence[str]) -> dict[str, OrderContent]:
        """Return what orders are about."""
        return lines.contents(self.tx.connection, order_ids)

    def order(self, order_id: str) -> Order | None:
        """Return an order that is locked, None where there is none."""
        return self._orders.get(order_id)

    def content(self, order_id: str) -> OrderContent:
        """Return what an order that is locked is about; read in advance for those that a command names."""
        if order_id not in self._contents:
            self._contents |= lines.contents(self.tx.connection, [order_id])
        return self._contents[order_id]

    def revise(self, content: OrderContent) -> None:
        """Keep what an order is about from now on: its lines, their amounts, where it goes."""
        self._contents[content.order_id] = content
        self._revised.add(content.order_id)

    def open_orders(self, customer_id: str) -> int:
        """Return how many orders of a customer wait to be paid, those of this transaction counted."""
        placed = [placed.order for placed in self._placed if placed.order.customer_id == customer_id]
        return self._open[customer_id] + sum(order.recorded_minor == 0 for order in placed)

    def new_identity(self, lines: int) -> Identity:
        """Return the ids for a new order with so many lines."""
        return Identity(
            order_id=new_id(),
            item_ids=tuple(new_id() for _ in range(lines)),
            count=self._counts.pop(),
            number_key=self._number_key,
        )

    def add(self, placed: Placed, cause: Cause) -> None:
        """Keep a new order and tell inventory of it."""
        self._placed.append(placed)
        self._contents[placed.order.id] = placed.content
        self.tell(placed.order, placed.told, cause)

    def tell(self, order: Order, event: Event | None, cause: Cause) -> None:
        """Emit what happened to an order, if anything did."""
        if event is not None:
            order.events += 1
            event_id = self.tx.emit(event, sequence=order.events, cause=cause._replace(correlation_id=order.id))
            self._told.setdefault((order.id, order.version), []).append((event_id, event.FULLNAME))

    def request(self, request_id: str) -> KnownRequest:
        """Return what is known of a request by Kafka; a new one is kept from now on."""
        return self._requests.setdefault(request_id, KnownRequest(request_id))

    def tell_request(self, request_id: str, event: Event, cause: Cause) -> None:
        """Emit an answer under a request's key."""
        request = self.request(request_id)
        request.events += 1
        self.tx.emit(event, sequence=request.events, cause=cause)

    def publish_variants(self, events: Sequence[VariantPublished]) -> None:
        """Project publications of the catalog."""
        catalog.publish(self.tx.connection, events)

    def retire_variants(self, events: Sequence[VariantRetired]) -> None:
        """Project retirements of the catalog."""
        catalog.retire(self.tx.connection, events)

    def save(self) -> None:
        """Write everything, and wake whoever waits for an order."""
        connection = self.tx.connection
        new = [placed.order for placed in self._placed]
        orders.insert(connection, [(placed.order, placed.content) for placed in self._placed])
        # A report that is refused changes nothing of its order but the count of its events.
        told_of = {order_id for order_id, _ in self._told}
        changed = [order for id_, order in sorted(self._orders.items()) if order.history or id_ in told_of]
        orders.update(connection, changed)
        for order_id in sorted(self._revised):
            lines.update(connection, self._contents[order_id], self._orders[order_id].total_minor)
        history.insert(connection, [*new, *changed], self._causes, self._told)
        told = [request for _, request in sorted(self._requests.items()) if request.content_hash or request.events]
        requests.insert(connection, [r for r in told if r.request_id not in self._known_requests])
        requests.update(connection, [r for r in told if r.request_id in self._known_requests])
        if changed:
            self.tx.wake_waiters()
        self.tx.on_commit(lambda: observe([*new, *changed], self._request_ids))


def _orders_of(command: object) -> Sequence[str]:
    """Return the orders that a command is about: `order_ids` of one about many, `order_id` of one about one."""
    many: Sequence[str] | None = getattr(command, "order_ids", None)
    one: str | None = getattr(command, "order_id", None)
    return many if many is not None else () if one is None else (one,)
