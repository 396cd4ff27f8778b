"""The generated classes write and read Avro's binary encoding as a library does, whatever an event holds."""

import dataclasses
from io import BytesIO
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import binary
from schemas.catalog import load
from schemas.contracts import EVENTS, OrderCancelledShippedLine, OrderPlaced, StockReserved
from schemas.examples import read_json, without_logical_types
from schemas.model import Array, Enum, Map, Nullable, Primitive, Record, Type
from tests.contract.schema_folder import CONTRACT

CATALOG = load(CONTRACT)
PARSED = {name: fastavro.parse_schema(without_logical_types(event.source)) for name, event in CATALOG.events.items()}
# Numbers of every length: those at which the encoding takes a byte more, and any other.
EDGES = sorted({sign * (1 << 7 * n - 1) + off for n in range(1, 9) for sign in (1, -1) for off in (-1, 0, 1)})


def numbers(bits: int) -> st.SearchStrategy[int]:
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    return st.sampled_from([low, high, *(edge for edge in EDGES if low <= edge <= high)]) | st.integers(low, high)


PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=5) | st.text(alphabet="aé漢😀", min_size=60, max_size=70),
    "boolean": st.booleans(),
    "long": numbers(64),
    "int": numbers(32),
}


def values(kind: Type) -> st.SearchStrategy[Any]:
    """Return what an Avro codec takes for a type."""
    match kind:
        case Primitive(name=name):
            return PRIMITIVES[name]
        case Nullable(of=of):
            return st.none() | values(of)
        case Array(items=items):
            return st.lists(values(items), max_size=3)
        case Map(values=inner):
            return st.dictionaries(st.text(max_size=5), values(inner), max_size=3)
        case Enum(symbols=symbols):
            return st.sampled_from(symbols)
        case Record(fields=fields):
            return st.fixed_dictionaries({field.name: values(field.type) for field in fields})


RECORDS = {name: values(event.record) for name, event in CATALOG.events.items()}
each_event = pytest.mark.parametrize("fullname", EVENTS)


def written(fullname: str, record: dict[str, Any]) -> bytes:
    body = BytesIO()
    fastavro.schemaless_writer(body, PARSED[fullname], record)
    return body.getvalue()


@each_event
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_an_event_writes_what_the_library_writes_and_reads_it_again(fullname: str, data: st.DataObject) -> None:
    record = data.draw(RECORDS[fullname])
    event, body = EVENTS[fullname].from_avro(record), written(fullname, record)
    assert event.to_bytes() == body
    assert EVENTS[fullname].read(b"frame" + body, 5) == (event, 5 + len(body))


@settings(max_examples=500, deadline=None)
@given(fullname=st.sampled_from(sorted(EVENTS)), place=st.integers(0, 10_000), change=st.integers(1, 255))
def test_a_changed_byte_is_read_as_the_library_reads_it_or_refused(fullname: str, place: int, change: int) -> None:
    body = bytearray(written(fullname, read_json(CATALOG.example_json(CATALOG.events[fullname]))))
    body[place % len(body)] ^= change
    try:
        event, end = EVENTS[fullname].read(bytes(body), 0)
    except (ValueError, IndexError):
        return
    if end <= len(body):
        stream = BytesIO(body)
        assert EVENTS[fullname].from_avro(fastavro.schemaless_reader(stream, PARSED[fullname], None)) == event
        assert stream.tell() == end


@pytest.mark.timeout(10)
@pytest.mark.parametrize("byte", [b"\xff", b"\x80"])
def test_a_number_without_end_is_refused_at_once(byte: bytes) -> None:
    """A record may have a megabyte: read to its end, such a number took half a minute."""
    for read in (binary.read_long, binary.read_int, binary.read_string):
        with pytest.raises(ValueError, match="more than ten bytes"):
            read(byte * 1_000_000 + b"\x01", 0)


def test_a_list_may_come_in_blocks_and_with_their_sizes() -> None:
    """Other producers' libraries write them so (Avro specification, "Arrays")."""
    items = [binary.string(text) for text in ("a", "bc", "d")]
    first, rest = items[0], b"".join(items[1:])
    body = binary.LONGS[1] + first + binary.LONGS[-2] + binary.LONGS[len(rest)] + rest + binary.LONGS[0]
    assert binary.read_array(body, 0, binary.read_string) == (("a", "bc", "d"), len(body))
    entries = binary.LONGS[-1] + binary.LONGS[3] + binary.string("n") + binary.LONGS[7] + binary.LONGS[0]
    assert binary.read_map(entries, 0, binary.read_long) == ({"n": 7}, len(entries))


@pytest.mark.parametrize(
    ("read", "body"),
    [
        (binary.read_long, b"\xff" * 9 + b"\x02"),
        (binary.read_long, b"\x80" * 10 + b"\x00"),
        (binary.read_int, b"\x80\x80\x80\x80\x10"),
        (binary.read_boolean, b"\x02"),
        (binary.read_string, b"\x01"),
        (binary.read_string, b"\x04\xff\xfe"),
        (lambda data, at: binary.read_nullable(data, at, binary.read_long), b"\x04\x02"),
        (lambda data, at: binary.read_symbol(("a", "b"), data, at), b"\x01"),
        (lambda data, at: binary.read_symbol(("a", "b"), data, at), b"\x04"),
    ],
)
def test_bytes_that_are_no_such_value_are_refused(read: Any, body: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        read(body, 0)


@pytest.mark.parametrize(("table", "bits"), [(binary.LONGS, 64), (binary.INTS, 32)])
def test_a_number_that_does_not_fit_is_refused(table: Any, bits: int) -> None:
    for number in (1 << bits - 1, -(1 << bits - 1) - 1):
        with pytest.raises(OverflowError, match=f"does not fit into {bits} bits"):
            table[number]
    for stranger in ("1", 1.5, None):
        with pytest.raises(TypeError, match="a whole number is needed, not"):
            table[stranger]
    assert table[-(1 << bits - 1)]
    assert table[1] == table[1.0] == table[True] == b"\x02"


def test_numbers_are_remembered_but_not_without_end() -> None:
    for number in range(25_000):
        assert binary.read_long(binary.LONGS[number], 0) == (number, len(binary.LONGS[number]))
        assert len(binary.LONGS) <= 10_000


def test_a_field_of_another_type_is_refused_when_it_is_written() -> None:
    placed = OrderPlaced.from_avro(read_json(CATALOG.example_json(CATALOG.events[OrderPlaced.FULLNAME])))
    for change in ({"order_number": None}, {"total_minor": "1"}, {"total_minor": 1.5}, {"lines": None}):
        wrong = dataclasses.replace(placed, **change)  # type: ignore[arg-type]
        with pytest.raises((TypeError, AttributeError)):
            wrong.to_bytes()


def test_a_part_of_another_class_is_refused_when_it_is_written() -> None:
    """It would write bytes of its own, which only the consumers would find wrong."""
    part = OrderCancelledShippedLine(item_id="i", sku="s", quantity=1)
    with pytest.raises(AttributeError, match="location"):
        StockReserved(order_id="o", lines=(part,), expires_at=1, reserved_at=1).to_bytes()  # type: ignore[arg-type]
