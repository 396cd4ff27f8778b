"""How often Python's cyclic collector looks: seldom, since most of what we make is freed without it."""

import gc

# Container objects more than at the last look: about what a batch holds.
BATCH = 50_000
# What some dozen requests hold: a look at more would keep all others waiting for milliseconds.
REQUESTS = 5_000


def spare_collector(after: int) -> None:
    """Keep the collector from walking over what lives as long as the process, and over all else again and again.

    With Python's threshold of 700 it took a fifth of a worker's CPU time, and a twentieth of an API's.

    Args:
        after: container objects more than at the last look.

    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(after)
