"""The databases of a PostgreSQL server on this machine: one for each service, none open to another's role."""

import contextlib
import secrets
from dataclasses import dataclass
from urllib.parse import quote

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812 - a class under a function's name

SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One database and the role that owns it; nobody else but the superuser may connect."""

    name: str
    user: str
    password: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Return the address for SQLAlchemy, its driver named."""
        role = f"postgresql+psycopg2://{self.user}:{self.password}@"
        if self.host.startswith("/"):  # a socket's directory is no host of a URL (libpq, connection URIs)
            return f"{role}/{self.name}?host={quote(self.host, safe='')}&port={self.port}"
        return f"{role}{self.host}:{self.port}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Databases:
    """The superuser's way into the server: makes, clones and drops databases.

    `host` is an address, or the directory of the server's Unix-domain socket.
    """

    host: str
    port: int
    password: str

    @property
    def admin(self) -> Database:
        """Return the database in which the superuser works."""
        return Database(name="postgres", user=SUPERUSER, password=self.password, host=self.host, port=self.port)

    def connect(self) -> Connection:
        """Return a connection of the superuser that commits each statement; the caller closes it."""
        connection = psycopg2.connect(
            host=self.host,
            port=self.port,
            user=SUPERUSER,
            password=self.password,
            dbname=self.admin.name,
            connect_timeout=5,
        )
        connection.autocommit = True
        return connection

    def ensure_database(self, name: str, *, owner: str) -> Database:
        """Return a database that only its owner may open, making both if they are missing.

        The owner gets a new password each time.
        """
        password = secrets.token_urlsafe(24)
        database = Database(name=name, user=owner, password=password, host=self.host, port=self.port)
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (owner,))
            verb = sql.SQL("ALTER" if cursor.fetchone() else "CREATE")
            alter = sql.SQL("{} ROLE {} LOGIN PASSWORD {}")
            cursor.execute(alter.format(verb, sql.Identifier(owner), sql.Literal(password)))
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            exists = cursor.fetchone() is not None
        if not exists:
            self.clone_database("template0", database)
        return database

    def clone_database(self, template: str, database: Database) -> None:
        """Make a database from a template to which nobody is connected; its owner must exist."""
        name = sql.Identifier(database.name)
        create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(create.format(name, sql.Identifier(database.user), sql.Identifier(template)))
            cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))

    def drop_database(self, name: str) -> None:
        """Delete a database, ending whatever is still connected to it."""
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
