"""Edits of released files that are consistent in themselves, caught by comparing with the git history."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.schema_folder import SchemaFolder

GIT = shutil.which("git") or "git"
SHIPPED = "released/oms.order.OrderShipped/1.avsc"


def git(folder: SchemaFolder, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run([GIT, *identity, *arguments], cwd=folder.path.parent, check=True, capture_output=True)


@pytest.fixture
def folder(tmp_path: Path) -> SchemaFolder:
    folder = SchemaFolder.released(tmp_path)
    git(folder, "init", "--quiet")
    commit(folder)
    return folder


def commit(folder: SchemaFolder) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A change")


def test_a_released_folder_with_its_history_is_in_order(folder: SchemaFolder) -> None:
    folder.edit_text("order/OrderShipped.avsc", "A shipment left its location.", "A shipment is on its way.")
    folder.generate()
    commit(folder)
    assert folder.check() == []


def test_a_doc_changed_in_a_released_schema_is_named_before_it_is_committed(folder: SchemaFolder) -> None:
    folder.edit_text(SHIPPED, "A shipment left", "A parcel left")
    [problem] = folder.check()
    assert f"{SHIPPED}: differs from the last commit" in problem


def test_a_doc_changed_in_a_released_schema_is_named_after_it_was_committed(folder: SchemaFolder) -> None:
    folder.edit_text(SHIPPED, "A shipment left", "A parcel left")
    commit(folder)
    [problem] = folder.check()
    assert f"{SHIPPED}: a commit changed or removed it" in problem


def test_a_released_version_that_vanished_with_its_id_is_named(folder: SchemaFolder) -> None:
    last = folder.last_id()["fullname"]
    for path in (folder.path / "released" / last).iterdir():
        path.unlink()
    folder.edit(folder.path / "ids.json", lambda lines: lines.pop())
    folder.generate()
    commit(folder)
    found = folder.check()
    assert any(f"{last}/1.avsc: a commit changed or removed it" in one for one in found)


def test_a_released_id_that_was_given_to_another_version_is_named(folder: SchemaFolder) -> None:
    def reuse(lines: list[dict[str, object]]) -> None:
        lines[-1].update(sha256="0" * 64)

    last = folder.last_id()
    folder.edit(folder.path / "ids.json", reuse)
    commit(folder)
    assert any(f"{last['fullname']} version 1 had the id {last['id']}" in problem for problem in folder.check())
