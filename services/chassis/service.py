"""A service, described: what it consumes, commands, deadlines, routes. The chassis runs whatever this says.

A new service writes its domain, handlers, repository, api, and one of these.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as StopEvent
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from services.chassis.avro import EventClass
from services.chassis.commands import CommandHandler
from services.chassis.deadlines import Chore, Deadline
from services.chassis.incoming import Subscription
from services.chassis.settings import ServiceSettings
from services.chassis.statements import Statement
from services.chassis.unit_of_work import Transaction, UnitOfWork
from services.chassis.waiting import Seen

if TYPE_CHECKING:
    from services.chassis.runtime import Runtime

S = TypeVar("S", bound=ServiceSettings)
U = TypeVar("U", bound=UnitOfWork)


class Loop(Protocol):
    """Something that a worker runs in a thread of its own."""

    def run(self, stop: StopEvent) -> None:
        """Work until `stop` is set; raise to end the process."""


@dataclass(frozen=True, slots=True)
class DatabaseGauge:
    """A gauge whose value is asked of the database at each scrape: one indexed query.

    Args:
        name: the metric's name.
        help: what it means.
        labels: names of the labels, the query's first columns.
        query: gives a row a label set; the last column is the value.
        parameters: the query's.

    """

    name: str
    help: str
    labels: tuple[str, ...]
    query: Statement
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Service(Generic[S, U]):
    """One service.

    Args:
        name: its name, the folder of its code and the middle of its events' fullnames.
        settings: its settings class.
        events: fullname → class of every event that it reads or writes.
        schemas: the folder of the event contract.
        migrations: the folder of its Alembic revisions.
        unit_of_work: makes its unit of work over a transaction.
        subscriptions: what its consumers read.
        commands: command class → handler.
        deadlines: what may expire.
        blueprints: its HTTP routes.
        problems: code → meaning of the refusals that only it knows.
        seen: returns what is to be seen of some aggregates by those who wait for a change (`Prefer: wait`, streams).
        loops: name → further threads of its worker.
        reports: name → an operator's command: prints to the terminal, returns the exit code.
        jobs: name → an operator's command that changes something: gets what runs commands, and its further parameters
            as options; returns the exit code.
        gauges: metrics read from its database.
        chores: housekeeping of its tables.
        gathers_seconds: for which its events may gather in the outbox even where few come, since nobody waits for them.

    """

    name: str
    settings: type[S]
    events: Mapping[str, EventClass]
    schemas: Path
    migrations: Path
    unit_of_work: Callable[[Transaction, S], U]
    subscriptions: Callable[[S], Sequence[Subscription[U]]]
    commands: Mapping[type[Any], CommandHandler[U]] = field(default_factory=dict)
    deadlines: Callable[[S], Sequence[Deadline[U]]] = lambda _settings: ()
    blueprints: Sequence[Any] = ()
    problems: Mapping[str, Any] = field(default_factory=dict)
    seen: Callable[[U, list[str]], Mapping[str, Seen]] | None = None
    loops: Mapping[str, Callable[["Runtime[S, U]"], Loop]] = field(default_factory=dict)
    reports: Mapping[str, Callable[[U], int]] = field(default_factory=dict)
    jobs: Mapping[str, Callable[..., int]] = field(default_factory=dict)
    gauges: Sequence[DatabaseGauge] = ()
    chores: Callable[[S], Sequence[Chore]] = lambda _settings: ()
    gathers_seconds: float = 0.0


# Opens a read transaction and lends the service's unit of work over it.
Queries = Callable[[], AbstractContextManager[U]]
