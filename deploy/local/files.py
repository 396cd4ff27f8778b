"""Files of the stack's state: whole or not there, and for the owner's eyes only."""

import json
import os
import tempfile
from pathlib import Path


def write_privately(path: Path, content: object) -> None:
    """Replace `path` by `content` as JSON; see `write_text_privately`."""
    write_text_privately(path, json.dumps(content, indent=2) + "\n")


def write_text_privately(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step, readable by its owner only.

    A reader sees the old file or the new one, never a part; nor does a crash leave one.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def last_lines(path: Path, count: int = 25) -> str:
    """Return the end of a log file, or a sentence saying that there is none."""
    if not path.exists():
        return f"(no log at {path})"
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
    return "\n".join(lines) or f"({path} is empty)"
