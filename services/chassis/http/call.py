"""One request, as an endpoint's function gets it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from services.chassis.events import Cause
from services.chassis.http.application import Application
from services.chassis.http.auth import Caller
from services.chassis.http.headers import is_unchanged
from services.chassis.idempotency import Answer, IdempotencyKey
from services.chassis.unit_of_work import UnitOfWork

U = TypeVar("U", bound=UnitOfWork)


@dataclass(frozen=True, slots=True)
class Call(Generic[U]):
    """Who calls, how, and the means to answer.

    Args:
        caller: verified, with one of the endpoint's roles.
        request_id: the request's id.
        cause: to be handed on to whatever is emitted because of this request.
        wait_seconds: of `Prefer: wait=N`, at most 20; None where the caller does not say.
        idempotency: the Idempotency-Key; always None for GET.
        expected_versions: what If-Match admits, for `check_version`; None admits all.
        if_none_match: the header, for `is_unchanged`.
        application: the service's parts.

    """

    caller: Caller
    request_id: str
    cause: Cause
    wait_seconds: int | None
    idempotency: IdempotencyKey | None
    expected_versions: frozenset[int] | None
    if_none_match: str | None
    application: Application[U]

    @property
    def settings(self) -> Any:
        """The service's settings."""
        return self.application.settings

    def queries(self) -> AbstractContextManager[U]:
        """Lend a unit of work for reading."""
        return self.application.queries()

    def submit(
        self,
        command: object,
        *,
        render: Callable[[Any, U], Answer],
        subject: str | None = None,
        alone: bool = False,
        parts: Sequence[IdempotencyKey] = (),
    ) -> Answer:
        """Run a command on the caller's behalf and return its answer; as `Commands.submit`."""
        return self.application.commands.submit(
            command,
            caller=self.caller.subject,
            cause=self.cause,
            render=render,
            idempotency=self.idempotency,
            subject=subject,
            alone=alone,
            parts=parts,
        )

    @property
    def trace_id(self) -> str | None:
        """The request's trace, 32 hex digits."""
        return self.cause.traceparent and self.cause.traceparent.split("-")[1]

    def wait_for(self, subject: str, default_seconds: int = 0) -> bool:
        """Wait, as long as the caller prefers, until nothing is awaited for `subject`; return whether that came."""
        seconds = default_seconds if self.wait_seconds is None else self.wait_seconds
        if not seconds or self.application.waiters is None:
            return False
        return self.application.waiters.wait(subject, seconds)

    def is_unchanged(self, version: int) -> bool:
        """Return whether the caller has this version already: then the answer is `not_modified(version)`."""
        return is_unchanged(self.if_none_match, version)
