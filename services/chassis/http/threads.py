"""What computes long runs in a real thread, so that the worker's other requests go on meanwhile."""

from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar

from gevent import monkey
from gevent.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return what a function returns, computed in a real thread where gevent serves requests, else at once.

    One thing at a time: what computes holds Python's lock anyway, and libraries need not be safe for threads.
    """
    if not monkey.is_module_patched("threading"):
        return function(*args, **kwargs)
    done: T = _pool().apply(function, args, kwargs)
    return done


@lru_cache(maxsize=1)
def _pool() -> ThreadPool:
    return ThreadPool(1)
