"""A launcher to be killed: starts PostgreSQL and the mail sink in a directory, says so, and waits for its end.

python -m tests.support.launcher DIRECTORY
"""

import signal
import sys
from pathlib import Path

from deploy.local.signals import ending_by_exception
from deploy.local.stack import launch


def main(directory: Path, *servers: str) -> None:
    """Hold the stack until a signal comes."""
    with ending_by_exception(), launch(directory) as stack:
        if "postgres" in servers:
            stack.postgres.start()
        stack.start_mail()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
