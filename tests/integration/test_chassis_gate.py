"""A consumer that needs another one's projection begins once that has read its topics to the end they had."""

import dataclasses
from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from services.chassis.events import new_id
from services.chassis.health import Reason
from services.chassis.incoming import Subscription
from tests.support.eventually import eventually
from tests.support.groups import consumer_of
from tests.support.kafka_log import write_records
from tests.support.ledger import Ledger
from tests.support.servers import fresh_topics
from tests.support.services import World, world_of
from tests.support.threads import running


@pytest.fixture
def topics(kafka_server: str) -> Iterator[list[str]]:
    with fresh_topics(kafka_server, "catalog", "requests") as names:
        yield names


@pytest.fixture
def names() -> tuple[str, str]:
    return f"catalog-{new_id()}", f"requests-{new_id()}"


@pytest.fixture
def ledgers(topics: list[str]) -> tuple[Ledger, Ledger]:
    """What reads the catalog, and what needs it; they share the tables."""
    return Ledger(reads=topics[0]), Ledger(reads=topics[1])


@pytest.fixture
def world(
    ledgers: tuple[Ledger, Ledger], names: tuple[str, str], kafka_server: str, postgres_server: Databases
) -> Iterator[World]:
    (catalog, requests), (catalog_name, requests_name) = ledgers, names
    before, after = type(catalog.cancelled("A")), type(requests.confirmed("A"))
    service = dataclasses.replace(
        requests.service,
        events={**requests.service.events, before.FULLNAME: before},
        subscriptions=lambda _settings: [
            Subscription(catalog_name, {before: requests._handle}, foreign={}, projection=True),
            Subscription(requests_name, {after: requests._handle}, foreign={}, after=catalog_name),
        ],
    )
    with world_of(service, postgres_server, kafka_bootstrap_servers=kafka_server) as world:
        yield world


def written(world: World, *notes: str) -> None:
    assert world.rows("SELECT note FROM entries ORDER BY note") == sorted(notes)


def test_nothing_is_taken_before_the_projection_has_read_to_the_end_it_had_at_the_start(
    ledgers: tuple[Ledger, Ledger], names: tuple[str, str], world: World, kafka_server: str
) -> None:
    catalog, requests = ledgers
    write_records(kafka_server, [world.record(catalog.cancelled("A", f"variant {n}"), partition=n) for n in range(3)])
    write_records(kafka_server, [world.record(requests.confirmed("B", "request"))])
    reader = consumer_of(world.runtime, names[0])
    with running(consumer_of(world.runtime, names[1]).run):
        eventually(lambda: world.not_ready_for(Reason.CATALOG_LOADING), within=10)
        written(world)
        with running(reader.run):
            eventually(lambda: written(world, "variant 0", "variant 1", "variant 2", "request"), within=20)
            world.not_ready_for()


def test_an_empty_catalog_holds_nobody_back(
    ledgers: tuple[Ledger, Ledger], names: tuple[str, str], world: World, kafka_server: str
) -> None:
    write_records(kafka_server, [world.record(ledgers[1].confirmed("B", "request"))])
    reader = consumer_of(world.runtime, names[0])
    with running(reader.run, consumer_of(world.runtime, names[1]).run):
        eventually(lambda: written(world, "request"), within=20)


@pytest.mark.timing
def test_who_waits_for_the_catalog_can_be_stopped(names: tuple[str, str], world: World, kafka_server: str) -> None:
    write_records(kafka_server, [world.record(Ledger(reads=world.runtime.subscriptions[0].topics[0]).cancelled("A"))])
    consumer_of(world.runtime, names[0])
    with running(consumer_of(world.runtime, names[1]).run, ends_within=3):
        eventually(lambda: world.not_ready_for(Reason.CATALOG_LOADING), within=10)
