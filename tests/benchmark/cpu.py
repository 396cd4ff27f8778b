"""CPU time by process, from /proc: a process, what it started, and what of that has ended already."""

from collections.abc import Collection, Mapping

import psutil


def cpu_seconds(pid: int, *, without: Collection[int] = ()) -> float:
    """Return the CPU seconds that a process and all below it have used so far.

    utime + stime of everything that lives, and cutime + cstime, in which the kernel adds up children that ended and
    were waited for: a backend that comes and goes between two readings is counted.

    Args:
        pid: the process.
        without: processes below it that are left out, such as the observer's own database backends.

    """
    root = psutil.Process(pid)
    # Children before their parent: one that ends meanwhile then moves into what is read later, and is not lost.
    family = [*root.children(recursive=True), root]
    return sum(_own_and_ended(process) for process in family if process.pid not in without)


def _own_and_ended(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def per_order(before: Mapping[str, float], after: Mapping[str, float], orders: int) -> dict[str, float]:
    """Return microseconds an order by process name, from CPU seconds at two instants."""
    return {name: (after[name] - before[name]) / orders * 1_000_000 for name in after}
