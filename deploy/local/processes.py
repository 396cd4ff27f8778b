"""The processes of one stack: started, remembered on disk, and ended without a trace.

Every process is written to `processes.json` with its start time as soon as it runs, so that another launcher can
end it after this one crashed, and so that a recycled process id is never mistaken for it. Each also carries the
stack's directory in its environment (`MARK`): whatever a killed launcher or a killed parent left behind is found by
that.
"""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from deploy.local.errors import ProcessFailedError, StackError, StackStateError
from deploy.local.files import last_lines, write_privately
from deploy.local.records import MARK, Rank, Record, load, send, strays_of

Probe = Callable[[], str | None]
"""Returns what a process still misses before it is ready, or None when it is ready."""

GRACE_SECONDS = 10.0
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How to start a process: `user` is whom to become when started as root, `log` gets all it prints."""

    name: str
    arguments: Sequence[str]
    rank: Rank
    environment: Mapping[str, str] = field(default_factory=dict)
    directory: Path
    user: str | None = None
    stop_signal: int = signal.SIGTERM


class Processes:
    """Starts, watches and ends the processes of the stack in `directory`, each addressed by its name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.resolve()
        self._file = self._directory / "processes.json"
        self._lock = threading.RLock()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, Command] = {}
        self._closed = False
        self._records = {record.name: record for record in load(self._file)}

    def start(self, command: Command) -> int:
        """Start a process in a session of its own and return its id."""
        with self._lock:
            self._check_open()
            if self.is_alive(command.name):
                raise StackStateError(f"{command.name} is already running")
            child = self._spawn(command)
            self._children[command.name] = child
            self._commands[command.name] = command
            self._remember(command.name, child.pid, command.rank, command.stop_signal)
            return child.pid

    def start_again(self, name: str) -> int:
        """Start a process that ended in the same way as before and return its new id."""
        command = self._commands.get(name)
        if command is None:
            raise StackStateError(f"{name} was not started here; known: {', '.join(self._commands) or 'none'}")
        return self.start(command)

    def stop(self, name: str, *, grace: float = GRACE_SECONDS) -> int | None:
        """Ask the process to end, kill it after `grace` seconds, and return its exit status if it was ours."""
        self._end([self._record(name)], grace)
        return self.exit_status(name)

    def kill(self, name: str) -> None:
        """End the process and all that it started with SIGKILL, as a crash would, and wait until it is gone."""
        self._signal_tree(name, signal.SIGKILL)
        self._await_end([self._record(name)], GRACE_SECONDS)

    def pause(self, name: str) -> None:
        """Freeze the process and all that it started."""
        self._signal_tree(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a frozen process go on."""
        self._signal_tree(name, signal.SIGCONT)

    def is_alive(self, name: str) -> bool:
        """Tell whether the process runs, frozen or not."""
        record = self._records.get(name)
        return record is not None and self._find(record) is not None

    def exit_status(self, name: str) -> int | None:
        """Return how the process ended (negative: by that signal), or None while it lives or if unknown."""
        child = self._children.get(name)
        return None if child is None else child.poll()

    @property
    def is_used(self) -> bool:
        """Tell whether processes were started here and not ended by `end_all`."""
        return bool(self._records)

    def pids(self) -> dict[str, int]:
        """Return the process ids of all that are alive, by name."""
        return {name: record.pid for name, record in self._records.items() if self._find(record)}

    def log(self, name: str) -> Path:
        """Return the file with everything that the process printed."""
        return self._directory / "log" / f"{name}.log"

    def await_ready(self, name: str, missing: Probe, *, within: float) -> None:
        """Wait until one process is ready, as `await_all_ready` does for several."""
        self.await_all_ready({name: missing}, within=within)

    def await_all_ready(self, probes: Mapping[str, Probe], *, within: float) -> None:
        """Wait until no probe misses anything.

        Raises ProcessFailedError as soon as one of the processes ended, or after `within` seconds.
        """
        deadline = time.monotonic() + within
        waiting = dict.fromkeys(probes, "")
        while waiting:
            for name in list(waiting):
                missing = self._look_at(name, probes[name])
                if missing is None:
                    del waiting[name]
                elif time.monotonic() > deadline:
                    raise self._failure(name, f"did not become ready within {within:.0f} s ({missing})")
            if waiting:
                time.sleep(_POLL_SECONDS)

    def await_end(self, name: str, *, within: float) -> None:
        """Wait until a process ended by itself; raise ProcessFailedError unless with status 0."""
        deadline = time.monotonic() + within
        while (status := self.exit_status(name)) is None:
            self._check_open()
            if time.monotonic() > deadline:
                raise self._failure(name, f"did not end within {within:.0f} s")
            time.sleep(_POLL_SECONDS)
        if status != 0:
            raise self._failure(name, f"ended with status {status}")

    def close(self) -> None:
        """Start nothing any more, and let whoever waits for a process give up."""
        with self._lock:
            self._closed = True

    def note_launcher(self) -> None:
        """Remember this process too, until `forget_launcher`, so that `down` can end a start that hangs."""
        self._remember("launcher", os.getpid(), Rank.LAUNCHER, signal.SIGTERM)

    def forget_launcher(self) -> None:
        """Take this process out of the list: what it started goes on without it."""
        with self._lock:
            self._records.pop("launcher", None)
            self._save()

    def end_all(self, *, grace: float = GRACE_SECONDS) -> list[str]:
        """End every process of the stack, users before servers; return the names of those that lived."""
        self.close()
        others = (record for record in self._records.values() if record.pid != os.getpid())
        alive = sorted((record for record in others if self._find(record)), key=lambda record: record.rank)
        for rank in Rank:
            self._end([record for record in alive if record.rank == rank], grace)
        strays = strays_of(self._directory)
        send(signal.SIGKILL, strays)
        psutil.wait_procs(strays, timeout=GRACE_SECONDS)
        self._records.clear()
        self._file.unlink(missing_ok=True)
        return [record.name for record in alive]

    def _check_open(self) -> None:
        if self._closed:
            raise StackError("the stack is being stopped")

    def _look_at(self, name: str, probe: Probe) -> str | None:
        """Return what the process still misses; raise when it will never be ready."""
        missing = probe()
        if missing is not None:
            self._check_open()
            if not self.is_alive(name):
                raise self._failure(name, f"ended with status {self.exit_status(name)} while starting")
        return missing

    def _spawn(self, command: Command) -> subprocess.Popen[bytes]:
        log = self.log(command.name)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - commands are built here, never taken from outside
                list(command.arguments),
                cwd=command.directory,
                env={**os.environ, **command.environment, MARK: str(self._directory)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                user=command.user,
                group=None if command.user is None else _group_of(command.user),
                extra_groups=None if command.user is None else [],
            )

    def _remember(self, name: str, pid: int, rank: Rank, stop_signal: int) -> None:
        with self._lock:
            started = psutil.Process(pid).create_time()
            record = Record(name=name, pid=pid, started=started, rank=int(rank), stop_signal=int(stop_signal))
            self._records[name] = record
            self._save()

    def _save(self) -> None:
        write_privately(self._file, [asdict(record) for record in self._records.values()])

    def _record(self, name: str) -> Record:
        if name not in self._records:
            raise StackStateError(f"no process {name}; there are: {', '.join(self._records) or 'none'}")
        return self._records[name]

    def _find(self, record: Record) -> psutil.Process | None:
        child = self._children.get(record.name)
        if child is not None and child.pid == record.pid:
            return psutil.Process(child.pid) if child.poll() is None else None
        return record.find()

    def _signal_tree(self, name: str, number: int) -> None:
        process = self._find(self._record(name))
        if process is None:
            raise StackStateError(f"{name} is not running")
        send(number, [process, *process.children(recursive=True)])

    def _end(self, records: Sequence[Record], grace: float) -> None:
        members: list[psutil.Process] = []
        for record in records:
            process = self._find(record)
            if process is None:
                continue
            with contextlib.suppress(psutil.NoSuchProcess):
                members += [process, *process.children(recursive=True)]
            send(record.stop_signal, [process])
        send(signal.SIGCONT, members)  # a frozen process acts on no other signal
        self._await_end(records, grace)
        send(signal.SIGKILL, members)
        self._await_end(records, GRACE_SECONDS)

    def _await_end(self, records: Sequence[Record], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while any(self._find(record) for record in records) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _failure(self, name: str, what: str) -> ProcessFailedError:
        log = self.log(name)
        return ProcessFailedError(f"{name} {what}. The end of {log}:\n{last_lines(log)}")


def _group_of(user: str) -> int:
    import pwd  # noqa: PLC0415 - not on every system, and only asked for as root on Unix

    return pwd.getpwnam(user).pw_gid
