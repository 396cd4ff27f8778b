"""The product's loops in threads of the test: started, watched, and stopped as SIGTERM would."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

# A supervisor kills after ten seconds.
_STOP_SECONDS = 10.0


@contextlib.contextmanager
def running(*loops: Callable[[threading.Event], None], ends_within: float = _STOP_SECONDS) -> Iterator[threading.Event]:
    """Run loops until the block ends; each must end without an error, and in time, once it is told to stop."""
    stop = threading.Event()
    pool = ThreadPoolExecutor(len(loops))
    runs = [pool.submit(loop, stop) for loop in loops]
    try:
        yield stop
        ended = [run for run in runs if run.done() and not stop.is_set()]
        assert not ended, f"a loop ended by itself: {[run.exception() for run in ended]}"
    finally:
        stop.set()
        pool.shutdown(wait=False)
        for run in runs:
            run.result(ends_within)
