"""What comes back: what is put on hand, and what is not."""

from dataclasses import dataclass

import pytest

from schemas.contracts import ReturnReceived, ReturnReceivedLine, ReturnReceivedLineDisposition
from services.chassis.events import new_id
from services.inventory.domain.stock import MovementKind, StockLevel
from tests.support.saga_builders import ORDER_ID, OTHER_SKU
from tests.support.saga_memory import InventoryService, Message, kinds
from tests.support.saga_model import SHOP, Saga

D = ReturnReceivedLineDisposition
MUG = next(iter(SHOP))


@dataclass(frozen=True)
class Line:
    sku: str
    received: int
    damaged: int = 0
    disposition: D = D.RESTOCK


def received(*lines: Line, complete: bool = True) -> ReturnReceived:
    return ReturnReceived(
        order_id=ORDER_ID,
        order_number="ORD00000001",
        return_id=new_id(),
        return_number="RET00000001",
        receipt_id=new_id(),
        location="main",
        lines=tuple(
            ReturnReceivedLine(
                item_id=new_id(),
                sku=line.sku,
                received=line.received,
                damaged=line.damaged,
                disposition=line.disposition,
            )
            for line in lines
        ),
        complete=complete,
        received_at=0,
    )


def handled(service: InventoryService, *events: ReturnReceived) -> list[str]:
    told = []
    for event in events:
        result = service.handle(Message(event, new_id(), 1), 1_700_000_000_000_000)
        told += [*kinds(result.emitted), *result.deferred]
    return told


@pytest.fixture
def service() -> InventoryService:
    """Inventory with five mugs at a threshold of two, and nothing known of the order."""
    inventory = Saga(auto_confirm=False).inventory
    inventory.levels[MUG, "main"] = StockLevel(sku=MUG, location="main", on_hand=5)
    return inventory


def test_undamaged_units_of_all_lines_of_a_sku_are_put_back_by_one_movement(service: InventoryService) -> None:
    told = handled(service, received(Line(MUG, 3, 1), Line(MUG, 2), Line(MUG, 4, 4)))
    assert told == ["StockRestocked"]
    assert service.levels[MUG, "main"].on_hand == 9
    (movement,) = service.movements
    assert (movement.kind, movement.on_hand, movement.because.reference) == (MovementKind.RETURNED, 4, "RET00000001")


@pytest.mark.parametrize(
    "line",
    [Line(MUG, 3, 3), Line(MUG, 3, 0, D.WRITE_OFF), Line(MUG, 3, 0, D.QUARANTINE), Line(MUG, 1, 2)],
    ids=["damaged", "write_off", "quarantine", "more damaged than received"],
)
def test_what_cannot_be_sold_changes_and_tells_nothing(service: InventoryService, line: Line) -> None:
    assert handled(service, received(line)) == []
    assert (service.movements, service.reservations, service.levels[MUG, "main"].on_hand) == ([], {}, 5)


def test_a_return_of_an_order_whose_reservation_was_deleted_is_put_back_and_counted(service: InventoryService) -> None:
    assert handled(service, received(Line(MUG, 1)), received(Line(MUG, 1))) == ["StockRestocked"] * 2
    assert (service.reservations[ORDER_ID].status, service.reservations[ORDER_ID].events) == ("shipped", 2)


def test_a_receipt_is_put_back_once_under_whatever_event_id_it_comes(service: InventoryService) -> None:
    first, second = received(Line(MUG, 2)), received(Line(MUG, 1))
    assert handled(service, first, first, second, first, second) == ["StockRestocked"] * 2
    assert (service.levels[MUG, "main"].on_hand, len(service.movements)) == (8, 2)
    assert service.reservations[ORDER_ID].receipts == (first.receipt_id, second.receipt_id)


def test_a_sku_that_nobody_knows_is_left_for_an_operator_and_nothing_is_put_back(service: InventoryService) -> None:
    assert handled(service, received(Line(MUG, 1), Line(OTHER_SKU, 1))) == ["ReturnReceived_of_unknown_sku"]
    assert service.movements == []


def test_stock_that_comes_back_ends_the_episode_of_being_out_of_it(service: InventoryService) -> None:
    service.levels.clear()
    service.variants[MUG].out_of_stock_open = service.variants[MUG].low_stock_open = True
    assert handled(service, received(Line(MUG, 3))) == ["StockRestocked", "BackInStock"]
    assert not service.variants[MUG].low_stock_open
