"""Transactions and sessions, and the one place where the driver's errors become the product's own (`errors`).

They are classified by SQLSTATE: transient ones are tried again by whoever drives the transaction, all others are that
work's fault. That a session ended, whatever code the driver tells, comes from `connection` as one of the former.
"""

import select
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg2
from sqlalchemy.exc import TimeoutError as PoolTimeout

from services.chassis.connection import Connection, Engine, is_away
from services.chassis.errors import (
    DatabaseUnavailable,
    LockTimeout,
    OmsError,
    OutcomeUnknown,
    RowExists,
    StatementTimeout,
    TransactionConflict,
)
from services.chassis.statements import sql

# Advisory locks that elect one process a database; the numbers are arbitrary, and a contract between versions.
RELAY_LOCK, DEADLINES_LOCK, MIGRATION_LOCK, AUDIT_LOCK = 0x6F6D7301, 0x6F6D7302, 0x6F6D7303, 0x6F6D7304
ANALYTICS_LOCK = 0x6F6D7305
# The first of the two numbers of idempotency keys' advisory locks: a space beside that of the locks above.
KEYS_SPACE = 0x6F6D7306

_TRY_LOCK = sql("SELECT pg_try_advisory_lock(:key)")
# For a transaction whose statements may take longer than others'.
UNHURRIED = sql("SET LOCAL statement_timeout = 0")
_OF_STATE: Mapping[str, type[OmsError]] = {
    "23505": RowExists,
    "40001": TransactionConflict,
    "40P01": TransactionConflict,
    "55P03": LockTimeout,
    "57014": StatementTimeout,
}


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Run a block in one transaction, committed at its end.

    Raises:
        TransientError: the same block may succeed later (see `translate`).
        OutcomeUnknown: the connection was lost while committing.

    """
    try:
        with engine.connect() as connection:
            yield connection
            _commit(connection)
    except (psycopg2.Error, PoolTimeout) as error:
        raise translate(error) from error


@contextmanager
def statements(engine: Engine) -> Iterator[Connection]:
    """Lend a connection on which each statement is a transaction of its own.

    One round trip where `transaction` takes two: for looks that find nothing almost always, of which an idle system
    does little else.

    Raises:
        TransientError: the same statement may succeed later.

    """
    try:
        with engine.connect() as connection:
            connection.make_each_alone()
            yield connection
    except (psycopg2.Error, PoolTimeout) as error:
        raise translate(error) from error


@contextmanager
def session(engine: Engine) -> Iterator[Connection]:
    """Lend a connection of its own, for locks and LISTEN that live as long as a session.

    The caller commits; the connection is closed afterwards, never reused, so that nothing of it lives on.

    Raises:
        TransientError: the connection broke.

    """
    try:
        with engine.connect() as connection:
            connection.detach()
            yield connection
    except (psycopg2.Error, PoolTimeout) as error:
        raise translate(error) from error


def try_session_lock(connection: Connection, key: int) -> bool:
    """Take an advisory lock that the session keeps, and return whether it was free."""
    taken = bool(connection.execute(_TRY_LOCK, {"key": key}).scalar_one())
    connection.commit()
    return taken


def wait_for_notify(connection: Connection, seconds: float) -> None:
    """Return once a notification came on a channel that the session listens to, or the time is up.

    Raises:
        DatabaseUnavailable: the connection broke; outside of statements nobody else translates that.

    """
    driver = connection.driver
    try:
        driver.poll()
        if not driver.notifies:
            select.select([driver], [], [], seconds)
            driver.poll()
    except psycopg2.Error as error:
        raise DatabaseUnavailable(str(error).strip() or type(error).__name__) from error
    driver.notifies.clear()


def _commit(connection: Connection) -> None:
    if connection.is_lost:
        raise DatabaseUnavailable("the connection was lost, and the transaction with it")
    try:
        connection.commit()
    except psycopg2.Error as error:
        if connection.is_lost:
            raise OutcomeUnknown("the connection was lost while committing") from error
        raise


def translate(error: psycopg2.Error | PoolTimeout) -> Exception:
    """Return the product's error for a driver's, or the driver's own where it is the statement's fault."""
    if isinstance(error, PoolTimeout):
        return DatabaseUnavailable("no free database connection in time")
    known = _OF_STATE.get(error.pgcode or "")
    if known is not None:
        return known(str(error))
    if is_away(error):
        return DatabaseUnavailable(str(error).strip() or type(error).__name__)
    return error


def is_reachable(engine: Engine) -> bool:
    """Return whether a probe `SELECT 1` is answered."""
    try:
        with transaction(engine) as connection:
            connection.execute(sql("SELECT 1"))
    except OmsError:
        return False
    return True


def require_reachable(engine: Engine, error: Exception) -> None:
    """Raise DatabaseUnavailable if the database does not answer: then an error says nothing about what it hit.

    Raises:
        DatabaseUnavailable: from `error`.

    """
    if not is_reachable(engine):
        raise DatabaseUnavailable("a statement failed and the database does not answer") from error
