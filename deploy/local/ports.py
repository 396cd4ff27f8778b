"""Free TCP ports on loopback that stay free.

Ports come from below the range from which the system takes the ports of outgoing connections. A server may thus be
stopped for a minute and come back on its port: no client's outgoing connection can have taken it meanwhile, nor can
a client that keeps reconnecting to it have connected to itself.
"""

import random
import socket
from pathlib import Path

from deploy.local.errors import StackStateError

_LOWEST = 15_000
_DEFAULT_EPHEMERAL_START = 32_768
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_ATTEMPTS = 200

LOOPBACK = "127.0.0.1"


def _ephemeral_start() -> int:
    """Return the first port that the system gives to outgoing connections."""
    if not _EPHEMERAL_RANGE.exists():
        return _DEFAULT_EPHEMERAL_START
    return int(_EPHEMERAL_RANGE.read_text().split()[0])


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


class Ports:
    """Hands out free ports, none of them twice."""

    def __init__(self) -> None:
        self._given: set[int] = set()

    def take(self, wanted: int | None = None) -> int:
        """Return `wanted`, or else a random free port.

        Raises StackStateError when the wanted port is in use, or when no free one was found.
        """
        if wanted is not None:
            if not is_free(wanted):
                raise StackStateError(f"port {wanted} is in use")
            self._given.add(wanted)
            return wanted
        highest = max(_ephemeral_start(), _LOWEST + 1_000) - 1
        for _ in range(_ATTEMPTS):
            port = random.randint(_LOWEST, highest)  # noqa: S311 - a port number is no secret
            if port not in self._given and is_free(port):
                self._given.add(port)
                return port
        raise StackStateError(f"found no free port between {_LOWEST} and {highest}")
