"""When a group of commands is full enough: once nothing else of its process is ready to go on.

Where clients send as fast as they are answered, a leader that takes what waits finds half of them: the other requests
have come, but nobody had the time to read them. Groups of half the size are twice as many transactions.
"""

from gevent import Timeout, idle

# Something may be ready all the time. What waits for the group does not wait longer for that.
_LONGEST_SECONDS = 0.05


def until_idle() -> None:
    """Return once all requests that have come are read, and wait for something; at once in a process at rest."""
    with Timeout(_LONGEST_SECONDS, False):
        idle()
