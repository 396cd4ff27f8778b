"""Migrations: the chassis' own line of Alembic revisions first, then the service's.

A worker refuses a schema that is older than its own and tolerates a newer one, so that a rolling deploy may migrate
first. One migration runs at a time (advisory lock), and none waits long for a lock that traffic holds.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from services.chassis.connection import Connection, Engine
from services.chassis.database import MIGRATION_LOCK, translate
from services.chassis.errors import DatabaseUnavailable, SchemaMismatch
from services.chassis.statements import sql

_HERE = Path(__file__).parent / "migrations"
_UNHURRIED = sa.text("SET LOCAL statement_timeout = 0")
_LOCK = sa.text("SELECT pg_advisory_xact_lock(:key)")
_LOCK_TIMEOUT = sa.text("SET LOCAL lock_timeout = '5s'")
_REMEMBER = sa.text("INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING")
_HAS_FACTS = sql("SELECT to_regclass('facts') IS NOT NULL")
_RECALL = sql("SELECT value FROM facts WHERE name = :name")
_MODE = "schema_mode"
_MODES = {
    "folder": "the folder (schemas/ids.json, SCHEMA_REGISTRY_URL unset)",
    "registry": "a registry (SCHEMA_REGISTRY_URL)",
}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of revisions, with the table that remembers how far a database is on it."""

    versions: Path
    version_table: str


def lines(service_migrations: Path) -> tuple[Line, Line]:
    """Return the chassis' line and the service's, in the order in which they run."""
    return Line(_HERE / "versions", "alembic_version_chassis"), Line(service_migrations, "alembic_version")


def upgrade(engine: Engine, service_migrations: Path, schema_mode: str) -> None:
    """Bring the database to the newest revision of both lines, in one transaction.

    Args:
        engine: the service's database.
        service_migrations: the folder of the service's revisions.
        schema_mode: where schema ids come from; recorded once for the database's whole life.

    """
    with _alembic_connection(engine) as connection:
        connection.execute(_UNHURRIED)
        connection.execute(_LOCK, {"key": MIGRATION_LOCK})
        connection.execute(_LOCK_TIMEOUT)
        for line in lines(service_migrations):
            command.upgrade(_config(line, connection), "head")
        connection.execute(_REMEMBER, {"name": _MODE, "value": schema_mode})


def pending(engine: Engine, service_migrations: Path) -> list[str]:
    """Return the lines on which the database is behind this build; an unknown revision is a newer one."""
    behind = []
    with _alembic_connection(engine) as connection:
        for line in lines(service_migrations):
            script = ScriptDirectory.from_config(_config(line, connection))
            context = MigrationContext.configure(connection, opts={"version_table": line.version_table})
            current = context.get_current_revision()
            known = {revision.revision for revision in script.walk_revisions()}
            if current is None or (current in known and current != script.get_current_head()):
                behind.append(f"{line.version_table}: at {current}, this build needs {script.get_current_head()}")
    return behind


class ModeGuard:
    """Refuses a database whose events carry ids of another mode; asks once, for it never changes.

    Args:
        mode: where this process takes schema ids from.

    """

    def __init__(self, mode: str) -> None:
        self._mode = mode
        self._is_right = False

    def require(self, connection: Connection) -> None:
        """Compare with what was recorded by the first migration.

        Raises:
            SchemaMismatch: naming both modes.

        """
        if self._is_right or not connection.execute(_HAS_FACTS).scalar_one():
            return
        recorded = connection.execute(_RECALL, {"name": _MODE}).scalar()
        if recorded != self._mode:
            begun = _MODES.get(str(recorded), recorded)
            raise SchemaMismatch(
                f"this database was begun with schema ids from {begun}, this process takes them from "
                f"{_MODES[self._mode]}. The mode is kept for the life of a cluster, since consumers know "
                "the ids that are on its topics: set SCHEMA_REGISTRY_URL as before, or begin with new databases and "
                "topics"
            )
        self._is_right = True


@contextmanager
def _alembic_connection(engine: Engine) -> Iterator[sa.Connection]:
    """Lend a transaction on a connection of SQLAlchemy's, committed at the end of the block; Alembic knows no other.

    Raises:
        TransientError: the same block may succeed later.

    """
    alembic = sa.create_engine(engine.url, poolclass=NullPool, connect_args=engine.options, hide_parameters=True)
    try:
        with alembic.begin() as connection:
            yield connection
    except DBAPIError as error:
        if error.connection_invalidated:
            raise DatabaseUnavailable(str(error.orig)) from error
        if isinstance(error.orig, psycopg2.Error) and (known := translate(error.orig)) is not error.orig:
            raise known from error
        raise


def _config(line: Line, connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_HERE))
    config.set_main_option("version_locations", str(line.versions))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = line.version_table
    return config
