"""PostgreSQL through SQLAlchemy Core: the engine, transactions, and the one place where driver errors are translated.

Invariant: what leaves this module as an error is the product's own (`errors`), classified by SQLSTATE
: transient ones are tried again by whoever drives the transaction, all others are that work's fault.
"""

import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
import sqlalchemy as sa
from psycopg2.extensions import (
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_INERROR,
    TRANSACTION_STATUS_INTRANS,
)
from pydantic_core import from_json
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis import arrays, sending
from services.chassis.errors import (
    DatabaseUnavailable,
    LockTimeout,
    OmsError,
    OutcomeUnknown,
    RowExists,
    StatementTimeout,
    TransactionConflict,
)

# Advisory locks that elect one process a database; the numbers are arbitrary, and a contract between versions.
RELAY_LOCK, DEADLINES_LOCK, MIGRATION_LOCK, AUDIT_LOCK = 0x6F6D7301, 0x6F6D7302, 0x6F6D7303, 0x6F6D7304
ANALYTICS_LOCK = 0x6F6D7305
# The first of the two numbers of idempotency keys' advisory locks: a space beside that of the locks above.
KEYS_SPACE = 0x6F6D7306

_TO_BEGIN = "oms.to_begin"
BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED; "
_OPEN = (TRANSACTION_STATUS_ACTIVE, TRANSACTION_STATUS_INTRANS, TRANSACTION_STATUS_INERROR)
_TRY_LOCK = sa.text("SELECT pg_try_advisory_lock(:key)")
# That a statement waits for a row which another transaction holds.
LOCK_SECONDS = 10.0
# 08 connection, 53 out of resources, 57P shutdown: the server is not there for us right now.
_AWAY = ("08", "53", "57P")
# For a transaction whose statements may take longer than others'.
UNHURRIED = sa.text("SET LOCAL statement_timeout = 0")
_OF_STATE: Mapping[str, type[OmsError]] = {
    "23505": RowExists,
    "40001": TransactionConflict,
    "40P01": TransactionConflict,
    "55P03": LockTimeout,
    "57014": StatementTimeout,
}


def create_engine(
    url: str,
    pool_size: int,
    application: str,
    *,
    connect_timeout: int = 2,
    statement_seconds: float = 30,
    lock_seconds: float = LOCK_SECONDS,
) -> sa.Engine:
    """Return an engine whose connections fail fast.

    Args:
        url: SQLAlchemy URL with the psycopg2 driver.
        pool_size: connections at most; a caller waits `connect_timeout` seconds for one.
        application: name of the process in `pg_stat_activity`.
        connect_timeout: seconds to reach the server.
        statement_seconds: after which PostgreSQL cancels a statement; what may take longer says so itself.
        lock_seconds: that a statement waits for a row which another transaction holds.

    """
    arrays.register()
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=connect_timeout,
        pool_pre_ping=False,
        pool_use_lifo=True,
        # The driver's own BEGIN would be a round trip to each transaction; see `_Begin`.
        isolation_level="AUTOCOMMIT",
        # An error that is logged, or kept with a parked event, must not carry a row's names and addresses.
        hide_parameters=True,
        json_deserializer=from_json,
        connect_args={
            "connection_factory": sending.Driver,
            "application_name": application,
            "connect_timeout": connect_timeout,
            # A transaction whose client froze must not hold row locks and vacuum's horizon for ever.
            "options": "-c idle_in_transaction_session_timeout=60000"
            f" -c lock_timeout={lock_seconds * 1000:.0f} -c statement_timeout={statement_seconds * 1000:.0f}"
            f" {sending.OPTION}",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
        },
    )
    sending.install(engine)
    _Begin().install(engine)
    return engine


class _Begin:
    """Sends BEGIN together with a transaction's first statement: one round trip less, of which a lone event has ten.

    To SQLAlchemy the driver commits every statement by itself; what SQLAlchemy calls a transaction is made one here.
    """

    def install(self, engine: sa.Engine) -> None:
        sa.event.listen(engine, "begin", self._begun)
        sa.event.listen(engine, "before_cursor_execute", self._prefixed, retval=True)
        sa.event.listen(engine, "commit", self._commit)
        sa.event.listen(engine, "rollback", self._rollback)

    def _begun(self, connection: sa.Connection) -> None:
        if not _is_each_alone(connection):
            connection.info[_TO_BEGIN] = True

    def _prefixed(
        self, connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool
    ) -> tuple[str, Any]:
        if connection.info.pop(_TO_BEGIN, False):
            statement = BEGIN + statement
        return statement, parameters

    def _commit(self, connection: sa.Connection) -> None:
        if not connection.info.pop(_TO_BEGIN, False) and not _is_each_alone(connection):
            self._end(connection)

    def _end(self, connection: sa.Connection) -> None:
        try:
            connection.exec_driver_sql("COMMIT")
        except DBAPIError:
            # To SQLAlchemy it is over now; left aborted, the session would be of no use to whoever has it next.
            self._rollback(connection)
            raise

    def _rollback(self, connection: sa.Connection) -> None:
        if connection.invalidated:
            return
        connection.info.pop(_TO_BEGIN, None)
        sending.drop_waiting(connection)
        driver: Any = connection.connection.dbapi_connection
        if driver is not None and driver.get_transaction_status() in _OPEN:
            connection.exec_driver_sql("ROLLBACK")


def _is_each_alone(connection: sa.Connection) -> bool:
    return bool(connection.get_execution_options().get(sending.EACH_ALONE))


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Run a block in one transaction, committed at its end.

    Raises:
        TransientError: the same block may succeed later (see `translate`).
        OutcomeUnknown: the connection was lost while committing.

    """
    try:
        with engine.connect() as connection:
            yield connection
            _commit(connection)
    except (DBAPIError, PoolTimeout) as error:
        raise translate(error) from error


@contextmanager
def statements(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Lend a connection on which each statement is a transaction of its own.

    One round trip where `transaction` takes two: for looks that find nothing almost always, of which an idle system
    does little else.

    Raises:
        TransientError: the same statement may succeed later.

    """
    try:
        with engine.connect() as connection:
            yield each_alone(connection)
    except (DBAPIError, PoolTimeout) as error:
        raise translate(error) from error


def each_alone(connection: sa.Connection) -> sa.Connection:
    """Make each statement on a connection a transaction of its own, until the connection is given back."""
    return connection.execution_options(**{sending.EACH_ALONE: True})


@contextmanager
def session(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Lend a connection of its own, for locks and LISTEN that live as long as a session.

    The caller commits; the connection is closed afterwards, never reused, so that nothing of it lives on.

    Raises:
        TransientError: the connection broke.

    """
    try:
        with engine.connect() as connection:
            connection.detach()
            yield connection
    except (DBAPIError, PoolTimeout) as error:
        raise translate(error) from error


def try_session_lock(connection: sa.Connection, key: int) -> bool:
    """Take an advisory lock that the session keeps, and return whether it was free."""
    taken = bool(connection.execute(_TRY_LOCK, {"key": key}).scalar_one())
    connection.commit()
    return taken


def wait_for_notify(connection: sa.Connection, seconds: float) -> None:
    """Return once a notification came on a channel that the session listens to, or the time is up.

    Raises:
        DatabaseUnavailable: the connection broke; outside of statements nobody else translates that.

    """
    driver: Any = connection.connection.dbapi_connection
    try:
        driver.poll()
        if not driver.notifies:
            select.select([driver], [], [], seconds)
            driver.poll()
    except psycopg2.Error as error:
        raise DatabaseUnavailable(str(error).strip() or type(error).__name__) from error
    driver.notifies.clear()


def _commit(connection: sa.Connection) -> None:
    try:
        connection.commit()
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error, InterfaceError):
            raise OutcomeUnknown("the connection was lost while committing") from error
        raise


def translate(error: DBAPIError | PoolTimeout) -> Exception:
    """Return the product's error for a driver's, or the driver's own where it is the statement's fault."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable("no free database connection in time")
    state: str | None = getattr(error.orig, "pgcode", None)
    known = _OF_STATE.get(state or "")
    if known is not None:
        return known(str(error.orig))
    if state is None or state.startswith(_AWAY) or error.connection_invalidated:
        return _unreachable(error, state)
    return error


def _unreachable(error: DBAPIError, state: str | None) -> Exception:
    # Without an SQLSTATE only operational and interface errors come from the connection; the others
    # (a value that the driver cannot adapt) are the statement's own and must not be retried for ever.
    if (
        state is None
        and not error.connection_invalidated
        and not isinstance(error, sa.exc.OperationalError | InterfaceError)
    ):
        return error
    return DatabaseUnavailable(str(error.orig).strip() or type(error.orig).__name__)


def is_reachable(engine: sa.Engine) -> bool:
    """Return whether a probe `SELECT 1` is answered."""
    try:
        with transaction(engine) as connection:
            connection.execute(sa.text("SELECT 1"))
    except OmsError:
        return False
    return True


def require_reachable(engine: sa.Engine, error: Exception) -> None:
    """Raise DatabaseUnavailable if the database does not answer: then an error says nothing about what it hit.

    Raises:
        DatabaseUnavailable: from `error`.

    """
    if not is_reachable(engine):
        raise DatabaseUnavailable("a statement failed and the database does not answer") from error
