"""Downloads of one process: together they have half of its time. Clock and sleep are this test's own."""

from collections.abc import Iterator

import pytest

from services.chassis.health import Health
from services.chassis.http import pacing
from services.chassis.http.pacing import Pacer


class Time:
    """A clock that goes on where somebody sleeps or works; tells both."""

    def __init__(self) -> None:
        self.now = 100.0
        self.told: list[tuple[str, float]] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        if seconds:
            self.told.append(("rested", round(seconds, 6)))
        self.now += seconds

    def parts(self, *took: float) -> Iterator[bytes]:
        for seconds in took:
            self.now += seconds
            self.told.append(("made", seconds))
            yield b"%f" % seconds


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(pacing, "monotonic", made.monotonic)
    monkeypatch.setattr(pacing, "sleep", made.sleep)
    return made


def test_before_each_further_part_a_download_rests_for_as_long_as_the_one_before_took(time: Time) -> None:
    for part in Pacer(Health()).paced(time.parts(0.01, 0.03, 0.02)):
        time.told.append(("yielded", float(part)))
    assert time.told == [
        *[("made", 0.01), ("yielded", 0.01), ("rested", 0.01)],
        *[("made", 0.03), ("yielded", 0.03), ("rested", 0.03)],
        *[("made", 0.02), ("yielded", 0.02), ("rested", 0.02)],
    ]


def test_while_its_caller_reads_a_download_rests_too(time: Time) -> None:
    for _ in Pacer(Health()).paced(time.parts(0.01, 0.03)):
        time.now += 0.02
    assert time.told == [("made", 0.01), ("made", 0.03), ("rested", 0.01)]


def test_two_downloads_have_no_more_time_together_than_one(time: Time) -> None:
    pacer = Pacer(Health())
    one, other = pacer.paced(time.parts(0.01, 0.01)), pacer.paced(time.parts(0.05, 0.05))
    for download in (one, other, one, other):
        next(download)
    assert time.told == [
        *[("made", 0.01), ("rested", 0.01), ("made", 0.05), ("rested", 0.05)],
        *[("made", 0.01), ("rested", 0.01), ("made", 0.05)],
    ]


def test_a_database_that_hangs_is_no_reason_to_rest_for_as_long(time: Time) -> None:
    assert len(list(Pacer(Health()).paced(time.parts(20.0, 0.01)))) == 2
    assert ("rested", 1.0) in time.told


def test_a_process_that_ends_does_not_let_them_rest(time: Time) -> None:
    health = Health()
    download = Pacer(health).paced(time.parts(0.5, 0.5))
    next(download)
    health.shut_down()
    assert len(list(download)) == 1
    assert time.told == [("made", 0.5), ("made", 0.5)]


def test_a_download_that_fails_gives_its_turn_away(time: Time) -> None:
    def failing() -> Iterator[bytes]:
        yield b"first"
        raise RuntimeError("the database is away")

    pacer = Pacer(Health())
    with pytest.raises(RuntimeError, match="away"):
        list(pacer.paced(failing()))
    assert len(list(pacer.paced(time.parts(0.01)))) == 1
