"""Python lists as PostgreSQL arrays: one constant a list, a literal (PostgreSQL manual, 8.15.2) or a filled array.

psycopg2's own form, `ARRAY['a', 'b', …]`, makes the server parse, analyse and fold an expression for every element,
which costs more than anything that the set-based statements then do with the values; a literal such as
`'{"a","b"}'` is read by the type's input function. Where a long list says one thing only, as half of a batch's columns
do (its time, a status, nothing), even that is work for nothing: it goes as `array_fill('a'::text, '{1000}')`.

The statements name the type (`:skus ::text[]`), and `sending` repeats it where it calls a plan.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from psycopg2.extensions import QuotedString, adapt, register_adapter


def register() -> None:
    """Adapt every list that is bound to a statement of this process; calling it again changes nothing."""
    register_adapter(list, _adapted)


def literal(values: Sequence[Any]) -> str:
    """Return the array literal of values, one dimension; None becomes NULL.

    Raises:
        KeyError: a value is of a type that no statement binds in an array.

    """
    kinds = set(map(type, values))
    if len(kinds) != 1:
        return "{" + ",".join([_WRITE[type(value)](value) for value in values]) + "}"
    write = _WRITE[kinds.pop()]
    return _texts(values) if write is _text else "{" + ",".join(map(write, values)) + "}"


def _adapted(values: Sequence[Any]) -> "QuotedString | _Filled":
    # A look at the ends tells of most lists that they vary.
    is_long = len(values) >= _MANY and type(values[0]) in _FILL
    if is_long and values[0] == values[-1] and values.count(values[0]) == len(values):
        return _Filled(values[0], len(values))
    return QuotedString(literal(values))


class _Filled:
    """An array of one value, quoted as psycopg2 quotes any (ISQLQuote protocol)."""

    def __init__(self, value: Any, times: int) -> None:
        self._value = adapt(value)
        self._kind = _FILL[type(value)]
        self._times = times

    def prepare(self, connection: Any) -> None:
        if isinstance(self._value, QuotedString):
            self._value.prepare(connection)

    def getquoted(self) -> bytes:
        # In parentheses: ::bigint binds closer than the minus of the least number.
        return b"array_fill((%b)::%b,'{%d}')" % (self._value.getquoted(), self._kind, self._times)


def _texts(values: Sequence[str]) -> str:
    """Return the literal of strings, which most columns are; nearly none has a character that needs an escape."""
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') > 2 * (len(values) - 1):
        joined = '","'.join([value.replace("\\", "\\\\").replace('"', '\\"') for value in values])
    return f'{{"{joined}"}}'


def _text(value: str) -> str:
    if "\\" in value or '"' in value:
        value = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'


@lru_cache(maxsize=256)
def _moment(value: datetime) -> str:
    # Cached: writing a time costs twenty times a look into the cache, and a batch has few times in many rows.
    return f'"{value.isoformat()}"'


_WRITE: Mapping[type, Callable[[Any], str]] = {
    type(None): lambda _: "NULL",
    str: _text,
    int: str,
    bool: lambda value: "t" if value else "f",
    float: repr,
    bytes: lambda value: f'"\\\\x{value.hex()}"',
    datetime: _moment,
}
# Of a shorter list the literal is no longer than the call. Not of bytes: they are written in another way than alone.
_MANY = 10
_FILL: Mapping[type, bytes] = {
    type(None): b"text",
    str: b"text",
    int: b"bigint",
    bool: b"boolean",
    float: b"float8",
    datetime: b"timestamptz",
}
