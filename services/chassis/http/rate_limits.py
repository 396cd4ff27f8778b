"""How many requests a caller may send (`RATE_LIMITS`): counted by `limits`, in this process alone.

Invariants: a caller is held to the most generous limit of its roles, and to none where a role of it has none; a
request that is refused does not count; counters of callers that are gone are forgotten, so memory is bounded by the
callers of two windows.
"""

import time
from collections.abc import Mapping

from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from services.chassis.http.auth import Caller
from services.chassis.http.problems import named
from services.chassis.http.roles import Role

_SWEEP_SECONDS = 10.0


class RateLimits:
    """Counts the requests of each caller.

    Its windows are counters, not lists of moments: `limits` never forgets the callers of those in memory.

    Args:
        limits: of the roles that have one.

    """

    def __init__(self, limits: Mapping[Role, RateLimitItem]) -> None:
        self._limits = limits
        self._counters = SlidingWindowCounterRateLimiter(_Counters())

    def count(self, caller: Caller) -> None:
        """Count a request.

        Args:
            caller: with at least one role.

        Raises:
            Problem: 429 `rate_limited`, with the seconds after which there is room for one more.

        """
        if not caller.roles or not caller.roles <= self._limits.keys():
            return
        role = max(sorted(caller.roles), key=self._per_second)
        limit = self._limits[role]
        if self._counters.hit(limit, caller.subject):
            return
        free_at = self._counters.get_window_stats(limit, caller.subject).reset_time
        # Room is made just after that moment, never at it.
        seconds = max(0, int(free_at - time.time())) + 1
        detail = f"the limit of role {role} is {limit}, and it is reached; try again in {seconds} s"
        raise named("rate_limited", detail, headers={"Retry-After": str(seconds)})

    def _per_second(self, role: Role) -> float:
        limit = self._limits[role]
        return limit.amount / limit.get_expiry()


class _Counters(MemoryStorage):
    """The library's counters in memory, forgotten while others are counted.

    The library's own way is a timer thread (under gevent a greenlet), up to a hundred a second, that looks at every
    counter: a tenth of a core with ten thousand callers. Nothing here gives way to another greenlet, so nothing locks.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sweep_at = 0.0

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """Add to a counter and return it; a new one is kept for `expiry` seconds."""
        now = time.time()
        if now >= self._sweep_at:
            self._sweep_at = now + _SWEEP_SECONDS
            for old in [old for old, until in self.expirations.items() if until <= now]:
                self.clear(old)
        self.expirations.setdefault(key, now + expiry)
        self.storage[key] += amount
        return self.storage[key]
