"""Every cell of the saga's second table, on the real system: an order's events by its reservation.

Cells that the services reach by themselves are reached through REST; the others by an outsider that repeats an
event of the log under another id, or forges one. The table is the tests' own copy.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support import forged
from tests.support.running_shop import LONGER_HOLD, SHORT_HOLD, Shop
from tests.support.saga_tables import RESERVATION_CELLS

ANSWERS, EVENTS = "inventory.events.v1", "order.events.v1"
QUANTITY = 3
INERT = [cell for cell, effect in RESERVATION_CELLS.items() if effect == "-"]
PARKED = [cell for cell, effect in RESERVATION_CELLS.items() if effect == "park"]


@dataclass(frozen=True)
class Case:
    """An order whose reservation is in some state, and the SKU of its only line."""

    order_id: str
    sku: str


@pytest.fixture(scope="module", autouse=True)
def _give_up_what_is_parked(shop: Shop) -> Iterator[None]:
    """Discard, as an operator would, what these tests parked for good."""
    yield
    shop.operate("inventory", "parked", "discard", "--reason", "forged by a test", "--topic", EVENTS)


def case_of(shop: Shop, state: str) -> Case:
    """Bring a reservation into a state, by what users do where they can."""
    if state in ("none", "cancelled_first"):
        case = Case(str(uuid.uuid4()), shop.sku())
        if state == "cancelled_first":
            shop.outsider.tell(forged.cancelled(case.order_id))
            shop.await_reservation(case.order_id, "cancelled_first")
        return case
    sku = shop.sku(stock=2 if state == "rejected" else 10)
    hold = {"payment_method": SHORT_HOLD} if state == "expired" else {}
    answer = shop.customer.place((sku, QUANTITY), wait=10, **hold)
    if state == "rejected":
        return Case(answer.json()["order_id"], sku)
    order = answer.json()
    if state in ("allocated", "shipped"):
        assert shop.service.confirm(order).status_code == 200
    if state == "released":
        assert shop.customer.cancel(order).status_code == 200
    for step in ("processing", "shipped") if state == "shipped" else ():
        assert shop.admin.move(order, step).status_code == 200
    shop.await_reservation(order["id"], state)
    return Case(order["id"], sku)


def tell(shop: Shop, event: str, case: Case) -> str:
    """Write an event of the order: the order's own once more, under another id, where the log has it."""
    shop.kinds(case.order_id, EVENTS)
    known = [entry for entry in shop.log.of(case.order_id, EVENTS) if entry.kind == event]
    if known:
        return shop.outsider.repeat(known[0], event_id=str(uuid.uuid4()))
    makers: dict[str, Any] = {
        "OrderPlaced": lambda: forged.placed(case.order_id, (case.sku, QUANTITY)),
        "OrderConfirmed": lambda: forged.confirmed(case.order_id),
        "OrderCancelled": lambda: forged.cancelled(case.order_id),
        "OrderShipped": lambda: forged.shipped(case.order_id, case.sku, QUANTITY),
    }
    return shop.outsider.tell(makers[event]())


def books(shop: Shop, case: Case) -> tuple[object, ...]:
    """Return everything that inventory knows of the order, and has told of it."""
    told = shop.kinds(case.order_id, ANSWERS)
    levels = shop.probe.rows("inventory", "SELECT * FROM stock_levels WHERE sku = :sku", sku=case.sku)
    return shop.probe.reservation(case.order_id), levels, shop.probe.movements(case.order_id), told


@pytest.mark.parametrize(("event", "state"), INERT)
def test_an_event_in_a_cell_without_effect_moves_and_tells_nothing(shop: Shop, event: str, state: str) -> None:
    case = case_of(shop, state)
    before = books(shop, case)

    event_id = tell(shop, event, case)

    shop.probe.await_taken("inventory", event_id)
    assert books(shop, case) == before
    assert shop.probe.parked("inventory", case.order_id) == []


@pytest.mark.parametrize(("event", "state"), PARKED)
def test_an_event_that_comes_too_early_is_parked_and_moves_nothing(shop: Shop, event: str, state: str) -> None:
    case = case_of(shop, state)
    before = books(shop, case)

    event_id = tell(shop, event, case)

    shop.probe.await_taken("inventory", event_id)
    assert books(shop, case) == before
    (parked,) = shop.probe.parked("inventory", case.order_id)
    assert (parked["topic"], parked["event_id"], parked["state"]) == (EVENTS, event_id, "retrying")


def test_order_placed_reserves_stock_when_every_line_fits(shop: Shop) -> None:
    first, second = shop.sku(stock=5), shop.sku(stock=5)

    order = shop.customer.placed((first, 5), (second, 1))

    shop.await_reservation(order["id"], "reserved")
    assert shop.probe.movements(order["id"]) == [("reserved", first, 0, 5, 0), ("reserved", second, 0, 1, 0)]
    assert shop.kinds(order["id"], ANSWERS) == ["StockReserved"]
    (told,) = shop.log.of(order["id"], ANSWERS)
    assert told.event["lines"] == [
        {"sku": first, "quantity": 5, "location": "main"},
        {"sku": second, "quantity": 1, "location": "main"},
    ]
    assert told.event["expires_at"] > told.event["reserved_at"]


def test_order_placed_is_rejected_with_every_short_line_when_one_does_not_fit(shop: Shop) -> None:
    fits, short, shorter = shop.sku(stock=5), shop.sku(stock=2), shop.sku(stock=0)

    refused = shop.customer.place((fits, 1), (short, 3), (shorter, 1), wait=10)

    order_id = refused.json()["order_id"]
    shop.await_reservation(order_id, "rejected")
    assert shop.probe.movements(order_id) == []
    assert shop.admin.level(fits) == (5, 0, 0)
    assert shop.kinds(order_id, ANSWERS) == ["StockRejected"]
    (told,) = shop.log.of(order_id, ANSWERS)
    found = [(row["sku"], row["requested"], row["available"]) for row in told.event["shortages"]]
    assert found == [(short, 3, 2), (shorter, 1, 0)]


def test_order_confirmed_allocates_what_is_reserved(shop: Shop) -> None:
    case = case_of(shop, "allocated")

    assert shop.admin.level(case.sku) == (10, 0, QUANTITY)
    assert shop.probe.movements(case.order_id)[1:] == [("allocated", case.sku, 0, -QUANTITY, QUANTITY)]
    assert shop.kinds(case.order_id, ANSWERS) == ["StockReserved", "StockAllocated"]


def test_order_cancelled_for_an_order_that_nobody_knows_is_remembered(shop: Shop) -> None:
    case = case_of(shop, "cancelled_first")

    assert shop.probe.movements(case.order_id) == []
    assert shop.kinds(case.order_id, ANSWERS) == []


@pytest.mark.parametrize("state", ["reserved", "allocated"])
def test_order_cancelled_releases_what_is_held(shop: Shop, state: str) -> None:
    case = case_of(shop, state)
    held = shop.admin.level(case.sku)

    assert shop.customer.cancel({"id": case.order_id}).status_code == 200

    shop.await_reservation(case.order_id, "released")
    assert held == ((10, QUANTITY, 0) if state == "reserved" else (10, 0, QUANTITY))
    assert shop.admin.level(case.sku) == (10, 0, 0)
    assert shop.kinds(case.order_id, ANSWERS)[-1] == "StockReleased"


def test_order_cancelled_without_restocking_writes_off_what_was_allocated(shop: Shop) -> None:
    case = case_of(shop, "allocated")

    assert shop.admin.cancel({"id": case.order_id}, restock=False, reason="other").status_code == 200

    shop.await_reservation(case.order_id, "released")
    assert shop.admin.level(case.sku) == (10 - QUANTITY, 0, 0)
    assert [kind for kind, *_ in shop.probe.movements(case.order_id)][-2:] == ["released", "written_off"]
    assert shop.kinds(case.order_id, ANSWERS)[-1] == "StockReleased"
    assert shop.log.of(case.order_id, ANSWERS)[-1].event["restocked"] is False


def test_order_shipped_takes_what_is_allocated_off_the_shelf(shop: Shop) -> None:
    case = case_of(shop, "shipped")

    assert shop.admin.level(case.sku) == (10 - QUANTITY, 0, 0)
    assert shop.probe.movements(case.order_id)[-1] == ("shipped", case.sku, -QUANTITY, 0, -QUANTITY)
    assert shop.kinds(case.order_id, ANSWERS) == ["StockReserved", "StockAllocated", "StockShipped"]


@dataclass(frozen=True)
class LateConfirmations:
    """Two orders that were confirmed while their reservations expired: the stock of one is still there."""

    lucky: Case
    unlucky: Case


@pytest.fixture(scope="module")
def late(shop: Shop) -> LateConfirmations:
    """Confirm two orders while the order service's worker hears and tells nothing."""
    skus = shop.sku(stock=QUANTITY), shop.sku(stock=QUANTITY)
    orders = [shop.customer.placed((sku, QUANTITY), payment_method=LONGER_HOLD) for sku in skus]
    lucky, unlucky = (Case(order["id"], sku) for order, sku in zip(orders, skus, strict=True))
    with shop.frozen("order-worker"):
        for order in orders:
            assert shop.service.confirm(order, wait=None).status_code == 200
        for case in (lucky, unlucky):
            shop.await_reservation(case.order_id, "expired")
        assert shop.admin.adjust(unlucky.sku, quantity=-QUANTITY).status_code == 201
    return LateConfirmations(lucky, unlucky)


@pytest.mark.timing
def test_order_confirmed_after_its_reservation_expired_reserves_and_allocates_anew(
    shop: Shop, late: LateConfirmations
) -> None:
    shop.await_order(late.lucky.order_id, status="confirmed", reservation_status="allocated")

    assert shop.kinds(late.lucky.order_id, ANSWERS) == ["StockReserved", "StockReservationExpired", "StockAllocated"]
    kinds = [kind for kind, *_ in shop.probe.movements(late.lucky.order_id)]
    assert kinds == ["reserved", "reservation_expired", "reserved", "allocated"]
    assert shop.admin.level(late.lucky.sku) == (QUANTITY, 0, QUANTITY)


@pytest.mark.timing
def test_order_confirmed_after_its_reservation_expired_and_its_stock_went_is_a_shortfall(
    shop: Shop, late: LateConfirmations
) -> None:
    shop.await_order(
        late.unlucky.order_id, status="cancelled", cancel_reason="stock_shortfall", payment_status="refund_due"
    )

    assert shop.kinds(late.unlucky.order_id, ANSWERS) == ["StockReserved", "StockReservationExpired", "StockShortfall"]
    assert shop.admin.level(late.unlucky.sku) == (0, 0, 0)
    (told,) = [e for e in shop.log.of(late.unlucky.order_id, ANSWERS) if e.kind == "StockShortfall"]
    assert [(row["sku"], row["requested"], row["available"]) for row in told.event["shortages"]] == [
        (late.unlucky.sku, QUANTITY, 0)
    ]


def test_every_cell_of_the_table_is_tested() -> None:
    effects = {
        ("OrderPlaced", "none"),
        ("OrderConfirmed", "reserved"),
        ("OrderConfirmed", "expired"),
        ("OrderCancelled", "none"),
        ("OrderCancelled", "reserved"),
        ("OrderCancelled", "allocated"),
        ("OrderShipped", "allocated"),
    }
    rest = set(INERT) | set(PARKED)
    assert effects | rest == set(RESERVATION_CELLS)
    assert not effects & rest
