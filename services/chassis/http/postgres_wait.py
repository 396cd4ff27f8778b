"""Lets psycopg2 wait for PostgreSQL without holding up the other greenlets of a worker, and never for ever.

libpq's own `connect_timeout` does not apply to such waits, and a server that is frozen answers nothing: both would
hang a request for as long as the client cares to wait.
"""

from typing import Any

import psycopg2
from gevent.socket import wait_read, wait_write
from psycopg2 import extensions

CONNECT_SECONDS = 1.5
# That a statement waits for a row which another transaction holds: all that shares its transaction waits with it.
LOCK_SECONDS = 3.0
# Longer than that, short enough to shut down in time.
STATEMENT_SECONDS = 8.0


def install() -> None:
    """Use this wait for every connection of the process; COPY is then refused (psycopg2)."""
    extensions.set_wait_callback(_wait)


def _wait(connection: Any) -> None:
    limit = CONNECT_SECONDS if connection.status == extensions.STATUS_SETUP else STATEMENT_SECONDS
    late = psycopg2.OperationalError(f"PostgreSQL did not answer within {limit} seconds")
    while True:
        state = connection.poll()
        if state == extensions.POLL_OK:
            return
        if state == extensions.POLL_READ:
            wait_read(connection.fileno(), timeout=limit, timeout_exc=late)
        elif state == extensions.POLL_WRITE:
            wait_write(connection.fileno(), timeout=limit, timeout_exc=late)
        else:
            raise psycopg2.OperationalError(f"unexpected state of a database connection: {state}")
