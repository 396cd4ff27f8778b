"""What a statement returned, and its rows."""

from collections import namedtuple
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeAlias

# A row has its columns' names, whose types only the statement knows.
Row: TypeAlias = Any


class Result:
    """What a statement returned.

    Attributes:
        rowcount: rows that were returned or changed; -1 of a statement that waits to be sent.

    """

    __slots__ = ("_cursor", "rowcount")

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self.rowcount: int = cursor.rowcount

    def __iter__(self) -> Iterator[Row]:
        return iter(self.all())

    def all(self) -> list[Row]:
        """Return the rows that have not been fetched yet."""
        rows = self._cursor.fetchall()
        return list(map(self._make, rows))

    def first(self) -> Row | None:
        """Return the first row, or None."""
        row = self._cursor.fetchone()
        return None if row is None else self._make(row)

    @property
    def _make(self) -> Any:
        return _row_type(tuple([column.name for column in self._cursor.description]))._make

    def one(self) -> Row:
        """Return the only row.

        Raises:
            ValueError: there are more, or none.

        """
        (row,) = self.all()
        return row

    def one_or_none(self) -> Row | None:
        """Return the only row, or None where there is none.

        Raises:
            ValueError: there are more.

        """
        rows = self.all()
        if len(rows) > 1:
            raise ValueError(f"{len(rows)} rows instead of one at most")
        return rows[0] if rows else None

    def scalar(self) -> Any:
        """Return the first value of the first row, or None where there is no row."""
        row = self.first()
        return None if row is None else row[0]

    def scalar_one(self) -> Any:
        """Return the first value of the only row.

        Raises:
            ValueError: there are more rows, or none.

        """
        return self.one()[0]

    def scalars(self) -> list[Any]:
        """Return the first value of each row."""
        return [row[0] for row in self.all()]


@lru_cache(maxsize=1000)
def _row_type(columns: tuple[str, ...]) -> Any:
    """Return the class of rows of these columns; what is no name, or a name's second column, is reached by position."""
    return namedtuple("Row", columns, rename=True)  # noqa: PYI024  # the names come from the statement
