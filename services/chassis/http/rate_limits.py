"""How many requests a caller may send (`RATE_LIMITS`): counted by `limits`, in this process or in a shared store.

Invariants: a caller is held to the most generous limit of its roles, and to none where a role of it has none; one
without a token is known by its address; a
request that is refused does not count; in memory, counters of callers that are gone are forgotten, so memory is
bounded by the callers of two windows; a store that is away refuses nobody.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from limits import RateLimitItem
from limits.errors import StorageError
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from services.chassis import logs
from services.chassis.http.auth import Caller
from services.chassis.http.problems import named
from services.chassis.http.roles import ANONYMOUS, Principal, RouteClass

_SWEEP_SECONDS = 10.0
# Between two complaints about a store that is away.
_COMPLAINT_SECONDS = 10.0
log = logs.logger(__name__)


# A role or those without a token, and the class of endpoints; None for all of them together.
Limits = Mapping[tuple[Principal, RouteClass | None], RateLimitItem]


@dataclass(frozen=True, slots=True)
class Room:
    """What is left of a limit.

    Args:
        limit: requests a window.
        remaining: requests that are left now.
        reset: seconds until there is room for one more than now.

    """

    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """As answers tell it (draft-ietf-httpapi-ratelimit-headers-03)."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimits:
    """Counts the requests of each caller.

    Its windows are counters, not lists of moments: `limits` never forgets the callers of those in memory.

    Args:
        limits: those that there are.
        storage_url: of a store that several processes share; None counts in this process alone.
        proxies: how many of ours stand between callers and us, each of which appends to X-Forwarded-For.

    """

    def __init__(self, limits: Limits, storage_url: str | None = None, proxies: int = 0) -> None:
        self._limits = limits
        self._proxies = proxies
        self._next_complaint = 0.0
        storage = _Counters() if storage_url is None else storage_from_string(storage_url, wrap_exceptions=True)
        self._counters = SlidingWindowCounterRateLimiter(storage)

    def address_of(self, environ: Mapping[str, Any]) -> str:
        """Return where a request comes from: what a caller itself writes into X-Forwarded-For stands before that."""
        told = [part.strip() for part in environ.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        if 0 < self._proxies <= len(told):
            return str(told[-self._proxies])
        return str(environ.get("REMOTE_ADDR", ""))

    def count(self, caller: Caller, route_class: RouteClass, address: str = "") -> Room | None:
        """Count a request.

        Args:
            caller: with at least one role, or nobody.
            route_class: of the endpoint.
            address: by which a caller without a token is known.

        Returns:
            What is left, None where there is no limit.

        Raises:
            Problem: 429 `rate_limited`, with the seconds after which there is room for one more.

        """
        principals: list[Principal] = [*sorted(caller.roles)] or [ANONYMOUS]
        found = [self._limit_of(principal, route_class) for principal in principals]
        limited = [each for each in found if each is not None]
        if not limited or len(limited) < len(found):
            return None
        limit, about = max(limited, key=_per_second)
        try:
            return self._count(limit, caller.subject if caller.roles else address, about)
        except StorageError as error:
            self._complain(error)
            return None

    def _count(self, limit: RateLimitItem, subject: str, about: str) -> Room:
        taken = self._counters.hit(limit, subject, about)
        window = self._counters.get_window_stats(limit, subject, about)
        # Room is made just after that moment, never at it.
        seconds = max(0, int(window.reset_time - time.time())) + 1
        room = Room(limit.amount, max(0, window.remaining), seconds)
        if taken:
            return room
        detail = f"the limit of {about} is {limit}, and it is reached; try again in {seconds} s"
        raise named("rate_limited", detail, headers={"Retry-After": str(seconds), **room.headers})

    def _limit_of(self, role: Principal, route_class: RouteClass) -> tuple[RateLimitItem, str] | None:
        own = self._limits.get((role, route_class))
        if own is not None:
            return own, f"{_named(role)} for {route_class}"
        whole = self._limits.get((role, None))
        return None if whole is None else (whole, _named(role))

    def _complain(self, error: StorageError) -> None:
        now = time.monotonic()
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINT_SECONDS
            log.warning("rate_limit_storage_away", error=type(error.storage_error).__name__)


def _named(principal: Principal) -> str:
    return "callers without a token" if principal == ANONYMOUS else f"role {principal}"


def _per_second(limited: tuple[RateLimitItem, str]) -> float:
    return limited[0].amount / limited[0].get_expiry()


class _Counters(MemoryStorage):
    """The library's counters in memory, forgotten while others are counted.

    The library's own way is a timer thread (under gevent a greenlet), up to a hundred a second, that looks at every
    counter: a tenth of a core with ten thousand callers. Nothing here gives way to another greenlet, so nothing locks.
    """

    def __init__(self) -> None:
        super().__init__()
        # The library's first timer: it would clear counters once, beside whoever counts at that moment.
        self.timer.cancel()
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
