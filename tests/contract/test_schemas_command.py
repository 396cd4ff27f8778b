"""`python -m schemas` says what it did and what is wrong, and exits with 1 for the latter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.schema_folder import CONTRACT, SchemaFolder


@pytest.fixture
def folder(tmp_path: Path) -> SchemaFolder:
    return SchemaFolder.unreleased(tmp_path)


def run(folder: SchemaFolder, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "schemas", command, "--folder", str(folder.path)],
        cwd=CONTRACT.parent,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_check_exits_0_on_a_folder_in_order(folder: SchemaFolder) -> None:
    done = run(folder, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert "the event contract is in order" in done.stdout
    assert "no git history" in done.stdout


def test_check_exits_1_and_names_everything_that_is_wrong(folder: SchemaFolder) -> None:
    folder.example("order/OrderShipped").unlink()
    folder.edit_text("contracts.py", "order_number: str", "order_number: int")
    done = run(folder, "check")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 2
    assert "contracts.py" in done.stderr
    assert "OrderShipped.json" in done.stderr


def test_generate_says_what_it_wrote(folder: SchemaFolder) -> None:
    (folder.path / "contracts.py").unlink()
    assert run(folder, "generate").stdout.split() == ["wrote", str(folder.path / "contracts.py")]
    assert run(folder, "generate").stdout == ""


def test_generate_exits_1_and_names_an_example_that_does_not_fit(folder: SchemaFolder) -> None:
    folder.edit(folder.example("order/OrderShipped"), lambda example: example.pop("carrier"))
    done = run(folder, "generate")
    assert done.returncode == 1
    assert "OrderShipped.json: does not fit oms.order.OrderShipped" in done.stderr


def test_release_refuses_a_folder_that_is_not_in_order(folder: SchemaFolder) -> None:
    folder.example("order/OrderShipped").unlink()
    assert run(folder, "release").returncode == 1
    assert not (folder.path / "released").exists()


def test_release_runs_once(folder: SchemaFolder) -> None:
    assert len(run(folder, "release").stdout.splitlines()) == len(list(folder.path.glob("*/*.avsc")))
    assert run(folder, "release").stdout == ""
    assert run(folder, "check").returncode == 0
