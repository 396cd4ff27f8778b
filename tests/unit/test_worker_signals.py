"""A worker is told to end at any moment, also while its main thread is about to wait for just that."""

import signal
import threading
from collections.abc import Iterator

import pytest

from services.chassis.worker import stop_when_told


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.getsignal(number) for number in numbers}
    event = threading.Event()
    stop_when_told(event)
    yield event
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_within_the_wait_for_it_is_heard(stop: threading.Event, number: signal.Signals) -> None:
    with stop._cond:  # as `wait` holds it, for some instructions before it sleeps
        signal.raise_signal(number)
        signal.raise_signal(number)
    assert stop.wait(10)
