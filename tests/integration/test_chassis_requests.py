"""Foreign input: bad storefront requests stop nobody and are answered; an unknown SKU waits a while."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.databases import Databases
from schemas import contracts
from schemas.contracts import OrderRequested, OrderRequestRejected
from services.chassis.events import Record, new_id
from services.order.bootstrap import SERVICE
from tests.support import shop
from tests.support.services import World, world_of

GRACE = 30


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    settings = {"park_breaker_keys": 5, "catalog_grace_seconds": GRACE, "max_attempts": 3}
    with world_of(SERVICE, postgres_server, **settings) as world:
        publish(world, "S1", "S2")
        yield world


def publish(world: World, *skus: str) -> None:
    catalog = world.runtime.processor(world.runtime.subscriptions[0])
    catalog.handle(world.records(shop.variant(sku) for sku in skus))


def answers(world: World, key: str) -> list[Any]:
    """Return the events that the order service told of a request, in order."""
    return [event for _, _, event in world.emitted() if getattr(event, "request_id", None) == key]


def codes(world: World, key: str) -> list[str]:
    """Return the codes with which a request was refused."""
    return [event.code for event in answers(world, key) if isinstance(event, OrderRequestRejected)]


def malformed(world: World, n: int) -> Record:
    """Return a request that cannot be decoded, each of another kind."""
    good = world.record(shop.request(f"malformed {n}", {"S1": 1}))
    body = good.value[5:]
    values = [
        None,
        b"",
        b"\x00",
        b"{}",
        b"\x01" + good.value[1:],
        good.value[:-1],
        good.value[:7],
        good.value + b"x",
        b"\x00\x00\x00\x00\x01" + body,
        b"\x00\xff\xff\xff\xff" + body,
        good.value[:5] + b"\xff" * 30,
        "{'json': 'ümlaut'}".encode(),
    ]
    headers = (("ce_type", OrderRequested.FULLNAME.encode()),) if n % 2 else ()
    return good._replace(value=values[n % len(values)], headers=headers)


def invalid(n: int) -> OrderRequested:
    """Return a request that can be decoded and not placed, each for another reason."""
    faults: list[dict[str, Any]] = [
        {"items": ()},
        {"items": (contracts.OrderRequestedItem(sku="S1", quantity=0),)},
        {"items": (contracts.OrderRequestedItem(sku="S1", quantity=2**62),)},
        {"items": (contracts.OrderRequestedItem(sku="", quantity=1),)},
        {"customer_email": "nobody"},
        {"customer_id": "c" * 200},
        {"shipping_address": dataclasses.replace(shop.ADDRESS, city="")},
        {"shipping_address": dataclasses.replace(shop.ADDRESS, country_code="Germany")},
        {"shipping_method": "teleport"},
        {"payment_method": "shells"},
        {"notes": "a\x00b"},
        {"discounts": (contracts.OrderRequestedDiscount(code="X", amount_minor=-1),)},
        {"discounts": (contracts.OrderRequestedDiscount(code="X", amount_minor=2**62),)},
        {"expected_total_minor": 1},
        {"currency": "XTS"},
    ]
    return dataclasses.replace(shop.request(f"invalid {n}", {"S1": 1}), **faults[n % len(faults)])


def test_thirty_bad_requests_stop_nobody_and_are_answered(world: World) -> None:
    bad = [malformed(world, n) for n in range(15)] + world.records(invalid(n) for n in range(15))
    good = world.records(shop.request(f"good {n}", {"S1": 1, "S2": 2}) for n in range(10))
    order_id = new_id()
    mixed = [record for pair in zip(bad, good * 3, strict=True) for record in pair]

    world.processor.handle(mixed)
    world.processor.handle(world.records([shop.reserved(order_id, {"S1": 1})]))

    assert [codes(world, f"malformed {n}") for n in range(15)] == [["malformed_request"]] * 15
    assert [codes(world, f"invalid {n}") for n in range(15)] == [["invalid_request"]] * 15
    assert all([type(event) for event in answers(world, f"good {n}")] == [contracts.OrderPlaced] for n in range(10))
    assert world.one("SELECT count(*) FROM orders") == 10
    assert world.rows("SELECT key FROM parked_keys") == [order_id]  # an answer for an order that nobody knows
    assert world.rows("SELECT FROM breakers") == []


def test_the_bytes_of_malformed_requests_are_kept_among_the_dead_events(world: World) -> None:
    bad = [malformed(world, n) for n in range(12)]
    world.processor.handle(bad)
    kept = world.rows("SELECT key, value, error FROM dead_events ORDER BY id")
    assert [(key, value and bytes(value)) for key, value, _ in kept] == [(r.key_text, r.value) for r in bad]
    assert all(error for *_, error in kept)
    before = world.snapshot()
    world.processor.handle(bad)
    assert world.snapshot() == before


def test_an_invalid_request_is_answered_with_every_fault_at_once(world: World) -> None:
    bad = shop.request(
        "R1",
        {"": 1, "S1": 1},
        customer_email="nobody",
        shipping_address=dataclasses.replace(shop.ADDRESS, city="", postal_code=""),
    )
    world.deliver(bad)
    (rejected,) = answers(world, "R1")
    assert {error.pointer for error in rejected.errors} == {
        *("/items/0/sku", "/customer_email", "/shipping_address/city", "/shipping_address/postal_code")
    }


def test_a_request_that_comes_again_changes_nothing_and_with_other_content_is_refused(world: World) -> None:
    """`request_id` is the idempotency key, whatever the id of the event."""
    world.deliver(shop.request("R1", {"S1": 1}))
    before = world.snapshot("orders", "order_requests")["orders"]
    world.deliver(shop.request("R1", {"S1": 1}), shop.request("R1", {"S1": 2}))
    world.deliver(shop.request("R1", {"S1": 3}))
    assert world.snapshot("orders")["orders"] == before
    assert codes(world, "R1") == ["request_id_reused", "request_id_reused"]
    world.deliver(invalid(0))
    world.deliver(invalid(0))
    assert codes(world, "invalid 0") == ["invalid_request"]


def test_the_answers_under_a_requests_key_are_counted_one_by_one(world: World) -> None:
    world.processor.handle([malformed(world, 1)])
    world.deliver(shop.request("malformed 1", {"S1": 0}), shop.request("malformed 1", {"S1": 2}))
    assert codes(world, "malformed 1") == ["malformed_request", "invalid_request", "request_id_reused"]
    assert [n for key, n, _ in world.emitted() if key == "malformed 1"] == [1, 2, 3]


def test_an_unknown_sku_waits_alone_and_is_placed_when_the_catalog_brings_it(world: World) -> None:
    world.deliver(shop.request("waits", {"NEW": 1}), shop.request("R1", {"S1": 1}), shop.request("waits", {"NEW": 1}))
    world.deliver(shop.request("R2", {"S2": 1}))
    assert world.one("SELECT count(*) FROM orders") == 2
    assert world.rows("SELECT key, state, fingerprint FROM parked_keys") == [("waits", "waiting", "unknown_sku")]
    assert answers(world, "waits") == []

    publish(world, "NEW")
    world.rows("UPDATE parked_keys SET due_at = now()")
    while world.processor.retries.retry_due():
        pass

    assert [type(event) for event in answers(world, "waits")] == [contracts.OrderPlaced]
    assert world.rows("SELECT FROM parked_keys") == []


def test_an_unknown_sku_is_rejected_once_the_grace_is_over(world: World) -> None:
    world.deliver(shop.request("waits", {"NEW": 1}), shop.request("R1", {"S1": 1}))
    for seconds, expected in ((GRACE - 2, []), (GRACE + 1, ["invalid_request"])):
        world.rows("UPDATE parked_events SET parked_at = now() - make_interval(secs => :s)", s=seconds)
        world.rows("UPDATE parked_keys SET due_at = now()")
        world.processor.retries.retry_due()
        assert codes(world, "waits") == expected
    (rejected,) = answers(world, "waits")
    assert [(error.pointer, error.code) for error in rejected.errors] == [("/items/0/sku", "unknown_sku")]
    assert world.rows("SELECT FROM parked_keys") == []


def test_an_unknown_sku_with_another_fault_does_not_wait(world: World) -> None:
    world.deliver(shop.request("R1", {"NEW": 1, "S1": 0}))
    (rejected,) = answers(world, "R1")
    assert {error.code for error in rejected.errors} == {"unknown_sku", "quantity_limit"}


def test_many_requests_that_wait_for_the_catalog_do_not_open_the_breaker(world: World) -> None:
    world.deliver(*[shop.request(f"R{n}", {"NEW": 1}) for n in range(20)])
    world.deliver(shop.request("last", {"S1": 1}))
    assert world.one("SELECT count(*) FROM orders") == 1


def test_requests_whose_handler_raises_are_parked_and_do_not_open_the_breaker(world: World) -> None:
    """Only the service's own topics tell of a bad deploy."""

    def fail(*_: Any) -> None:
        raise ValueError("a bug")

    broken = dataclasses.replace(world.subscription, handlers={**world.subscription.handlers, OrderRequested: fail})
    processor = world.runtime.processor(broken)
    processor.handle(world.records(shop.request(f"R{n}", {"S1": 1}) for n in range(20)))
    assert world.one("SELECT count(*) FROM parked_keys") == 20
    world.deliver(shop.request("last", {"S1": 1}))
    assert world.rows("SELECT request_id FROM orders") == ["last"]
    assert world.rows("SELECT FROM breakers") == []


def test_a_request_with_odd_headers_is_placed(world: World) -> None:
    odd = {"ce_id": "17", "ce_correlationid": "\x00", "ce_sequence": "9" * 5000, "traceparent": "\x00ü"}
    world.processor.handle([world.record(shop.request("R1", {"S1": 1}), headers=odd)])
    assert [type(event) for event in answers(world, "R1")] == [contracts.OrderPlaced]


def test_headers_of_any_length_do_not_reach_what_the_service_emits(world: World) -> None:
    """Carried along, they would make a record that the broker refuses, and hold every order's events."""
    long = {"ce_correlationid": "c" * 1_000_000, "traceparent": "t" * 1_000_000}
    world.processor.handle([world.record(shop.request("R1", {"S1": 1}), headers=long)])
    assert world.one("SELECT headers ->> 'ce_correlationid' = aggregateid FROM outbox")
    assert world.one("SELECT length(headers::text) FROM outbox") < 400


@pytest.mark.parametrize("request_id", ["a\x00b", "r" * 5000, ""])
def test_an_id_that_cannot_be_kept_is_answered_under_the_records_key(world: World, request_id: str) -> None:
    record = world.record(shop.request(request_id, {"S1": 1}))._replace(key=b"the key")
    world.processor.handle([record])
    assert codes(world, "the key") == ["invalid_request"]


@pytest.mark.parametrize("sku", ["a\x00b", "s" * 5000, ""])
def test_a_sku_that_cannot_be_one_is_refused(world: World, sku: str) -> None:
    world.deliver(shop.request("R1", {sku: 1}))
    assert codes(world, "R1") == ["invalid_request"]


@pytest.mark.parametrize("field", ["shipping_method", "payment_method", "currency", "locale", "customer_id", "notes"])
def test_a_text_of_almost_the_brokers_size_is_answered(world: World, field: str) -> None:
    values: dict[str, Any] = {field: "x" * 950_000}
    world.deliver(shop.request("R1", {"S1": 1}, **values))
    (rejected,) = answers(world, "R1")
    assert [(error.pointer, error.code) for error in rejected.errors] == [(f"/{field}", "too_long")]


def longest_refused_by_form() -> dict[str, Any]:
    """Return the fields of a request of almost the broker's size, wrong in as many places as its form can be."""
    text = "x" * 1000
    return {
        "items": (contracts.OrderRequestedItem(sku=text, quantity=0),) * 500,
        "discounts": (contracts.OrderRequestedDiscount(code=text, amount_minor=-1),) * 200,
        "metadata": {f"{n} {text}": text for n in range(100)},
        "notes": text * 3,
        "currency": text,
    }


def longest_refused_by_price() -> dict[str, Any]:
    """Return fields whose form is right, with as many faults as can be: each SKU twice, a character written as ten."""
    return {
        "items": (contracts.OrderRequestedItem(sku="\U0010ffff" * 128, quantity=-(2**62)),) * 200,
        "discounts": (contracts.OrderRequestedDiscount(code="\U0010ffff" * 128, amount_minor=-1),) * 20,
        "shipping_method": "\U0010ffff" * 128,
        "payment_method": "\U0010ffff" * 128,
    }


def longest_refused_by_both() -> dict[str, Any]:
    """Return the same, with metadata whose form is wrong in each name, a character written as ten, and each value."""
    odd = {f"{n:03}" + "\U0010ffff" * 126: "x" * 501 for n in range(50)}
    return {**longest_refused_by_price(), "metadata": odd, "notes": "x" * 2001}


@pytest.mark.parametrize(
    ("fields", "errors"),
    [
        (longest_refused_by_form(), 2 * 200 + 2 * 20 + 2 * 50 + 3 + 2),
        (longest_refused_by_price(), 2 * 200 + 20 + 2),
        (longest_refused_by_both(), 2 * 200 + 20 + 2 + 2 * 50 + 1),
    ],
    ids=["form", "price", "both"],
)
def test_as_many_faults_as_a_request_can_have_are_answered(world: World, fields: dict[str, Any], errors: int) -> None:
    world.deliver(dataclasses.replace(shop.request("R1", {}), **fields))
    (rejected,) = answers(world, "R1")
    assert len(rejected.errors) == errors
    assert world.one("SELECT octet_length(payload) FROM outbox") < world.runtime.settings.max_event_bytes / 2


def test_a_malformed_request_without_a_key_is_answered_under_a_key_of_its_own(world: World) -> None:
    record = malformed(world, 1)._replace(key=None)
    world.processor.handle([record])
    assert codes(world, f"{record.topic}/0/{record.offset}") == ["malformed_request"]
