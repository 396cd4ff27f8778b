"""What the consumer writes down, on a real PostgreSQL: one mail an event and recipient, in any order."""

import itertools
from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from services.chassis.database import transaction
from services.chassis.events import new_id
from services.notification.repository import notifications, subjects
from tests.support import notification as support
from tests.support.noted import counted
from tests.support.notification import World


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with support.notification_world(postgres_server) as world:
        yield world


def test_an_event_delivered_twice_makes_one_mail(world: World) -> None:
    order = new_id()
    records = [world.record(event) for event in (support.placed(order), support.confirmed(order))]
    world.processor.handle([*records, *records])
    world.processor.handle(records)
    assert world.notifications() == [("order_confirmed", "queued"), ("order_placed", "queued")]


def test_a_replay_that_the_inbox_has_forgotten_makes_no_second_mail(world: World) -> None:
    records = world.deliver(support.placed(order := new_id()), support.confirmed(order), support.low_stock())
    before = world.rows("SELECT id, updated_at FROM notifications ORDER BY id")
    world.rows("DELETE FROM inbox")
    world.processor.handle(records)
    assert world.rows("SELECT id, updated_at FROM notifications ORDER BY id") == before
    assert len(before) == 3
    assert world.rows("SELECT FROM parked_keys") == []


def test_a_second_order_placed_of_a_known_order_changes_nothing(world: World) -> None:
    order = new_id()
    world.deliver(support.placed(order))
    world.deliver(support.placed(order, customer_email="mallory@customer.example"))
    assert world.notifications() == [("order_placed", "queued")]
    assert world.rows("SELECT email FROM subjects") == [("ada@customer.example",)]


def test_events_in_any_order_make_the_same_mails(world: World) -> None:
    """The mails that came before their OrderPlaced wait for it; nothing is parked."""
    courses = list(itertools.permutations(_LIFE))
    orders = [new_id() for _ in courses]
    for arriving in zip(*courses, strict=True):
        world.deliver(*(make(order) for make, order in zip(arriving, orders, strict=True)))
    expected = [(template, "queued") for template in _TEMPLATES]
    assert all(world.notifications(order) == expected for order in orders)
    assert world.rows("SELECT FROM parked_keys") == []
    assert set(world.rows("SELECT recipient FROM notifications")) == {("ada@customer.example",)}


def test_a_mail_waits_for_its_order_and_is_due_behind_the_mail_about_it(world: World) -> None:
    order = new_id()
    world.deliver(support.cancelled(order))
    assert world.notifications() == [("order_cancelled", "waiting")]
    world.deliver(support.placed(order))
    due = world.rows("SELECT template FROM notifications WHERE status = 'queued' ORDER BY due_at")
    assert due == [("order_placed",), ("order_cancelled",)]


def test_a_guest_without_an_address_gets_no_mail(world: World) -> None:
    order = new_id()
    world.deliver(support.confirmed(order))
    world.deliver(support.placed(order, customer_email=None), support.shipped(order))
    assert world.notifications() == []
    assert world.rows("SELECT key, email FROM subjects") == [(order, None)]


def test_a_cancellation_that_is_not_to_be_told_makes_no_mail(world: World) -> None:
    order = new_id()
    world.deliver(support.placed(order), support.cancelled(order, notify_customer=False))
    assert world.notifications() == [("order_placed", "queued")]


def test_stock_alerts_go_to_the_operator_once_each(world: World) -> None:
    world.deliver(support.low_stock(), support.out_of_stock(), support.low_stock("OTHER-1"))
    assert world.notifications("SHIRT-1") == [("low_stock", "queued"), ("out_of_stock", "queued")]
    assert world.notifications("OTHER-1") == [("low_stock", "queued")]
    assert set(world.rows("SELECT recipient, audience FROM notifications")) == {(support.OPERATOR, "operator")}


def test_without_an_operator_address_stock_alerts_are_dropped(postgres_server: Databases) -> None:
    with support.notification_world(postgres_server, operator_email=None) as world:
        world.deliver(support.low_stock())
        assert world.notifications() == []
        assert world.rows("SELECT FROM subjects") == []


def test_a_batch_costs_the_same_number_of_statements_whatever_its_size(world: World) -> None:
    sizes = []
    for size in (1, 100):
        orders = [new_id() for _ in range(size)]
        world.deliver(*map(support.placed, orders))
        with counted(world.runtime.engine) as statements:
            world.deliver(*map(support.confirmed, orders))
        sizes.append(len(statements))
    assert sizes[0] == sizes[1]


def test_personal_data_goes_after_its_time_and_not_before(world: World) -> None:
    old, young = new_id(), new_id()
    world.deliver(support.placed(old), support.placed(young))
    for table, key in (("notifications", "subject"), ("subjects", "key")):
        world.rows(f"UPDATE {table} SET updated_at = now() - interval '91 days' WHERE {key} = :old", old=old)
    world.rows("UPDATE subjects SET updated_at = now() - interval '91 days' WHERE key = :young", young=young)
    with transaction(world.runtime.engine) as connection:
        notifications.prune(connection, 90)
        subjects.prune(connection, 90)
    assert world.rows("SELECT subject FROM notifications") == [(young,)]
    assert world.rows("SELECT key FROM subjects") == [(young,)]


_LIFE = (support.placed, support.confirmed, support.processing, support.shipped, support.delivered, support.cancelled)
_TEMPLATES = (
    "order_cancelled",
    "order_confirmed",
    "order_delivered",
    "order_placed",
    "order_processing",
    "order_shipped",
)
