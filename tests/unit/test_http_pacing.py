"""Answers that leave their process to others for half of the time."""

import time
from collections.abc import Iterator

import pytest

from services.chassis.http.pacing import paced

_TOOK = 0.03


def made_slowly(count: int) -> Iterator[bytes]:
    for i in range(count):
        time.sleep(_TOOK)
        yield b"%d" % i


def test_who_makes_an_answer_rests_for_as_long_as_each_part_took() -> None:
    began = time.monotonic()
    assert list(paced(made_slowly(4))) == [b"0", b"1", b"2", b"3"]
    assert time.monotonic() - began >= 2 * 4 * _TOOK


@pytest.mark.timing
def test_the_time_in_which_a_caller_reads_a_part_is_not_rested_for() -> None:
    began = time.monotonic()
    for _ in paced(iter([b"1", b"2", b"3"])):
        time.sleep(0.1)
    assert time.monotonic() - began < 0.5
