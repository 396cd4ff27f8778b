"""The catalog's projection."""

from collections.abc import Sequence

from schemas.contracts import VariantPublished, VariantRetired
from services.chassis.events import Received
from services.order.unit_of_work import OrderUnitOfWork


def publish_variants(published: Sequence[Received[VariantPublished]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.VariantPublished.  Emits: nothing."""
    uow.publish_variants([received.event for received in published])


def retire_variants(retired: Sequence[Received[VariantRetired]], uow: OrderUnitOfWork) -> None:
    """Reacts to: inventory.VariantRetired.  Emits: nothing."""
    uow.retire_variants([received.event for received in retired])
