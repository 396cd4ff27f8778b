"""Stock for orders to hold: variants and receipts, put into inventory as its API does."""

from collections.abc import Mapping

from services.chassis.events import Cause, new_id
from services.chassis.idempotency import Answer
from services.inventory.domain.commands import PutVariant, ReceiveStock
from services.inventory.domain.stock import Because
from tests.support.services import World


def put_stock(world: World, units: Mapping[str, int]) -> None:
    """Publish variants and receive units of them; the events about it are forgotten."""
    commands = world.runtime.commands()
    for sku, quantity in units.items():
        for command in (variant(sku), receipt(sku, quantity)):
            commands.submit(
                command, caller="test", cause=Cause(sku), render=lambda *_: Answer(200, b"", {}), subject=sku
            )
    world.rows("DELETE FROM outbox")


def variant(sku: str) -> PutVariant:
    """Return the command that publishes a variant at 10.00 EUR."""
    return PutVariant(
        sku=sku,
        product_name="Shirt",
        variant_name="blue",
        vendor_id=None,
        price_minor=1000,
        currency="EUR",
        low_stock_threshold=0,
        active=True,
    )


def receipt(sku: str, quantity: int) -> ReceiveStock:
    """Return the command that receives units."""
    return ReceiveStock(sku=sku, location="main", quantity=quantity, because=Because(event_id=new_id(), actor="test"))
