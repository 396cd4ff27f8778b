"""Avro's binary encoding of what events are made of (Apache Avro 1.12 specification, "Binary Encoding").

The generated classes write and read themselves with these. A library goes through the schema for every value, and
asks a stream for every byte: an order's events, decoded by three services, cost a tenth of its CPU so.

What reads is given the bytes (`bytes`, not a view of them) and a place in them, and returns the value and the place
behind it. It raises ValueError or IndexError for bytes that are no such value, whoever wrote them, in a time that grows
with their number. A text that is cut off at the end is returned short, with a place behind the end of the bytes:
whoever reads a whole record compares the two.
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")
Reader = Callable[[bytes, int], tuple[T, int]]
_REMEMBERED = 10_000
# Bytes that a number of 64 bits may have.
_LONGEST = 10
# A text's length that is one byte long and not negative has neither of these bits.
_MORE_OR_NEGATIVE = 0x81


class _Varints(dict[int, bytes]):
    """Whole numbers of so many bits in zigzag and base 128.

    They are remembered, for the events of a batch have few times and amounts; all are forgotten when they are many.
    A number that does not fit raises OverflowError, what is no number TypeError, unless it equals one that is
    remembered (1.0): that has the same bytes.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self._bits = bits

    def __missing__(self, number: int) -> bytes:
        if not isinstance(number, int):
            raise TypeError(f"a whole number is needed, not {type(number).__name__}")
        left = number << 1 if number >= 0 else ~(number << 1)
        if left >> self._bits:
            raise OverflowError(f"{number} does not fit into {self._bits} bits")
        written = bytearray()
        while left > 0x7F:
            written.append(left & 0x7F | 0x80)
            left >>= 7
        written.append(left)
        if len(self) >= _REMEMBERED:
            self.clear()
        remembered = self[int(number)] = bytes(written)
        return remembered


LONGS: Final = _Varints(64)
INTS: Final = _Varints(32)
BOOLEANS: Final = {False: b"\0", True: b"\1"}
# Which branch of the union ["null", X] follows.
NULL: Final = LONGS[0]
VALUE: Final = LONGS[1]


def string(text: str) -> bytes:
    """Return a text as Avro writes it."""
    encoded = text.encode()
    return LONGS[len(encoded)] + encoded


def blocks(items: Sequence[bytes]) -> bytes:
    """Return an array's items, or a map's entries, as Avro writes them: in one block."""
    return b"".join((LONGS[len(items)], *items, NULL)) if items else NULL


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of 64 bits."""
    byte = data[at]
    at += 1
    number, shift = byte & 0x7F, 7
    while byte > 0x7F:
        # Of a stranger's million bytes the number would grow, and each byte take longer than the one before.
        if shift >= 7 * _LONGEST:
            raise ValueError("a number has more than ten bytes")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
    if number >> 64:
        raise ValueError("a number has more than 64 bits")
    return number >> 1 ^ -(number & 1), at


def read_int(data: bytes, at: int) -> tuple[int, int]:
    """Read a number of 32 bits."""
    number, at = read_long(data, at)
    if not -(1 << 31) <= number < 1 << 31:
        raise ValueError("a number has more than 32 bits")
    return number, at


def read_boolean(data: bytes, at: int) -> tuple[bool, int]:
    """Read a truth value."""
    byte = data[at]
    if byte > 1:
        raise ValueError(f"a truth value is 0 or 1, not {byte}")
    return byte == 1, at + 1


def read_string(data: bytes, at: int) -> tuple[str, int]:
    """Read a text."""
    length = data[at]
    if length & _MORE_OR_NEGATIVE:
        length, at = read_long(data, at)
        if length < 0:
            raise ValueError("a text has a negative length")
    else:
        length >>= 1
        at += 1
    end = at + length
    return data[at:end].decode(), end


def read_symbol(symbols: Sequence[T], data: bytes, at: int) -> tuple[T, int]:
    """Read one of an enum's symbols, which are given in the order of the schema."""
    index, at = read_long(data, at)
    if index < 0:
        raise ValueError("an enum has no symbol of a negative number")
    return symbols[index], at


def read_nullable(data: bytes, at: int, read: Reader[T]) -> tuple[T | None, int]:
    """Read a value of the union ["null", X], X as `read` reads it."""
    branch = data[at]
    if branch == NULL[0]:
        return None, at + 1
    if branch == VALUE[0]:
        return read(data, at + 1)
    raise ValueError("a union of two has no such branch")


def read_array(data: bytes, at: int, read: Reader[T]) -> tuple[tuple[T, ...], int]:
    """Read a list, its items as `read` reads them."""
    items: list[T] = []
    count, at = _read_count(data, at)
    while count:
        for _ in range(count):
            item, at = read(data, at)
            items.append(item)
        count, at = _read_count(data, at)
    return tuple(items), at


def read_map(data: bytes, at: int, read: Reader[T]) -> tuple[dict[str, T], int]:
    """Read values by text, the values as `read` reads them."""
    values: dict[str, T] = {}
    count, at = _read_count(data, at)
    while count:
        for _ in range(count):
            name, at = read_string(data, at)
            values[name], at = read(data, at)
        count, at = _read_count(data, at)
    return values, at


def _read_count(data: bytes, at: int) -> tuple[int, int]:
    """Read how many items a block has; a negative number says that the block's size in bytes follows."""
    count, at = read_long(data, at)
    if count < 0:
        _, at = read_long(data, at)
        return -count, at
    return count, at
