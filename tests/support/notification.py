"""The notification service on a real PostgreSQL, with a real SMTP server in a thread, and events made by hand."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache, cached_property
from pathlib import Path
from threading import Event as StopEvent
from typing import Any, TypeVar

from aiosmtpd.controller import Controller

from deploy.local.databases import Database, Databases
from deploy.local.mail import Mailbox
from deploy.local.ports import LOOPBACK, Ports
from schemas import contracts
from services.chassis import migrate
from services.chassis.connection import Engine
from services.chassis.database import transaction
from services.chassis.events import Event, Record, new_id
from services.chassis.health import Health
from services.chassis.processor import Processor
from services.chassis.runtime import Runtime
from services.chassis.statements import sql
from services.notification.bootstrap import SERVICE
from services.notification.mail.mailer import Mailer
from services.notification.mail.smtp import SmtpPostman
from services.notification.settings import NotificationSettings
from services.notification.unit_of_work import NotificationUnitOfWork
from tests.support.servers import database_like

OPERATOR = "operator@shop.example"
NEVER = StopEvent()
M = TypeVar("M", bound=Mailer)
_offsets = itertools.count()


def settings(database_url: str, **changes: object) -> NotificationSettings:
    """Return settings that depend on no environment."""
    values: dict[str, Any] = {
        "database_url": database_url,
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "jwt_secret": "a secret for tests that is long enough",
        "jwt_issuer": "https://issuer.test",
        "jwt_audience": "oms",
        "smtp_url": "smtp://127.0.0.1:1",
        "mail_from": "Shop <orders@shop.example>",
        "operator_email": OPERATOR,
        "mail_backoff_seconds": 0.001,
        "mail_backoff_max_seconds": 0.001,
    }
    return NotificationSettings(_env_file=None, **{**values, **changes})


@cache
def _migrated(databases: Databases) -> Database:
    """Migrate a database that all tests of the session clone."""
    database = databases.ensure_database("notification_template", owner="notification_test")
    engine = Engine(database.url, 1, "test")
    migrate.upgrade(engine, SERVICE.migrations, "folder")
    engine.dispose()
    return database


@dataclass
class World:
    """One service on a database of its own."""

    database_url: str
    changes: dict[str, object] = field(default_factory=dict)

    @cached_property
    def runtime(self) -> Runtime[NotificationSettings, NotificationUnitOfWork]:
        return Runtime(SERVICE, settings(self.database_url, **self.changes), Health())

    @cached_property
    def processor(self) -> Processor[NotificationUnitOfWork]:
        return self.runtime.processor(self.runtime.subscriptions[0])

    def record(self, event: Event, event_id: str | None = None) -> Record:
        headers = {"ce_id": event_id or new_id(), "ce_type": event.FULLNAME, "ce_correlationid": event.key}
        encoded = tuple((name, value.encode()) for name, value in headers.items())
        value = self.runtime.codec.encode(event)
        return Record(event.TOPIC, 0, next(_offsets), event.key.encode(), value, encoded, 0)

    def deliver(self, *events: Event) -> list[Record]:
        """Deliver events in one batch, and return the records, to be delivered again."""
        records = [self.record(event) for event in events]
        self.processor.handle(records)
        return records

    def mailer(self, kind: type[M], smtp_port: int, **changes: object) -> M:
        """Return a mailer that hands its mails to a server on loopback; close it with its postman."""
        changed = settings(
            self.database_url, **{**self.changes, "smtp_url": f"smtp://127.0.0.1:{smtp_port}", **changes}
        )
        postman = SmtpPostman(changed.smtp_server, "shop.example", changed.smtp_timeout_seconds)
        return kind(
            engine=self.runtime.engine,
            outbox=self.runtime.outbox,
            postman=postman,
            health=Health(),
            settings=changed,
        )

    def rows(self, query: str, **parameters: object) -> list[Any]:
        with transaction(self.runtime.engine) as connection:
            result = connection.execute(sql(query), parameters)
            return list(result) if result._cursor.description is not None else []

    def notifications(self, subject: str | None = None) -> list[tuple[str, str]]:
        """Return (template, status) of the notifications, sorted."""
        where = "" if subject is None else "WHERE subject = :subject"
        found = self.rows(f"SELECT template, status FROM notifications {where}", subject=subject)
        return sorted(tuple(row) for row in found)

    def emitted(self) -> list[tuple[str, int, Event]]:
        """Return (key, sequence, event) of the outbox, in its order."""
        found = self.rows("SELECT aggregateid, sequence, type, payload FROM outbox ORDER BY seq")
        decode = self.runtime.codec.decode
        return [(row.aggregateid, row.sequence, decode(bytes(row.payload), row.type)) for row in found]


@contextlib.contextmanager
def notification_world(databases: Databases, **changes: object) -> Iterator[World]:
    """Lend a service on a fresh database; `changes` are settings."""
    with database_like(databases, _migrated(databases)) as database:
        world = World(database.url, dict(changes))
        try:
            yield world
        finally:
            world.runtime.engine.dispose()


@dataclass
class Sink:
    """A mail server in a thread, and what it keeps."""

    port: int
    directory: Path

    def mails(self) -> list[EmailMessage]:
        """Return the mails, in the order of their arrival."""
        files = sorted(self.directory.glob("*.eml"))
        parsed = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in files]
        return [mail for mail in parsed if isinstance(mail, EmailMessage)]


@contextlib.contextmanager
def mail_sink(directory: Path, kind: type[Mailbox] = Mailbox) -> Iterator[Sink]:
    """Run a mail server that decides as the local stack's does, or as `kind` decides."""
    directory.mkdir(exist_ok=True)
    port = Ports().take()
    controller = Controller(kind(directory), hostname=LOOPBACK, port=port, enable_SMTPUTF8=True)
    controller.start()
    try:
        yield Sink(port, directory)
    finally:
        controller.stop()


def placed(order_id: str, **changes: Any) -> contracts.OrderPlaced:
    """Return an order of two lines for ada@customer.example."""
    lines = tuple(
        contracts.OrderPlacedLine(
            item_id=new_id(),
            sku=sku,
            product_name=name,
            variant_name="blue",
            quantity=2,
            unit_price_minor=1000,
            discount_minor=0,
            tax_minor=0,
            total_minor=2000,
        )
        for sku, name in (("SHIRT-1", "Shirt"), ("SOCK-1", "Socks"))
    )
    values: dict[str, Any] = {
        "order_id": order_id,
        "order_number": "ORD10000001",
        "customer_email": "ada@customer.example",
        "locale": "de-DE",
        "currency": "EUR",
        "lines": lines,
        "subtotal_minor": 4000,
        "discount_minor": 0,
        "shipping_minor": 495,
        "tax_minor": 0,
        "total_minor": 4495,
        "shipping_method": "standard",
        "payment_method": "card",
        "placed_at": 0,
    }
    return contracts.OrderPlaced(**{**values, **changes})


def confirmed(order_id: str) -> contracts.OrderConfirmed:
    return contracts.OrderConfirmed(
        order_id=order_id,
        order_number="ORD10000001",
        currency="EUR",
        total_minor=4495,
        payment_method="card",
        payment_provider="psp",
        payment_reference="p-1",
        confirmed_at=0,
    )


def processing(order_id: str) -> contracts.OrderProcessingStarted:
    address = contracts.OrderProcessingStartedAddress(
        first_name="Ada",
        last_name="Lovelace",
        address1="1 Main St",
        city="Berlin",
        postal_code="10115",
        country_code="DE",
    )
    return contracts.OrderProcessingStarted(
        order_id=order_id,
        order_number="ORD10000001",
        ship_to=address,
        shipping_method="standard",
        lines=(),
        started_at=0,
    )


def shipped(order_id: str, lines: Sequence[contracts.OrderShippedLine] = ()) -> contracts.OrderShipped:
    return contracts.OrderShipped(
        order_id=order_id,
        order_number="ORD10000001",
        shipment_id=new_id(),
        location="main",
        carrier="Parcel Co",
        tracking_number="T-1",
        estimated_delivery="2026-10-11",
        lines=tuple(lines),
        complete=True,
        shipped_at=0,
    )


def delivered(order_id: str) -> contracts.OrderDelivered:
    return contracts.OrderDelivered(
        order_id=order_id,
        order_number="ORD10000001",
        shipment_id=new_id(),
        location="main",
        lines=(),
        complete=True,
        delivered_at=0,
    )


def cancelled(order_id: str, **changes: Any) -> contracts.OrderCancelled:
    values: dict[str, Any] = {
        "order_id": order_id,
        "order_number": "ORD10000001",
        "reason": contracts.OrderCancelledReason.EXPIRED,
        "previous_status": contracts.OrderCancelledPreviousStatus.PENDING,
        "restock": True,
        "notify_customer": True,
        "refund_minor": 0,
        "currency": "EUR",
        "cancelled_at": 0,
    }
    return contracts.OrderCancelled(**{**values, **changes})


def return_approved(order_id: str, **changes: Any) -> contracts.ReturnApproved:
    values: dict[str, Any] = {**_of_return(order_id), "expected": False, "approved_at": 0}
    return contracts.ReturnApproved(**{**values, **changes})


def return_declined(order_id: str) -> contracts.ReturnDeclined:
    return contracts.ReturnDeclined(**_of_return(order_id), reason="worn", declined_at=0)


def return_received(order_id: str, *units: tuple[str, int], complete: bool = True) -> contracts.ReturnReceived:
    """Return a receipt of these (SKU, units)."""
    disposition = contracts.ReturnReceivedLineDisposition.RESTOCK
    lines = tuple(
        contracts.ReturnReceivedLine(item_id=new_id(), sku=sku, received=n, damaged=0, disposition=disposition)
        for sku, n in units
    )
    parts = {"receipt_id": new_id(), "location": "main", "lines": lines, "complete": complete, "received_at": 0}
    return contracts.ReturnReceived(**_of_return(order_id), **parts)


def refund_issued(order_id: str, **changes: Any) -> contracts.RefundIssued:
    values: dict[str, Any] = {
        "order_id": order_id,
        "order_number": "ORD10000001",
        "refund_id": new_id(),
        "provider": "stripe",
        "amount_minor": 700,
        "refunded_total_minor": 700,
        "currency": "EUR",
        "settled_at": 0,
    }
    return contracts.RefundIssued(**{**values, **changes})


def _of_return(order_id: str) -> dict[str, Any]:
    names = {"order_number": "ORD10000001", "return_number": "RET10000002"}
    return {"order_id": order_id, "return_id": new_id(), **names}


def low_stock(sku: str = "SHIRT-1") -> contracts.LowStockReached:
    return contracts.LowStockReached(
        sku=sku, product_name="Shirt", variant_name="blue", available=3, threshold=5, reached_at=0
    )


def out_of_stock(sku: str = "SHIRT-1") -> contracts.OutOfStock:
    return contracts.OutOfStock(sku=sku, product_name="Shirt", variant_name="blue", out_since=0)


def hostile_line(line: contracts.OrderPlacedLine, name: str) -> contracts.OrderPlacedLine:
    """Return the line under a name of somebody else's choice."""
    return replace(line, product_name=name, variant_name=name)
