"""Statements that come often are planned once, not at each execution (PostgreSQL manual, PREPARE).

Parsing and planning cost PostgreSQL more than a set-based statement over a few rows does. The driver sends text, so
a statement is prepared by name, in the message of an execution, and then executed by that name.

A plan suits the tables as they were when it was made: one from the first second of an installation would read whole
tables for good. So it lives for two seconds, and what comes a few times only in that time is not prepared at all.
"""

import re
import time
from dataclasses import dataclass
from functools import lru_cache
from itertools import count
from typing import Any

import sqlalchemy as sa

# For the options of a connection. With the default PostgreSQL goes on planning, since what it knows of the values
# makes plans for short lists look cheaper than one for all.
OPTION = "-c plan_cache_mode=force_generic_plan"
_LIVES_SECONDS = 2.0
_OFTEN = 3
_SESSION, _OPTION = "oms.prepared", "oms_often"
_PARAMETER = re.compile(r"%\((\w+)\)s")


def often(text: str) -> sa.TextClause:
    """Return a statement that is prepared while it comes often.

    Args:
        text: a statement whose best plan does not depend on the values: no filter that a NULL turns off, no literal of
            a partial index as a parameter.

    """
    return sa.text(text).execution_options(**{_OPTION: True})


def install(engine: sa.Engine) -> None:
    """Let an engine's connections prepare what `often` made."""
    sa.event.listen(engine, "before_cursor_execute", _send, retval=True)
    sa.event.listen(engine, "after_cursor_execute", _succeeded)


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


class _Session:
    """What one session of the database has prepared."""

    def __init__(self) -> None:
        self._plans: dict[str, _Plan] = {}
        self._numbers = count(1)
        self._under_way: tuple[_Plan, str, str] | None = None
        self._old: list[str] = []

    def message(self, statement: str, now: float) -> str:
        """Return what to send for a statement in the driver's form."""
        plan = self._plans.get(statement)
        if plan is None or now - plan.since > _LIVES_SECONDS:
            plan = self._count_anew(statement, plan, now)
        plan.came += 1
        if plan.name:
            return _call(statement, plan.name)
        if plan.came <= _OFTEN:
            return statement
        return self._prepare(statement, plan)

    def succeeded(self, message: str) -> None:
        """Note what has succeeded: only then is it sure that what it prepared stands."""
        if self._under_way is not None and message.endswith(self._under_way[2]):
            plan, name, _ = self._under_way
            plan.name, self._under_way = name, None

    def _count_anew(self, statement: str, old: _Plan | None, now: float) -> _Plan:
        if old is not None and old.name:
            self._old.append(old.name)
        plan = self._plans[statement] = _Plan(now)
        return plan

    def _prepare(self, statement: str, plan: _Plan) -> str:
        # Always a new name: whether one of a message that failed is taken is not known.
        name = f"oms_{next(self._numbers)}"
        freed = "".join([f"DEALLOCATE {old}; " for old in self._old])
        self._old = []
        message = f"{freed}PREPARE {name} AS {_numbered(statement)}; {_call(statement, name)}"
        self._under_way = plan, name, message
        return message


def _send(
    connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
) -> tuple[str, Any]:
    if context.execution_options.get(_OPTION):
        session: _Session = connection.info.setdefault(_SESSION, _Session())
        statement = session.message(statement, time.monotonic())
    return statement, parameters


def _succeeded(connection: sa.Connection, _cursor: Any, message: str, *_: Any) -> None:
    session: _Session | None = connection.info.get(_SESSION)
    if session is not None:
        session.succeeded(message)


@lru_cache(maxsize=1000)
def _parameters(statement: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_PARAMETER.findall(statement)))


def _numbered(statement: str) -> str:
    """Return a statement with $1, $2, … for its named parameters."""
    numbers = {name: f"${number}" for number, name in enumerate(_parameters(statement), 1)}
    return _PARAMETER.sub(lambda found: numbers[found[1]], statement)


@lru_cache(maxsize=5000)
def _call(statement: str, name: str) -> str:
    values = ", ".join([f"%({parameter})s" for parameter in _parameters(statement)])
    return f"EXECUTE {name} ({values})" if values else f"EXECUTE {name}"
