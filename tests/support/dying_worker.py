"""The inventory service with a thread of its worker that dies: `python -m tests.support.dying_worker worker`."""

from services.chassis.http.prelude import prepare_process

prepare_process()

import dataclasses  # noqa: E402  # the prelude comes first
import threading  # noqa: E402
from typing import Any  # noqa: E402

from services.chassis.cli import main  # noqa: E402
from services.inventory.bootstrap import SERVICE  # noqa: E402


class _Dying:
    """Dies after it was seen alive."""

    def __init__(self, _runtime: Any) -> None:
        pass

    def run(self, stop: threading.Event) -> None:
        """Wait for a moment and raise."""
        stop.wait(0.5)
        raise LookupError("this thread was made to die")


main(dataclasses.replace(SERVICE, loops={**SERVICE.loops, "dying": _Dying}))
