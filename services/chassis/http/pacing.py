"""Answers that go on for long, and leave their process to other requests for half of the time.

A download of all orders would compute without a rest: between two waits for the database, each a few milliseconds long,
everything else in its process stands still, and the database works for it alone. While one ran, the slowest percent of
orders took three times as long to place.
"""

from collections.abc import Iterator
from time import monotonic, sleep


def paced(parts: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the parts of an answer, and rest before each further one for as long as the one before took to make.

    Where the process is busy a part takes longer, and so does the rest. A part should take a few milliseconds.
    """
    began = monotonic()
    for part in parts:
        took = monotonic() - began
        yield part
        sleep(took)
        began = monotonic()
