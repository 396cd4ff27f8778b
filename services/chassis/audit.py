"""Audits: questions to a service's database whose every answer is a disagreement, so that none is good news."""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from services.chassis.connection import Connection
from services.chassis.counting import counted
from services.chassis.database import UNHURRIED
from services.chassis.statements import Statement, sql

Difference = dict[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit looked at and found.

    Args:
        looked_at: what (a plural that ends in s) → how many of it.
        checks: name of each check → its disagreements.

    """

    looked_at: Mapping[str, int]
    checks: Mapping[str, list[Difference]]

    @property
    def differences(self) -> list[Difference]:
        """Every disagreement, with the check that found it."""
        return [{"check": check, **row} for check, rows in self.checks.items() for row in rows]


def run(connection: Connection, totals: Statement, checks: Mapping[str, Statement]) -> Audit:
    """Ask all questions.

    Args:
        connection: on which nothing was asked yet: the books move while they are read, so all questions are put
            to one picture of them.
        totals: one row that says how much is looked at.
        checks: name → question.

    """
    connection.rollback()
    connection.execute(sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    connection.execute(UNHURRIED)
    found = {name: [row._asdict() for row in connection.execute(check)] for name, check in checks.items()}
    return Audit(connection.execute(totals).one()._asdict(), found)


def report(audit: Audit) -> int:
    """Print what differs, and return the exit code: 1 where anything does."""
    console = Console()
    for name, rows in audit.checks.items():
        if rows:
            table = Table(*rows[0], title=name)
            for row in rows:
                table.add_row(*(str(value) for value in row.values()))
            console.print(table)
    looked_at = ", ".join(
        counted(number, what.replace("_", " ").removesuffix("s")) for what, number in audit.looked_at.items()
    )
    console.print(f"{counted(len(audit.differences), 'difference')} in {looked_at}")
    return 1 if audit.differences else 0
