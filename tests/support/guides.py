"""What the guides tell people to type: their fenced blocks, run as they stand there, and what they say is printed."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
_SHELLS = ("sh", "bash")
# Between the outputs of two blocks.
_MARK = "\x1e"
# What differs from run to run, and what stands for it when outputs are compared; any other number has to be the same.
_VARIABLE = (
    (re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|\+\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\b(?=\w*\d)([0-9a-f]{32}|[0-9a-f]{12})\b"), "<hex>"),
    (re.compile(r"\b[\w-]{40,}\b"), "<opaque>"),
    (re.compile(r"\bORD\d{8}\b"), "<order number>"),
    (re.compile(r"\b1\d{9}\b"), "<seconds since 1970>"),
    # Where a record stands in the log, a row's number, and how often something was tried by now.
    (re.compile(r'(?<="partition": )\d+|(?<="offset": )\d+|(?<="id":)\d+|(?<="attempts": )\d+|(?<=tries )\d+'), "<n>"),
    (re.compile(r"\b\d+(?= +ready$)"), "<process id>"),
    (re.compile(r"[-─━]{3,}"), "---"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        line: of its first fence in the document, from 1.
        language: the first word of its info string.
        marks: the other words.
        text: without the document's indentation.

    """

    line: int
    language: str
    marks: tuple[str, ...]
    text: str

    @property
    def is_shell(self) -> bool:
        """Whether it is something to type."""
        return self.language in _SHELLS

    @property
    def is_run(self) -> bool:
        """Whether it is run here."""
        return self.is_shell and "no-run" not in self.marks


@dataclass(frozen=True)
class Ran:
    """What came of a document's blocks: `outputs` by the line of the block, `status` 0 where all of them succeeded."""

    status: int
    outputs: Mapping[int, str]
    errors: str


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a document, named by its path in the repository."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, found.start()) + 1, *_info(found["info"]), dedent(found["text"]))
        for found in _FENCE.finditer(text)
    ]


def run(document: str, environment: Mapping[str, str], seconds: float) -> Ran:
    """Run a document's shell blocks in one shell, in their order; the first command that fails ends it."""
    script = ["set -euo pipefail"]
    for block in blocks(document):
        if block.is_run:
            script += [f"printf '{_MARK}%s\\n' {block.line}", block.text.replace(".venv/bin/python", sys.executable)]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    parts = (part.partition("\n") for part in done.stdout.split(_MARK)[1:])
    return Ran(done.returncode, {int(line): text for line, _, text in parts}, done.stderr)


def untrue(document: str, outputs: Mapping[int, str]) -> list[str]:
    """Return what `text` blocks show that the shell block before them did not print, in the order of the document.

    Ids, times and the like (`_VARIABLE`) may be others; a line, a part or its rest may be left out by `…`.
    """
    found = []
    for block, shown in pairwise(blocks(document)):
        if block.is_run and shown.language == "text":
            printed = list(_lines(outputs[block.line]))
            for line in _lines(shown.text):
                place = _place(line, printed)
                if place is None:
                    found.append(f"{shown.line}: {line}")
                else:
                    del printed[: place + 1]
    return found


def _info(info: str) -> tuple[str, tuple[str, ...]]:
    language, *marks = info.split() or [""]
    return language, tuple(marks)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        compared = line
        for pattern, stand_in in _VARIABLE:
            compared = pattern.sub(stand_in, compared)
        if compared.strip() not in ("", "…"):
            yield compared.strip()


def _place(line: str, printed: list[str]) -> int | None:
    pattern = re.compile(".*".join(re.escape(part) for part in line.split("…")))
    return next((i for i, other in enumerate(printed) if pattern.fullmatch(other)), None)
