"""The textbook saga, to compare with: correct, plain, and one message at a time.

Three services over the tables, events and Avro codec of the product, each a consumer process; order and inventory
with a relay process beside it. What makes it the textbook one:

- a transaction a message: inbox claim, state, ledger, outbox, all in it; a statement a row;
- the offset of each message committed to Kafka synchronously, after the database;
- a relay that every 50 ms takes up to 100 rows, in order; it produces them, waits until the broker has them, and marks
  each row as published.

Nothing in it is slowed down: psycopg2 and confluent-kafka without a layer between, connections kept open, statements
prepared once, each with a plan that goes by an index, BEGIN and COMMIT sent with what they enclose, the relay's
hundred rows in one transaction, no pause while messages are there, an index of the rows that are unpublished.

python -m tests.benchmark.textbook order|inventory|notification|order-relay|inventory-relay
"""

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

from deploy.local.services import python_command
from deploy.local.stack import Stack
from schemas.contracts import OrderPlaced, StockReserved
from services.chassis.database import RELAY_LOCK
from services.chassis.garbage import BATCH, spare_collector
from services.chassis.worker import stop_when_told
from tests.benchmark.drain import Side
from tests.benchmark.textbook_handlers import HANDLERS
from tests.benchmark.textbook_work import CODEC, Statements, Work

_RELAY_SECONDS = 0.05
_RELAY_ROWS = 100
_POLL_SECONDS = 0.2
_FLUSH_SECONDS = 10.0
_RELAYED = ("order", "inventory")
_MODULE = "tests.benchmark.textbook"

# What the relay's UPDATE needs beside the product's own table.
_PREPARE = """
ALTER TABLE outbox ADD COLUMN published_at timestamptz;
CREATE INDEX outbox_unpublished ON outbox (seq) WHERE published_at IS NULL;
"""
_CLAIM = "INSERT INTO inbox (consumer, event_id) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_ELECT = "SELECT pg_try_advisory_lock(%s)"
_TAKE = """
SELECT seq, id, aggregateid, type, payload, topic, headers, sequence FROM outbox
WHERE published_at IS NULL ORDER BY seq LIMIT %s
"""
_MARK = "UPDATE outbox SET published_at = now() WHERE seq = %s"


def consume(service: str, stop: threading.Event) -> None:
    """Handle messages one by one until told to stop."""
    handlers = {event.FULLNAME: handler for event, handler in HANDLERS[service].items()}
    kafka = Consumer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": service,
            "group.protocol": "consumer",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
        }
    )
    statements = Statements(_connect())
    kafka.subscribe(sorted({event.TOPIC for event in HANDLERS[service]}))
    while not stop.is_set():
        message = kafka.poll(_POLL_SECONDS)
        if message is None:
            continue
        if message.error():
            raise KafkaException(message.error())
        _handle(message, service, handlers, statements)
        kafka.commit(message=message, asynchronous=False)
    kafka.close()


def _handle(message: Any, service: str, handlers: Mapping[str, Any], statements: Statements) -> None:
    headers = {name: value.decode() for name, value in message.headers()}
    handler = handlers.get(headers["ce_type"])
    if handler is None:
        return
    event = CODEC.decode(message.value(), headers["ce_type"])
    with statements.transaction() as cursor:
        statements.run(cursor, _CLAIM, service, headers["ce_id"])
        if cursor.rowcount:
            handler(event, Work(statements, cursor, service, headers["ce_id"], headers["ce_correlationid"]))


def relay(service: str, stop: threading.Event) -> None:
    """Publish the outbox, up to a hundred rows every 50 ms, until told to stop; one relay a service works."""
    producer = Producer(
        {
            "bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"],
            "enable.idempotence": True,
            "acks": "all",
            "partitioner": "murmur2_random",
            "linger.ms": 0,
        }
    )
    database, election = _connect(), _connect()
    statements = Statements(database)
    election.autocommit = True
    elected = False
    while not stop.wait(_RELAY_SECONDS):
        elected = elected or _elect(election)
        if elected:
            _publish(service, producer, statements)


def _elect(election: Any) -> bool:
    with election.cursor() as cursor:
        cursor.execute(_ELECT, (RELAY_LOCK,))
        return bool(cursor.fetchone()[0])


def _publish(service: str, producer: Producer, statements: Statements) -> None:
    failures: list[KafkaError] = []
    with statements.transaction() as cursor:
        statements.run(cursor, _TAKE, _RELAY_ROWS)
        rows = cursor.fetchall()
        for _, *row in rows:
            _produce(service, producer, row, failures)
        if producer.flush(_FLUSH_SECONDS) or failures:
            raise KafkaException(*failures)
        for seq, *_ in rows:
            statements.write(cursor, _MARK, seq)


def _produce(service: str, producer: Producer, row: Sequence[Any], failures: list[KafkaError]) -> None:
    event_id, key, kind, payload, topic, varying, sequence = row
    headers = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_type": kind,
        "ce_source": f"/oms/{service}",
        "ce_subject": key,
        "content-type": "application/avro",
        "ce_sequence": f"{sequence:010d}",
        **varying,
    }
    producer.produce(
        topic,
        value=bytes(payload),
        key=key.encode(),
        headers=[(name, value.encode()) for name, value in headers.items()],
        on_delivery=lambda error, _message: failures.append(error) if error else None,
    )


def _connect() -> Any:
    url = os.environ["DATABASE_URL"].replace("+psycopg2", "")
    # Plans are made while tables are empty, and kept: without this they would read whole tables for good.
    connection = psycopg2.connect(url, application_name="textbook", options="-c enable_seqscan=off")
    connection.autocommit = True
    return connection


def _make_ready(stack: Stack) -> None:
    for service in HANDLERS:
        url = stack.environment(service)["DATABASE_URL"].replace("+psycopg2", "")
        database = psycopg2.connect(url)
        with database, database.cursor() as cursor:
            cursor.execute(_PREPARE)
        database.close()


def _start(stack: Stack) -> Sequence[str]:
    parts = [*((service, service) for service in HANDLERS), *((f"{service}-relay", service) for service in _RELAYED)]
    for part, service in parts:
        stack.processes.start(python_command(part, (_MODULE, part), environment=stack.environment(service)))
    return [part for part, _ in parts]


TEXTBOOK = Side(
    name="textbook",
    make_ready=_make_ready,
    start=_start,
    groups={
        "order": (StockReserved.TOPIC,),
        "inventory": (OrderPlaced.TOPIC,),
        "notification": (OrderPlaced.TOPIC,),
    },
    unpublished="SELECT count(*) FROM outbox WHERE published_at IS NULL",
)


def main(part: str) -> None:
    """Run one process until SIGTERM."""
    stop = threading.Event()
    stop_when_told(stop)
    service, _, role = part.partition("-")
    spare_collector(BATCH)
    if role == "relay":
        relay(service, stop)
    else:
        consume(service, stop)


if __name__ == "__main__":
    main(sys.argv[1])
