"""Rows for COPY: their bytes, and how the driver is kept from sending the last of them while all threads wait."""

import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from services.chassis.copying import rows
from services.chassis.sending import _Rows

NOON = datetime(2026, 11, 30, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("columns", "lines"),
    [
        (
            [["a"], [1], [None], [True], [b"\x00\xff"], [NOON]],
            b"a\t1\t\\N\tt\t\\\\x00ff\t2026-11-30T12:00:00.123456+00:00\n",
        ),
        ([["a\tb", "c"], [False, None]], b"a\\tb\tf\nc\t\\N\n"),
        ([["\\N", None]], b"\\\\N\n\\N\n"),
        ([["", " "]], b"\n \n"),
        ([["\r\n", "\r\n"]], b"\\r\\n\n\\r\\n\n"),
        ([["ß", "€"]], "ß\n€\n".encode()),
        ([[True, 1, 1]], b"t\n1\n1\n"),
    ],
)
def test_rows_are_written_as_copy_reads_them(columns: list[list[object]], lines: bytes) -> None:
    assert rows(columns) == lines


def test_lists_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        rows([["a", "b"], [1]])


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(KeyError):
        rows([[1.5]])


@pytest.fixture
def full() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection whose other side does not read, and that takes no more, and the other side."""
    sending, reading = socket.socketpair()
    with sending, reading:
        sending.setblocking(False)
        try:
            while True:
                sending.send(bytes(65536))
        except BlockingIOError:
            yield sending, reading


def test_the_end_of_the_rows_is_told_once_there_is_room_for_what_is_left(
    full: tuple[socket.socket, socket.socket],
) -> None:
    sending, reading = full
    file = _Rows(b"rows", sending)
    assert file.read(1000) == b"rows"
    ended = threading.Event()
    threading.Thread(target=lambda: (file.read(1000), ended.set()), daemon=True).start()
    assert not ended.wait(0.2)
    while not ended.is_set() and reading.recv(65536):
        ended.wait(0.01)
    assert ended.is_set()
