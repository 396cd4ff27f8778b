"""The processes of the three services on the local stack: how each is started, and how it says that it is ready."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from deploy.local.ports import LOOPBACK
from deploy.local.processes import Command
from deploy.local.records import Rank

ROOT = Path(__file__).parents[2]
_PROBE_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceProcess:
    """One process of a service: `role` is `api` or `worker`, `port` is where it answers `/readyz`.

    `module` is what Python runs; the tests put a wrapper of their own there.
    """

    name: str
    module: str
    role: str
    arguments: Sequence[str]
    port: int
    environment: Mapping[str, str]

    def command(self) -> Command:
        """Return how to start it."""
        port = "HTTP_PORT" if self.role == "api" else "METRICS_PORT"
        return python_command(
            self.name,
            (self.module, self.role, *self.arguments),
            environment={**self.environment, port: str(self.port)},
        )

    def missing(self) -> str | None:
        """Return why `/readyz` is not yet 200, or None when it is."""
        return missing_at(self.port)


def missing_at(port: int) -> str | None:
    """Return why `/readyz` of the process at a port is not yet 200, or None when it is."""
    try:
        answer = get(f"http://{LOOPBACK}:{port}/readyz", timeout=_PROBE_SECONDS)
    except requests.RequestException:
        return f"nothing answers at port {port}"
    return None if answer.ok else f"/readyz says {answer.status_code}: {answer.text.strip()}"


def get(url: str, *, timeout: float) -> requests.Response:
    """Ask a process of the stack, past any proxy that the environment names: it is on this machine."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=timeout)


def python_command(
    name: str, arguments: Sequence[str], *, environment: Mapping[str, str], rank: Rank = Rank.SERVICE
) -> Command:
    """Return how to run `python -m` with these arguments in the checkout."""
    return Command(
        name=name,
        arguments=[sys.executable, "-m", *arguments],
        rank=rank,
        environment={"PYTHONUNBUFFERED": "1", **environment},
        directory=ROOT,
    )
