"""Statements as they are written beside the repositories, each with how it goes to PostgreSQL (`sending`).

Parameters are named, `:name` (a word behind a single colon is one in a literal, too), and a list needs its type beside
it, `:skus ::text[]` (`arrays`).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from services.chassis import copying

_PARAMETER = re.compile(r"(?<![:\w]):(\w+)")


@dataclass(frozen=True, slots=True)
class Copy:
    """The form of a write for many rows.

    Args:
        statement: COPY, in the driver's form.
        columns: the names of the lists, in the order of the statement's columns.

    """

    statement: str
    columns: Sequence[str]

    def rows(self, parameters: Mapping[str, Sequence[Any]]) -> bytes:
        """Return the rows as COPY reads them."""
        return copying.rows([parameters[column] for column in self.columns])


@dataclass(frozen=True)
class Statement:
    """A statement; made by `sql`, `often`, `deferred` and `appended`.

    Args:
        text: SQL with named parameters.
        is_often: whether it is prepared while it comes often.
        is_deferred: whether it may be sent with the next statement of its transaction, since nobody reads its result.
        copy: its form for many rows.

    """

    text: str
    is_often: bool = False
    is_deferred: bool = False
    copy: Copy | None = None

    @cached_property
    def template(self) -> str:
        """The text in the driver's form, `%(name)s` for a parameter."""
        return _PARAMETER.sub(r"%(\1)s", self.text.replace("%", "%%"))


def sql(text: str) -> Statement:
    """Return a statement that is planned each time it comes."""
    return Statement(text)


def often(text: str) -> Statement:
    """Return a statement that is prepared while it comes often.

    Args:
        text: a statement whose best plan does not depend on the values: no filter that a NULL turns off, no literal of
            a partial index as a parameter.

    """
    return Statement(text, is_often=True)


def deferred(text: str) -> Statement:
    """Return a write, or a lock, that is prepared while it comes often, and sent with the next statement.

    Args:
        text: as for `often`; whatever it returns is lost, the count of its rows included.

    """
    return Statement(text, is_often=True, is_deferred=True)


def appended(table: str, columns: Mapping[str, str]) -> Statement:
    """Return a write of new rows: deferred where they are few, a COPY where they are many.

    A row that exists is an error (RowExists). COPY is sent at once, so errors of what waited show there.

    Args:
        table: to which the rows are added.
        columns: name → type. The statement is executed with a list for each, all as long.

    """
    names = ", ".join(columns)
    lists = ", ".join([f"unnest(:{name} ::{kind}[])" for name, kind in columns.items()])
    copy = Copy(f"COPY {table} ({names}) FROM STDIN (ENCODING 'UTF8')", tuple(columns))
    insert = f"INSERT INTO {table} ({names}) SELECT {lists}"
    return Statement(insert, is_often=True, is_deferred=True, copy=copy)
