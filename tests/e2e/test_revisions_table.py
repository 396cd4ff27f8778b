"""Every cell of the table of revisions that an outsider can reach, on the real system: an event of an edit that the
order's reservation has not seen, by what the reservation is.

The events are forged, so the order service knows of none of them. Cells of an open revision, and of one that is over,
are in `test_revisions_in_any_order`.
"""

import uuid
from collections.abc import Iterator

import pytest

from tests.e2e.test_reservations_table import EVENTS, QUANTITY, books, case_of
from tests.support import forged
from tests.support.running_shop import LONGER_HOLD, Shop
from tests.support.saga_tables import REVISION_CELLS

INERT = [(event, state) for (event, turn, state), word in REVISION_CELLS.items() if (turn, word) == ("newer", "-")]
PARKED = [(event, state) for (event, turn, state), word in REVISION_CELLS.items() if word == "park"]


@pytest.fixture(scope="module", autouse=True)
def _give_up_what_is_parked(shop: Shop) -> Iterator[None]:
    """Discard, as an operator would, what these tests parked for good."""
    yield
    shop.operate("inventory", "parked", "discard", "--reason", "forged by a test", "--topic", EVENTS)


@pytest.mark.parametrize(("event", "state"), INERT)
def test_an_event_of_an_edit_in_a_cell_without_effect_moves_and_tells_nothing(
    shop: Shop, event: str, state: str
) -> None:
    case = case_of(shop, state)
    before = books(shop, case)

    event_id = shop.outsider.tell(forged.revision(event, case.order_id, (case.sku, QUANTITY + 1)))

    shop.probe.await_taken("inventory", event_id)
    assert books(shop, case) == before
    assert shop.probe.parked("inventory", case.order_id) == []


@pytest.mark.parametrize(("event", "state"), PARKED)
def test_an_event_of_an_edit_that_comes_too_early_is_parked_and_moves_nothing(
    shop: Shop, event: str, state: str
) -> None:
    case = case_of(shop, state)
    before = books(shop, case)

    event_id = shop.outsider.tell(forged.revision(event, case.order_id, (case.sku, QUANTITY + 1)))

    shop.probe.await_taken("inventory", event_id)
    assert books(shop, case) == before
    (parked,) = shop.probe.parked("inventory", case.order_id)
    assert (parked["event_id"], parked["state"]) == (event_id, "retrying")


@pytest.mark.parametrize("state", ["reserved", "allocated"])
def test_an_end_that_overtakes_its_request_is_remembered(shop: Shop, state: str) -> None:
    case = case_of(shop, state)
    before = books(shop, case)

    for kind in ("OrderRevisionRejected", "OrderRevisionRequested"):
        event_id = shop.outsider.tell(forged.revision(kind, case.order_id, (case.sku, QUANTITY + 1)))
        shop.probe.await_taken("inventory", event_id)

    assert books(shop, case) == before


@pytest.mark.parametrize("end", ["OrderRevised", "OrderRevisionRejected"])
def test_a_hold_that_runs_out_while_an_edit_is_open_holds_nothing_whatever_its_end_is(shop: Shop, end: str) -> None:
    sku = shop.sku(stock=9)
    order = shop.customer.placed((sku, 2), payment_method=LONGER_HOLD)
    asked = shop.outsider.tell(forged.revision("OrderRevisionRequested", order["id"], (sku, 5)))
    shop.probe.await_taken("inventory", asked)
    assert shop.admin.level(sku) == (9, 5, 0)

    shop.await_reservation(order["id"], "expired")

    assert shop.admin.level(sku) == (9, 0, 0)
    shop.await_order(order["id"], status="cancelled", cancel_reason="expired")
    ended = shop.outsider.tell(forged.revision(end, order["id"], (sku, 5)))
    shop.probe.await_taken("inventory", ended)
    assert shop.admin.level(sku) == (9, 0, 0)
    assert shop.admin.audit()["ok"]


def test_a_cancel_while_an_edit_is_open_releases_both_sides(shop: Shop) -> None:
    case = case_of(shop, "allocated")
    asked = shop.outsider.tell(
        forged.revision("OrderRevisionRequested", case.order_id, (case.sku, QUANTITY + 4)), event_id=str(uuid.uuid4())
    )
    shop.probe.await_taken("inventory", asked)
    assert shop.admin.level(case.sku) == (10, 0, QUANTITY + 4)

    assert shop.customer.cancel({"id": case.order_id}).status_code == 200

    shop.await_reservation(case.order_id, "released")
    assert shop.admin.level(case.sku) == (10, 0, 0)
