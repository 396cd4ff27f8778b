"""Prepares an API process; must run before anything else is imported.

gevent replaces parts of the standard library (sockets, locks, threads, sleep): a module imported earlier may keep the
blocking ones. It is done in gunicorn's master, not after the fork, so that settings, routes and models are imported
once for all workers. `prometheus_client` decides at its import, by an environment variable, whether it counts in
files that the workers share. So this module imports neither at its top, and the package above it nothing at all.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
METRICS_PREFIX = "oms-metrics-"
# How long a thread that computes (`threads.in_thread`) may keep Python's lock while requests wait for it. With Python's
# own 5 ms, each request beside it waits that long several times over, whenever it comes back from the database.
_SWITCH_SECONDS = 0.0005


def prepare_process(arguments: Sequence[str] | None = None) -> None:
    """Prepare this process if its arguments say that it will serve an API (`… api`); the first line of a `__main__`.

    Args:
        arguments: the command line without the program; None reads it.

    """
    words = sys.argv[1:] if arguments is None else arguments
    if list(words[:1]) != ["api"]:
        return
    from gevent import monkey  # noqa: PLC0415  # see the module's docstring

    monkey.patch_all()
    sys.setswitchinterval(_SWITCH_SECONDS)
    folder = os.environ.get(METRICS_VARIABLE) or tempfile.mkdtemp(prefix=METRICS_PREFIX)
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.environ[METRICS_VARIABLE] = folder
