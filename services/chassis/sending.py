"""How statements go to PostgreSQL: those that come often are prepared, and writes wait for company.

Parsing and planning cost PostgreSQL more than a set-based statement over a few rows does. The driver sends text, so
a statement is prepared by name, in the message of an execution, and then executed by that name (PostgreSQL manual,
PREPARE). A plan suits the tables as they were when it was made: one from the first second of an installation would
read whole tables for good. So it is let go after two seconds, or, where it comes only a few times a second as the
looks of an idle system do, after a minute; and it is made at the fourth execution only.

A write whose result nobody reads is sent with the next statement of its transaction, COMMIT at the latest: one round
trip instead of six, each of which costs two switches of processes, and on a busy machine a place in its queue. What
comes later in the transaction sees it, and an error of it ends the transaction, as if it had been sent at once.

Many new rows go by COPY at once, and take with them what waits. Few are not worth its two round trips, and the driver
refuses it to greenlets.
"""

import io
import re
import select
import time
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

import psycopg2
import psycopg2.extensions

# For the options of a connection. With the default PostgreSQL goes on planning, since what it knows of the values
# makes plans for short lists look cheaper than one for all.
OPTION = "-c plan_cache_mode=force_generic_plan"
_LIVES_SECONDS, _LIVES_MAX_SECONDS = 2.0, 60.0
_BUSY_PER_SECOND = 4
_OFTEN = 3
_CHUNK_BYTES = 256 * 1024
_PARAMETER = re.compile(r"%\((\w+)\)s")
_ARRAY = re.compile(r"%\((\w+)\)s ::(\w+\[\])")


class _Rows(io.BytesIO):
    """The file that the driver reads a COPY's rows from."""

    def __init__(self, rows: bytes, connection: Any) -> None:
        super().__init__(rows)
        self._connection = connection

    def read(self, size: int | None = -1) -> bytes:
        part = super().read(size)
        if not part:
            # The driver sends the last of them with all threads of the process standing still; no longer than it
            # takes if there is room for them.
            select.select([], [self._connection], [])
        return part


@dataclass(slots=True)
class _Plan:
    """A statement in one session.

    Args:
        since: on the monotonic clock, from when on its executions are counted.
        came: how often it was executed since.
        name: under which it is prepared; empty if it is not.

    """

    since: float
    came: int = 0
    name: str = ""

    def is_old(self, now: float) -> bool:
        """Return whether to count, and plan, anew."""
        age = now - self.since
        is_busy = self.came > _BUSY_PER_SECOND * age
        return age > (_LIVES_SECONDS if is_busy else _LIVES_MAX_SECONDS)


class Session:
    """One session of the database: what is prepared there, and what waits to be sent."""

    def __init__(self) -> None:
        self._plans: dict[str, _Plan] = {}
        self._numbers = count(1)
        self._free = ""
        self._waiting: list[bytes] = []

    def message(self, statement: str, now: float) -> str:
        """Return what to send for a statement that comes often; both in the driver's form."""
        plan = self._plans.get(statement)
        if plan is None or plan.is_old(now):
            if plan is not None and plan.name:
                self._free += f"DEALLOCATE {plan.name}; "
            plan = self._plans[statement] = _Plan(now)
        plan.came += 1
        if plan.name:
            return _call(statement, plan.name)
        if plan.came <= _OFTEN:
            return statement
        plan.name = f"oms_{next(self._numbers)}"
        free, self._free = self._free, ""
        return f"{free}PREPARE {plan.name} AS {_numbered(statement)}; {_call(statement, plan.name)}"

    def doubt(self) -> None:
        """Prepare anew whatever comes: of a message that failed, or was never sent, nobody knows what stands."""
        if self._plans:
            self._plans.clear()
            self._free = "DEALLOCATE ALL; "

    def wait(self, message: bytes) -> None:
        """Keep a message for the next one."""
        self._waiting.append(message)

    def send(self, cursor: Any, message: bytes) -> None:
        """Send what waits, and a message after it."""
        waiting, self._waiting = self._waiting, []
        cursor.execute(b"; ".join([*waiting, message]))

    def copy(self, cursor: Any, message: bytes, rows: bytes) -> None:
        """Send what waits, and a COPY with its rows after it."""
        waiting, self._waiting = self._waiting, []
        try:
            cursor.copy_expert(b"; ".join([*waiting, message]), _Rows(rows, cursor.connection), _CHUNK_BYTES)
        except psycopg2.Error as error:
            # Its context quotes the row, which may be somebody's name and address.
            error.args = (error.diag.message_primary or str(error),)
            raise

    def drop(self) -> None:
        """Forget what waits: its transaction is rolled back."""
        if self._waiting:
            self._waiting = []
            self.doubt()


class Driver(psycopg2.extensions.connection):
    """A connection of the driver that knows its session.

    Attributes:
        made_at: when, on the monotonic clock.

    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.session = Session()
        self.made_at = time.monotonic()


@lru_cache(maxsize=1000)
def _parameters(statement: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_PARAMETER.findall(statement)))


def _numbered(statement: str) -> str:
    """Return a statement with $1, $2, … for its named parameters."""
    numbers = {name: f"${number}" for number, name in enumerate(_parameters(statement), 1)}
    return _PARAMETER.sub(lambda found: numbers[found[1]], statement)


@lru_cache(maxsize=5000)
def _call(statement: str, name: str) -> str:
    # An array may come as one of another type (`arrays`), to which a plan's parameter is not converted by itself.
    kinds = {parameter: f" ::{kind}" for parameter, kind in _ARRAY.findall(statement)}
    values = ", ".join([f"%({parameter})s{kinds.get(parameter, '')}" for parameter in _parameters(statement)])
    return f"EXECUTE {name} ({values})" if values else f"EXECUTE {name}"
