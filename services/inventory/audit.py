"""The audit: proves that levels are the sum of their movements and that what is held is held by open reservations."""

from services.chassis import audit
from services.inventory.unit_of_work import InventoryUnitOfWork


def report(uow: InventoryUnitOfWork) -> int:
    """Prove that levels, ledger and reservations agree; print what differs and exit 1."""
    return audit.report(uow.audit())
