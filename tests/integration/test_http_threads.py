"""What computes in a thread of an API process, and the requests beside it."""

import subprocess
import sys

import pytest

# The median time between two turns of the loop, with what `prepare_process` set and with Python's own 5 ms.
_SCRIPT = """
from services.chassis.http.prelude import prepare_process
prepare_process(["api"])
import statistics, sys, time
import gevent
from services.chassis.http.threads import in_thread

def compute(until):
    while time.perf_counter() < until:
        pass

def median_turn():
    job = gevent.spawn(in_thread, compute, time.perf_counter() + 1.0)
    turns, last = [], time.perf_counter()
    while not job.ready():
        gevent.sleep(0.0001)
        turns.append(time.perf_counter() - last)
        last += turns[-1]
    return statistics.median(turns)

prepared = median_turn()
sys.setswitchinterval(0.005)
print(prepared, median_turn())
"""


@pytest.mark.timing
def test_requests_get_their_turn_soon_beside_what_computes_in_a_thread() -> None:
    ended = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True, timeout=30)
    prepared, pythons_own = map(float, ended.stdout.split())
    assert prepared < pythons_own / 2, f"{prepared} s a turn, {pythons_own} s with Python's own interval"
