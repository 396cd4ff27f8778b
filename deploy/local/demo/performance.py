"""The demo from curtain to curtain: a stack, the scenes, the proof, and an exit status that says whether all held."""

import time
from collections.abc import Sequence
from pathlib import Path

from deploy.local import directory as places
from deploy.local.demo.ending import tell_where_to_look
from deploy.local.demo.facts import await_rest, gather
from deploy.local.demo.promises import Promise, StoryBroken, all_kept
from deploy.local.demo.proof import PROOF
from deploy.local.demo.scenes import SCENES, Scene
from deploy.local.demo.settings import OVERRIDES
from deploy.local.demo.shop import Shop
from deploy.local.demo.stage import Stage
from deploy.local.errors import StackStateError
from deploy.local.signals import ending_by_exception
from deploy.local.stack import Stack, launch
from deploy.local.state import StackState


def perform(
    directory: Path, *, keep: bool = False, record: Path | None = None, scenes: Sequence[Scene] = SCENES
) -> int:
    """Run the demo on a stack of its own in `directory`; return 0 when every promise held, else 1.

    `keep` leaves the stack running. `record` is a file for the output as plain text, written only when all held.
    Raises StackError when the stack cannot be started, StackStateError when one is running there.
    """
    began = time.monotonic()
    stage = Stage()
    if places.is_running(directory):
        raise StackStateError(
            f"a stack is running in {directory}: `make down` ends it, --directory names another place"
        )
    with ending_by_exception(), launch(directory, overrides=OVERRIDES) as stack:
        state = _raise_curtain(stack, stage)
        play(state, stage, scenes)
        conclude(stage, time.monotonic() - began)
        tell_where_to_look(stage, state, directory if keep else None)
        if keep:
            stack.leave_running()
    stage.headline("All of it goes on running." if keep else "All of it was ended; nothing is left running.")
    return status_of(stage, directory, record)


def play(state: StackState, stage: Stage, scenes: Sequence[Scene]) -> None:
    """Play the scenes on a running stack and prove what came of them; the stage has every promise."""
    with Shop(state, stage.tick) as shop:
        stage.headline("The story")
        with stage.watching(shop.table):
            for scene in scenes:
                _play(scene, shop, stage)
            await_rest(shop)
        stage.headline("The proof: read from REST, the topics, the metrics and the mails")
        _prove(shop, stage)


def conclude(stage: Stage, seconds: float) -> None:
    """Say in one line how it went."""
    count, broken = len(stage.promises), sum(not promise.kept for promise in stage.promises)
    verdict = f"{broken} of {count} promises were broken" if broken else f"All {count} promises held"
    stage.headline(f"{verdict}, {seconds:.0f} seconds after the start.")


def status_of(stage: Stage, directory: Path, record: Path | None) -> int:
    """Return 0 when every promise held, else 1; only then write the output, without the stack's place, to `record`."""
    kept = all_kept(stage.promises)
    if record is not None and kept:
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text(stage.recorded.replace(str(directory.resolve()), directory.name), encoding="utf-8")
    return 0 if kept else 1


def _raise_curtain(stack: Stack, stage: Stage) -> StackState:
    stage.headline("A shop on real servers: PostgreSQL, Apache Kafka in KRaft mode, three services, a mail sink")
    with stage.busy("starting all of them (the first time this fetches Kafka)"):
        return stack.up()


def _play(scene: Scene, shop: Shop, stage: Stage) -> None:
    """Play one scene; where it cannot go on, that is a promise broken, and the next one gets its chance."""
    stage.scene(scene.title, scene.why)
    try:
        scene.play(shop, stage)
    except StoryBroken as broken:
        stage.promise(Promise("the scene could be played to its end", kept=False, figure=str(broken)))
    stage.breathe()


def _prove(shop: Shop, stage: Stage) -> None:
    try:
        with stage.busy("auditing, and reading everything again"):
            facts = gather(shop)
    except StoryBroken as broken:
        stage.promise(Promise("the facts could be read", kept=False, figure=str(broken)))
        return
    for judge in PROOF:
        stage.promise(judge(facts))
