"""A copy of the contract's folder that a test may break."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from schemas import check, generate, release

CONTRACT = Path(__file__).parents[2] / "schemas"


class SchemaFolder:
    """A folder like `schemas/`, with the tool's commands and shortcuts to edit its files."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def copy(cls, tmp_path: Path) -> Self:
        """Copy the repository's contract as it is."""
        target = tmp_path / "schemas"
        shutil.copytree(CONTRACT, target, ignore=shutil.ignore_patterns("__pycache__"))
        return cls(target)

    @classmethod
    def unreleased(cls, tmp_path: Path) -> Self:
        """Copy the current schemas as if nothing had ever been released."""
        folder = cls.copy(tmp_path)
        shutil.rmtree(folder.path / "released", ignore_errors=True)
        (folder.path / "ids.json").unlink()
        folder.generate()
        return folder

    @classmethod
    def released(cls, tmp_path: Path) -> Self:
        """Copy the current schemas with their first versions just released."""
        folder = cls.unreleased(tmp_path)
        folder.release()
        return folder

    def check(self) -> list[str]:
        """Return what `check` says."""
        return check.check(self.path)

    def generate(self) -> list[Path]:
        """Return the files that `generate` wrote."""
        return generate.generate(self.path)

    def release(self) -> list[Path]:
        """Return the schemas that `release` froze."""
        return release.release(self.path)

    def last_id(self) -> dict[str, Any]:
        """Return the last line of ids.json."""
        line: dict[str, Any] = json.loads((self.path / "ids.json").read_text(encoding="utf-8"))[-1]
        return line

    def schema(self, event: str) -> Path:
        """Return the schema file of an event named `<producer>/<Event>`."""
        return self.path / f"{event}.avsc"

    def example(self, event: str) -> Path:
        """Return the golden example of an event named `<producer>/<Event>`."""
        return self.path / "examples" / f"{event}.json"

    def edit(self, path: Path, change: Callable[[Any], object]) -> None:
        """Let `change` alter a JSON file's value in place."""
        value = json.loads(path.read_text(encoding="utf-8"))
        change(value)
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    def edit_text(self, name: str, before: str, after: str) -> None:
        """Replace one piece of a text file that must contain it."""
        path = self.path / name
        text = path.read_text(encoding="utf-8")
        assert before in text, f"{name} has no {before!r}"
        path.write_text(text.replace(before, after, 1), encoding="utf-8")


def field(schema: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the field of that name of a schema read as JSON."""
    found: dict[str, Any] = next(one for one in schema["fields"] if one["name"] == name)
    return found
