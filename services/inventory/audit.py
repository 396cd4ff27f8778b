"""The audit: proves that levels are the sum of their movements and that what is held is held by open reservations."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from services.inventory.unit_of_work import InventoryUnitOfWork


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit looked at and found.

    Args:
        levels: rows of stock levels.
        movements: rows of the ledger.
        open_reservations: reservations that hold stock.
        differences: every disagreement; empty where the books are right.

    """

    levels: int
    movements: int
    open_reservations: int
    differences: list[dict[str, str | int | None]]


def run(uow: InventoryUnitOfWork) -> Audit:
    """Audit the books in one consistent picture of the database."""
    totals, differences = uow.audit()
    return Audit(**totals, differences=differences)


def report(uow: InventoryUnitOfWork) -> int:
    """Prove that levels, ledger and reservations agree; print what differs and exit 1."""
    audit = run(uow)
    console = Console()
    for difference in audit.differences:
        table = Table(*difference)
        table.add_row(*(str(value) for value in difference.values()))
        console.print(table)
    looked_at = f"{audit.levels} levels, {audit.movements} movements, {audit.open_reservations} open reservations"
    console.print(f"{len(audit.differences)} differences in {looked_at}")
    return 1 if audit.differences else 0
