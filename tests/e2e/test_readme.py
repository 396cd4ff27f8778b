"""What the README tells people to type works as it stands there, and what it shows is what they get."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import Stack, launch
from tests.support import guides

README = "README.md"


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own: its topics hold what the README puts there, and nothing else."""
    with launch(tmp_path / "stack") as own:
        own.up()
        yield own


@pytest.mark.timeout(180)
def test_the_walk_and_the_consumer_of_the_readme_work(stack: Stack) -> None:
    done = guides.run(README, {"LOCAL_STACK": str(stack.directory)}, seconds=120)

    last = max(done.outputs, default=0)
    assert done.status == 0, f"{README}:{last} ended with {done.status}\n{done.outputs.get(last)}\n{done.errors}"
    assert guides.untrue(README, done.outputs) == []
    consumed = re.findall(
        r"^(?:order|inventory)\.events\.v1 oms\.\w+\.\w+ [0-9a-f-]{36}$", done.outputs[last], re.MULTILINE
    )
    assert len(consumed) == 4


def test_what_the_readme_shows_of_the_demo_was_recorded() -> None:
    (shown,) = [block.text for block in guides.blocks(README) if "promises held" in block.text]
    recorded = iter((guides.ROOT / "docs" / "demo.txt").read_text(encoding="utf-8").splitlines())
    lines = [line for line in shown.splitlines() if line not in ("", "…")]
    assert [line for line in lines if line not in recorded] == []


def test_everything_in_the_readme_that_is_to_be_typed_is_run_but_for_what_makes_a_stack() -> None:
    left_out = [block.text.split() for block in guides.blocks(README) if block.is_shell and not block.is_run]
    assert [words[:2] for words in left_out] == [["make", "demo"], ["make", "up"]]
