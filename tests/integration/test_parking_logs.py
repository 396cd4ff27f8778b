"""Every log line about an event that fails says which one, in the fields that were agreed on."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from deploy.local.databases import Databases
from schemas.contracts import OrderRequested
from services.chassis import operators
from services.chassis.database import transaction
from services.chassis.events import Record
from services.chassis.operators import Filter
from services.order.bootstrap import SERVICE
from tests.support import shop
from tests.support.ledger import Ledger
from tests.support.services import World, world_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
PLACE = ("topic", "partition", "offset")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def world(ledger: Ledger, postgres_server: Databases) -> Iterator[World]:
    with world_of(ledger.service, postgres_server, park_backoff_seconds=60) as world:
        yield world


def fail(*_: Any) -> None:
    raise ValueError("a bug")


def line(logs: list[Any], event: str) -> dict[str, Any]:
    """Return the fields of the only line with that event name."""
    (found,) = [entry for entry in logs if entry["event"] == event]
    return {name: value for name, value in found.items() if name not in {"event", "log_level", "exc_info"}}


def expected(record: Record, attempt: int) -> dict[str, Any]:
    place = {name: getattr(record, name) for name in PLACE}
    ids = {"trace_id": TRACE, "order_id": "A", "event_id": record.header("ce_id"), "event_type": "OrderConfirmed"}
    return {**ids, **place, "attempt": attempt}


def test_each_line_says_which_event_it_is_about_and_which_try_it_was(ledger: Ledger, world: World) -> None:
    record = world.record(ledger.confirmed("A"), headers={"traceparent": TRACEPARENT})
    ledger.before = fail
    with capture_logs() as logs:
        world.processor.handle([record])
        world.processor.retries.retry((ledger.reads, "A"))
        ledger.before = lambda *_: None
        world.processor.retries.retry((ledger.reads, "A"))
    assert line(logs, "event_parked") == expected(record, 1)
    assert line(logs, "parked_event_failed") == expected(record, 2)
    assert line(logs, "parked_event_handled") == expected(record, 3)


def test_a_discarded_event_is_named_in_the_same_fields(ledger: Ledger, world: World) -> None:
    record = world.record(ledger.confirmed("A"), headers={"traceparent": TRACEPARENT})
    ledger.before = fail
    world.processor.handle([record])
    with transaction(world.runtime.engine) as connection:
        (parked,) = operators.find(connection, Filter(key="A"))
    with capture_logs() as logs:
        operators.discard_head(world.runtime.engine, parked, world.runtime.codec, reason="lost", actor="ada")
    assert line(logs, "parked_event_discarded") == {**expected(record, 1), "reason": "lost", "actor": "ada"}


def test_an_event_that_cannot_be_decoded_is_named_by_its_place(ledger: Ledger, world: World) -> None:
    record = world.record(ledger.confirmed("A"), value=b"?")
    world.processor.handle([record])
    with transaction(world.runtime.engine) as connection:
        (parked,) = operators.find(connection, Filter(key="A"))
    with capture_logs() as logs:
        operators.discard_head(world.runtime.engine, parked, world.runtime.codec, reason="lost", actor="ada")
    found = line(logs, "parked_event_discarded")
    assert {name: found.get(name) for name in (*PLACE, "order_id", "event_type")} == {
        **{name: getattr(record, name) for name in PLACE},
        "order_id": None,
        "event_type": None,
    }


def test_an_event_that_is_parked_without_an_error_of_ours_is_logged_with_its_reason_at_each_try(
    ledger: Ledger, world: World
) -> None:
    record = world.record(ledger.confirmed("A"), value=b"?")
    with capture_logs() as logs:
        world.processor.handle([record])
        world.processor.retries.retry((ledger.reads, "A"))
    place = {name: getattr(record, name) for name in PLACE}
    about = {**place, "event_id": record.header("ce_id"), "event_type": "Undecodable", "reason": "undecodable"}
    assert line(logs, "event_parked") == {**about, "attempt": 1}
    assert line(logs, "parked_event_failed") == {**about, "attempt": 2}
    with transaction(world.runtime.engine) as connection:
        (parked,) = operators.find(connection, Filter(key="A"))
    assert parked.error == "undecodable: 1 bytes are too few for a framed record"


def test_an_event_that_waits_for_what_is_expected_is_no_failure(postgres_server: Databases) -> None:
    with world_of(SERVICE, postgres_server) as world, capture_logs() as logs:
        world.processor.handle([world.record(shop.request("R1", {"NEW": 2}))])
    assert [entry["event"] for entry in logs if entry["event"] == "event_parked"] == []


@pytest.mark.parametrize(
    ("request_id", "traceparent", "logged"),
    [
        ("web-1001", TRACEPARENT, {"request_id": "web-1001", "trace_id": TRACE}),
        ("shop/2026:17", "", {"request_id": "shop/2026:17"}),
        ("eve@example.org", "eve-0af7-lives-here", {}),
        ("r" * 5000, f"00-{'0' * 32}-b7ad6b7169203331-01", {}),
        ("a b", f"ff-{TRACE}-b7ad6b7169203331-01", {}),
    ],
)
def test_only_what_can_be_an_id_is_logged(
    postgres_server: Databases, request_id: str, traceparent: str, logged: dict[str, str]
) -> None:
    """A stranger may write an address, or a whole book, where an id belongs."""
    with world_of(SERVICE, postgres_server) as world:
        broken = replace(world.subscription, handlers={**world.subscription.handlers, OrderRequested: fail})
        record = world.record(shop.request(request_id, {"S1": 1}), headers={"traceparent": traceparent}, key=b"k")
        with capture_logs() as logs:
            world.runtime.processor(broken).handle([record])
    found = line(logs, "event_parked")
    assert {name: found[name] for name in ("request_id", "trace_id") if name in found} == logged
    assert found["event_type"] == "OrderRequested"
