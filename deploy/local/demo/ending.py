"""Where to look next."""

from pathlib import Path

from rich.table import Table
from rich.text import Text

from deploy.local.demo.stage import Stage
from deploy.local.state import SERVICES, StackState

_PORT = 8001
_CURL = 'curl -H "Authorization: Bearer $(make -s token)"'
Lines = list[tuple[str, str]]


def tell_where_to_look(stage: Stage, state: StackState, *, kept: bool) -> None:
    """Say how to go on from here: with the stack that was kept running, or with a new one."""
    stage.headline("Where to look next")
    lines = _kept(state) if kept else _gone()
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for what, where in lines:
        table.add_row(Text(what), Text(where))
    stage.show(table, indent=2)


def _kept(state: StackState) -> Lines:
    url = state.services["order"].url
    documents = [(f"{service} API", f"{state.services[service].url}/docs") for service in SERVICES]
    return [
        *documents,
        ("the mails", _short(Path(state.mail.directory))),
        ("an API call", f"{_CURL} \\\n     '{url}/api/v1/orders/admin/?limit=3'"),
        ("the metrics", f"curl -s {state.services['order'].metrics_url} | grep ^oms_"),
        ("the end", "make down"),
    ]


def _gone() -> Lines:
    url = f"http://127.0.0.1:{_PORT}"
    return [
        ("this shop, kept running", "make demo ARGS=--keep"),
        ("an empty one", f'make up ARGS="--port-order {_PORT}", and make down'),
        ("its documents", f"{url}/docs"),
        ("an API call", f"{_CURL} \\\n     {url}/api/v1/orders/admin/"),
        ("its mails", ".local/mail"),
    ]


def _short(path: Path) -> str:
    """Return a path as one types it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
