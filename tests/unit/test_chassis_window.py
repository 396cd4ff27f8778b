"""How long a batch may fill: not at all where events come alone, longer where many come."""

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from services.chassis import window
from services.chassis.window import Window

LONGEST = 0.3


class Clock:
    """Time as this test has it, in seconds."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    with patch.object(window, "time", clock):
        yield clock


def busy(clock: Clock, rate: float, seconds: float = 2.0) -> Window:
    """Return a window after events came at this rate for some seconds, each batch taken once its window had closed."""
    opened, until = Window(LONGEST), clock.now + seconds
    while clock.now < until:
        waited = max(opened.left(), 0.005)
        clock.now += waited
        opened.taken(max(round(rate * waited), 1))
    return opened


def test_a_lone_event_is_taken_at_once_and_so_is_the_next(clock: Clock) -> None:
    opened = Window(LONGEST)
    for _ in range(20):
        assert opened.left() == 0.0
        opened.taken(1)
        assert opened.left() < 0.001
        clock.now += 0.1


def test_some_events_that_come_together_after_a_rest_keep_the_next_one_waiting_for_some_milliseconds(
    clock: Clock,
) -> None:
    opened = Window(LONGEST)
    for _ in range(20):
        opened.taken(2)
        assert opened.left() < 0.005
        clock.now += 1.0


@pytest.mark.parametrize(("rate", "least", "most"), [(200, 0.004, 0.02), (500, 0.03, 0.08)])
def test_the_window_grows_with_what_comes(clock: Clock, rate: float, least: float, most: float) -> None:
    assert least <= busy(clock, rate).left() <= most


@pytest.mark.parametrize("rate", [2000, 100_000])
def test_the_window_is_never_longer_than_its_longest(clock: Clock, rate: float) -> None:
    assert busy(clock, rate).left() == pytest.approx(LONGEST)


def test_after_a_rest_the_next_event_is_taken_at_once(clock: Clock) -> None:
    opened = busy(clock, 1000)
    clock.now += 3.0
    assert opened.left() == 0.0
    opened.taken(1)
    assert opened.left() < 0.001


def test_a_window_without_length_never_waits(clock: Clock) -> None:
    opened = Window(0.0)
    for _ in range(20):
        opened.taken(500)
        assert opened.left() == 0.0
        clock.now += 0.01


def test_where_nobody_waits_events_gather_after_the_first_however_few_come(clock: Clock) -> None:
    patient = Window(LONGEST, shortest=0.25)
    assert patient.left() == 0
    patient.taken(1)
    assert patient.left() == pytest.approx(0.25)
    clock.now += 0.25
    assert patient.left() == 0
