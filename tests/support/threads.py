"""The product's loops in threads of the test: started, watched, and stopped as SIGTERM would."""

import contextlib
import faulthandler
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

# A supervisor kills after ten seconds.
_STOP_SECONDS = 10.0


@contextlib.contextmanager
def running(*loops: Callable[[threading.Event], None], ends_within: float = _STOP_SECONDS) -> Iterator[threading.Event]:
    """Run loops until the block ends; each must end without an error, and in time, once it is told to stop."""
    stop = threading.Event()
    pool = ThreadPoolExecutor(len(loops))
    runs = [pool.submit(loop, stop) for loop in loops]
    early: list[Future[None]] = []

    def note(run: "Future[None]") -> None:
        if not stop.is_set():
            early.append(run)
            stop.set()

    for run in runs:
        run.add_done_callback(note)
    try:
        yield stop
        assert not early, f"a loop ended by itself: {[run.exception() for run in early]}"
    finally:
        stop.set()
        pool.shutdown(wait=False)
        for run in [*early, *runs]:
            _end(run, ends_within)


def _end(run: "Future[None]", within: float) -> None:
    try:
        run.result(within)
    except TimeoutError:
        faulthandler.dump_traceback()  # shown with the failure: where the loop hangs
        raise
