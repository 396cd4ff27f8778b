"""What inventory's alerts say of variants: the last that was said stands, however alerts arrive."""

from collections.abc import Iterator

import pytest

from deploy.local.databases import Databases
from schemas.contracts import BackInStock, LowStockReached, OutOfStock
from services.chassis.events import to_micros
from services.order.bootstrap import SERVICE
from tests.support.services import World, world_of

_NAMES = {"product_name": "Tea", "variant_name": "green"}
_DAY = 86_400_000_000


@pytest.fixture
def world(postgres_server: Databases) -> Iterator[World]:
    with world_of(SERVICE, postgres_server) as world:
        yield world


def low(sku: str, at: int) -> LowStockReached:
    return LowStockReached(sku=sku, available=2, threshold=5, reached_at=at, **_NAMES)


def out(sku: str, at: int) -> OutOfStock:
    return OutOfStock(sku=sku, out_since=at, **_NAMES)


def back(sku: str, at: int) -> BackInStock:
    return BackInStock(sku=sku, available=9, back_at=at, **_NAMES)


def known(world: World) -> dict[str, str]:
    with world.runtime.queries() as uow:
        return {sku: state.value for sku, state in uow.availability.of(["A", "B", "C"]).items()}


def now(world: World) -> int:
    return to_micros(world.one("SELECT now()"))


def test_the_last_alert_of_each_variant_stands_also_where_one_batch_brings_several(world: World) -> None:
    at = now(world)
    # One order may take a variant below its threshold and to nothing at once.
    world.deliver(low("A", at), out("A", at), low("B", at), out("C", at), back("C", at + 1))
    assert known(world) == {"A": "out_of_stock", "B": "low_stock", "C": "in_stock"}


def test_alerts_that_come_again_or_late_change_nothing(world: World) -> None:
    at = now(world)
    records = world.deliver(low("A", at), out("A", at), back("B", at + 5))
    world.processor.handle(records[:1])
    # Published anew under another id, as after a restore of inventory's database.
    world.deliver(out("B", at + 4), low("A", at - 1))
    assert known(world) == {"A": "out_of_stock", "B": "in_stock"}


def test_low_stock_is_believed_for_seven_days_and_an_end_of_stock_until_it_is_back(world: World) -> None:
    at = now(world) - 8 * _DAY
    world.deliver(low("A", at), out("B", at), low("C", at + 2 * _DAY))
    assert known(world) == {"B": "out_of_stock", "C": "low_stock"}
