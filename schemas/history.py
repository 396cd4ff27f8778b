"""What the version history says about released files and ids: an edit that is consistent in itself.

Somebody who changes a released schema's doc, its example and its bytes together, or swaps ids everywhere,
leaves a folder without contradictions. Only its past gives it away. Needs git and the whole history; a folder
that is not in a git work tree has no history to check, and `check` says so.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from schemas.catalog import Catalog

TOUCHED = ("--no-renames", "--diff-filter=MDT", "--name-only", "--relative")


def is_recorded(folder: Path) -> bool:
    """Return whether the folder lies in a git work tree that has a commit."""
    return shutil.which("git") is not None and _run(folder, "rev-parse", "--verify", "HEAD").returncode == 0


def rewritten(catalog: Catalog) -> Iterator[str]:
    """Say which released files and ids differ from what some commit, or the last one, had."""
    folder = catalog.folder
    for name in sorted(set(_git(folder, "log", "-m", "--format=", *TOUCHED, "--", "released").split())):
        yield f"{folder / name}: a commit changed or removed it after its release (git log -- {name})"
    for name in _git(folder, "diff", *TOUCHED, "HEAD", "--", "released").split():
        yield f"{folder / name}: differs from the last commit although it is released"
    yield from _ids_taken_back(catalog)


def _ids_taken_back(catalog: Catalog) -> Iterator[str]:
    now = {(line.fullname, line.version): (line.id, line.sha256) for line in catalog.identities}
    told = set()
    for commit in _git(catalog.folder, "log", "--format=%h", "--diff-filter=AM", "--", "ids.json").split():
        for line in json.loads(_git(catalog.folder, "show", f"{commit}:./ids.json")):
            version = (line["fullname"], line["version"])
            if line["released"] and now.get(version) != (line["id"], line["sha256"]) and version not in told:
                told.add(version)
                yield (
                    f"{catalog.folder / 'ids.json'}: {version[0]} version {version[1]} had the id {line['id']} "
                    f"and another line in commit {commit}; a released id is never changed or removed"
                )


def _git(folder: Path, *arguments: str) -> str:
    done = _run(folder, *arguments)
    done.check_returncode()
    return done.stdout


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # fixed words only
