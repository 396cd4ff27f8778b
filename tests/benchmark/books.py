"""The check after a run: nothing lost, nothing doubled, nothing oversold; asked of tables and log, not of the saga.

What was ordered is known from the workload; every table and every topic has to say the same. A run that fails here
has no figures.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from deploy.local.stack import Stack
from deploy.local.state import SERVICES
from schemas.contracts import NotificationSent, OrderConfirmed, OrderPlaced, StockAllocated, StockReserved
from services.chassis.audit import Audit
from services.chassis.connection import Engine
from services.chassis.database import transaction
from services.chassis.statements import sql
from services.inventory.repository import audit as inventory_audit
from services.order.repository import audit as order_audit
from tests.benchmark.topic_log import TopicLog, examine, read
from tests.benchmark.workload import LINES, STOCK, Workload

# What an order's path leaves behind: four versions, two movements a line, two events a topic, two mails.
_HISTORY = ["placed", "stock_reserved", "confirmed", "stock_allocated"]
_ORDERS = """
SELECT count(*), count(*) FILTER (WHERE status = 'confirmed' AND reservation_status = 'allocated'
    AND pending_operation IS NULL AND version = 4 AND events = 2) FROM orders
"""
_HISTORIES = """
SELECT count(*) FROM (SELECT order_id, array_agg(reason ORDER BY version) AS reasons FROM order_history
                      GROUP BY order_id) h WHERE reasons = CAST(:reasons AS text[])
"""
_ORDERED = "SELECT sku, sum(quantity)::bigint AS units FROM order_items GROUP BY sku"
_ALLOCATED = "SELECT sku, allocated AS units FROM stock_levels WHERE allocated > 0"
_OVERSOLD = """
SELECT count(*) FROM stock_levels WHERE reserved <> 0 OR on_hand <> :stock OR on_hand < reserved + allocated
"""
_MOVEMENTS = "SELECT kind, count(*) FROM stock_movements WHERE order_id IS NOT NULL GROUP BY kind"
_RESERVATIONS = "SELECT count(*), count(*) FILTER (WHERE status = 'allocated' AND events = 2) FROM reservations"
_MAILS = """
SELECT count(*) FROM (SELECT subject, array_agg(template ORDER BY template) templates FROM notifications
                      GROUP BY subject) m WHERE templates = ARRAY['order_confirmed', 'order_placed']
"""
_INBOX = "SELECT event_id::text FROM inbox WHERE consumer = :consumer"
_LEFT_OVER = "SELECT (SELECT count(*) FROM parked_keys) + (SELECT count(*) FROM dead_events)"
# Which topics each service's consumer takes its orders' events from; of mails there are only where mails are sent.
_READS = {
    "order": (StockReserved.TOPIC, NotificationSent.TOPIC),
    "inventory": (OrderPlaced.TOPIC,),
    "notification": (OrderPlaced.TOPIC,),
}
_KINDS = {
    OrderPlaced.TOPIC: (OrderPlaced.FULLNAME, OrderConfirmed.FULLNAME),
    StockReserved.TOPIC: (StockReserved.FULLNAME, StockAllocated.FULLNAME),
}
_AUDITS = {"order": order_audit.run, "inventory": inventory_audit.run}
Check = Callable[["Books", Workload], Iterator[str]]


class Books:
    """Reads the databases and the log of a stack whose services were stopped.

    Args:
        stack: its servers still run.
        unpublished: the query that counts the outbox rows that are still to be published.

    """

    def __init__(self, stack: Stack, unpublished: str) -> None:
        self.unpublished = unpublished
        self._engines = {
            service: Engine(stack.environment(service)["DATABASE_URL"], 1, "books", statement_seconds=0)
            for service in SERVICES
        }
        servers = stack.kafka.bootstrap_servers
        self.logs: Mapping[str, TopicLog] = {
            topic: examine(read(servers, topic)) for topic in (*_KINDS, NotificationSent.TOPIC)
        }

    def rows(self, service: str, query: str, **values: object) -> Sequence[Any]:
        """Return what a query finds."""
        with transaction(self._engines[service]) as connection:
            return connection.execute(sql(query), values).all()

    def audit(self, service: str) -> Audit:
        """Return what a service's own audit finds."""
        with transaction(self._engines[service]) as connection:
            return _AUDITS[service](connection)

    def close(self) -> None:
        """Close every connection."""
        for engine in self._engines.values():
            engine.dispose()


def faults(stack: Stack, unpublished: str, workload: Workload) -> list[str]:
    """Return everything that is wrong after a run; nothing, when every order is where it belongs, once."""
    books = Books(stack, unpublished)
    try:
        return [fault for check in CHECKS for fault in check(books, workload)]
    finally:
        books.close()


def every_order_is_confirmed_and_allocated(books: Books, workload: Workload) -> Iterator[str]:
    """No order is missing, doubled, or on another path."""
    ((orders, settled),) = books.rows("order", _ORDERS)
    if (orders, settled) != (workload.orders, workload.orders):
        yield f"{orders} orders stand and {settled} of them are confirmed and allocated, {workload.orders} were placed"
    ((told,),) = books.rows("order", _HISTORIES, reasons=_HISTORY)
    if told != workload.orders:
        yield f"{told} orders have the history {', '.join(_HISTORY)}"


def the_audits_find_nothing(books: Books, workload: Workload) -> Iterator[str]:  # noqa: ARG001  # all have one form
    """The product's own audits agree: ledger and levels, reservations and levels, history and orders."""
    for service in _AUDITS:
        differences = books.audit(service).differences
        if differences:
            yield f"{service}'s audit found {len(differences)} differences, the first: {differences[0]}"


def stock_is_what_was_ordered(books: Books, workload: Workload) -> Iterator[str]:
    """Nothing is oversold or held twice."""
    wanted = workload.units()
    for service, query in {"order": _ORDERED, "inventory": _ALLOCATED}.items():
        units = {row.sku: row.units for row in books.rows(service, query)}
        wrong = [sku for sku in wanted.keys() | units.keys() if wanted.get(sku) != units.get(sku)]
        if wrong:
            yield f"{service} has other units than were ordered of {len(wrong)} SKUs, for example {min(wrong)}"
    ((oversold,),) = books.rows("inventory", _OVERSOLD, stock=STOCK)
    if oversold:
        yield f"{oversold} levels hold reserved units, lost units, or more than is on hand"
    lines = workload.orders * LINES
    moved = dict(books.rows("inventory", _MOVEMENTS))
    if moved != {"reserved": lines, "allocated": lines}:
        yield f"the ledger has {moved} movements of orders, {lines} lines were ordered"
    ((reservations, allocated),) = books.rows("inventory", _RESERVATIONS)
    if (reservations, allocated) != (workload.orders, workload.orders):
        yield f"{reservations} reservations stand, {allocated} of them allocated"


def every_mail_stands_once(books: Books, workload: Workload) -> Iterator[str]:
    """Each customer is told of the placing and of the confirmation, once."""
    ((told,),) = books.rows("notification", _MAILS)
    if told != workload.orders:
        yield f"{told} orders have their two notifications, {workload.orders} were placed"


def nothing_is_left_over(books: Books, workload: Workload) -> Iterator[str]:  # noqa: ARG001  # all have one form
    """Every outbox is published, nothing is parked or dead."""
    for service in SERVICES:
        ((waiting,),) = books.rows(service, books.unpublished)
        ((parked,),) = books.rows(service, _LEFT_OVER)
        if waiting or parked:
            yield f"{service}: {waiting} events not published, {parked} keys parked or events dead"


def the_log_is_whole(books: Books, workload: Workload) -> Iterator[str]:
    """Each topic holds each order's events, 1 and 2, in order."""
    for topic, kinds in _KINDS.items():
        log = books.logs[topic]
        if log.kinds != dict.fromkeys(kinds, workload.orders):
            yield f"{topic} holds {dict(log.kinds)}"
        if log.faults:
            yield f"{topic}: {len(log.faults)} faults, the first: {log.faults[0]}"


def every_event_was_taken_once(books: Books, workload: Workload) -> Iterator[str]:  # noqa: ARG001  # all have one form
    """Each consumer's inbox holds the events of its topic, no more and no less."""
    for service, topics in _READS.items():
        taken = [row.event_id for row in books.rows(service, _INBOX, consumer=service)]
        told = set[str]().union(*(books.logs[topic].event_ids for topic in topics))
        if len(taken) != len(told) or set(taken) != told:
            yield f"{service} took {len(taken)} events of {' and '.join(topics)}, which hold {len(told)}"


CHECKS: Sequence[Check] = (
    every_order_is_confirmed_and_allocated,
    the_audits_find_nothing,
    stock_is_what_was_ordered,
    every_mail_stands_once,
    nothing_is_left_over,
    the_log_is_whole,
    every_event_was_taken_once,
)
