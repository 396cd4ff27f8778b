"""The demo from outside: it tells its story, notices a broken promise, and leaves no process behind."""

import contextlib
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2
import pytest
import requests

from deploy.local import directory as places
from deploy.local.demo.performance import perform
from deploy.local.demo.proof import PROOF
from deploy.local.demo.scenes import SCENES, Scene
from deploy.local.demo.shop import Shop
from deploy.local.demo.stage import Stage
from deploy.local.records import MARK

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


def command(name: str, directory: Path, *arguments: str) -> list[str]:
    return [sys.executable, "-m", "deploy.local", name, "--directory", str(directory), *arguments]


def run(name: str, directory: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command(name, directory, *arguments), cwd=ROOT, capture_output=True, text=True, check=False)


def left_behind(directory: Path) -> list[str]:
    """Every process that was started for the stack in this directory."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == str(directory):
                found.append(" ".join(process.cmdline()))
    return found


def words(text: str) -> str:
    """A text without its line breaks and columns."""
    return " ".join(text.split())


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "stack"
    yield place
    if place.exists():
        places.end(place)


def test_the_demo_keeps_its_promises_and_its_stack_where_asked(directory: Path, tmp_path: Path) -> None:
    record = tmp_path / "docs" / "demo.txt"

    done = run("demo", directory, "--keep", "--record", str(record))

    told = words(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    for number, scene in enumerate(SCENES, 1):
        assert f"{number} {scene.title} {scene.why} ✓" in told
    assert told.count("✓") == int(re.findall(r"All (\d+) promises held", told)[0])
    assert told.partition("The proof:")[2].count("✓") == len(PROOF)
    assert "✗" not in told
    recorded = record.read_text(encoding="utf-8")
    assert words(recorded).replace(f"{directory.name}/mail", f"{directory}/mail").startswith(told[:1000])
    assert str(tmp_path) not in recorded
    assert "\x1b" not in recorded
    assert run("status", directory).returncode == 0
    for url in re.findall(r"http://\S+/docs", done.stdout):
        assert requests.get(url, timeout=10).ok
    assert len(list((directory / "mail").glob("*.eml"))) > len(SCENES)
    curl = re.search(r"curl -H .*\\\n.*/orders/admin/", done.stdout)
    assert curl is not None
    assert '"order_number"' in subprocess.check_output(["bash", "-c", curl[0]], cwd=ROOT, text=True)
    again = run("demo", directory)
    assert (again.returncode, "make down" in again.stderr) == (1, True)

    assert run("down", directory).returncode == 0
    assert left_behind(directory) == []


@pytest.mark.parametrize("moment", ["A shop on real servers", SCENES[2].title])
def test_ctrl_c_leaves_no_process(directory: Path, moment: str) -> None:
    with subprocess.Popen(
        command("demo", directory), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        assert demo.stderr is not None
        assert any(moment in line for line in demo.stdout)

        demo.send_signal(signal.SIGINT)

        said = demo.stderr.read()
        assert demo.wait() == 130, said
    assert said == "interrupted; nothing is left running\n"
    assert left_behind(directory) == []
    assert not (directory / "stack.json").exists()


def add_a_unit_from_nowhere(shop: Shop, _stage: Stage) -> None:
    """Raise a level past the ledger, as a careless hand at the database would."""
    address = shop.state.services["inventory"].database_url.replace("+psycopg2", "")
    connection = psycopg2.connect(address)
    with contextlib.closing(connection), connection, connection.cursor() as cursor:
        cursor.execute("UPDATE stock_levels SET on_hand = on_hand + 1 WHERE sku = 'MUG-W'")


def test_a_tampered_ledger_fails_the_demo(directory: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tamper = Scene("A careless hand", "Somebody raises a level in the database.", add_a_unit_from_nowhere)
    record = tmp_path / "demo.txt"

    status = perform(directory, record=record, scenes=(SCENES[0], tamper))

    told = words(capsys.readouterr().out)
    assert status == 1
    assert "✗ inventory's audit: the books balance 1 difference" in told
    assert "✗ every unit is accounted for, SKU by SKU" in told
    assert "wrong: MUG-W" in told
    assert "2 of " in told
    assert "promises were broken" in told
    assert not record.exists()
    assert left_behind(directory) == []
    assert not (directory / "mail").exists()
