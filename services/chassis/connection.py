"""Connections to PostgreSQL: the driver itself under a pool of SQLAlchemy's, one transaction at a time.

SQLAlchemy's own connection would do as much again for each statement as the driver does (parameters, the description
of the result, events), which shows where events come alone. Nothing of that is needed for statements that are written
as text.

BEGIN goes with a transaction's first statement: one round trip less. To the driver every statement is committed by
itself; what is a transaction is made one here.
"""

import time
from collections.abc import Mapping
from typing import Any, Self

import psycopg2
from psycopg2 import extensions
from psycopg2.extras import register_default_json, register_default_jsonb, register_uuid
from pydantic_core import from_json
from sqlalchemy import make_url
from sqlalchemy.pool import PoolProxiedConnection, QueuePool

from services.chassis import arrays, sending
from services.chassis.results import Result
from services.chassis.statements import Copy, Statement

_BEGIN, _COMMIT, _ROLLBACK = b"BEGIN ISOLATION LEVEL READ COMMITTED", b"COMMIT", b"ROLLBACK"
_OPEN = (
    extensions.TRANSACTION_STATUS_ACTIVE,
    extensions.TRANSACTION_STATUS_INTRANS,
    extensions.TRANSACTION_STATUS_INERROR,
)
# 08 connection, 57P shutdown; 53 out of resources, which ends no session.
_ENDED, _SHORT = ("08", "57P"), "53"
_MANY_ROWS = 100
# That a statement waits for a row which another transaction holds.
LOCK_SECONDS = 10.0
_NOTHING: Mapping[str, Any] = {}


class Engine:
    """A service's database: connections that fail fast, made when they are needed and used again.

    Args:
        url: SQLAlchemy URL with the psycopg2 driver.
        pool_size: connections at most; a caller waits `connect_timeout` seconds for one.
        application: name of the process in `pg_stat_activity`.
        connect_timeout: seconds to reach the server.
        statement_seconds: after which PostgreSQL cancels a statement; what may take longer says so itself.
        lock_seconds: that a statement waits for a row which another transaction holds.

    Attributes:
        url: where the database is.
        options: of each connection, as the driver takes them.
        pool: the connections.

    """

    def __init__(
        self,
        url: str,
        pool_size: int,
        application: str,
        *,
        connect_timeout: int = 2,
        statement_seconds: float = 30,
        lock_seconds: float = LOCK_SECONDS,
    ) -> None:
        arrays.register()
        self.url = make_url(url)
        self._arguments, options = self.url.get_dialect()().create_connect_args(self.url)
        self.options = {
            **options,
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
        }
        self.pool = QueuePool(
            self._open,
            pool_size=pool_size,
            max_overflow=0,
            timeout=connect_timeout,
            use_lifo=True,
            # What is given back was committed or rolled back by `Connection`.
            reset_on_return=None,
        )
        self._lost_at = 0.0

    def _open(self) -> Any:
        driver: sending.Driver = psycopg2.connect(*self._arguments, **self.options, connection_factory=sending.Driver)
        driver.autocommit = True
        register_uuid(None, driver)  # type: ignore[no-untyped-call]
        register_default_json(driver, loads=from_json)
        register_default_jsonb(driver, loads=from_json)
        return driver

    def connect(self) -> "Connection":
        """Lend a connection.

        Raises:
            psycopg2.Error: none can be made.
            sqlalchemy.exc.TimeoutError: none is free in time.

        """
        while True:
            lent = self.pool.connect()
            driver: Any = lent.dbapi_connection
            if driver.made_at > self._lost_at and not driver.closed:
                return Connection(self, lent)
            lent.invalidate()

    def lost(self, made_at: float) -> None:
        """Trust no connection that is older than now: one of them broke, and whoever broke it broke the others.

        Args:
            made_at: when the one that broke was made; the others of its time may be known to be broken already.

        """
        if made_at > self._lost_at:
            self._lost_at = time.monotonic()

    def dispose(self) -> None:
        """Close the connections that nobody has."""
        self.pool.dispose()
        # The old one would count those that are lent still as its own when they come back.
        self.pool = self.pool.recreate()


class Connection:
    """A connection that is lent, with a transaction once a statement has been executed; lent by `Engine.connect`.

    Whoever leaves it as a context gives it back; what is not committed then is rolled back.

    Attributes:
        is_lost: whether it broke, so that it cannot be told what became of its transaction.

    """

    def __init__(self, engine: Engine, lent: PoolProxiedConnection) -> None:
        self._engine = engine
        self._lent = lent
        driver: Any = lent.dbapi_connection
        self._driver = driver
        self._session: sending.Session = driver.session
        self._is_each_alone = False
        self._is_begun = False
        self._is_given_back = False
        self.is_lost = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        try:
            self.rollback()
        finally:
            self._is_given_back = True
            self._lent.close()

    @property
    def driver(self) -> Any:
        """The driver's connection."""
        return self._driver

    def detach(self) -> None:
        """Take the connection out of the pool: it is closed when it is given back."""
        self._lent.detach()

    def make_each_alone(self) -> None:
        """Make each statement a transaction of its own, until the connection is given back."""
        self._is_each_alone = True

    def execute(self, statement: Statement, parameters: Mapping[str, Any] = _NOTHING) -> Result:
        """Send a statement, or let it wait for the next one.

        Args:
            statement: what to execute.
            parameters: name → value, of each parameter at least.

        Raises:
            psycopg2.Error: whatever the driver raises; `database` translates it.

        """
        try:
            cursor = self._cursor()
            self._execute(cursor, statement, parameters)
        except BaseException as error:
            self._failed(error)
            raise
        return Result(cursor)

    def _cursor(self) -> Any:
        if self._is_given_back:
            # Whatever is executed now would be part of somebody else's transaction.
            raise RuntimeError("the connection was given back")
        return self._driver.cursor()

    def _execute(self, cursor: Any, statement: Statement, parameters: Mapping[str, Any]) -> None:
        session = self._session
        if not self._is_begun and not self._is_each_alone:
            session.wait(_BEGIN)
            self._is_begun = True
        if copy := self._copy_of(statement, parameters):
            session.copy(cursor, copy.statement.encode(), copy.rows(parameters))
            return
        message = statement.template
        if statement.is_often:
            message = session.message(message, time.monotonic())
        written = cursor.mogrify(message, parameters)
        if statement.is_deferred and not self._is_each_alone:
            session.wait(written)
        else:
            session.send(cursor, written)

    def _copy_of(self, statement: Statement, parameters: Mapping[str, Any]) -> Copy | None:
        """Return how to copy what a statement is to write; None: that is no case for COPY."""
        copy = statement.copy
        if copy is None or len(parameters[copy.columns[0]]) < _MANY_ROWS:
            return None
        # With a callback (greenlets) the driver refuses it.
        return None if self._is_each_alone or extensions.get_wait_callback() is not None else copy

    def commit(self) -> None:
        """Commit the transaction, if there is one.

        Raises:
            psycopg2.Error: it is rolled back then, or nobody knows what became of it (`is_lost`).

        """
        if not self._is_begun:
            return
        try:
            self._session.send(self._cursor(), _COMMIT)
        except BaseException as error:
            self._failed(error)
            self.rollback()
            raise
        self._is_begun = False

    def rollback(self) -> None:
        """Roll the transaction back, if there is one."""
        self._is_begun = False
        if self.is_lost or self._is_given_back:
            return
        self._session.drop()
        if self._driver.get_transaction_status() in _OPEN:
            try:
                self._cursor().execute(_ROLLBACK)
            except BaseException as error:
                self._failed(error)
                raise

    def _failed(self, error: BaseException) -> None:
        """Give the connection up where an error says that it broke, or where an answer may still be under way.

        Raises:
            psycopg2.OperationalError: instead of an error that says nothing about the statement.

        """
        if self._is_given_back or self.is_lost:
            return
        if isinstance(error, Exception) and not self._driver.closed and not _ends_session(error):
            self._session.doubt()
            return
        self.is_lost = True
        self._lent.invalidate()
        self._driver.close()
        if isinstance(error, Exception):
            self._engine.lost(self._driver.made_at)
        if isinstance(error, psycopg2.Error) and not is_away(error):
            raise psycopg2.OperationalError(str(error)) from error


def _ends_session(error: Exception) -> bool:
    return is_away(error) and not (getattr(error, "pgcode", None) or "").startswith(_SHORT)


def is_away(error: Exception) -> bool:
    """Return whether an error of the driver means that the server is not there for us right now."""
    if not isinstance(error, psycopg2.Error):
        return False
    # Without an SQLSTATE only operational and interface errors come from the connection; the others
    # (a value that the driver cannot adapt) are the statement's own and must not be retried for ever.
    if error.pgcode is None:
        return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    return error.pgcode.startswith((*_ENDED, _SHORT))
