"""Rows as COPY reads them: the text format of the PostgreSQL manual (COPY, "Text Format").

Cheaper for PostgreSQL than INSERT over `unnest`: no lexer and no reader of arrays goes over the text of the rows, and
they are put into a page together, with one record of the write-ahead log.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

_NULL = "\\N"
# What would end a value, a row, or everything.
_SPECIAL = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPES = str.maketrans(_SPECIAL)


def rows(columns: Sequence[Sequence[Any]]) -> bytes:
    """Return rows in UTF-8; None becomes NULL.

    Args:
        columns: one list a column, all as long, with a value at least.

    Raises:
        KeyError: a value is of a type that no statement writes.
        ValueError: the lists are not as long as each other, or a text cannot be encoded.

    """
    return ("\n".join(map("\t".join, zip(*map(_column, columns), strict=True))) + "\n").encode()


def _column(values: Sequence[Any]) -> Sequence[str]:
    kinds = set(map(type, values))
    if len(kinds) != 1:
        return [_WRITE[type(value)](value) for value in values]
    write = _WRITE[kinds.pop()]
    # Half of a batch's columns say one thing: its time, a status, nothing. A look at the ends tells of most others.
    if values[0] == values[-1] and values.count(values[0]) == len(values):
        return [write(values[0])] * len(values)
    return _texts(values) if write is _text else list(map(write, values))


def _texts(values: Sequence[str]) -> Sequence[str]:
    joined = "".join(values)
    return [_text(value) for value in values] if any(special in joined for special in _SPECIAL) else values


def _text(value: str) -> str:
    return value.translate(_ESCAPES)


@lru_cache(maxsize=256)
def _moment(value: datetime) -> str:
    # Cached: a batch has few times in many rows.
    return value.isoformat()


_WRITE: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: _NULL,
    str: _text,
    int: str,
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: "\\\\x" + value.hex(),
    datetime: _moment,
}
