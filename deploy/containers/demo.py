"""The demo's story, played in the containers; they stay, `make compose-down` ends them."""

import time
from pathlib import Path

from deploy.containers.compose import DIRECTORY, Compose
from deploy.local.demo.client import ORDERS, Caller
from deploy.local.demo.ending import tell_where_to_look
from deploy.local.demo.performance import conclude, play, status_of
from deploy.local.demo.promises import StoryBroken
from deploy.local.demo.scenes import SCENES
from deploy.local.demo.settings import OVERRIDES
from deploy.local.demo.stage import Stage
from deploy.local.errors import StackError
from deploy.local.state import StackState


def perform(compose: Compose, *, record: Path | None = None) -> int:
    """Play the story and prove it; return 0 when every promise held, else 1.

    The services get the story's terms, and are started anew where they ran with others. Raises StackError when the
    containers do not start, or when orders are there already: what the story did could not be told from them.
    """
    began = time.monotonic()
    stage = Stage()
    stage.headline("A shop in containers: PostgreSQL, Apache Kafka in KRaft mode, three services, Mailpit, Prometheus")
    compose.build()
    _require_no_orders(compose.state() if compose.is_running() else compose.up(OVERRIDES))
    state = compose.up(OVERRIDES)
    play(state, stage, SCENES)
    conclude(stage, time.monotonic() - began)
    tell_where_to_look(stage, state, DIRECTORY, end="make compose-down")
    stage.headline("All of it goes on running.")
    return status_of(stage, DIRECTORY, record)


def _require_no_orders(state: StackState) -> None:
    caller = Caller(state, "admin")
    try:
        orders = caller.get("order", f"{ORDERS}admin/", limit=1)["data"]
    except StoryBroken as broken:
        raise StackError(f"the containers do not answer: {broken}") from broken
    finally:
        caller.close()
    if orders:
        raise StackError("there are orders already, and the story needs an empty shop: `make compose-down` first")
