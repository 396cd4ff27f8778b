"""The smallest service that the chassis can run: it writes down what it hears of each order, in order.

A fourth service beside the product's, so that what is tested is the chassis and no domain. Whatever is to go wrong
in a handler is a `Script` of the test: a function that is called with each event before it is written down.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from schemas import contracts
from services.chassis.commands import Submitted
from services.chassis.errors import Problem
from services.chassis.events import Cause, Received, new_id
from services.chassis.idempotency import Answer
from services.chassis.incoming import Subscription
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings
from services.chassis.statements import sql
from services.chassis.unit_of_work import Transaction

TABLES = ("accounts", "entries")
Before = Callable[[Any, "LedgerUnitOfWork"], None]
E = TypeVar("E", bound=type[Any])

LOCK = sql("SELECT key, entries, events FROM accounts WHERE key = ANY(:keys ::text[]) ORDER BY key FOR UPDATE")
UPSERT = sql("""
INSERT INTO accounts SELECT * FROM unnest(:keys ::text[], :entries ::bigint[], :events ::bigint[])
ON CONFLICT (key) DO UPDATE SET entries = excluded.entries, events = excluded.events
""")
INSERT = sql("""
INSERT INTO entries SELECT * FROM unnest(:keys ::text[], :positions ::bigint[], :ids ::text[], :notes ::text[])
""")


@dataclass(slots=True)
class Account:
    key: str
    entries: int = 0
    events: int = 0


class LedgerUnitOfWork:
    """Accounts that are locked, and the entries that are added to them."""

    def __init__(self, tx: Transaction, settings: ServiceSettings, released: type[contracts.StockReleased]) -> None:
        self.tx = tx
        self.settings = settings
        self._released = released
        self._accounts: dict[str, Account] = {}
        self._entries: list[tuple[str, int, str, str]] = []

    def lock(self, messages: Sequence[Any]) -> None:
        keys = sorted({m.key if isinstance(m, Received) else m.command.key for m in messages})
        self._accounts = {key: Account(key) for key in keys}
        for row in self.tx.connection.execute(LOCK, {"keys": keys}):
            self._accounts[row.key] = Account(*row)

    def write(self, key: str, event_id: str, note: str, cause: Cause) -> int:
        """Add an entry to an account, tell of it, and return its position."""
        account = self._accounts[key]
        account.entries += 1
        account.events += 1
        self._entries.append((key, account.entries, event_id, note))
        released = self._released(order_id=key, lines=(), restocked=True, released_at=account.entries)
        self.tx.emit(released, sequence=account.events, cause=cause)
        return account.entries

    def save(self) -> None:
        touched = [self._accounts[key] for key in sorted({key for key, *_ in self._entries})]
        if not touched:
            return
        columns = {
            "keys": [account.key for account in touched],
            "entries": [account.entries for account in touched],
            "events": [account.events for account in touched],
        }
        self.tx.connection.execute(UPSERT, columns)
        keys, positions, ids, notes = zip(*self._entries, strict=True)
        rows = {"keys": list(keys), "positions": list(positions), "ids": list(ids), "notes": list(notes)}
        self.tx.connection.execute(INSERT, rows)


@dataclass(frozen=True, slots=True)
class Write:
    """Add an entry to an account."""

    key: str
    note: str


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that was not taken."""

    code: str


def nothing(_received: Any, _uow: LedgerUnitOfWork) -> None:
    """Do nothing before an event is written down."""


@dataclass
class Ledger:
    """The service, and what its handlers are told to do.

    Args:
        reads: the topic that it consumes.
        writes: the topic that it emits to.
        before: called with each event (or command) before it is written down; may raise, defer, wait, refuse.
        calls: what the handlers were called with: (event's class name, keys).

    """

    reads: str = contracts.OrderConfirmed.TOPIC
    writes: str = contracts.StockReleased.TOPIC
    consumer: str = "ledger"
    before: Before = nothing
    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    commanded: list[str] = field(default_factory=list)

    @cached_property
    def service(self) -> Service[Any, Any]:
        classes = [self._cancelled, self._confirmed, self._shipped, self._released]
        handlers = {self._cancelled: self._handle, self._confirmed: self._handle}
        return Service(
            name="ledger",
            settings=ServiceSettings,
            events={event.FULLNAME: event for event in classes},
            schemas=Path(contracts.__file__).parent,
            migrations=Path(__file__).parent / "ledger_migrations",
            unit_of_work=lambda tx, settings: LedgerUnitOfWork(tx, settings, self._released),
            subscriptions=lambda _settings: [Subscription(self.consumer, handlers, foreign={})],
            commands={Write: self._write},
        )

    def confirmed(self, key: str, note: str = "") -> contracts.OrderConfirmed:
        """Return an event that is written down as an entry with that note."""
        return self._confirmed(
            order_id=key, order_number=note, currency="EUR", total_minor=1, payment_method="card", confirmed_at=0
        )

    def cancelled(self, key: str, note: str = "") -> contracts.OrderCancelled:
        """Return another event that is written down, whose handler stands first in the table."""
        return self._cancelled(
            order_id=key,
            order_number=note,
            reason=contracts.OrderCancelledReason.OTHER,
            previous_status=contracts.OrderCancelledPreviousStatus.PENDING,
            refund_minor=0,
            currency="EUR",
            cancelled_at=0,
        )

    def shipped(self, key: str) -> contracts.OrderShipped:
        """Return an event on the same topic that the ledger does not handle."""
        return self._shipped(
            order_id=key,
            order_number="",
            shipment_id=new_id(),
            location="main",
            carrier="post",
            lines=(),
            complete=True,
            shipped_at=0,
        )

    def _handle(self, received: Sequence[Received[Any]], uow: LedgerUnitOfWork) -> None:
        self.calls.append((type(received[0].event).__name__, [one.key for one in received]))
        for one in received:
            self.before(one, uow)
            if one.event_id not in uow.tx.deferrals:
                uow.write(one.key, one.event_id, one.event.order_number, one.cause)

    def _write(self, submitted: Submitted[Write], uow: LedgerUnitOfWork) -> int | Refused:
        command = submitted.command
        self.commanded.append(command.note)
        self.before(submitted, uow)
        if command.note.startswith("refuse"):
            return Refused(command.note)
        return uow.write(command.key, "-", command.note, submitted.cause)

    @cached_property
    def _confirmed(self) -> Any:
        return _on_topic(contracts.OrderConfirmed, self.reads)

    @cached_property
    def _cancelled(self) -> Any:
        return _on_topic(contracts.OrderCancelled, self.reads)

    @cached_property
    def _shipped(self) -> Any:
        return _on_topic(contracts.OrderShipped, self.reads)

    @cached_property
    def _released(self) -> Any:
        return _on_topic(contracts.StockReleased, self.writes)


def render(result: int | Refused, _uow: LedgerUnitOfWork) -> Answer:
    """Return the position of the new entry, or refuse."""
    if isinstance(result, Refused):
        raise Problem(409, result.code, "the ledger does not take this")
    return Answer(201, str(result).encode(), {"X-Position": str(result)})


def _on_topic(event: E, topic: str) -> E:
    """Return the event's class, for another topic: topics are part of the contract, but a test needs its own."""
    return type(event.__name__, (event,), {"__slots__": (), "TOPIC": topic})
