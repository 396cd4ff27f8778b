"""What the endpoints of a service run with; kept at `app.extensions["oms"]`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from services.chassis.events import Cause
from services.chassis.health import Health
from services.chassis.http.auth import TokenVerifier
from services.chassis.http.pacing import Pacer
from services.chassis.http.rate_limits import RateLimits
from services.chassis.http.streams import Streams
from services.chassis.idempotency import Answer, IdempotencyKey
from services.chassis.unit_of_work import UnitOfWork
from services.chassis.waiting import Waiters

EXTENSION = "oms"
U = TypeVar("U", bound=UnitOfWork)
U_co = TypeVar("U_co", bound=UnitOfWork, covariant=True)


class RunsCommands(Protocol[U_co]):
    """Runs a command and answers it: `services.chassis.commands.Commands`."""

    def submit(
        self,
        command: object,
        *,
        caller: str,
        cause: Cause,
        render: Callable[[Any, U_co], Answer],
        idempotency: IdempotencyKey | None = None,
        subject: str | None = None,
        alone: bool = False,
        parts: Sequence[IdempotencyKey] = (),
    ) -> Answer:
        """Run `command` in a transaction and return what `render` makes of its result."""


@dataclass(frozen=True, slots=True)
class Application(Generic[U]):
    """The parts that a request reaches.

    Args:
        commands: changes.
        queries: lends a unit of work for reading.
        health: what the process says about itself; a request that waits stops when it is shutting down.
        tokens: knows who calls.
        rate_limits: counts requests; None where there are no limits.
        streams: the streams that are open.
        pacer: gives downloads their turns.
        waiters: wakes requests that wait; None where the service has nothing to wait for.
        settings: the service's settings, for its own endpoints.
        operations: what the operators' endpoints run with instead; None where there are none.

    """

    commands: RunsCommands[U]
    queries: Callable[[], AbstractContextManager[U]]
    health: Health
    tokens: TokenVerifier
    streams: Streams
    pacer: Pacer
    rate_limits: RateLimits | None = None
    waiters: Waiters[U] | None = None
    settings: Any = None
    operations: "Application[Any] | None" = None
