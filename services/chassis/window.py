"""How long work may gather before it is taken: nothing where it comes alone, longer the more of it comes.

A batch costs about the same whether it holds one event or ten: round trips, a commit, a produce that is acknowledged.
At a few events a second the machine has time for that, and waiting would only add latency; at hundreds, small batches
use it up, and everything waits for the processor instead.
"""

import math
import time

# Over so many seconds the rate is averaged: some events that come together after a rest are no rate.
_AVERAGED_SECONDS = 0.2
# The window grows with the square of the rate: 8 ms at 200 events a second, 50 ms at 500, 200 ms at 1,000.
_SECONDS_AT_ONE_A_SECOND = 2e-7


class Window:
    """The window of one consumer or relay.

    Args:
        longest: seconds, however much comes.
        shortest: seconds, however little comes; a lone event after a rest is taken at once all the same.

    """

    def __init__(self, longest: float, shortest: float = 0.0) -> None:
        self._longest = longest
        self._shortest = shortest
        self._rate = 0.0
        self._taken_at = self._closes_at = time.monotonic()

    def left(self) -> float:
        """Return the seconds for which the next batch may still fill."""
        return max(self._closes_at - time.monotonic(), 0.0)

    def taken(self, size: int) -> None:
        """Open the next window: a batch of this size is taken now."""
        now = time.monotonic()
        faded = math.exp((self._taken_at - now) / _AVERAGED_SECONDS)
        self._rate = self._rate * faded + size / _AVERAGED_SECONDS
        self._taken_at = now
        wanted = min(self._rate**2 * _SECONDS_AT_ONE_A_SECOND, self._longest)
        self._closes_at = now + max(wanted, self._shortest)
