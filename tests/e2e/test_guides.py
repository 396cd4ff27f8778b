"""What the guides tell people to type works as it stands there, and prints what they show."""

from collections.abc import Iterator

import pytest

from deploy.local.stack import Stack, launch
from tests.support import guides

GUIDES = ("docs/api.md",)
_SECONDS = 240
# Shell blocks that are not run here, by the first word or words of each, and why.
NOT_RUN = {
    "make up": "the stack of this test runs already",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack with the default settings, as whoever follows a guide has it."""
    with launch(tmp_path_factory.mktemp("guides") / "stack") as own:
        own.up()
        yield own


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("guide", GUIDES)
def test_the_commands_of_a_guide_work_and_print_what_it_shows(stack: Stack, guide: str) -> None:
    done = guides.run(guide, {"LOCAL_STACK": str(stack.directory)}, _SECONDS)

    where = f"{guide}:{max(done.outputs)}"
    assert done.status == 0, f"{where} ended with {done.status}\n{done.outputs[max(done.outputs)]}\n{done.errors}"
    assert guides.untrue(guide, done.outputs) == []


@pytest.mark.parametrize("guide", GUIDES)
def test_what_is_not_run_is_known_and_nothing_else_looks_like_a_command(guide: str) -> None:
    for block in guides.blocks(guide):
        assert block.is_shell or block.language in ("text", "json"), f"{guide}:{block.line} has no known language"
        assert set(block.marks) <= {"no-run"}, f"{guide}:{block.line}"
        if block.is_shell and not block.is_run:
            assert [reason for command, reason in NOT_RUN.items() if block.text.startswith(command)], (
                f"{guide}:{block.line} is marked no-run for no reason that is known"
            )


def test_every_reason_not_to_run_a_block_is_needed() -> None:
    unused = [
        command
        for command in NOT_RUN
        if not any(
            block.text.startswith(command) and not block.is_run for guide in GUIDES for block in guides.blocks(guide)
        )
    ]
    assert unused == []
