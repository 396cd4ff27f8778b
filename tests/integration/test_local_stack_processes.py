"""The local stack leaves no process behind, and ends none that is not its own."""

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local import directory as places
from deploy.local.errors import ProcessFailedError, StackStateError
from deploy.local.processes import Command, Processes
from deploy.local.records import Rank
from deploy.local.stack import launch

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def launcher_of(directory: Path, *servers: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds a stack with a mail sink, and with the servers that are named."""
    arguments = [sys.executable, "-m", "tests.support.launcher", str(directory), *servers]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()
    places.end(directory)


@pytest.fixture
def launcher(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    with launcher_of(tmp_path) as process:
        yield process


def down(directory: Path) -> str:
    arguments = [sys.executable, "-m", "deploy.local", "down", "--directory", str(directory)]
    return subprocess.run(arguments, cwd=ROOT, check=True, capture_output=True, text=True).stdout


def of_stack(directory: Path) -> list[str]:
    """Every process that names the directory, found without the stack's own means."""
    names = (str(directory), str((directory / "postgres").resolve()))
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or [])
        if any(name in line for name in names) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(line)
    return found


def sleeper(name: str, *, seconds: int = 300) -> Command:
    script = f"import time; time.sleep({seconds})"
    return Command(name=name, arguments=[sys.executable, "-c", script], rank=Rank.SERVICE, directory=ROOT)


def test_down_leaves_no_process_after_the_launcher_was_killed(tmp_path: Path) -> None:
    with launcher_of(tmp_path, "postgres") as launcher:
        launcher.kill()
        launcher.wait()
        assert len(of_stack(tmp_path)) == 2

        assert "mail, postgres" in down(tmp_path)

    assert of_stack(tmp_path) == []
    assert not (tmp_path / "postgres").exists()
    assert (tmp_path / "log" / "postgres.log").exists()


def test_down_finds_processes_that_no_record_names(launcher: subprocess.Popen[str], tmp_path: Path) -> None:
    launcher.kill()
    launcher.wait()
    (tmp_path / "processes.json").unlink()

    down(tmp_path)

    assert of_stack(tmp_path) == []


def test_down_ends_a_launcher_that_still_runs(launcher: subprocess.Popen[str], tmp_path: Path) -> None:
    down(tmp_path)

    assert launcher.wait(timeout=10) != 0
    assert of_stack(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_launcher_that_is_asked_to_end_cleans_up(
    launcher: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    launcher.send_signal(number)

    launcher.wait(timeout=20)
    assert of_stack(tmp_path) == []


def test_a_new_launch_ends_what_a_killed_one_left(launcher: subprocess.Popen[str], tmp_path: Path) -> None:
    launcher.kill()
    launcher.wait()

    with launch(tmp_path):
        assert of_stack(tmp_path) == []


def test_two_launchers_cannot_hold_one_directory(launcher: subprocess.Popen[str], tmp_path: Path) -> None:
    assert launcher.poll() is None
    with pytest.raises(StackStateError, match="another process"), launch(tmp_path):
        pytest.fail("the directory was given twice")


def test_a_recycled_process_id_is_not_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"]) as stranger:
        try:
            record = {"name": "mail", "pid": stranger.pid, "started": 1.0, "rank": 2, "stop_signal": 15}
            (tmp_path / "processes.json").write_text(json.dumps([record]))

            assert "nothing was running" in down(tmp_path)

            assert stranger.poll() is None
        finally:
            stranger.kill()


def test_a_frozen_process_can_be_ended(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    processes.start(sleeper("service"))
    processes.pause("service")

    assert processes.stop("service") == -signal.SIGTERM


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    script = f"{deaf}; print('deaf', flush=True); time.sleep(300)"
    command = Command(name="deaf", arguments=[sys.executable, "-c", script], rank=Rank.SERVICE, directory=ROOT)
    processes.start(command)
    processes.await_ready("deaf", lambda: None if processes.log("deaf").read_text() else "not yet deaf", within=10)

    assert processes.stop("deaf", grace=0.2) == -signal.SIGKILL


def test_a_killed_process_starts_again_as_it_was(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    first = processes.start(sleeper("service"))
    processes.kill("service")
    assert not processes.is_alive("service")

    second = processes.start_again("service")

    assert second != first
    assert processes.pids() == {"service": second}
    processes.end_all()


def test_a_process_that_dies_while_starting_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    processes = Processes(tmp_path)
    script = "import sys; print('cannot open the shop'); sys.exit(3)"
    command = Command(name="order-api", arguments=[sys.executable, "-c", script], rank=Rank.SERVICE, directory=ROOT)
    processes.start(command)

    with pytest.raises(ProcessFailedError, match=r"order-api ended with status 3[\s\S]*cannot open the shop"):
        processes.await_ready("order-api", lambda: "silent", within=10)


def test_state_and_credentials_are_for_their_owner_only(tmp_path: Path) -> None:
    places.superuser_password(tmp_path)
    processes = Processes(tmp_path)
    processes.note_launcher()

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}

    assert modes == {"credentials.json": 0o600, "processes.json": 0o600}
