"""Every error that the chassis raises, in one tree; drivers' own errors are translated where they occur.

OmsError
├── SettingsError         a setting is missing or wrong: the process refuses to start
├── TransientError        the same work may succeed later: it is retried, never parked, never skipped
│   ├── DatabaseUnavailable
│   ├── TransactionConflict
│   │   └── LockTimeout   another transaction held a row for too long (55P03)
│   ├── OutboxFull        too many events wait to be published
│   ├── OutcomeUnknown    the connection was lost while committing
│   ├── BrokerUnavailable
│   └── RegistryUnavailable
│       └── RegistryAccessDenied
├── RowExists             another transaction inserted the same row meanwhile (23505)
├── StatementTimeout      a statement was cancelled (57014): retried a few times, then the event is parked
├── EventError            one event cannot be handled: its key is parked
│   └── UndecodableEvent
├── OutboxError
│   └── EventTooLarge     refused when the row is written, so that it never blocks the relay
├── FatalError            the process cannot go on and ends with a non-zero code
│   └── SchemaMismatch    database, cluster or schema folder do not fit this build
└── Problem               an HTTP refusal (RFC 9457), see `problems`
"""

from collections.abc import Mapping, Sequence


class OmsError(Exception):
    """Root of the product's errors."""


class SettingsError(OmsError):
    """One or more settings are missing or wrong; the message lists them all with their valid values."""


class TransientError(OmsError):
    """The same work may succeed later."""


class DatabaseUnavailable(TransientError):
    """PostgreSQL cannot be reached, is shutting down, or is out of resources."""


class TransactionConflict(TransientError):
    """PostgreSQL broke off this transaction in favour of another (deadlock, serialization, lock timeout)."""


class LockTimeout(TransactionConflict):
    """Another transaction held a row for longer than we wait for it (SQLSTATE 55P03)."""


class OutcomeUnknown(TransientError):
    """The connection was lost while committing: the work may or may not stand."""


class OutboxFull(TransientError):
    """Too many events wait to be published: nothing more is taken until the broker is back."""


class BrokerUnavailable(TransientError):
    """Kafka cannot be reached or did not answer in time."""


class RegistryUnavailable(TransientError):
    """The schema registry cannot be reached, or cannot answer now."""


class RegistryAccessDenied(RegistryUnavailable):
    """The schema registry is there and does not let us in, or not to this schema (401, 403)."""


class RowExists(OmsError):
    """Another transaction inserted the same row meanwhile (SQLSTATE 23505): reading again will show it."""


class StatementTimeout(OmsError):
    """A statement was cancelled before it ended (SQLSTATE 57014)."""


class EventError(OmsError):
    """One event cannot be handled."""


class UndecodableEvent(EventError):
    """The bytes of an event are not what its headers or its schema id say."""


class OutboxError(OmsError):
    """An event cannot be put into the outbox."""


class EventTooLarge(OutboxError):
    """The encoded event exceeds what the broker takes."""


class FatalError(OmsError):
    """The process cannot go on."""


class SchemaMismatch(FatalError):
    """The database, the cluster or the schema folder does not fit this build."""


class Problem(OmsError):
    """A refused HTTP request.

    Args:
        status: the HTTP status code.
        code: the stable code of the catalogue in `docs/`.
        detail: one sentence that names the offender and the valid options.
        errors: `{"pointer" | "parameter", "code", "detail"}` rows, one for each fault found.
        extra: further members of the problem document.
        headers: further response headers, for example `Retry-After`.

    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        extra: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})
