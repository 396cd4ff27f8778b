"""What the README tells people to type works as it stands there."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack, launch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own: its topics hold what the README puts there, and nothing else."""
    with launch(tmp_path / "stack") as own:
        own.up()
        yield own


@pytest.mark.timeout(180)
def test_the_curls_and_the_consumer_of_the_readme_work(stack: Stack) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = re.search(r"## Try it\n(.*?)\n## ", text, re.DOTALL)
    assert section is not None
    up, *blocks = re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL)
    assert "make up" in up
    exported = subprocess.run(
        [sys.executable, "-m", "deploy.local", "env", "--directory", str(stack.directory)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    script = "set -euo pipefail\n" + exported + "\n".join(blocks).replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, check=False, env=dict(os.environ)
    )

    assert done.returncode == 0, done.stderr
    assert '"sku":"TEA-GREEN"' in done.stdout
    assert '"on_hand":10' in done.stdout
    assert '"status":"confirmed"' in done.stdout
    assert '"reservation_status":"allocated"' in done.stdout
    assert re.search(r"^(order|inventory)\.events\.v1 oms\.\w+\.\w+ [0-9a-f-]{36}$", done.stdout, re.MULTILINE)
