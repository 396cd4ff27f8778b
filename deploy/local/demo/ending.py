"""Where to look next."""

from pathlib import Path

from deploy.local.demo.stage import Stage
from deploy.local.directory import MAIL
from deploy.local.stack import DIRECTORY
from deploy.local.state import SERVICES, StackState

_PORT = 8001
Lines = list[tuple[str, str]]


def tell_where_to_look(stage: Stage, state: StackState, directory: Path | None, *, end: str = "") -> None:
    """Say how to go on from here: with the stack that stays in `directory`, or (None) with a new one.

    `end` is the command that ends a stack of another kind than `make up` starts.
    """
    stage.headline("Where to look next")
    lines = _gone() if directory is None else _kept(state, directory, end)
    widest = max(len(what) for what, _ in lines)
    for what, where in lines:
        stage.verbatim(f"  {what:{widest}}  {where}")


def _kept(state: StackState, directory: Path, end: str) -> Lines:
    here = "" if directory == DIRECTORY else f' ARGS="--directory {_short(directory)}"'
    url = state.services["order"].url
    documents = [(f"{service} API", f"{state.services[service].url}/docs") for service in SERVICES]
    return [
        *documents,
        ("the mails", _short(Path(state.mail.directory)) if state.mail.directory else state.mail.place),
        ("an API call", _curl(here, f"{url}/api/v1/orders/admin/")),
        ("the metrics", f"curl -s {state.services['order'].metrics_url} | grep ^oms_"),
        ("the end", end or f"make down{here}"),
    ]


def _gone() -> Lines:
    url = f"http://127.0.0.1:{_PORT}"
    return [
        ("this shop, kept running", "make demo ARGS=--keep"),
        ("an empty one", f'make up ARGS="--port-order {_PORT}"; make down ends it'),
        ("its documents", f"{url}/docs"),
        ("an API call", _curl("", f"{url}/api/v1/orders/admin/")),
        ("its mails", _short(DIRECTORY / MAIL)),
    ]


def _curl(here: str, url: str) -> str:
    return f'curl -H "Authorization: Bearer $(make -s token{here})" \\\n      {url}'


def _short(path: Path) -> str:
    """Return a path as one types it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
