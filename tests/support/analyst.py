"""The order service's analyst as a process of its own, to be killed: `python -m tests.support.analyst URL ZONE…`."""

import sys
import threading

from services.chassis.connection import Engine
from services.chassis.health import Health
from tests.support.analytics import analyst

if __name__ == "__main__":
    analyst(Engine(sys.argv[1], 2, "analyst"), Health(), sys.argv[2:]).run(threading.Event())
